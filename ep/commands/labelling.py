"""The command `ep label`, which shows labels, sets them by hand or obtains them from a model."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from typing import Any

from ep.commands.options import add_command
from ep.commands.progress import on_stderr
from ep.errors import InputError

KEY = "EP_ENDPOINT_KEY"
"""Environment variable with the key of the endpoint."""
SHOWN = 50
"""Regions to show when none is named and none has a label."""


def add(subparsers: Any) -> None:
    """Add `label`."""
    parser = add_command(
        subparsers,
        "label",
        "show the labels of regions, or label them by hand or by a language model",
        label,
    )
    parser.add_argument(
        "file", help="an .ep.h5 file; its labels are beside it, in NAME.ep.labels.json"
    )
    parser.add_argument(
        "--region",
        type=int,
        action="append",
        default=[],
        metavar="ID",
        help="a region; repeatable",
    )
    parser.add_argument(
        "--largest", type=int, default=0, metavar="N", help="the N regions with the most members"
    )
    parser.add_argument("--list", default=None, metavar="NAME", help="the regions of a named list")
    parser.add_argument("--text", default=None, metavar="LABEL", help="label the region by hand")
    parser.add_argument("--by", default="someone", metavar="NAME", help="author of the label")
    parser.add_argument(
        "--endpoint",
        default=None,
        metavar="URL",
        help=f"OpenAI-compatible server that labels the regions; its key is read from ${KEY}",
    )
    parser.add_argument(
        "--model", default="", metavar="NAME", help="name of the model on that server"
    )
    parser.add_argument(
        "--no-look-alikes",
        action="store_true",
        help="do not show the model excerpts of similar regions",
    )
    parser.add_argument(
        "--no-control", action="store_true", help="do not test another region's label as well"
    )
    parser.add_argument(
        "--show",
        action="store_true",
        help="show the labels (the default without --text and --endpoint)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def label(arguments: argparse.Namespace) -> None:
    """Label regions if that was requested, and print their labels."""
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
        raise InputError("--text and --endpoint were both given: use only one of them")
    if arguments.text is not None:
        labels = _by_hand(arguments, labels, regions)
    elif arguments.endpoint is not None:
        labels = _by_model(arguments, labels, dictionary, regions)
    _print(labels, regions, arguments.json)


def _regions(arguments: argparse.Namespace, labels: Any, dictionary: Any) -> list[int]:
    """The regions that the arguments name; else those with labels; else the largest."""
    from ep.views.tables import order

    largest = order(dictionary, None, None).tolist()
    if arguments.list is not None and arguments.list not in labels.lists:
        names = ", ".join(labels.lists) or "none"
        raise InputError(f"there is no list {arguments.list!r}: the lists are {names}")
    chosen = [dictionary.check(k) for k in arguments.region]
    chosen += labels.lists[arguments.list].regions if arguments.list is not None else ()
    chosen += largest[: max(0, arguments.largest)]
    if not chosen and (arguments.text is not None or arguments.endpoint is not None):
        raise InputError("no region was named: give --region, --largest or --list")
    return list(dict.fromkeys(chosen)) or sorted(labels.texts(automatic=False)) or largest[:SHOWN]


def _by_hand(arguments: argparse.Namespace, labels: Any, regions: list[int]) -> Any:
    from ep.storage import edits

    if len(regions) != 1:
        raise InputError(f"--text labels one region and {len(regions)} were named: name one")
    own = [
        stored
        for stored in labels.stored(regions[0])
        if (stored.source, stored.by) == ("hand", arguments.by)
    ]
    replaced = own[0].id if own else None
    return labels.save(edits.label(regions[0], arguments.text, replaces=replaced), by=arguments.by)


def _by_model(
    arguments: argparse.Namespace, labels: Any, dictionary: Any, regions: list[int]
) -> Any:
    from ep.models.endpoint import Endpoint
    from ep.studies.labelling import Outcome, label_regions

    endpoint = Endpoint(arguments.endpoint, arguments.model, os.environ.get(KEY, ""))
    outcome = Outcome(labels)
    look_alikes, control = not arguments.no_look_alikes, not arguments.no_control
    with on_stderr() as progress:
        progress.stage("labelling")
        label_regions(
            outcome, dictionary, regions, endpoint, arguments.by, look_alikes, control, progress
        )
    print(f"ep: {outcome.summary()}", file=sys.stderr)
    return outcome.labels


def _print(labels: Any, regions: list[int], as_json: bool) -> None:
    from ep.text import plain, shorten

    if as_json:
        rows = [
            {
                "region": k,
                "note": labels.notes.get(k, ""),
                "labels": [vars(one) for one in labels.of(k)],
            }
            for k in regions
        ]
        print(json.dumps(rows, indent=1))
        return
    print(f"{'region':>7} {'score':>6} {'n':>4}  {'source':<28} label")
    for k in regions:
        for one in labels.of(k):
            score = "–" if one.score is None else f"{one.score:.2f}"
            text = plain(shorten(" ".join(one.text.split()), 120))
            source = plain(one.source)[:28] + (" *" if one.locked else "")
            print(f"{k:>7} {score:>6} {one.n or '–':>4}  {source:<28} {text}")
