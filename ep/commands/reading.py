"""The commands `ep info`, `ep regions`, `ep region` and `ep assign`, which read a dictionary."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ep.commands.options import add_command, add_model, load_model
from ep.commands.progress import on_stderr
from ep.errors import InputError


def add(subparsers: Any) -> None:
    """Add `info`, `regions`, `region` and `assign`."""
    info_parser = add_command(subparsers, "info", "describe a dictionary and its provenance", info)
    info_parser.add_argument(
        "--digest",
        action="store_true",
        help="also print the content hash, which equal builds share",
    )
    info_parser.add_argument(
        "--check", action="store_true", help="read the whole file and check every value"
    )
    regions_parser = add_command(subparsers, "regions", "list regions, largest first", regions)
    regions_parser.add_argument(
        "--find",
        default="",
        metavar="TEXT",
        help="only regions with TEXT in their lens, tokens or excerpts",
    )
    regions_parser.add_argument(
        "--sort",
        default="members",
        choices=sorted(SORTS),
        help="column to sort by (default members)",
    )
    regions_parser.add_argument(
        "--limit",
        type=int,
        default=50,
        metavar="N",
        help="at most N rows (default 50); 0 lists all",
    )
    region_parser = add_command(subparsers, "region", "print everything about one region", region)
    assign_parser = add_command(
        subparsers, "assign", "assign each token of a prompt to a region", assign
    )
    for reader in (info_parser, regions_parser, region_parser, assign_parser):
        reader.add_argument("file", help="an .ep.h5 file")
        reader.add_argument("--json", action="store_true", help="print JSON")
    region_parser.add_argument("id", type=int, help="the region's id")
    assign_parser.add_argument("--prompt", required=True, metavar="TEXT", help="the text to read")
    assign_parser.add_argument("--chat", action="store_true", help="treat the text as a user turn")
    add_model(assign_parser)


def info(arguments: argparse.Namespace) -> None:
    """Print the size and the provenance of a dictionary."""
    from ep import storage
    from ep.method.metrics import name_of
    from ep.text import one_line
    from ep.views import outliers, refined

    with on_stderr() as progress:
        progress.stage(f"reading {arguments.file}")
        if arguments.check:
            storage.check(arguments.file)
        dictionary = storage.open(arguments.file)
        facts = {
            "regions": len(dictionary),
            "width": dictionary.width,
            "metric": name_of(dictionary.info),
            **dictionary.info,
        }
        if arguments.digest:
            facts["digest"] = storage.digest(dictionary)
    if arguments.json:
        print(json.dumps(facts, indent=1))
        return
    for name, value in {**facts, **_shown_first(dictionary)}.items():
        if name == "lens_scores":
            continue  # `first_lens` says what follows from them
        if name in ("refined", "survival"):
            continue  # lines of their own
        if name == "corpus" and isinstance(value, dict):
            for part, fact in value.items():
                print(f"{one_line(f'corpus {part}'):18} {one_line(_plain(fact), 400)}")
        else:
            text = one_line(value, 400) if name == "first_lens" else _plain(value)
            print(f"{name:18} {text}")
    for line in (*outliers.lines(dictionary.info), *refined.lines(dictionary.info)):
        print(one_line(line, 400))


def _shown_first(dictionary: Any) -> dict[str, str]:
    """Return the line that says which lens is shown first, and why."""
    if not dictionary.lenses:
        return {}
    scores = dictionary.info.get("lens_scores") or {}
    why = scores.get("why") or "the paper's rule: nothing was scored"
    return {"first_lens": f"{dictionary.first_lens}: {why}"}


def regions(arguments: argparse.Namespace) -> None:
    """Print a table of regions."""
    from ep import storage
    from ep.storage.labels import Labels
    from ep.studies.names import names
    from ep.text import label
    from ep.views.search import Index

    dictionary = storage.open(arguments.file)
    chosen = list(range(len(dictionary)))
    if arguments.find:
        with on_stderr() as progress:
            progress.stage(f"searching {arguments.file}")
            chosen = Index(dictionary).find(arguments.find).regions.tolist()
    column, descending = SORTS[arguments.sort]
    if column in dictionary:
        values = dictionary.column(column)
        chosen.sort(key=lambda k: values[k], reverse=descending)
    chosen = chosen[: arguments.limit or None]
    called = names(dictionary, chosen, Labels.open(arguments.file, dictionary))
    rows = [_region_row(dictionary, k, name) for k, name in zip(chosen, called, strict=True)]
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'region':>7} {'voronoi':>9} {'arrival':>9} {'coherence':>9}  {_NAME} lens tokens")
    for row in rows:
        lens = " ".join(label(token) for token in row["lens"][:6])
        counts = f"{_count(row['count_voronoi'])} {_count(row['count_arrival'])}"
        print(f"{row['region']:>7} {counts} {row['coherence']:>9.2f}  {_cell(row['name'])} {lens}")


# Choice of --sort: the column, and whether it is sorted in falling order.
SORTS = {
    "members": ("count_voronoi", True),
    "arrival": ("count_arrival", True),
    "coherence": ("coherence", True),
    "distance": ("mean_distance", False),
    "survival": ("survived", True),
    "id": ("founded_at", False),
}


def _region_row(dictionary: Any, k: int, name: str) -> dict[str, Any]:
    names = ("count_voronoi", "count_arrival", "coherence", "mean_distance")
    row = {
        name: dictionary.column(name)[k].item() if name in dictionary else None for name in names
    }
    return {"region": k, "name": name, **row, "lens": [score.token for score in dictionary.lens(k)]}


def region(arguments: argparse.Namespace) -> None:
    """Print everything that is stored about one region."""
    from ep import storage
    from ep.storage.labels import Labels
    from ep.studies.names import name, one_line
    from ep.text import label

    dictionary = storage.open(arguments.file)
    region = dictionary.region(arguments.id)
    called = name(dictionary, region.id, Labels.open(arguments.file, dictionary))
    if arguments.json:
        print(json.dumps(_region_json(region, called), indent=1))
        return
    print(f"region {region.id} of {len(dictionary):,}: {one_line(called)}")
    for column, value in region.columns.items():
        print(f"{column:22} {_plain(value)}")
    for lens, scores in region.lens.items():
        print(f"{f'lens {lens}':22} {' '.join(label(score.token) for score in scores)}")
    print(f"{'nearest':22} {' '.join(f'{k} ({d:.2f})' for k, d in region.nearest)}")
    for excerpt in ([region.founder] if region.founder else []) + list(region.excerpts):
        print(f"{excerpt.band:8} {excerpt.distance:.3f}  {_in_context(excerpt)}")


def _in_context(excerpt: Any) -> str:
    """An excerpt as one line: its marked token in brackets, with some text on both sides.

    An excerpt without token ids has no marked token; its line is the beginning of the text.
    """
    from ep.text import label
    from ep.views.excerpts import aligned

    if excerpt.marked is None:
        return f"{label(''.join(excerpt.pieces)[:72])} (token {excerpt.position})"
    row = aligned(excerpt)
    after = "".join(row.right)[:30]
    before = "".join(row.left)[-(40 if after else 48) :]
    return f"{before and label(before)}[{label(excerpt.token)}]{after and label(after)}"


def _region_json(region: Any, name: str) -> dict[str, Any]:
    excerpts = ([region.founder] if region.founder else []) + list(region.excerpts)
    return {
        "region": region.id,
        "name": name,
        **{column: value.item() for column, value in region.columns.items()},
        "lens": {
            lens: [[s.token, s.value] for s in scores] for lens, scores in region.lens.items()
        },
        "tokens": [[s.token, int(s.value)] for s in region.tokens],
        "next_tokens": [[s.token, int(s.value)] for s in region.next_tokens],
        "nearest": [[k, distance] for k, distance in region.nearest],
        "excerpts": [
            {
                "band": e.band,
                "passage": e.passage,
                "position": e.position,
                "distance": e.distance,
                "tokens": list(e.pieces),
                "marked": e.marked,
            }
            for e in excerpts
        ],
    }


def assign(arguments: argparse.Namespace) -> None:
    """Print the region of every token of a prompt, read with the dictionary's own model.

    A character split over several tokens is printed with the first of them.
    """
    import numpy as np

    from ep import models, storage
    from ep.method.sieve import left_out
    from ep.storage.labels import Labels
    from ep.studies.names import names
    from ep.text import label, split_text

    dictionary = storage.open(arguments.file)
    if not arguments.prompt.strip():
        raise InputError("the prompt is empty: give some text")
    with on_stderr() as progress:
        model = load_model(arguments, dictionary, progress)
        layer = models.check_fits(model, dictionary)
        progress.stage("reading the prompt")
        turn = [{"role": "user", "content": arguments.prompt}]
        prompt = model.encode_prompt(turn if arguments.chat else arguments.prompt)
        tokens = split_text([model.tokens.piece(token) for token in prompt.ids])
        x = models.read(model, prompt.ids, [layer])[layer]
        regions, distances, _ = dictionary.assign(x)
        is_bos = np.array(model.tokens.bos_only(prompt.ids), bool)
        outside = left_out(dictionary.info, x, is_bos)
        all_names = names(dictionary, regions, Labels.open(arguments.file, dictionary))
    rows: list[dict[str, Any]] = [
        {
            "position": position,
            "token": token,
            "region": int(region),
            "distance": float(distance),
            "within": bool(distance <= dictionary.threshold),
            "name": called,
            "lens": [score.token for score in dictionary.lens(int(region))],
            "template": template,
            "outside": bool(is_outside),
        }
        for position, (token, template, is_outside, region, distance, called) in enumerate(
            zip(tokens, prompt.is_template, outside, regions, distances, all_names, strict=True)
        )
    ]
    skipped = outside & ~is_bos
    _say_left_out(model.context if prompt.truncated else None, int(skipped.sum()))
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    heading = f"{_NAME} lens tokens ({dictionary.distance_name}, θ = {dictionary.threshold:.3f})"
    print(f"{'token':<18} {'region':>7} {'distance':>8}  {heading}")
    for row, is_skipped in zip(rows, skipped, strict=True):
        lens = " ".join(label(token) for token in row["lens"][:5])
        beyond = "–" if is_skipped else " " if row["within"] else "*"
        print(
            f"{label(row['token']):<18} {row['region']:>7} {row['distance']:>7.3f}{beyond}  "
            f"{_cell(row['name'])} {lens}"
        )


def _say_left_out(context: int | None, skipped: int) -> None:
    """Say on stderr what was not read of a prompt, or is of no kind that the dictionary has.

    context: the tokens to which the prompt was cut; None if it was not. skipped: tokens of a kind
        that the build left out.
    """
    if context is not None:
        print(
            f"ep: the prompt was cut to the model's context of {context} tokens",
            file=sys.stderr,
        )
    if skipped:
        tokens_are = "1 token is" if skipped == 1 else f"{skipped:,} tokens are"
        print(
            f"ep: {tokens_are} of a kind that the build left out (–); the region is the nearest "
            "all the same",
            file=sys.stderr,
        )


# -- printing --------------------------------------------------------------------------------------


_NAME = f"{'name':<30}"
"""Heading of the column of `_cell`."""


def _cell(name: str) -> str:
    """A region's name in a column of 30 characters."""
    from ep.studies.names import short

    return f"{short(name, 30):<30}"


def _plain(value: Any) -> str:
    if isinstance(value, dict | list):
        text = json.dumps(value)
        return text if len(text) <= 160 else f"{text[:157]}…"
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return str(value)
    return f"{value:,}" if float(value).is_integer() else f"{float(value):.4f}"


def _count(value: int | None) -> str:
    return f"{'–' if value is None else format(value, ','):>9}"
