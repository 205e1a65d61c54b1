"""The commands `ep app`, `ep build` and `ep demo`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ep.commands.options import add_command, add_settings, parsed_settings, say_doubt
from ep.commands.progress import Printer, duration, on_stderr
from ep.config import BuildConfig
from ep.errors import EPError
from ep.extras import require
from ep.storage.file import printable
from ep.views import outliers
from ep.watching import watching

if TYPE_CHECKING:
    from ep.reporting import Progress


def add(subparsers: Any) -> None:
    """Add `app`, `build` and `demo`."""
    _app_options(add_command(subparsers, "app", "open the explorer in a browser", app))
    _build_options(
        add_command(subparsers, "build", "build dictionaries of a model on a text", build)
    )
    _demo_options(
        add_command(subparsers, "demo", "rebuild the bundled demos from their sources", demo)
    )


def _demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=["make", "real"],
        help="make: the tiny models and their dictionaries; real: text, adapter and dictionaries "
        "of a model that is installed as a package",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder to write to (default data/demo or data/real)"
    )
    parser.add_argument(
        "--stage",
        action="append",
        default=[],
        metavar="NAME",
        help="real: a stage to run, even if its files are there; several may be given (default: "
        "all that are missing)",
    )
    parser.add_argument(
        "--requests",
        metavar="FILE",
        help="real: a CSV file (prompt,label) of requests that others wrote, to measure refusal on",
    )
    parser.add_argument(
        "--neutral",
        metavar="FILE",
        help="real: a JSONL file of text that others wrote, to measure perplexity on",
    )


def _app_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=int, help="port to serve on (default: that of .streamlit/config.toml, 8501)"
    )
    parser.add_argument(
        "--host",
        help="address to serve on; 0.0.0.0 lets other machines in, without a password (default: "
        "that of .streamlit/config.toml, localhost)",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--public",
        action="store_true",
        help="serve everybody: no uploads, paths, downloads or builds, no model servers but those "
        "in EP_ENDPOINTS, and each visitor's labels and lists in that visitor's session only",
    )


def _build_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, BuildConfig)
    parser.add_argument(
        "--resume", action="store_true", help="continue the unfinished build in --out"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="replace files and unfinished builds of other settings in --out; without it, they are "
        "left and the build is refused",
    )
    parser.add_argument(
        "--status",
        metavar="FILE",
        help="keep a JSON file up to date that says how the build stands, for other programs",
    )


def app(arguments: argparse.Namespace) -> None:
    """Serve the explorer until it is interrupted."""
    from ep.serving import serve

    serve(
        arguments.host,
        arguments.port,
        open_browser=not arguments.no_browser,
        say=lambda text: print(text, file=sys.stderr, flush=True),
        public=arguments.public,
    )


def build(arguments: argparse.Namespace) -> None:
    """Build dictionaries; progress is printed to stderr, the written paths to stdout."""
    from ep.building import build

    require("torch")
    config = BuildConfig(**parsed_settings(arguments, BuildConfig))
    if config.ray is not None:
        require("ray")
    if config.adapter:
        say_doubt(config.adapter, config.model)
    stage, is_told = "opening the text and the model", False
    told: set[str] = set()
    with (
        watching(arguments.status, config.stop_window) as watch,
        on_stderr() as printer,
        _deferred_signals(printer, config.folder) as signalled,
    ):
        steps = build(config, arguments.resume, arguments.replace, printer)
        printer.stage(stage)
        for progress in steps:
            watch(progress)
            printer.patience = 0.0  # past the refusals: every stage is worth a line in the log
            show = printer if progress.stage == stage else partial(printer.stage, progress.stage)
            if progress.stage != stage and progress.lens_seconds is not None:
                least = duration(progress.lens_seconds)
                printer.say(f"fitting the Jacobian lens will take at least {least}")
            stage = progress.stage
            if stage != "done":
                show(*_state(progress))
            if progress.measured and not is_told:
                is_told = True  # before the long work, which another choice may spare
                for line in _remarks(progress):
                    printer.say(line)
            for note in progress.notes:
                if note not in told:
                    told.add(note)
                    printer.say(note)
            if signalled() and progress.stage != "done":
                steps.close()
                raise InterruptedBuild(_interruption(config.folder), signalled())
    for path in progress.files:
        print(path)
    for moved in progress.set_aside:
        print(f"ep: labels of the replaced dictionary are now in {moved}", file=sys.stderr)
    for line in _losses(progress, config):
        print(line, file=sys.stderr)


def _losses(progress: Progress, config: BuildConfig) -> Iterator[str]:
    """What is not in the dictionaries although it is in the text, a line for each kind."""
    counts, left_out = progress.counts, progress.left_out
    for layer in config.layers:
        most = max(out for (own, _), out in progress.not_kept.items() if own == layer)
        if line := outliers.left_out({**most.facts(config.sifting()), **config.sifting()}):
            yield f"layer {layer}: {line}"
    if left_out.empty:
        yield f"{left_out.empty:,} of {left_out.rows:,} rows have no text and were left out"
    if left_out.unusable:
        yield (
            f"{left_out.unusable:,} of {left_out.rows:,} rows cannot be used and were left out; "
            f"the first: {left_out.first}"
        )
    if left_out.duplicates:
        yield (
            f"{left_out.duplicates:,} of {left_out.rows:,} rows have the text of another and were "
            "left out"
        )
    if left_out.drawn:
        drawn = ", ".join(
            f"{one['passages']:,} from {printable(one['text'])}"
            f"{', which ended' if one['ended'] else ''}"
            for one in left_out.drawn
        )
        yield f"passages read: {drawn}"
    if counts.truncated:
        share = f"{100 * counts.cut_share:.1f} %"
        hint = ""
        if any(str(source).lower().endswith(".txt") for source in config.text):
            hint = "; in a .txt, blank lines separate passages, and without any every line is one"
        yield (
            f"{counts.truncated:,} of {counts.passages:,} passages were cut to {progress.context} "
            f"tokens: {share} of the tokens read are not in the dictionaries{hint}"
        )


def _remarks(progress: Progress) -> Iterator[str]:
    """What is unlike the rest in a layer, where that is worth a line before the stream."""
    for layer, measured in progress.measured.items():
        facts = measured.facts()
        lines = [outliers.massive(facts)] if measured.outliers.massive else []
        for line in [*lines, outliers.dominated(facts)]:
            if line:
                yield f"layer {layer}: {line}"


def _interruption(folder: Path) -> str:
    if _has_state(folder):
        return f"interrupted: the state is saved in {folder}; continue with --resume"
    return "interrupted before any activation was read; run the same command again"


def _has_state(folder: Path) -> bool:
    from ep.storage.checkpoint import NAME

    return (folder / NAME).exists()


class InterruptedBuild(EPError):
    """A build was stopped by a signal; what there was of a state was saved."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


