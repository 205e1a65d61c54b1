"""The command line: parses the arguments, runs the command, and prints errors as one line.

Exit codes: 0 done, 1 the work failed, 2 the input cannot be used, 130 interrupted.
"""

from __future__ import annotations

import argparse
import codecs
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from ep.commands import (
    behaviour,
    caching,
    exporting,
    importing,
    labelling,
    lens,
    making,
    matching,
    publishing,
    reading,
    refining,
    saturating,
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
    refining,
    saturating,
    steering,
    behaviour,
    exporting,
    lens,
    caching,
)
"""The modules that add the commands, in the order of `ep --help`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    argv: the arguments without the program's name; None takes those of the process.
    """
    _accept_every_character()
    arguments = parser().parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
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
        _discard_output()
    except OSError as error:  # a full or read-only place that no command expected, such as stdout
        _discard_output()
        place = f"{error.filename!r}: " if error.filename else ""
        print(f"ep: {place}{error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _accept_every_character() -> None:
    """Let stdout and stderr take any text, whatever encoding the system chose for them.

    Terminals and ASCII keep their encoding and get escapes such as \\u03b8. Files and pipes in any
    other encoding get UTF-8, as with Python's UTF-8 mode.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            keeps = stream.isatty() or codecs.lookup(stream.encoding).name in ("ascii", "utf-8")
            encoding = stream.encoding if keeps else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _discard_output() -> None:
    """Discard what stdout still holds.

    Python flushes stdout when it exits: without a valid target it would print a traceback.
    """
    with suppress(OSError):  # it may not be a file of the system, as in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """Return the parser of every command with its options."""
    top = argparse.ArgumentParser(
        prog="ep", description="Build, open and read Exemplar Partitioning dictionaries."
    )
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in MODULES:
        module.add(subparsers)
    return top
