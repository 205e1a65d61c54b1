"""The studying commands: questions about regions of dictionaries, answered as a table or, with
--json, as JSON.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from ep.commands.options import command
from ep.method.dictionary import BASES


def add(kinds: Any) -> None:
    """Adds between."""
    lens = command(
        kinds,
        "between",
        "the regions between two regions, or the path from one to the other",
        between,
    )
    lens.add_argument("file", help="an .ep.h5 file")
    lens.add_argument("a", type=int, help="region A")
    lens.add_argument("b", type=int, help="region B")
    lens.add_argument("--basis", choices=BASES, default="mean", help="the directions compared")
    lens.add_argument(
        "--path", action="store_true", help="the shortest path through the neighbour graph instead"
    )
    lens.add_argument(
        "-k", type=int, default=3, help="neighbours a region has in that graph, 1 to 32"
    )
    lens.add_argument(
        "--weighted", action="store_true", help="the path of least distance, not of fewest hops"
    )
    lens.add_argument(
        "--limit", type=int, default=8, metavar="N", help="at most N rows; 0 lists all"
    )
    lens.add_argument("--json", action="store_true", help="print JSON")


def between(arguments: argparse.Namespace) -> None:
    """What lies between two regions (protocol 11.1), or the path from one to the other (11.2)."""
    from ep import storage
    from ep.errors import RequestError
    from ep.studies import between as study

    dictionary = storage.open(arguments.file)
    a, b = dictionary.check(arguments.a), dictionary.check(arguments.b)
    if not arguments.path:
        return _print_between(
            arguments, dictionary, study.between(dictionary.basis(arguments.basis), a, b)
        )
    if not 1 <= arguments.k <= study.MOST_LISTED:
        raise RequestError(f"k is {arguments.k}: expected 1 to {study.MOST_LISTED} neighbours")
    if a == b:
        raise RequestError(f"A and B are both region {a}: choose two different regions")
    vectors = dictionary.basis(arguments.basis)
    listed = study.neighbours(vectors)
    path = study.path(vectors, listed, a, b, arguments.k, arguments.weighted)
    if path is None:
        least = study.connecting_k(listed, a, b)
        raise RequestError(
            f"no path joins regions {a} and {b} at k = {arguments.k}: "
            + (f"use -k {least}" if least else f"none does up to k = {study.MOST_LISTED}")
        )
    return _print_path(arguments, dictionary, path)


def _print_between(arguments: argparse.Namespace, dictionary: Any, found: Any) -> None:
    shown = slice(None, arguments.limit or None)
    rows: list[dict[str, Any]] = [
        {
            "region": int(k),
            "cosine_a": 1 - float(x),
            "cosine_b": 1 - float(y),
            "lens": _lens(dictionary, int(k), arguments),
        }
        for k, x, y in zip(
            found.regions[shown], found.from_a[shown], found.to_b[shown], strict=True
        )
    ]
    if arguments.json:
        facts = {"a": found.a, "b": found.b, "basis": arguments.basis, "cosine": 1 - found.distance}
        misses = [{"region": k, "excess": excess} for k, excess in found.misses]
        print(
            json.dumps(
                {**facts, "total": len(found), "between": rows, "nearest_misses": misses}, indent=1
            )
        )
        return
    print(
        f"{len(found):,} regions lie between {found.a} and {found.b} (cosine "
        f"{1 - found.distance:.3f})"
    )
    if not rows:
        near = ", ".join(f"{k} (by {excess:.3f})" for k, excess in found.misses)
        print(f"the nearest misses: {near or 'there is no other region'}")
        return
    print(f"{'region':>7} {'cos A':>7} {'cos B':>7}  lens of the {arguments.basis}")
    for row in rows:
        print(
            f"{row['region']:>7} {row['cosine_a']:>7.3f} {row['cosine_b']:>7.3f}  "
            f"{_words(row['lens'])}"
        )


def _print_path(arguments: argparse.Namespace, dictionary: Any, path: Any) -> None:
    rows: list[dict[str, Any]] = [
        {"region": k, "lens": _lens(dictionary, k, arguments)} for k in path.regions
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
    print(f"{path.hops} hops at k = {arguments.k}; the cosine of each step in front")
    for row, cosine in zip(rows, (None, *path.cosines), strict=True):
        print(
            f"{'' if cosine is None else format(cosine, '.3f'):>7} {row['region']:>7}  "
            f"{_words(row['lens'])}"
        )


def _lens(dictionary: Any, region: int, arguments: argparse.Namespace) -> list[str]:
    return [score.token for score in dictionary.lens(region, f"{arguments.basis}_up")]


def _words(tokens: list[str]) -> str:
    from ep.text import label

    return " ".join(label(token) for token in tokens[:6])
