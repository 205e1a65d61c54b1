"""`ep export`: a dictionary in another form.

Each target says in one line what it writes and has one function.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ep.commands import interop
from ep.commands.options import command
from ep.errors import ConfigError
from ep.method.dictionary import BASES

Arguments = argparse.Namespace


class Target(NamedTuple):
    """about: a half-sentence for `--help`. write: writes to `arguments.out` (a path) and returns
    what it wrote.
    """

    about: str
    write: Callable[[Any, Arguments], Path]


def add(kinds: Any) -> None:
    """Adds export."""
    export = command(kinds, "export", "a dictionary, its tables or its map in another form", run)
    export.add_argument("file", help="an .ep.h5 file")
    export.add_argument("--to", required=True, choices=sorted(TARGETS), help="; ".join(_about()))
    export.add_argument(
        "--out", metavar="PATH", help="where to (default: a name beside the dictionary)"
    )
    export.add_argument(
        "--table",
        choices=TABLES,
        default="regions",
        help="which table; all but regions need --region",
    )
    export.add_argument(
        "--region", type=int, metavar="ID", help="the region a table is about, or the map selects"
    )
    export.add_argument(
        "--layout", default="pca-sphere", help="the map's layout: pca-sphere, pca-flat, umap-…"
    )
    export.add_argument(
        "--color", default="neighbourhood", metavar="COLUMN", help="what colours the map's cells"
    )
    export.add_argument(
        "--basis", choices=BASES, default="exemplar", help="which directions go over"
    )
    export.add_argument(
        "--strength", type=float, default=1.0, help="of a vector, in the layer's typical norms"
    )
    export.add_argument("--model-id", metavar="NAME", help="the model's name on Neuronpedia")
    export.add_argument(
        "--model-hint", metavar="NAME", help="the architecture's name in llama.cpp, such as gemma2"
    )


def _about() -> list[str]:
    return [f"{name}: {target.about}" for name, target in TARGETS.items()]


def run(arguments: Arguments) -> None:
    """Writes the file and prints its path."""
    from ep import storage

    dictionary = storage.open(arguments.file)
    print(TARGETS[arguments.to].write(dictionary, arguments))


def _table(kind: str) -> Callable[[Any, Arguments], Path]:
    def write(dictionary: Any, arguments: Arguments) -> Path:
        from ep.storage.labels import Labels
        from ep.views import export, full

        if arguments.table == "regions":
            ids = None if arguments.region is None else [dictionary.check(arguments.region)]
            table = full.regions(dictionary, ids, Labels.open(arguments.file, dictionary))
        elif arguments.region is None:
            raise ConfigError(
                f"the table of {arguments.table} is about one region: say which with --region ID"
            )
        else:
            table = getattr(full, arguments.table)(dictionary, dictionary.check(arguments.region))
        about = export.provenance(dictionary, table=arguments.table)
        return _written(arguments, export.file_name(about, kind), export.write(table, kind, about))

    return write


def _html(dictionary: Any, arguments: Arguments) -> Path:
    from ep.storage.labels import Labels
    from ep.views import colorings, layouts, standalone

    labels = Labels.open(arguments.file, dictionary)
    names = [column.name for column in colorings.columns(dictionary, labels)]
    if arguments.layout not in layouts.LAYOUTS:
        raise ConfigError(
            f"there is no layout {arguments.layout!r}: use one of {', '.join(layouts.LAYOUTS)}"
        )
    if arguments.color not in names:
        raise ConfigError(
            f"this dictionary has no column {arguments.color!r} to colour by: use "
            f"{', '.join(names)}"
        )
    selected = None if arguments.region is None else dictionary.check(arguments.region)
    coloring = colorings.coloring(dictionary, arguments.color, labels)
    page = standalone.html(dictionary, arguments.layout, coloring, selected, names=labels.texts())
    name = standalone.file_name(dictionary, arguments.layout, coloring) + ".html"
    return _written(arguments, name, page.encode())


def _written(arguments: Arguments, name: str, data: bytes) -> Path:
    from ep.storage.sidecar import write_bytes

    path = Path(arguments.out) if arguments.out else Path(arguments.file).with_name(name)
    if path.is_dir():
        path = path / name
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}: make it, or give another --out")
    write_bytes(path, data)
    return path


TABLES = ("regions", "excerpts", "nearest", "lens")
TARGETS: dict[str, Target] = {
    "csv": Target("a table for spreadsheets", _table("csv")),
    "parquet": Target("a table, exact, provenance in its schema", _table("parquet")),
    "json": Target("a table with its provenance", _table("json")),
    "html": Target("the map as one page that needs no network", _html),
    "saelens": Target("a folder for SAELens, exact (topk, k = 1)", interop.saelens),
    "neuronpedia": Target(
        "Neuronpedia's JSON: one region's vector with --region, else all features",
        interop.neuronpedia,
    ),
    "gguf": Target("one region's direction as a control vector for llama.cpp", interop.gguf),
}
"""What `--to` takes, by name; formats of other tools join here."""
