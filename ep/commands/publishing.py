"""The commands about the Hub: what is published, and giving one's own dictionaries to others."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ep.commands.options import command


def add(kinds: Any) -> None:
    """Adds published and push."""
    listing = command(
        kinds, "published", "list the published dictionaries and their names", published
    )
    listing.add_argument("--json", action="store_true", help="print JSON")
    giving = command(kinds, "push", "give dictionaries to others, as a dataset on the Hub", push)
    giving.add_argument(
        "source", metavar="FILE_OR_FOLDER", help="an .ep.h5 file, or a folder of them"
    )
    giving.add_argument(
        "repository", metavar="OWNER/REPO", help="the dataset; it is made if there is none"
    )
    giving.add_argument(
        "--family", action="store_true", help="also the files beside it that one build made with it"
    )
    giving.add_argument("--private", action="store_true", help="hide a repository that is made")
    giving.add_argument(
        "--license", metavar="ID", help="for the card: mit, cc-by-4.0, … (default: none is named)"
    )
    giving.add_argument(
        "--dry-run", action="store_true", help="send nothing: print the card and what would go"
    )


def published(arguments: argparse.Namespace) -> None:
    """The catalogue, known without a network."""
    from dataclasses import asdict

    from ep.storage.hub import PUBLISHED, in_bytes

    if arguments.json:
        print(
            json.dumps([{"name": p.name, "path": p.path, **asdict(p)} for p in PUBLISHED], indent=1)
        )
        return
    print(f"{'name':28} {'regions':>8} {'in file':>8} {'tokens':>12} {'θ':>7} {'size':>9}")
    for p in PUBLISHED:
        seen = "" if p.regions_seen is None else f"{p.regions_seen:,}"
        theta = "" if p.threshold is None else f"{p.threshold:.4f}"
        size = "" if p.size is None else f"≈ {in_bytes(p.size)}"
        print(f"{p.name:28} {p.regions:8,} {seen:>8} {p.tokens:12,} {theta:>7} {size:>9}")
    print(
        "regions and tokens: the dataset's card; in file: counted by readers of the files",
        file=sys.stderr,
    )


def push(arguments: argparse.Namespace) -> None:
    """Send dictionaries; the commit's address goes to stdout."""
    from ep.storage.hub import push

    with said_on_stderr() as progress:
        done = push(
            arguments.source,
            arguments.repository,
            private=arguments.private,
            family=arguments.family,
            licence=arguments.license,
            dry_run=arguments.dry_run,
            progress=progress,
        )
    for path, entries in done.cleaned.items():
        print(
            f"{path}: paths or tokens of this machine were taken out of {', '.join(entries)}",
            file=sys.stderr,
        )
    if done.card is None:
        print(f"{done.repository} has a card of its own, which was left as it is", file=sys.stderr)
    if arguments.dry_run:
        print(done.card)
        print(f"would go to {done.repository}: {', '.join(done.files)}", file=sys.stderr)
    else:
        print(done.url)


@contextmanager
def said_on_stderr() -> Iterator[Callable[[str, float | None], None]]:
    """A progress(said, share) that draws one bar on stderr, if that is a screen: percent, and the
    words behind it.
    """
    from tqdm import tqdm

    form = "{percentage:3.0f} %|{bar:24}| {desc}"
    with tqdm(
        total=1.0, bar_format=form, file=sys.stderr, leave=False, disable=not sys.stderr.isatty()
    ) as bar:

        def show(said: str, share: float | None = None) -> None:
            bar.n = bar.n if share is None else share
            bar.set_description_str(said)

        yield show
