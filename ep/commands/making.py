"""The commands `ep app`, `ep build` and `ep demo`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ep.commands.options import add_command, add_settings, parsed_settings
from ep.config import BuildConfig
from ep.errors import EPError


def add(subparsers: Any) -> None:
    """Add `app`, `build` and `demo`."""
    _app_options(add_command(subparsers, "app", "open the explorer in a browser", app))
    _build_options(
        add_command(subparsers, "build", "build dictionaries of a model on a text", build)
    )
    demo_parser = add_command(subparsers, "demo", "rebuild the bundled demo from its sources", demo)
    demo_parser.add_argument("action", choices=["make"])
    demo_parser.add_argument(
        "--out", default="data/demo", metavar="DIR", help="folder to write to (default data/demo)"
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


def app(arguments: argparse.Namespace) -> None:
    """Serve the explorer until it is interrupted."""
    from ep.serving import serve

    serve(
        arguments.host,
        arguments.port,
        open_browser=not arguments.no_browser,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )


def build(arguments: argparse.Namespace) -> None:
    """Build dictionaries; progress is drawn on stderr, the written paths are printed to stdout."""
    from ep.building import build

    config = BuildConfig(**parsed_settings(arguments, BuildConfig))
    steps = build(config, arguments.resume, arguments.replace)
    with _deferred_interrupt() as is_interrupted, _progress_bar() as show:
        for progress in steps:
            show(progress)
            if is_interrupted() and progress.stage != "done":
                steps.close()
                raise InterruptedBuild(
                    f"interrupted: the state is saved in {config.out}; continue with --resume"
                )
    for path in progress.files:
        print(path)
    for moved in progress.set_aside:
        print(f"ep: labels of the replaced dictionary are now in {moved}", file=sys.stderr)
    if progress.truncated:
        print(
            f"{progress.truncated:,} passages were cut to {config.context} tokens",
            file=sys.stderr,
        )


class InterruptedBuild(EPError):
    """Ctrl-C was pressed during a build, and the state was saved."""

    exit_code = 130


def demo(arguments: argparse.Namespace) -> None:
    """Rebuild the bundled demo."""
    from ep.demo.recipe import make

    make(Path(arguments.out), say=lambda text: print(text, flush=True))


@contextmanager
def _deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C was pressed; pressed again, it interrupts."""
    interrupted = False

    def on_interrupt(number: int, frame: Any) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        print(
            "\nep: stopping after this batch; press Ctrl-C again to stop immediately and lose it",
            file=sys.stderr,
        )

    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: interrupted
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _progress_bar() -> Iterator[Callable[[Any], None]]:
    """Yield a function that draws the progress of a build on stderr, with one bar per stage."""
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
