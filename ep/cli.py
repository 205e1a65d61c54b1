"""The command line: a thin shell that parses, calls, prints. Errors are one line on stderr, never a traceback.

Exit codes: 0 done, 1 the work failed, 2 the input cannot be used, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ep import commands
from ep.errors import EPError

Handler = Callable[[argparse.Namespace], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except EPError as error:
        print(f"ep: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ep: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    top = argparse.ArgumentParser(prog="ep", description="Build, open and read Exemplar Partitioning dictionaries.")
    kinds = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _app_options(_command(kinds, "app", "open the explorer in a browser", commands.app))
    _build_options(_command(kinds, "build", "build dictionaries of a model on a text", commands.build))
    info = _command(kinds, "info", "what a dictionary is and where it comes from", commands.info)
    info.add_argument("file", help="an .ep.h5 file")
    info.add_argument("--digest", action="store_true", help="also the content hash, equal for equal builds")
    info.add_argument("--check", action="store_true", help="read and check every number in the file")
    regions = _command(kinds, "regions", "list regions, largest first", commands.regions)
    regions.add_argument("file", help="an .ep.h5 file")
    regions.add_argument(
        "--find", default="", metavar="TEXT", help="only regions whose lens, tokens or excerpts hold TEXT"
    )
    regions.add_argument("--sort", default="members", choices=sorted(commands.SORTS), help="column to sort by")
    regions.add_argument("--limit", type=int, default=50, metavar="N", help="at most N rows; 0 lists all")
    region = _command(kinds, "region", "everything about one region", commands.region)
    region.add_argument("file", help="an .ep.h5 file")
    region.add_argument("id", type=int, help="the region's id")
    assign = _command(kinds, "assign", "which region each token of a prompt falls into", commands.assign)
    assign.add_argument("file", help="an .ep.h5 file")
    assign.add_argument("--prompt", required=True, metavar="TEXT", help="the text to read")
    assign.add_argument("--chat", action="store_true", help="treat the text as a user turn")
    assign.add_argument("--model", default=None, help="the model, when it is not where the dictionary says")
    demo = _command(kinds, "demo", "rebuild the bundled demo from nothing", commands.demo)
    demo.add_argument("action", choices=["make"])
    demo.add_argument("--out", default="data/demo", metavar="DIR", help="where to; default data/demo")
    for reader in (info, regions, region, assign):
        reader.add_argument("--json", action="store_true", help="print JSON")
    return top


def _command(kinds: Any, name: str, help_text: str, run: Handler) -> argparse.ArgumentParser:
    command = kinds.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
    command.set_defaults(run=run)
    return command


def _app_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=int, default=8501)
    command.add_argument("--host", default="localhost", help="0.0.0.0 lets others in; there is no password")
    command.add_argument("--no-browser", action="store_true", help="only serve")


def _build_options(command: argparse.ArgumentParser) -> None:
    """Options named after the fields of `BuildConfig`; what is not given keeps that class's default."""
    command.add_argument("model", help="a Hub name or a local directory")
    command.add_argument(
        "--text", action="append", required=True, metavar="FILE", help="text file or folder; repeatable"
    )
    command.add_argument("--layer", action="append", required=True, type=int, dest="layers", help="repeatable")
    command.add_argument("--percentile", action="append", type=float, dest="percentiles", help="repeatable")
    command.add_argument("--out", required=True, metavar="DIR", help="folder for the .ep.h5 files")
    for name, kind, text in _SETTINGS:
        options: dict[str, Any] = {"action": "store_true"} if kind is bool else {"type": kind}
        command.add_argument(
            f"--{name.replace('_', '-')}", dest=_FIELDS.get(name, name), help=text, default=None, **options
        )
    command.add_argument("--resume", action="store_true", help="go on with the unfinished build in --out")


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
    ("seed", int, "default 0"),
    ("device", str, "auto, cpu, cuda, cuda:N or mps"),
    ("dtype", str, "auto, float32, bfloat16 or float16"),
    ("revision", str, "the model's Hub revision"),
    ("title", str, "name of the family on screen"),
)
