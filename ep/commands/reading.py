"""The commands `ep info`, `ep regions`, `ep region` and `ep assign`, which read a dictionary."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ep.commands.options import add_command, say_other_weights
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
    assign_parser.add_argument(
        "--model",
        default=None,
        help="Hub name, folder or .gguf file of the model (default: as stated in the file)",
    )


def info(arguments: argparse.Namespace) -> None:
    """Print the size and the provenance of a dictionary."""
    from ep import storage

    if arguments.check:
        storage.check(arguments.file)
    dictionary = storage.open(arguments.file)
    facts = {"regions": len(dictionary), "width": dictionary.width, **dictionary.info}
    if arguments.digest:
        facts["digest"] = storage.digest(dictionary)
    if arguments.json:
        print(json.dumps(facts, indent=1))
        return
    for name, value in facts.items():
        print(f"{name:18} {_plain(value)}")


def regions(arguments: argparse.Namespace) -> None:
    """Print a table of regions."""
    from ep import storage
    from ep.text import label
    from ep.views.search import Index

    dictionary = storage.open(arguments.file)
    everything = range(len(dictionary))
    chosen = (
        Index(dictionary).find(arguments.find).regions.tolist()
        if arguments.find
        else list(everything)
    )
    column, descending = SORTS[arguments.sort]
    if column in dictionary:
        values = dictionary.column(column)
        chosen.sort(key=lambda k: values[k], reverse=descending)
    rows = [_region_row(dictionary, k) for k in chosen[: arguments.limit or None]]
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'region':>7} {'voronoi':>9} {'arrival':>9} {'coherence':>9}  lens of the exemplar")
    for row in rows:
        lens = " ".join(label(token) for token in row["lens"][:6])
        counts = f"{_count(row['count_voronoi'])} {_count(row['count_arrival'])}"
        print(f"{row['region']:>7} {counts} {row['coherence']:>9.2f}  {lens}")


# Choice of --sort: the column, and whether it is sorted in falling order.
SORTS = {
    "members": ("count_voronoi", True),
    "arrival": ("count_arrival", True),
    "coherence": ("coherence", True),
    "distance": ("mean_distance", False),
    "id": ("founded_at", False),
}


def _region_row(dictionary: Any, k: int) -> dict[str, Any]:
    names = ("count_voronoi", "count_arrival", "coherence", "mean_distance")
    row = {
        name: dictionary.column(name)[k].item() if name in dictionary else None for name in names
    }
    return {"region": k, **row, "lens": [score.token for score in dictionary.lens(k)]}


def region(arguments: argparse.Namespace) -> None:
    """Print everything that is stored about one region."""
    from ep import storage
    from ep.text import label

    dictionary = storage.open(arguments.file)
    region = dictionary.region(arguments.id)
    if arguments.json:
        print(json.dumps(_region_json(region), indent=1))
        return
    print(f"region {region.id} of {len(dictionary):,}")
    for name, value in region.columns.items():
        print(f"{name:22} {_plain(value)}")
    for name, scores in region.lens.items():
        print(f"{name:22} {' '.join(label(score.token) for score in scores)}")
    print(f"{'nearest':22} {' '.join(f'{k} ({d:.2f})' for k, d in region.nearest)}")
    for excerpt in ([region.founder] if region.founder else []) + list(region.excerpts):
        print(f"{excerpt.band:8} {excerpt.distance:.3f}  {_in_context(excerpt)}")


def _in_context(excerpt: Any) -> str:
    """An excerpt as one line: its marked token in brackets, with some text on both sides.

    An excerpt without token ids has no marked token; its line is the beginning of the text.
    """
    from ep.text import label

    if excerpt.marked is None:
        return f"{label(''.join(excerpt.pieces)[:72])} (token {excerpt.position})"
    before = "".join(excerpt.pieces[: excerpt.marked])[-40:]
    after = "".join(excerpt.pieces[excerpt.marked + 1 :])[:30]
    return f"{before and label(before)}[{label(excerpt.token)}]{after and label(after)}"


def _region_json(region: Any) -> dict[str, Any]:
    excerpts = ([region.founder] if region.founder else []) + list(region.excerpts)
    return {
        "region": region.id,
        **{name: value.item() for name, value in region.columns.items()},
        "lens": {
            name: [[s.token, s.value] for s in scores] for name, scores in region.lens.items()
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
    """Print the region of every token of a prompt, read with the dictionary's own model."""
    from ep import models, storage
    from ep.text import label

    dictionary = storage.open(arguments.file)
    model = models.load(arguments.model or models.model_of(dictionary))
    layer = models.check_fits(model, dictionary)
    say_other_weights(model, dictionary)
    if not arguments.prompt.strip():
        raise InputError("the prompt is empty: give some text")
    turn = [{"role": "user", "content": arguments.prompt}]
    prompt = model.encode_prompt(turn if arguments.chat else arguments.prompt)
    regions, distances, _ = dictionary.assign(models.read(model, prompt.ids, [layer])[layer])
    rows: list[dict[str, Any]] = [
        {
            "position": position,
            "token": model.tokens.piece(token).decode("utf-8", "replace"),
            "region": int(region),
            "distance": float(distance),
            "within": bool(distance <= dictionary.threshold),
            "lens": [score.token for score in dictionary.lens(int(region))],
            "template": template,
        }
        for position, (token, template, region, distance) in enumerate(
            zip(prompt.ids, prompt.is_template, regions, distances, strict=True)
        )
    ]
    if prompt.truncated:
        print(
            f"ep: the prompt was cut to the model's context of {model.context} tokens",
            file=sys.stderr,
        )
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    heading = f"lens of the exemplar (θ = {dictionary.threshold:.3f})"
    print(f"{'token':<18} {'region':>7} {'distance':>8}  {heading}")
    for row in rows:
        lens = " ".join(label(token) for token in row["lens"][:5])
        beyond = " " if row["within"] else "*"
        print(
            f"{label(row['token']):<18} {row['region']:>7} {row['distance']:>7.3f}{beyond}  {lens}"
        )


# -- printing --------------------------------------------------------------------------------------


def _plain(value: Any) -> str:
    if isinstance(value, dict | list):
        text = json.dumps(value)
        return text if len(text) <= 160 else f"{text[:157]}…"
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return str(value)
    return f"{value:,}" if float(value).is_integer() else f"{float(value):.4f}"


def _count(value: int | None) -> str:
    return f"{'–' if value is None else format(value, ','):>9}"
