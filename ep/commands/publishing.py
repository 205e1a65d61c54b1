"""The commands `ep published` and `ep push`, which list and publish dictionaries on the Hub."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ep.commands.options import add_command
from ep.commands.progress import on_stderr


def add(subparsers: Any) -> None:
    """Add `published` and `push`."""
    published_parser = add_command(
        subparsers, "published", "list the published dictionaries and their names", published
    )
    published_parser.add_argument("--json", action="store_true", help="print JSON")
    push_parser = add_command(
        subparsers, "push", "publish dictionaries as a dataset on the Hub", push
    )
    push_parser.add_argument(
        "source", metavar="FILE_OR_FOLDER", help="an .ep.h5 file, or a folder of them"
    )
    push_parser.add_argument(
        "repository", metavar="OWNER/REPO", help="the dataset; created if it does not exist"
    )
    push_parser.add_argument(
        "--family", action="store_true", help="also publish the files of the same build beside it"
    )
    push_parser.add_argument(
        "--private", action="store_true", help="create the repository as a private one"
    )
    push_parser.add_argument(
        "--license",
        metavar="ID",
        help="licence to state in the card: mit, cc-by-4.0, … (default: none)",
    )
    push_parser.add_argument(
        "--dry-run",
        action="store_true",
        help="upload nothing; print the card and what would be uploaded",
    )


def published(arguments: argparse.Namespace) -> None:
    """Print the catalogue of published dictionaries, without using the network."""
    from dataclasses import asdict

    from ep.storage.hub import PUBLISHED, in_bytes

    if arguments.json:
        print(
            json.dumps([{"name": p.name, "path": p.path, **asdict(p)} for p in PUBLISHED], indent=1)
        )
        return
    print(f"{'name':28} {'regions':>8} {'in file':>8} {'tokens':>12} {'θ':>7} {'size':>9}")
    for p in PUBLISHED:
        in_file = "" if p.regions_seen is None else f"{p.regions_seen:,}"
        theta = "" if p.threshold is None else f"{p.threshold:.4f}"
        size = "" if p.size is None else f"≈ {in_bytes(p.size)}"
        print(f"{p.name:28} {p.regions:8,} {in_file:>8} {p.tokens:12,} {theta:>7} {size:>9}")
    print(
        "regions, tokens: from the dataset's card; in file: regions counted in the file itself",
        file=sys.stderr,
    )


def push(arguments: argparse.Namespace) -> None:
    """Publish dictionaries and print the address of the commit."""
    from ep.storage.hub import push

    with on_stderr() as progress:
        progress.stage(f"publishing {arguments.repository}")
        pushed = push(
            arguments.source,
            arguments.repository,
            private=arguments.private,
            family=arguments.family,
            licence=arguments.license,
            dry_run=arguments.dry_run,
            progress=progress,
        )
    for path, entries in pushed.cleaned.items():
        print(
            f"{path}: paths or tokens of this machine were removed from {', '.join(entries)}",
            file=sys.stderr,
        )
    if pushed.card is None:
        print(
            f"{pushed.repository} has a card by its owner, which was left as it is", file=sys.stderr
        )
    if arguments.dry_run:
        print(pushed.card)
        print(
            f"would be uploaded to {pushed.repository}: {', '.join(pushed.files)}", file=sys.stderr
        )
    else:
        print(pushed.url)
