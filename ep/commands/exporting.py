"""The command `ep export`, which writes a dictionary in another format."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ep.commands import interop
from ep.commands.options import add_command, output_path, usable_labels
from ep.commands.progress import on_stderr
from ep.errors import ConfigError
from ep.method.dictionary import BASES

Arguments = argparse.Namespace


class Target(NamedTuple):
    """One choice of `--to`.

    about: what it writes, in a few words for `--help`.
    write: called with the dictionary and the arguments; writes the file and returns its path.
    """

    about: str
    write: Callable[[Any, Arguments], Path]


def add(subparsers: Any) -> None:
    """Add `export`."""
    parser = add_command(
        subparsers, "export", "write a dictionary, its tables or its map in another format", run
    )
    parser.add_argument("file", help="an .ep.h5 file")
    parser.add_argument(
        "--to", required=True, choices=sorted(TARGETS), help="; ".join(_descriptions())
    )
    parser.add_argument(
        "--out", metavar="PATH", help="file to write (default: beside the dictionary)"
    )
    parser.add_argument(
        "--table",
        choices=TABLES,
        default="regions",
        help="table to write; all but regions need --region (default regions)",
    )
    parser.add_argument(
        "--region", type=int, metavar="ID", help="region to write, or to select in the map"
    )
    parser.add_argument(
        "--layout",
        default="pca-sphere",
        help="layout of the map: pca-sphere, pca-flat, umap-… (default pca-sphere)",
    )
    parser.add_argument(
        "--color",
        default="neighbourhood",
        metavar="COLUMN",
        help="column that colours the cells of the map (default neighbourhood)",
    )
    parser.add_argument(
        "--basis",
        choices=BASES,
        default="exemplar",
        help="directions to write (default exemplar)",
    )
    parser.add_argument(
        "--strength",
        type=float,
        default=1.0,
        help="length of a vector, in units of the layer's typical norm (default 1)",
    )
    parser.add_argument("--model-id", metavar="NAME", help="name of the model on Neuronpedia")
    parser.add_argument(
        "--model-hint", metavar="NAME", help="architecture's name in llama.cpp, such as gemma2"
    )


def _descriptions() -> list[str]:
    return [f"{name}: {target.about}" for name, target in TARGETS.items()]


def run(arguments: Arguments) -> None:
    """Write the file and print its path."""
    from ep import storage

    dictionary = storage.open(arguments.file)
    with on_stderr() as progress:
        progress.stage(f"exporting {arguments.file} to {arguments.to}")
        path = TARGETS[arguments.to].write(dictionary, arguments)
    print(path)


def _table(kind: str) -> Callable[[Any, Arguments], Path]:
    """The function that writes a table as csv, parquet or json."""

    def write(dictionary: Any, arguments: Arguments) -> Path:
        from ep.views import export, full

        if arguments.table == "regions":
            ids = None if arguments.region is None else [dictionary.check(arguments.region)]
            table = full.regions(dictionary, ids, usable_labels(arguments.file, dictionary))
        elif arguments.region is None:
            raise ConfigError(
                f"the table of {arguments.table} is about one region: name it with --region ID"
            )
        else:
            table = getattr(full, arguments.table)(dictionary, dictionary.check(arguments.region))
        provenance = export.provenance(dictionary, table=arguments.table)
        name, data = export.file_name(provenance, kind), export.write(table, kind, provenance)
        return _write(arguments, name, data)

    return write


def _html(dictionary: Any, arguments: Arguments) -> Path:
    from ep.views import colorings, layouts, standalone

    labels = usable_labels(arguments.file, dictionary)
    names = [column.name for column in colorings.columns(dictionary, labels)]
    if arguments.layout not in layouts.LAYOUTS:
        raise ConfigError(
            f"there is no layout {arguments.layout!r}: use one of {', '.join(layouts.LAYOUTS)}"
        )
    if arguments.color not in names:
        raise ConfigError(
            f"there is no column {arguments.color!r} to colour by: use one of {', '.join(names)}"
        )
    selected = None if arguments.region is None else dictionary.check(arguments.region)
    coloring = colorings.coloring(dictionary, arguments.color, labels)
    page = standalone.html(dictionary, arguments.layout, coloring, selected, names=labels.texts())
    name = standalone.file_name(dictionary, arguments.layout, coloring) + ".html"
    return _write(arguments, name, page.encode())


def _write(arguments: Arguments, name: str, data: bytes) -> Path:
    """Write `data` to --out, or to a file called `name` in that folder or beside the dictionary."""
    from ep.storage.sidecar import write_bytes

    path = output_path(arguments.out) if arguments.out else Path(arguments.file).with_name(name)
    if path.is_dir():
        path = path / name
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}: create it, or give another --out")
    write_bytes(path, data)
    return path


TABLES = ("regions", "excerpts", "nearest", "lens")
TARGETS: dict[str, Target] = {
    "csv": Target("a table for spreadsheets", _table("csv")),
    "parquet": Target("a table with exact types, provenance in the schema", _table("parquet")),
    "json": Target("a table with its provenance", _table("json")),
    "html": Target("the map as one page that needs no network", _html),
    "saelens": Target("a folder for SAELens, exact (topk, k = 1)", interop.saelens),
    "neuronpedia": Target(
        "Neuronpedia's JSON: one region's vector with --region, else all features",
        interop.neuronpedia,
    ),
    "gguf": Target("one region's direction as a control vector for llama.cpp", interop.gguf),
}
"""The choices of `--to`, by name."""
