"""The command `ep match`, which matches two dictionaries region by region."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ep.commands.options import add_command, report_path, say_other_weights
from ep.commands.progress import Printer, on_stderr
from ep.errors import EPError, InputError, RequestError
from ep.method.dictionary import BASES

if TYPE_CHECKING:
    from ep.comparing import Shared

BUILT = ""
"""The value of `--null` without a file: find or build dictionaries with another seed."""


def add(subparsers: Any) -> None:
    """Add `match`."""
    parser = add_command(
        subparsers,
        "match",
        "match the regions of two dictionaries: persisted, moved, or only in one",
        match,
    )
    parser.add_argument("a", help="an .ep.h5 file")
    parser.add_argument("b", help="another .ep.h5 file")
    parser.add_argument(
        "--basis", choices=BASES, default="mean", help="directions to compare (default mean)"
    )
    parser.add_argument(
        "--centre",
        choices=("own", "common", "A", "B"),
        default="own",
        help="point that directions are taken from (default own); the others are approximations",
    )
    parser.add_argument(
        "--cutoff",
        type=float,
        default=0.7,
        metavar="C",
        help="least cosine of a pair that persists (default 0.7)",
    )
    parser.add_argument(
        "--null",
        nargs="?",
        const=BUILT,
        action="append",
        metavar="FILE",
        help="also match a dictionary of the setting of A or of B and another seed; without FILE, "
        "one of each is looked for near A and B and in --library, and built if there is none",
    )
    parser.add_argument(
        "--library",
        default=os.environ.get("EP_LIBRARY") or "data/library",
        metavar="DIR",
        help="folder for what --null builds (default: $EP_LIBRARY, else data/library)",
    )
    parser.add_argument(
        "--texts",
        metavar="FILE",
        help="match by texts that both models read: .txt, .jsonl or .csv; - for the stored texts",
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=20,
        metavar="N",
        help="at most N pairs (default 20); 0 lists all",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--report", metavar="OUT", help="write a report: .html, or every pair as .csv"
    )


def match(arguments: argparse.Namespace) -> None:
    """Match two dictionaries by their directions, or with --texts by shared inputs."""
    from ep import storage

    if not -1 < arguments.cutoff <= 1:
        raise InputError(f"cutoff is {arguments.cutoff:g}: expected a cosine above -1 and up to 1")
    a, b = (storage.open(path) for path in (arguments.a, arguments.b))
    if arguments.texts:
        return _through_inputs(arguments, a, b)
    if a.width != b.width:
        raise RequestError(
            f"the dictionaries are {a.width:,} and {b.width:,} wide: match them by inputs, with "
            "--texts FILE (or --texts - for the passages stored in them)"
        )
    return _by_directions(arguments, a, b)


def _by_directions(arguments: argparse.Namespace, a: Any, b: Any) -> None:
    from ep.studies import matching as study

    centre = arguments.centre.lower()
    if arguments.report and report_path(arguments.report).suffix.lower() not in (".html", ".csv"):
        raise InputError(
            f"{Path(arguments.report).name} is not a kind of report: name it .html or .csv"
        )
    with on_stderr() as progress:
        progress.stage("matching A and B")
        result = study.match(a, b, arguments.basis, centre, progress.to_share)
        others = _other_seeds(arguments, a, b, progress)
        progress.stage("matching with another seed")
        null_a, null_b = (
            None if other is None else study.null(dictionary, other, arguments.basis, centre)
            for dictionary, other in zip((a, b), others, strict=True)
        )
    nulls = (null_a, null_b)
    summary = study.summary(result, arguments.cutoff, study.levels(nulls))
    if arguments.report:
        _report(arguments, a, b, result, nulls)
    if arguments.json:
        print(json.dumps(_facts(result, summary, nulls), indent=1))
        return
    _print(arguments, a, b, result, summary, nulls)


def _other_seeds(arguments: argparse.Namespace, a: Any, b: Any, progress: Printer) -> list[Any]:
    """For A and for B, a dictionary of the same setting and another seed; None where there is none.

    Raises InputError for a file of --null that is neither.
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
                f"{path} is not another seed of A or B: build one with the same settings"
            )
        for side in sides:
            others[side] = other
    if BUILT in (arguments.null or ()):
        for side, d in enumerate((a, b)):
            if others[side] is None:
                others[side] = _found_or_built(d, "AB"[side], Path(arguments.library), progress)
    return others


