"""The making commands: serve the explorer, build dictionaries, rebuild the demo."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ep.commands.options import command
from ep.errors import EPError


def add(kinds: Any) -> None:
    """Adds app, build and demo."""
    _app_options(command(kinds, "app", "open the explorer in a browser", app))
    _build_options(command(kinds, "build", "build dictionaries of a model on a text", build))
    again = command(kinds, "demo", "rebuild the bundled demo from nothing", demo)
    again.add_argument("action", choices=["make"])
    again.add_argument(
        "--out", default="data/demo", metavar="DIR", help="where to; default data/demo"
    )


def _app_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=int, default=8501)
    command.add_argument(
        "--host", default="localhost", help="0.0.0.0 lets others in; there is no password"
    )
    command.add_argument("--no-browser", action="store_true", help="only serve")


def _build_options(command: argparse.ArgumentParser) -> None:
    """Options named after the fields of `BuildConfig`; what is not given keeps that class's
    default.
    """
    command.add_argument("model", help="a Hub name or a local directory")
    command.add_argument(
        "--text",
        action="append",
        required=True,
        metavar="FILE",
        help="text file or folder; repeatable",
    )
    command.add_argument(
        "--layer", action="append", required=True, type=int, dest="layers", help="repeatable"
    )
    command.add_argument(
        "--percentile", action="append", type=float, dest="percentiles", help="repeatable"
    )
    command.add_argument("--out", required=True, metavar="DIR", help="folder for the .ep.h5 files")
    for name, kind, text in _SETTINGS:
        options: dict[str, Any] = {"action": "store_true"} if kind is bool else {"type": kind}
        command.add_argument(
            f"--{name.replace('_', '-')}",
            dest=_FIELDS.get(name, name),
            help=text,
            default=None,
            **options,
        )
    command.add_argument(
        "--resume", action="store_true", help="go on with the unfinished build in --out"
    )


_FIELDS = {"field": "field_name"}
_SETTINGS: tuple[tuple[str, type, str], ...] = (
    ("tokens", int, "budget of activations (default: the whole text)"),
    ("context", int, "tokens kept of each passage (default 128)"),
    ("positions", str, "all or final (default all)"),
    ("chat", bool, "treat texts as user turns, through the chat template"),
    ("field", str, "key or column of the text"),
    ("protocol", str, "paper or global: how θ is measured (default paper)"),
    ("calibration", int, "activations for centre and θ (default 200000)"),
    ("batch", int, "passages in a batch (default 128; part of θ under protocol paper)"),
    ("stop_rate", float, "stop when new regions per activation are surely below this"),
    ("stop_window", int, "activations in one window of --stop-rate (default 50000)"),
    ("quiet_batches", int, "the paper's rule: stop after this many batches without a new region"),
    (
        "rival_budget",
        float,
        "multiply-adds for counting who comes second in a dictionary (default 1e13)",
    ),
    ("seed", int, "default 0"),
    ("device", str, "auto, cpu, cuda, cuda:N or mps"),
    ("dtype", str, "auto, float32, bfloat16 or float16"),
    ("revision", str, "the model's Hub revision"),
    ("title", str, "name of the family on screen"),
)


def app(arguments: argparse.Namespace) -> None:
    """Serve the explorer until interrupted."""
    from ep.serving import serve

    serve(arguments.host, arguments.port, open_browser=not arguments.no_browser)


def build(arguments: argparse.Namespace) -> None:
    """Build dictionaries, drawing progress on stderr; the written files go to stdout."""
    from ep.building import build
    from ep.config import BuildConfig

    names = set(BuildConfig.__dataclass_fields__)
    given = {
        key: value for key, value in vars(arguments).items() if key in names and value is not None
    }
    config = BuildConfig(**given)
    steps = build(config, resume=arguments.resume)
    with _polite_interrupt() as asked_to_stop, _progress_bar() as show:
        for progress in steps:
            show(progress)
            if asked_to_stop() and progress.stage != "done":
                steps.close()
                raise InterruptedBuild(
                    f"interrupted: the state is kept in {config.out}; go on with --resume"
                )
    for path in progress.files:
        print(path)
    if progress.truncated:
        print(
            f"{progress.truncated:,} passages were longer than {config.context} tokens and cut",
            file=sys.stderr,
        )


class InterruptedBuild(EPError):
    """Ctrl-C during a build, after the state was kept."""

    exit_code = 130


def demo(arguments: argparse.Namespace) -> None:
    """Rebuild the bundled demo."""
    from ep.demo.recipe import make

    make(Path(arguments.out), say=lambda text: print(text, flush=True))


@contextmanager
def _polite_interrupt() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks the build to stop between two batches; the second stops at once."""
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        print("\nep: stopping after this batch; press Ctrl-C again to drop it", file=sys.stderr)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress_bar() -> Iterator[Callable[[Any], None]]:
    """A bar for each stage, on stderr."""
    from tqdm import tqdm

    bar: tqdm | None = None
    stage = ""

    def show(progress: Any) -> None:
        nonlocal bar, stage
        if progress.stage != stage:
            if bar is not None:
                bar.close()
            stage = progress.stage
            unit = " files" if stage == "write" else " activations"
            bar = (
                None
                if stage == "done"
                else tqdm(total=progress.total, desc=stage, unit=unit, unit_scale=stage != "write")
            )
        if bar is not None:
            bar.n = progress.done
            regions = " ".join(
                f"L{layer}p{p:g}:{k:,}" for (layer, p), k in progress.regions.items()
            )
            bar.set_postfix_str(
                regions if len(regions) < 60 else f"{sum(progress.regions.values()):,} regions"
            )

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
