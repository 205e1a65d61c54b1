"""The command line: a thin shell that parses, calls, prints. Errors are one line on stderr, never a
traceback.

Exit codes: 0 done, 1 the work failed, 2 the input cannot be used, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ep.commands import (
    behaviour,
    exporting,
    importing,
    labelling,
    making,
    matching,
    publishing,
    reading,
    steering,
    studying,
)
from ep.errors import EPError

MODULES = (
    making,
    reading,
    importing,
    publishing,
    labelling,
    studying,
    matching,
    steering,
    behaviour,
    exporting,
)
"""In the order of `ep --help`."""


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
    top = argparse.ArgumentParser(
        prog="ep", description="Build, open and read Exemplar Partitioning dictionaries."
    )
    kinds = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in MODULES:
        module.add(kinds)
    return top