def _found_or_built(dictionary: Any, letter: str, library: Path, progress: Printer) -> Any:
    """Find a dictionary with another seed near the file or in the library, else build one.

    If that is impossible, the reason is printed to stderr and the result is None.
    """
    from ep import reseeding, storage

    folders = [library, dictionary.path.resolve().parent]
    files = [path for folder in folders for path in sorted(folder.glob("*.ep.h5"))]
    if (other := reseeding.find_stored(dictionary, folders, files)) is not None:
        return other
    try:
        config = reseeding.settings(dictionary, library)
    except EPError as error:
        progress.say(f"no null for {letter}: {error}")
        return None
    progress.stage(f"building {letter} again, seed {config.seed}")
    with closing(reseeding.rebuild(config)) as steps:
        for step in steps:
            progress(step.stage, reseeding.share(step))
    progress.say(f"{letter} again, seed {config.seed}, in {config.out}")
    return storage.open(step.files[0])


def _facts(result: Any, summary: Any, nulls: Any) -> dict[str, Any]:
    """The result as JSON values."""
    from ep.studies import matching as study
    from ep.views.matching import words

    def shares(side: Any, is_b: bool) -> dict[str, Any]:
        return {
            words(kind, is_b): {"n": share.hits, "share": share.value, "interval": share.interval}
            for kind, share in side.items()
        }

    def null_facts(null: Any, is_b: bool) -> dict[str, Any] | None:
        if null is None:
            return None
        counts = shares(null.counted(summary.cutoff), is_b)
        return {
            "name": null.name,
            "level": null.level,
            **counts,
            "matched": study.distances(null.match.a),
        }

    facts: dict[str, Any] = {
        "basis": result.basis,
        "centre": result.centre,
        "centres": {"cosine": result.centres.cosine, "apart_in_r": result.centres.apart},
        "cutoff": summary.cutoff,
        "levels": summary.levels,
        "K": [len(result.a), len(result.b)],
        "pairs": summary.pairs,
        "a": shares(summary.a, False),
        "b": shares(summary.b, True),
        "matched": {"a": study.distances(result.a), "b": study.distances(result.b)},
        "null": {"a": null_facts(nulls[0], False), "b": null_facts(nulls[1], True)},
    }
    return facts


def _print(
    arguments: argparse.Namespace, a: Any, b: Any, result: Any, summary: Any, nulls: Any
) -> None:
    from ep.studies import matching as study
    from ep.studies.names import short
    from ep.text import label
    from ep.views import matching as view

    print(f"A  {view.name(a)}, K = {len(a):,}, θ = {a.threshold:.3f}")
    print(f"B  {view.name(b)}, K = {len(b):,}, θ = {b.threshold:.3f}")
    print(view.method(result))
    print(view.result_sentence(result, summary, nulls))
    null_counts = [
        (letter, null.counted(summary.cutoff))
        for letter, null in zip("AB", nulls, strict=True)
        if null
    ]
    head = "".join(f" {f'null of {letter}':>18}" for letter, _ in null_counts)
    print(f"\n{'':10} {'of A':>7} {'share':>18} {'of B':>7} {'share':>18}{head}")
    for kind in (study.PERSISTED, study.MOVED, study.ONLY):
        of_a, of_b = summary.a[kind], summary.b[kind]
        of_nulls = "".join(f" {view.share(counts[kind]):>18}" for _, counts in null_counts)
        shares = f"{of_a.hits:>7,} {view.share(of_a):>18} {of_b.hits:>7,} {view.share(of_b):>18}"
        print(f"{('only' if kind == study.ONLY else view.words(kind)):10} {shares}{of_nulls}")
    table = view.pairs(a, b, result, summary.cutoff, nulls, _names(arguments, a, b))
    rows = table.slice(0, arguments.limit or None).to_pylist()
    head = f"{'A':>6} {'B':>6} {'cosine':>7} {'d / θ':>6}  {'verdict':10}"
    print(f"\n{head} {'name of A':24} {'name of B':24} lens of A | lens of B")
    for row in rows:
        ids = f"{_number(row['region_a'], '6')} {_number(row['region_b'], '6')}"
        numbers = f"{_number(row['cosine'], '7.3f')} {_number(row['distance_in_theta_a'], '6.2f')}"
        lens = " | ".join(
            " ".join(label(t) for t in (row[f"lens_{side}"] or [])[:4]) for side in "ab"
        )
        called = " ".join(f"{short(row[f'name_{side}'] or '–', 24):24}" for side in "ab")
        print(f"{ids} {numbers}  {row['verdict_a'] or row['verdict_b']:10} {called} {lens}")


def _names(arguments: argparse.Namespace, a: Any, b: Any) -> tuple[list[str], list[str]]:
    """The names of all regions of A and of B, with the labels beside their files."""
    from ep.storage.labels import Labels
    from ep.views.tables import cells

    opened = [Labels.open(file, d) for file, d in ((arguments.a, a), (arguments.b, b))]
    return cells(a, labels=opened[0]), cells(b, labels=opened[1])


def _number(value: Any, form: str) -> str:
    """The value in the format `form`, such as "7.3f"; a dash of that width for None and NaN."""
    width = int(form.split(".")[0])
    return f"{'–':>{width}}" if value is None or value != value else format(value, form)


