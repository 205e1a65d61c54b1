"""The label command: what regions are called, a label by hand, or labels by a language model over
the network.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from typing import Any

from ep.commands.options import command
from ep.errors import InputError

KEY = "EP_ENDPOINT_KEY"
SHOWN = 50


def add(kinds: Any) -> None:
    """Adds label."""
    one = command(
        kinds,
        "label",
        "show what regions are called, or label them by hand or by a language model",
        label,
    )
    one.add_argument(
        "file", help="an .ep.h5 file; labels are kept beside it, in NAME.ep.labels.json"
    )
    one.add_argument(
        "--region",
        type=int,
        action="append",
        default=[],
        metavar="ID",
        help="this region; repeatable",
    )
    one.add_argument(
        "--largest", type=int, default=0, metavar="N", help="the N regions with the most members"
    )
    one.add_argument("--list", default=None, metavar="NAME", help="the regions of a named list")
    one.add_argument("--text", default=None, metavar="LABEL", help="label the region by hand")
    one.add_argument("--by", default="someone", metavar="NAME", help="in whose name")
    one.add_argument(
        "--endpoint",
        default=None,
        metavar="URL",
        help=f"OpenAI-compatible server; a key is read from ${KEY}",
    )
    one.add_argument("--model", default="", metavar="NAME", help="the model's name on that server")
    one.add_argument(
        "--no-look-alikes", action="store_true", help="show the model no excerpts of other regions"
    )
    one.add_argument(
        "--no-control", action="store_true", help="do not test another region's label as well"
    )
    one.add_argument(
        "--show",
        action="store_true",
        help="show the labels; what happens anyway without --text or URL",
    )
    one.add_argument("--json", action="store_true", help="print JSON")


def label(arguments: argparse.Namespace) -> None:
    """Labels regions where that was asked, and shows what they are called."""
    from ep import storage
    from ep.storage.labels import Labels
    from ep.studies.naming import automatic

    dictionary = storage.open(arguments.file)
    names = automatic(dictionary)
    labels = replace(Labels.open(arguments.file, dictionary), automatic_texts=lambda: names)
    if labels.problem:
        raise InputError(labels.problem)
    regions = _regions(arguments, labels, dictionary)
    if arguments.text is not None and arguments.endpoint is not None:
        raise InputError("--text and --endpoint were both given: label by hand, or by a model")
    if arguments.text is not None:
        labels = _by_hand(arguments, labels, regions)
    elif arguments.endpoint is not None:
        labels = _by_model(arguments, labels, dictionary, regions)
    _print(labels, regions, arguments.json)


def _regions(arguments: argparse.Namespace, labels: Any, dictionary: Any) -> list[int]:
    """The regions asked for; without a word those with labels, or the largest when there are
    none.
    """
    from ep.views.tables import order

    largest = order(dictionary, None, None).tolist()
    if arguments.list is not None and arguments.list not in labels.lists:
        known = ", ".join(labels.lists) or "none"
        raise InputError(f"there is no list {arguments.list!r}: the lists are {known}")
    chosen = [dictionary.check(k) for k in arguments.region]
    chosen += labels.lists[arguments.list].regions if arguments.list is not None else ()
    chosen += largest[: max(0, arguments.largest)]
    if not chosen and (arguments.text is not None or arguments.endpoint is not None):
        raise InputError("no region was named: give --region, --largest or --list")
    return list(dict.fromkeys(chosen)) or sorted(labels.texts(automatic=False)) or largest[:SHOWN]


def _by_hand(arguments: argparse.Namespace, labels: Any, regions: list[int]) -> Any:
    from ep.storage import edits

    if len(regions) != 1:
        raise InputError(f"--text labels one region, {len(regions)} were named")
    mine = [
        found
        for found in labels.stored(regions[0])
        if (found.source, found.by) == ("hand", arguments.by)
    ]
    replaced = mine[0].id if mine else None
    return labels.save(edits.label(regions[0], arguments.text, replaces=replaced), by=arguments.by)


def _by_model(
    arguments: argparse.Namespace, labels: Any, dictionary: Any, regions: list[int]
) -> Any:
    from ep.models.endpoint import Endpoint
    from ep.studies.labelling import Outcome, label_regions

    endpoint = Endpoint(arguments.endpoint, arguments.model, os.environ.get(KEY, ""))
    out = Outcome(labels)
    last = [""]

    def report(said: str, share: float | None) -> None:
        if said != last[0]:
            last[0] = said
            print(f"ep: {said}", file=sys.stderr)

    look_alikes, control = not arguments.no_look_alikes, not arguments.no_control
    label_regions(out, dictionary, regions, endpoint, arguments.by, look_alikes, control, report)
    print(f"ep: {out.summary()}", file=sys.stderr)
    return out.labels


def _print(labels: Any, regions: list[int], as_json: bool) -> None:
    from ep.text import plain, shorten

    if as_json:
        rows = [
            {
                "region": k,
                "note": labels.notes.get(k, ""),
                "labels": [vars(found) for found in labels.of(k)],
            }
            for k in regions
        ]
        print(json.dumps(rows, indent=1))
        return
    print(f"{'region':>7} {'score':>6} {'n':>4}  {'source':<28} label")
    for k in regions:
        for found in labels.of(k):
            score = "–" if found.score is None else f"{found.score:.2f}"
            text = plain(shorten(" ".join(found.text.split()), 120))
            source = plain(found.source)[:28] + (" *" if found.locked else "")
            print(f"{k:>7} {score:>6} {found.n or '–':>4}  {source:<28} {text}")
