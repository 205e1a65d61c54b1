"""The command `ep between`, which lists the regions between two regions or a path of regions."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ep.commands.options import add_command
from ep.commands.progress import on_stderr
from ep.method.dictionary import BASES


def add(subparsers: Any) -> None:
    """Add `between`."""
    parser = add_command(
        subparsers,
        "between",
        "list the regions between two regions, or the path from one to the other",
        between,
    )
    parser.add_argument("file", help="an .ep.h5 file")
    parser.add_argument("a", type=int, help="region A")
    parser.add_argument("b", type=int, help="region B")
    parser.add_argument(
        "--basis", choices=BASES, default="mean", help="directions to compare (default mean)"
    )
    parser.add_argument(
        "--path", action="store_true", help="the shortest path through the neighbour graph instead"
    )
    parser.add_argument(
        "-k", type=int, default=3, help="neighbours of a region in that graph, 1 to 32 (default 3)"
    )
    parser.add_argument(
        "--weighted",
        action="store_true",
        help="the path of least total distance instead of fewest hops",
    )
    parser.add_argument(
        "--limit", type=int, default=8, metavar="N", help="at most N rows (default 8); 0 lists all"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def between(arguments: argparse.Namespace) -> None:
    """Print what lies between two regions (protocol 11.1), or the path that joins them (11.2)."""
    from ep import storage
    from ep.errors import RequestError
    from ep.studies import between as study

    dictionary = storage.open(arguments.file)
    a, b = dictionary.check(arguments.a), dictionary.check(arguments.b)
    if not arguments.path:
        with on_stderr() as progress:
            progress.stage(f"looking between {a} and {b}")
            result = study.between(dictionary.basis(arguments.basis), a, b)
        return _print_between(arguments, dictionary, result)
    if not 1 <= arguments.k <= study.MOST_LISTED:
        raise RequestError(f"k is {arguments.k}: expected 1 to {study.MOST_LISTED} neighbours")
    if a == b:
        raise RequestError(f"A and B are both region {a}: choose two different regions")
    with on_stderr() as progress:
        progress.stage("finding the neighbours of every region")
        vectors = dictionary.basis(arguments.basis)
        neighbours = study.neighbours(vectors)
        progress.stage(f"looking for a path from {a} to {b}")
        path = study.path(vectors, neighbours, a, b, arguments.k, arguments.weighted)
    if path is None:
        least = study.connecting_k(neighbours, a, b)
        advice = f"use -k {least}" if least else f"none does up to k = {study.MOST_LISTED}"
        raise RequestError(f"no path joins regions {a} and {b} at k = {arguments.k}: {advice}")
    return _print_path(arguments, dictionary, path)


def _print_between(arguments: argparse.Namespace, dictionary: Any, result: Any) -> None:
    from ep.studies.between import alike
    from ep.studies.names import short

    listed = slice(None, arguments.limit or None)
    rows: list[dict[str, Any]] = [
        {
            "region": int(k),
            "cosine_a": 1 - float(x),
            "cosine_b": 1 - float(y),
            "name": _name(dictionary, int(k), arguments),
            "lens": _lens(dictionary, int(k), arguments),
        }
        for k, x, y in zip(
            result.regions[listed], result.from_a[listed], result.to_b[listed], strict=True
        )
    ]
    if arguments.json:
        facts = {
            "a": result.a,
            "b": result.b,
            "basis": arguments.basis,
            "cosine": 1 - result.distance,
        }
        misses = [{"region": k, "excess": excess} for k, excess in result.misses]
        print(
            json.dumps(
                {
                    **facts,
                    "total": len(result),
                    "meaningful": result.is_meaningful,
                    "between": rows,
                    "nearest_misses": misses,
                },
                indent=1,
            )
        )
        return
    cosine = f"cosine {1 - result.distance:.3f}"
    print(f"{len(result):,} regions lie between {result.a} and {result.b} ({cosine})")
    if not result.is_meaningful:
        others = alike(dictionary.basis(arguments.basis), result.a)
        print(
            f"these two have too little in common for that to mean anything; nearest regions with "
            f"some between them and {result.a}: {', '.join(map(str, others)) or 'none'}"
        )
    if not rows:
        near = ", ".join(f"{k} (by {excess:.3f})" for k, excess in result.misses)
        print(f"the nearest misses: {near or 'there is no other region'}")
        return
    print(f"{'region':>7} {'cos A':>7} {'cos B':>7}  {'name':24} lens of the {arguments.basis}")
    for row in rows:
        print(
            f"{row['region']:>7} {row['cosine_a']:>7.3f} {row['cosine_b']:>7.3f}  "
            f"{short(row['name'], 24):24} {_words(row['lens'])}"
        )


def _print_path(arguments: argparse.Namespace, dictionary: Any, path: Any) -> None:
    from ep.studies.names import short

    rows: list[dict[str, Any]] = [
        {
            "region": k,
            "name": _name(dictionary, k, arguments),
            "lens": _lens(dictionary, k, arguments),
        }
        for k in path.regions
    ]
    if arguments.json:
        print(
            json.dumps(
                {
                    "hops": path.hops,
                    "basis": arguments.basis,
                    "k": arguments.k,
                    "path": rows,
                    "cosines": path.cosines,
                },
                indent=1,
            )
        )
        return
    print(f"{path.hops} hops at k = {arguments.k}; each row begins with the cosine of its step")
    for row, cosine in zip(rows, (None, *path.cosines), strict=True):
        print(
            f"{'' if cosine is None else format(cosine, '.3f'):>7} {row['region']:>7}  "
            f"{short(row['name'], 24):24} {_words(row['lens'])}"
        )


def _name(dictionary: Any, region: int, arguments: argparse.Namespace) -> str:
    from ep.storage.labels import Labels
    from ep.studies.names import name

    return name(dictionary, region, Labels.open(arguments.file, dictionary))


def _lens(dictionary: Any, region: int, arguments: argparse.Namespace) -> list[str]:
    from ep.views.tables import first_lens

    return [score.token for score in first_lens(dictionary, region, arguments.basis)]


def _words(tokens: list[str]) -> str:
    from ep.text import label

    return " ".join(label(token) for token in tokens[:6])
