"""The command line: parses the arguments, runs the command, and prints errors as one line.

Exit codes: 0 done, 1 the work failed, 2 the input cannot be used, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ep.commands import (
    behaviour,
    caching,
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
from ep.extras import advice

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
    caching,
)
"""The modules that add the commands, in the order of `ep --help`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    argv: the arguments without the program's name; None takes those of the process.
    """
    arguments = parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except EPError as error:
        print(f"ep: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("ep: interrupted", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        if (line := advice(error)) is None:
            raise
        print(f"ep: {line}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the process that read stdout has ended, such as `head`
        # Python flushes stdout when it exits: without a valid target it would print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of every command with its options."""
    top = argparse.ArgumentParser(
        prog="ep", description="Build, open and read Exemplar Partitioning dictionaries."
    )
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in MODULES:
        module.add(subparsers)
    return top
