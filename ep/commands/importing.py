"""The commands that bring dictionaries in: convert a published one, or complete one with its
model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ep.commands.options import command
from ep.commands.publishing import said_on_stderr


def add(kinds: Any) -> None:
    """Adds import and complete."""
    bring = command(kinds, "import", "convert a published dictionary to an .ep.h5 file", import_)
    bring.add_argument(
        "source",
        metavar="FILE_OR_NAME",
        help="a published .pkl file, or a Hub name (`ep published`)",
    )
    bring.add_argument(
        "--out",
        default=None,
        metavar="FILE_OR_DIR",
        help="default: beside the file; here for a name",
    )
    bring.add_argument(
        "--metadata",
        default=None,
        metavar="FILE",
        help="the JSON published with a .pkl, if it is not beside it",
    )
    add_model = command(
        kinds,
        "complete",
        "add tokens, lens and names to a converted dictionary, with its model",
        complete,
    )
    add_model.add_argument("file", help="an .ep.h5 file made by `ep import`")
    add_model.add_argument(
        "--model", default=None, help="the model, when it is not where the dictionary says"
    )


def import_(arguments: argparse.Namespace) -> None:
    """Convert, or download and convert; the written file goes to stdout."""
    with said_on_stderr() as progress:
        if arguments.source.startswith("hub:"):
            from ep.storage.hub import import_published

            path = import_published(arguments.source, arguments.out or Path.cwd(), progress)
        else:
            from ep.storage.published import convert

            path = convert(arguments.source, arguments.out, arguments.metadata, progress)
    print(path)


def complete(arguments: argparse.Namespace) -> None:
    """Complete a converted dictionary in place; what the model found goes to stderr."""
    from ep import models, storage
    from ep.completing import complete

    dictionary = storage.open(arguments.file)
    model = models.load(arguments.model or models.model_of(dictionary))
    with said_on_stderr() as progress:
        path = complete(arguments.file, model, progress)
    found = storage.open(path).info.get("completed") or {}
    if found:
        print(
            f"{found['agree']:,} of {found['n']:,} excerpts lie where the file says"
            f" (within {found['tolerance']:g}; median difference {found['median_difference']:.2g})",
            file=sys.stderr,
        )
    print(path)
