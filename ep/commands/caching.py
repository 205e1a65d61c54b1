"""The command `ep cache`, which never removes fitted lenses: they took long to make."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ep.commands.options import add_command


def add(subparsers: Any) -> None:
    """Add `cache`."""
    parser = add_command(
        subparsers, "cache", "list models converted from GGUF files, and stored activations", cache
    )
    parser.add_argument(
        "--empty",
        action="store_true",
        help="remove them, but not what a running build uses; both are made again when needed",
    )
    parser.add_argument(
        "--library",
        default=os.environ.get("EP_LIBRARY") or "data/library",
        metavar="DIR",
        help="folder with the output folders of builds, of which those that were stopped or killed "
        "have activations too (default: $EP_LIBRARY, else data/library)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def cache(arguments: argparse.Namespace) -> None:
    """Print the folder of converted models and their sizes, and remove them if asked to."""
    from ep.models import conversions, jacobian_store

    rows = _models(arguments.empty)
    activations = _activations(Path(arguments.library), arguments.empty)
    lenses = [path.stat().st_size for path in jacobian_store.files()]
    if arguments.json:
        facts = {"folder": str(conversions.folder()), "removed": arguments.empty, "models": rows}
        facts["activations"] = activations
        facts["lenses"] = {"files": len(lenses), "bytes": sum(lenses)}
        print(json.dumps(facts, indent=1))
        return
    _print(rows, activations, "removed from" if arguments.empty else "in")
    if lenses:
        total = sum(lenses) / 1e6
        kept = "kept in" if arguments.empty else "in"
        fitted = f"{len(lenses)} Jacobian lens{'' if len(lenses) == 1 else 'es'}, {total:,.1f} MB"
        print(f"{fitted}, {kept} {jacobian_store.folder()} (ep lens list)")


def _models(empty: bool) -> list[dict[str, Any]]:
    """The converted models, which are removed if asked to."""
    from ep.models import conversions

    sizes = {c.directory: c.size for c in conversions.listed()}
    return [
        {
            "source": conversion.source,
            "quantization": conversion.quantization,
            "bytes": sizes.get(conversion.directory, 0),
            "directory": str(conversion.directory),
        }
        for conversion in (conversions.empty() if empty else conversions.listed())
    ]


def _activations(library: Path, empty: bool) -> list[dict[str, Any]]:
    """The stored activations, which are removed if asked to, unless a build is using them."""
    from ep import cached

    sizes = {one.folder: one.size for one in cached.kept(library)}
    return [
        {
            "model": one.model,
            "text": one.text,
            "layers": list(one.layers),
            "bytes": sizes.get(one.folder, 0),
            "directory": str(one.folder),
            "build": None if one.build is None else str(one.build),
        }
        for one in (cached.forget(library) if empty else cached.kept(library))
    ]


def _print(rows: list[dict[str, Any]], activations: list[dict[str, Any]], where: str) -> None:
    """Print a line for each, and one for the sum of its kind."""
    from ep.models import conversions
    from ep.storage.file import printable

    for row in rows:
        source = printable(row["source"]) or "damaged or unfinished"
        print(f"{row['bytes'] / 1e6:>10,.1f} MB  {source} {row['quantization']}".rstrip())
    total = sum(row["bytes"] for row in rows) / 1e6
    models = f"{len(rows)} converted model{'' if len(rows) == 1 else 's'}, {total:,.1f} MB"
    print(f"{models}, {where} {conversions.folder()}")
    for row in activations:
        layers = (
            f"layer{'' if len(row['layers']) == 1 else 's'} {', '.join(map(str, row['layers']))}"
        )
        name = printable(row["model"]) or "damaged"
        build = f", of the build in {printable(row['build'])}" if row["build"] else ""
        print(f"{row['bytes'] / 1e6:>10,.1f} MB  {name}, {layers}, text {row['text']}…{build}")
    if activations:
        total = sum(row["bytes"] for row in activations) / 1e6
        place = f"{where} that folder and those of builds"
        print(f"activations of {len(activations)} texts, {total:,.1f} MB, {place}")
