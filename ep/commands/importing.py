"""The commands `ep import` and `ep complete`, which convert and complete published dictionaries."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ep.commands.options import add_command, add_model, load_model
from ep.commands.progress import on_stderr


def add(subparsers: Any) -> None:
    """Add `import` and `complete`."""
    import_parser = add_command(
        subparsers, "import", "convert a published dictionary to an .ep.h5 file", import_
    )
    import_parser.add_argument(
        "source",
        metavar="FILE_OR_NAME",
        help="a published .pkl file, or a Hub name (`ep published`)",
    )
    import_parser.add_argument(
        "--out",
        default=None,
        metavar="FILE_OR_DIR",
        help="where to write it (default: beside the .pkl; for a Hub name, the current folder)",
    )
    import_parser.add_argument(
        "--metadata",
        default=None,
        metavar="FILE",
        help="the JSON published with the .pkl, if it is not beside it",
    )
    import_parser.add_argument(
        "--replace",
        action="store_true",
        help="replace another file of the same name; without it, it is left and the import refused",
    )
    complete_parser = add_command(
        subparsers,
        "complete",
        "add tokens, lens and names to a converted dictionary, with its model",
        complete,
    )
    complete_parser.add_argument("file", help="an .ep.h5 file made by `ep import`")
    add_model(complete_parser)


def import_(arguments: argparse.Namespace) -> None:
    """Convert a published file, downloading it if need be, and print the path of the result."""
    with on_stderr() as progress:
        progress.stage(f"importing {arguments.source}")
        if arguments.source.startswith("hub:"):
            from ep.storage.hub import import_published

            out, replace = arguments.out or Path.cwd(), arguments.replace
            path = import_published(arguments.source, out, progress, replace=replace)
        else:
            from ep.storage.published import convert

            path = convert(
                arguments.source,
                arguments.out,
                arguments.metadata,
                progress,
                replace=arguments.replace,
            )
    print(path)


def complete(arguments: argparse.Namespace) -> None:
    """Complete a converted dictionary in place; print how many excerpts agree to stderr."""
    from ep import storage
    from ep.completing import complete

    dictionary = storage.open(arguments.file)
    with on_stderr() as progress:
        model = load_model(arguments, dictionary, progress)
        progress.stage(f"completing {arguments.file}")
        path = complete(arguments.file, model, progress)
    check = storage.open(path).info.get("completed") or {}
    if check:
        print(
            f"{check['agree']:,} of {check['n']:,} excerpts have the distance that the file states "
            f"(within {check['tolerance']:g}; median difference {check['median_difference']:.2g})",
            file=sys.stderr,
        )
    print(path)