def demo(arguments: argparse.Namespace) -> None:
    """Rebuild one of the bundled demos."""
    from ep.demo import recipe
    from ep.demo.real import recipe as real

    with on_stderr() as printer:
        printer.stage("making the demo")
        if arguments.action == "make":
            recipe.make(Path(arguments.out or "data/demo"), printer.say)
            return
        files = [Path(name) if name else None for name in (arguments.requests, arguments.neutral)]
        out = Path(arguments.out or "data/real")
        real.make(real.Making(out, printer.say, *files), arguments.stage)


SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
"""Signals that stop a build: Ctrl-C, a scheduler or shutdown, and a terminal that was closed."""


@contextmanager
def _deferred_signals(printer: Printer, folder: Path) -> Iterator[Callable[[], int]]:
    """Yield a function that returns the number of the signal that asks to stop, 0 without one.

    A second signal stops the build at once; what was saved before stays.
    """
    received = 0

    def on_signal(number: int, frame: Any) -> None:
        nonlocal received
        if received:
            kept = (
                "the state saved last stays; continue with --resume" if _has_state(folder) else ""
            )
            raise InterruptedBuild(f"stopped at once{': ' if kept else ''}{kept}", number)
        received = number
        printer.say("saving the state and stopping; a second signal stops at once")

    previous = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield lambda: received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _state(progress: Progress) -> tuple[str, float | None]:
    """How far a build is, in words and as a share; without regions if they do not fit on a line."""
    unit = {"read": "rows", "lens": "prompts", "write": "files"}.get(progress.stage, "activations")
    total = f" of {progress.total:,}" if progress.total else ""
    regions = " ".join(f"L{layer}p{p:g}:{k:,}" for (layer, p), k in progress.regions.items())
    if len(regions) >= 60:
        regions = f"{sum(progress.regions.values()):,} regions"
    message = f"{progress.done:,}{total} {unit}{', ' if regions else ''}{regions}"
    return message, progress.done / progress.total if progress.total else None