def _report(arguments: argparse.Namespace, a: Any, b: Any, result: Any, nulls: Any) -> None:
    from ep.storage.sidecar import write_bytes
    from ep.views import export
    from ep.views import matching as view

    out = Path(arguments.report)
    if out.suffix.lower() == ".html":
        data = view.report(a, b, result, arguments.cutoff, nulls).encode()
    else:
        provenance = export.provenance(
            a, table="pairs", matched_with=Path(arguments.b).name, basis=result.basis
        )
        rows = view.pairs(a, b, result, arguments.cutoff, nulls, _names(arguments, a, b))
        data = export.write(rows, "csv", provenance)
    write_bytes(out, data)


def _plain_texts(path: str) -> list[str]:
    """The plain texts of a file or folder; says on stderr how many rows are left out, and why."""
    from ep.corpus import Corpus

    corpus = Corpus((path,), seed=None)
    *_, survey = corpus.survey()
    survey.check()
    if survey.unusable:
        print(
            f"ep: {survey.unusable:,} of {survey.rows:,} rows cannot be used and are left out; "
            f"the first: {survey.first}",
            file=sys.stderr,
        )
    texts = [passage.text for passage in corpus if passage.text]
    if not texts:
        raise InputError(f"{path} contains no plain text: give .txt, .jsonl or .csv with texts")
    return texts


def _through_inputs(arguments: argparse.Namespace, a: Any, b: Any) -> None:
    from ep import comparing, models

    texts = [] if arguments.texts == "-" else _plain_texts(arguments.texts)
    loaded = []
    with on_stderr() as progress:
        for d in (a, b):
            name = models.model_of(d)
            progress.stage(f"loading {name}")
            loaded.append(models.load(name, progress=progress))
            models.check_fits(loaded[-1], d)
            say_other_weights(loaded[-1], d)
        others = _other_seeds(arguments, a, b, progress)
        progress.stage("reading the texts with both models")
        result = comparing.shared(
            (a, b), (loaded[0], loaded[1]), progress.to_share, texts, (others[0], others[1])
        )
    table = result.together
    listed = slice(None, arguments.limit or None)
    columns = (table.a[listed], table.b[listed], table.both[listed], table.overlap[listed])
    rows = [
        {"a": int(x), "b": int(y), "shared": int(n), "overlap": float(share)}
        for x, y, n, share in zip(*columns, strict=True)
    ]
    if arguments.json:
        print(json.dumps(_shared_facts(result) | {"pairs": rows}, indent=1))
        return
    _print_shared(result)
    print(f"{'A':>6} {'B':>6} {'shared':>7} {'overlap':>8}")
    for row in rows:
        print(f"{row['a']:>6} {row['b']:>6} {row['shared']:>7,} {row['overlap']:>8.2f}")


def _shared_facts(result: Shared) -> dict[str, Any]:
    """Return what two dictionaries share on the same inputs, for JSON, without the pairs."""
    trip, table = result.trip, result.together
    facts: dict[str, Any] = {
        "texts": result.texts,
        "positions_by": result.by,
        "positions": table.n,
        "positions_read": result.read,
        "in_mutually_best_regions": table.agreement,
        "by_chance": table.chance,
        "mutual_pairs": int(table.mutual.sum()),
        "adjusted_mutual_information": table.information,
        "null": {
            letter: None if null is None else null.information
            for letter, null in zip("ab", result.nulls, strict=True)
        },
        "round_trip": None,
    }
    if trip is not None:
        numbers = {"returns": trip.hits, "n": len(trip.regions), "interval": trip.interval}
        facts["round_trip"] = numbers | {"null_mean": trip.null_mean, "null_most": trip.null_most}
    return facts


def _print_shared(result: Shared) -> None:
    """Print what two dictionaries share on the same inputs, without the pairs."""
    from ep.views import matching as view

    trip, table = result.trip, result.together
    print(
        f"{result.texts:,} texts read by both models, {view.where(result.by)}: "
        f"{table.n:,} positions of {result.read[0]:,} in A and {result.read[1]:,} in B"
    )
    print(f"in mutually best regions {table.agreement:.1%}, by chance {table.chance:.1%}")
    seeds = "".join(
        f", {letter} with another seed {null.information:.3f}"
        for letter, null in zip("AB", result.nulls, strict=True)
        if null is not None
    )
    print(f"adjusted mutual information {table.information:.3f}{seeds}")
    if trip is not None:
        low, high = trip.interval
        print(
            f"round trip: {trip.hits:,} of {len(trip.regions):,} regions return ({low:.1%} to "
            f"{high:.1%}), by chance {trip.null_mean:.1f}, at most {trip.null_most}"
        )
