"""The command `ep cache`, which never removes fitted lenses: they took long to make."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ep.commands.options import add_command


def add(subparsers: Any) -> None:
    """Add `cache`."""
    parser = add_command(subparsers, "cache", "list the models converted from GGUF files", cache)
    parser.add_argument(
        "--empty", action="store_true", help="remove them; a model is converted again when needed"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def cache(arguments: argparse.Namespace) -> None:
    """Print the folder of converted models and their sizes, and remove them if asked to."""
    from ep.models import conversions, jacobian_store
    from ep.storage.file import printable

    sizes = {c.directory: c.size for c in conversions.listed()}
    found = conversions.empty() if arguments.empty else conversions.listed()
    rows: list[dict[str, Any]] = [
        {
            "source": conversion.source,
            "quantization": conversion.quantization,
            "bytes": sizes.get(conversion.directory, 0),
            "directory": str(conversion.directory),
        }
        for conversion in found
    ]
    lenses = [path.stat().st_size for path in jacobian_store.files()]
    if arguments.json:
        facts = {"folder": str(conversions.folder()), "removed": arguments.empty, "models": rows}
        facts["lenses"] = {"files": len(lenses), "bytes": sum(lenses)}
        print(json.dumps(facts, indent=1))
        return
    for row in rows:
        source = printable(row["source"]) or "damaged or unfinished"
        print(f"{row['bytes'] / 1e6:>10,.1f} MB  {source} {row['quantization']}".rstrip())
    total = sum(row["bytes"] for row in rows) / 1e6
    models = f"{len(rows)} converted model{'' if len(rows) == 1 else 's'}, {total:,.1f} MB"
    print(f"{models}, {'removed from' if arguments.empty else 'in'} {conversions.folder()}")
    if lenses:
        total = sum(lenses) / 1e6
        kept = "kept in" if arguments.empty else "in"
        fitted = f"{len(lenses)} Jacobian lens{'' if len(lenses) == 1 else 'es'}, {total:,.1f} MB"
        print(f"{fitted}, {kept} {jacobian_store.folder()} (ep lens list)")
