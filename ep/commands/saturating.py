"""The command `ep saturate`, which compares how many regions different texts need."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from functools import partial
from typing import Any

from ep.commands.options import add_command
from ep.commands.progress import on_stderr
from ep.config import BuildConfig
from ep.errors import ConfigError
from ep.extras import require
from ep.storage.file import printable

PERCENTILE = 8.0
"""The percentile of the paper's comparison of domains."""


def add(subparsers: Any) -> None:
    """Add `saturate`."""
    parser = add_command(
        subparsers, "saturate", "compare how many regions different texts need at one θ", saturate
    )
    parser.add_argument("model", help="Hub name, local directory or .gguf file of the model")
    parser.add_argument(
        "--corpus",
        action="append",
        required=True,
        metavar="NAME=FILE",
        help="a text and what to call it; two to four, and the same name again adds a file to it",
    )
    parser.add_argument("--layer", type=int, action="append", required=True, help="repeatable")
    parser.add_argument(
        "--percentile",
        type=float,
        action="append",
        help=f"p of θ, over equal shares of all texts; repeatable (default {PERCENTILE:g})",
    )
    parser.add_argument(
        "--tokens",
        type=int,
        help="activations of each text (default: all of the shortest); all are cut to the shortest",
    )
    parser.add_argument(
        "--calibration",
        type=int,
        default=200_000,
        help="activations of all texts that measure centre and θ (default 200000)",
    )
    parser.add_argument("--context", type=int, help="tokens read of each passage, as for a build")
    parser.add_argument("--skip-first", type=int, default=0, metavar="N", help="as for a build")
    parser.add_argument("--field", help="key or column that holds the text")
    parser.add_argument("--seed", type=int, default=0, help="seed of the shuffle and the sample")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--out", metavar="DIR", help="write a dictionary of each text there")
    parser.add_argument("--json", action="store_true", help="print JSON")


def saturate(arguments: argparse.Namespace) -> None:
    """Compare texts, and print a table for each layer and percentile."""
    from ep.saturating import Step
    from ep.saturating import saturate as steps_of
    from ep.views import saturation as views

    require("torch")
    corpora = _corpora(arguments.corpus)
    config = BuildConfig(
        arguments.model,
        tuple(file for files in corpora.values() for file in files),
        arguments.layer,
        arguments.out or ".",
        arguments.percentile or (PERCENTILE,),
        tokens=arguments.tokens,
        calibration=arguments.calibration,
        context=arguments.context,
        skip_first=arguments.skip_first,
        field_name=arguments.field,
        seed=arguments.seed,
        device=arguments.device,
    )
    found: Any = None
    activity = ""
    with on_stderr() as printer:
        printer.stage("opening the texts and the model")
        with closing(steps_of(config, corpora, arguments.out, report=printer)) as steps:
            for found in steps:
                if isinstance(found, Step):
                    show = printer.to_share
                    if found.activity != activity:
                        activity = found.activity
                        show = partial(printer.stage, activity, "")
                    show(found.share)
    for note in found.notes:
        print(f"ep: {printable(note)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(views.facts(found), indent=1))
        return
    for number, one in enumerate(found.comparisons):
        print(("\n" if number else "") + printable(views.title(one)))
        _table([{**views.COLUMNS}, *(views.row(domain) for domain in one.domains)])
        for line in views.remarks(one):
            print(printable(line))
    for path in found.files:
        print(path)


def _corpora(given: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the files of each text by name; ConfigError for an option of another form."""
    corpora: dict[str, tuple[str, ...]] = {}
    for one in given:
        name, sign, file = one.partition("=")
        if not (name.strip() and sign and file):
            raise ConfigError(
                f"--corpus {printable(one)}: expected NAME=FILE, such as code=code.jsonl"
            )
        corpora[name.strip()] = (*corpora.get(name.strip(), ()), file)
    return corpora


def _table(rows: list[dict[str, str]]) -> None:
    """Print one text a column, because the rows of a text would not fit on a line."""
    widths = [max(len(printable(cell)) for cell in row.values()) for row in rows]
    for column in rows[0]:
        cells = zip((printable(row[column]) for row in rows), widths, strict=True)
        print("  ".join(cell.ljust(width) for cell, width in cells).rstrip())
