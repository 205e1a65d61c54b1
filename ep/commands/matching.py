"""`ep match`: two dictionaries matched region by region, as a table, JSON or a report."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from ep.commands.options import command
from ep.errors import EPError, InputError, RequestError
from ep.method.dictionary import BASES

BUILT = ""
"""What `--null` without a file stands for."""


def add(kinds: Any) -> None:
    """Adds match."""
    made = command(
        kinds, "match", "what persisted, moved, or is only in one of two dictionaries", match
    )
    made.add_argument("a", help="an .ep.h5 file")
    made.add_argument("b", help="another .ep.h5 file")
    made.add_argument("--basis", choices=BASES, default="mean", help="the directions compared")
    made.add_argument(
        "--centre",
        choices=("own", "common", "A", "B"),
        default="own",
        help="about which point directions stand; other than own is an approximation",
    )
    made.add_argument(
        "--cutoff", type=float, default=0.7, metavar="C", help="cosine from which a pair persists"
    )
    made.add_argument(
        "--null",
        nargs="?",
        const=BUILT,
        action="append",
        metavar="FILE",
        help="beside it, a dictionary of the setting of A or of B and another seed; without FILE "
        "both are looked for "
        "near A and B and in --library, and built there where there are none",
    )
    made.add_argument(
        "--library",
        default=os.environ.get("EP_LIBRARY") or "data/library",
        metavar="DIR",
        help="the folder --null keeps what it builds in; default $EP_LIBRARY, else data/library",
    )
    made.add_argument(
        "--texts",
        metavar="FILE",
        help="match through texts that both models read: .txt, .jsonl or .csv; - for stored",
    )
    made.add_argument(
        "--limit", type=int, default=20, metavar="N", help="at most N pairs; 0 lists all"
    )
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument(
        "--report", metavar="OUT", help="write a report: .html, or every pair as .csv"
    )


def match(arguments: argparse.Namespace) -> None:
    """Pairs two dictionaries by directions, or through shared inputs with --texts."""
    from ep import storage

    if not -1 < arguments.cutoff <= 1:
        raise InputError(f"cutoff is {arguments.cutoff:g}: expected a cosine above -1 and up to 1")
    a, b = (storage.open(path) for path in (arguments.a, arguments.b))
    if arguments.texts:
        return _through_inputs(arguments, a, b)
    if a.width != b.width:
        raise RequestError(
            f"the dictionaries are {a.width:,} and {b.width:,} wide: match them through inputs, "
            "--texts FILE "
            "(or --texts - for the passages stored in them)"
        )
    return _by_directions(arguments, a, b)


def _by_directions(arguments: argparse.Namespace, a: Any, b: Any) -> None:
    from ep.studies import matching as study

    centre = arguments.centre.lower()
    if arguments.report and Path(arguments.report).suffix.lower() not in (".html", ".csv"):
        raise InputError(
            f"{Path(arguments.report).name} is no report this command writes: name it .html or .csv"
        )
    found = study.match(a, b, arguments.basis, centre)
    others = _other_seeds(arguments, a, b)
    first, second = (
        None if other is None else study.null(one, other, arguments.basis, centre)
        for one, other in zip((a, b), others, strict=True)
    )
    nulls = (first, second)
    counted = study.summary(found, arguments.cutoff, study.levels(nulls))
    if arguments.report:
        _report(arguments, a, b, found, nulls)
    if arguments.json:
        print(json.dumps(_facts(found, counted, nulls), indent=1))
        return
    _print(arguments, a, b, found, counted, nulls)


def _other_seeds(arguments: argparse.Namespace, a: Any, b: Any) -> list[Any]:
    """Another seed of A and of B, None where there is none; each file given belongs to a side, or
    is refused.
    """
    from ep import storage
    from ep.studies.matching import same_setting

    others: list[Any] = [None, None]
    for path in arguments.null or ():
        if path == BUILT:
            continue
        other = storage.open(path)
        sides = [
            side
            for side, d in enumerate((a, b))
            if d.width == other.width and same_setting(d.info, other.info)
        ]
        if not sides:
            raise InputError(
                f"{path} is no other seed of A or of B: build one with the same settings"
            )
        for side in sides:
            others[side] = other
    if BUILT in (arguments.null or ()):
        for side, d in enumerate((a, b)):
            if others[side] is None:
                others[side] = _found_or_built(d, "AB"[side], Path(arguments.library))
    return others


def _found_or_built(dictionary: Any, letter: str, library: Path) -> Any:
    """Another seed from near the file or the library, else built; None, and a line says why, where
    none can be.
    """
    from ep import reseeding, storage

    near = dictionary.path.resolve().parent
    folders = [library, near]
    beside = [path for folder in folders for path in sorted(folder.glob("*.ep.h5"))]
    if (other := reseeding.kept(dictionary, folders, beside)) is not None:
        return other
    try:
        config = reseeding.settings(dictionary, library)
    except EPError as error:
        print(f"ep: no null for {letter}: {error}", file=sys.stderr)
        return None
    with closing(reseeding.rebuilt(config)) as steps:
        for progress in steps:
            said = (
                f"building {letter} again, seed {config.seed}: {progress.stage} "
                f"{reseeding.share(progress):.0%}"
            )
            if sys.stderr.isatty():
                print(f"\r\x1b[K{said}", end="", file=sys.stderr, flush=True)
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{start}ep: {letter} again, seed {config.seed}, in {config.out}", file=sys.stderr)
    return storage.open(progress.files[0])


def _facts(found: Any, counted: Any, nulls: Any) -> dict[str, Any]:
    from ep.studies import matching as study
    from ep.views.matching import words

    def shares(side: Any, is_b: bool) -> dict[str, Any]:
        return {
            words(kind, is_b): {"n": share.hits, "share": share.value, "interval": share.interval}
            for kind, share in side.items()
        }

    def beside(null: Any, is_b: bool) -> dict[str, Any] | None:
        if null is None:
            return None
        counts = shares(null.counted(counted.cutoff), is_b)
        return {
            "name": null.name,
            "level": null.level,
            **counts,
            "matched": study.distances(null.match.a),
        }

    facts: dict[str, Any] = {
        "basis": found.basis,
        "centre": found.centre,
        "centres": {"cosine": found.centres.cosine, "apart_in_r": found.centres.apart},
        "cutoff": counted.cutoff,
        "levels": counted.levels,
        "K": [len(found.a), len(found.b)],
        "pairs": counted.pairs,
        "a": shares(counted.a, False),
        "b": shares(counted.b, True),
        "matched": {"a": study.distances(found.a), "b": study.distances(found.b)},
        "null": {"a": beside(nulls[0], False), "b": beside(nulls[1], True)},
    }
    return facts


def _print(
    arguments: argparse.Namespace, a: Any, b: Any, found: Any, counted: Any, nulls: Any
) -> None:
    from ep.studies import matching as study
    from ep.text import label
    from ep.views import matching as view

    print(f"A  {view.name(a)}, K = {len(a):,}, θ = {a.threshold:.3f}")
    print(f"B  {view.name(b)}, K = {len(b):,}, θ = {b.threshold:.3f}")
    print(view.method(found))
    print(view.told(found, counted, nulls))
    known = [
        (letter, null.counted(counted.cutoff))
        for letter, null in zip("AB", nulls, strict=True)
        if null
    ]
    head = "".join(f" {f'null of {letter}':>18}" for letter, _ in known)
    print(f"\n{'':10} {'of A':>7} {'share':>18} {'of B':>7} {'share':>18}{head}")
    for kind in (study.PERSISTED, study.MOVED, study.ONLY):
        one, two = counted.a[kind], counted.b[kind]
        beside = "".join(f" {view.share(shares[kind]):>18}" for _, shares in known)
        shares = f"{one.hits:>7,} {view.share(one):>18} {two.hits:>7,} {view.share(two):>18}"
        print(f"{('only' if kind == study.ONLY else view.words(kind)):10} {shares}{beside}")
    rows = (
        view.pairs(a, b, found, counted.cutoff, nulls).slice(0, arguments.limit or None).to_pylist()
    )
    print(f"\n{'A':>6} {'B':>6} {'cosine':>7} {'d / θ':>6}  {'verdict':10} lens of A | lens of B")
    for row in rows:
        ids = f"{_number(row['region_a'], '6')} {_number(row['region_b'], '6')}"
        numbers = f"{_number(row['cosine'], '7.3f')} {_number(row['distance_in_theta_a'], '6.2f')}"
        lens = " | ".join(
            " ".join(label(t) for t in (row[f"lens_{side}"] or [])[:4]) for side in "ab"
        )
        print(f"{ids} {numbers}  {row['verdict_a'] or row['verdict_b']:10} {lens}")


def _number(value: Any, form: str) -> str:
    width = int(form.split(".")[0])
    return f"{'–':>{width}}" if value is None or value != value else format(value, form)


def _report(arguments: argparse.Namespace, a: Any, b: Any, found: Any, nulls: Any) -> None:
    from ep.storage.sidecar import write_bytes
    from ep.views import export
    from ep.views import matching as view

    out = Path(arguments.report)
    if out.suffix.lower() == ".html":
        data = view.report(a, b, found, arguments.cutoff, nulls).encode()
    else:
        about = export.provenance(
            a, table="pairs", matched_with=Path(arguments.b).name, basis=found.basis
        )
        data = export.write(view.pairs(a, b, found, arguments.cutoff, nulls), "csv", about)
    write_bytes(out, data)


def _through_inputs(arguments: argparse.Namespace, a: Any, b: Any) -> None:
    from ep import comparing, models
    from ep.corpus import Corpus
    from ep.views import matching as view

    texts: list[str] = []
    if arguments.texts != "-":
        texts = [passage.text for passage in Corpus((arguments.texts,), seed=None) if passage.text]
        if not texts:
            raise InputError(
                f"{arguments.texts} holds no plain text: give .txt, .jsonl or .csv with texts"
            )
    loaded = []
    for d in (a, b):
        loaded.append(models.load(models.model_of(d)))
        models.check_fits(loaded[-1], d)
    found = comparing.shared((a, b), (loaded[0], loaded[1]), lambda share: None, texts)
    trip, table = found.trip, found.together
    facts: dict[str, Any] = {
        "texts": found.texts,
        "positions_by": found.by,
        "positions": table.n,
        "positions_read": found.read,
        "in_mutually_best_regions": table.agreement,
        "by_chance": table.chance,
        "mutual_pairs": int(table.mutual.sum()),
        "round_trip": None,
    }
    if trip is not None:
        numbers = {"returns": trip.hits, "n": len(trip.regions), "interval": trip.interval}
        facts["round_trip"] = numbers | {"null_mean": trip.null_mean, "null_most": trip.null_most}
    shown = slice(None, arguments.limit or None)
    columns = (table.a[shown], table.b[shown], table.both[shown], table.overlap[shown])
    rows = [
        {"a": int(x), "b": int(y), "shared": int(n), "overlap": float(share)}
        for x, y, n, share in zip(*columns, strict=True)
    ]
    if arguments.json:
        print(json.dumps(facts | {"pairs": rows}, indent=1))
        return
    print(
        f"{found.texts:,} texts read by both models, {view.where(found.by)}: {table.n:,} positions",
        end="",
    )
    print(f" of {found.read[0]:,} in A and {found.read[1]:,} in B")
    print(f"in mutually best regions {table.agreement:.1%}, by chance {table.chance:.1%}")
    if trip is not None:
        low, high = trip.interval
        print(
            f"round trip: {trip.hits:,} of {len(trip.regions):,} regions return ({low:.1%} to "
            f"{high:.1%}),",
            end=" ",
        )
        print(f"by chance {trip.null_mean:.1f}, at most {trip.null_most}")
    print(f"{'A':>6} {'B':>6} {'shared':>7} {'overlap':>8}")
    for row in rows:
        print(f"{row['a']:>6} {row['b']:>6} {row['shared']:>7,} {row['overlap']:>8.2f}")
