"""The command `ep refine`, which writes a dictionary with better regions to a new file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ep.commands.options import add_command, add_model, load_model
from ep.commands.progress import Printer, on_stderr
from ep.errors import ConfigError
from ep.method.refine import ORPHANS

if TYPE_CHECKING:
    from ep.method.dictionary import Dictionary
    from ep.models import LanguageModel
    from ep.rereading import Reader

_RULES = (
    ("prune-below", float, "D", "remove regions whose strength D = log10(N·c²) is below this"),
    ("prune-weakest", float, "SHARE", "remove this share of the regions, the weakest by D"),
    ("prune-survival", float, "SHARE", "remove regions found again in less of the other seeds"),
    ("merge", float, "FACTOR", "merge regions whose exemplars lie within FACTOR·θ (more than 1)"),
    ("merge-within", float, "DISTANCE", "the same, with a distance"),
)
"""Options that are rules of `ep.studies.refining.Rules`: name, type, what it takes, and help."""


def add(subparsers: Any) -> None:
    """Add `refine`."""
    parser = add_command(
        subparsers, "refine", "merge, remove or re-anchor regions, in a new file", refine
    )
    parser.add_argument("file", help="an .ep.h5 file, which is not changed")
    parser.add_argument("--out", metavar="NEW", help="the .ep.h5 file to write")
    _add_rules(parser)
    _add_reading(parser)
    _add_seeds(parser)
    parser.add_argument("--dry-run", action="store_true", help="count, and write nothing")
    parser.add_argument("--replace", action="store_true", help="replace the file of --out")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_model(parser)


def _add_rules(parser: argparse.ArgumentParser) -> None:
    """Add what becomes of which regions."""
    for name, kind, metavar, about in _RULES:
        parser.add_argument(f"--{name}", type=kind, metavar=metavar, help=about)
    parser.add_argument(
        "--orphans",
        choices=ORPHANS,
        default="nearest",
        help="members of removed regions: to the nearest exemplar (default), or left out",
    )
    parser.add_argument(
        "--flag",
        action="store_true",
        help="put the regions that the prune options name on a list, and remove none",
    )
    parser.add_argument(
        "--reanchor",
        action="store_true",
        help="replace each exemplar by the member nearest to its region's mean: among the stored "
        "excerpts, or with --text among all members",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    """Add what is read again."""
    parser.add_argument(
        "--text",
        action="append",
        metavar="FILE",
        help="the text of the build: members are counted again over the whole of it",
    )
    parser.add_argument("--field", help="the field of the text that holds it, as for `ep build`")


def _add_seeds(parser: argparse.ArgumentParser) -> None:
    """Add the dictionaries on which survival is counted."""
    parser.add_argument(
        "--other",
        action="append",
        default=[],
        metavar="FILE",
        help="a dictionary of the same setting and another seed, on which survival is counted",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=0,
        metavar="K",
        help="build K other seeds for that, in the folder of --library",
    )
    parser.add_argument(
        "--library",
        default=os.environ.get("EP_LIBRARY") or "data/library",
        metavar="DIR",
        help="folder for what --seeds builds (default: $EP_LIBRARY, else data/library)",
    )
    parser.add_argument(
        "--cutoff",
        type=float,
        default=None,
        metavar="C",
        help="least cosine at which another seed has found a region again (default 0.7)",
    )


def refine(arguments: argparse.Namespace) -> None:
    """Refine a dictionary, and print what changed."""
    from ep import storage
    from ep.refined_file import check_target, save_refined
    from ep.refining import EXCERPTS, NOTHING, WHOLE, check
    from ep.refining import refine as refined_of
    from ep.studies.refining import plan

    origin, rules = storage.open(arguments.file), _rules(arguments)
    if not arguments.dry_run:
        if not arguments.out:
            raise ConfigError("no file to write is named: give --out, or --dry-run to count alone")
        check_target(origin, Path(arguments.out), arguments.replace)
    others = [storage.open(path) for path in arguments.other]
    reads = WHOLE if arguments.text else EXCERPTS if rules.reanchor else NOTHING
    check(origin, rules, reads, len(others) + arguments.seeds)
    with on_stderr() as progress:
        others += _built(origin, arguments, progress)
        if not arguments.dry_run:
            model, reader = _reading(arguments, origin, rules.reanchor, progress)
            progress.stage(f"refining {arguments.file}")
            result = refined_of(origin, rules, model, reader, others, progress)
            progress.stage(f"writing {arguments.out}")
            path = save_refined(result, origin, Path(arguments.out))
    if arguments.dry_run:
        _print_plan(arguments, origin, plan(origin, rules, _named(origin, rules, others)))
    else:
        _print(arguments, result.dictionary, path, len(result.flagged))


def _named(origin: Dictionary, rules: Any, others: list[Any]) -> Any:
    """Return which regions the prune rules name, by the other seeds if there are any."""
    from ep.studies import surviving
    from ep.studies.refining import unstable

    if not rules.prunes:
        return None
    if not others:
        return unstable(origin, rules)
    surviving.refuse_others(origin, others)
    found = surviving.survived(origin, others, rules.cutoff)
    return unstable(origin, rules, found, len(others))


def _rules(arguments: argparse.Namespace) -> Any:
    from ep.studies.refining import Rules

    names = [name.replace("-", "_") for name, *_ in _RULES]
    values = {name: getattr(arguments, name) for name in (*names, "orphans", "flag", "reanchor")}
    if arguments.cutoff is not None:
        values["cutoff"] = arguments.cutoff
    return Rules(**values)


def _reading(
    arguments: argparse.Namespace, origin: Dictionary, reanchor: bool, progress: Printer
) -> tuple[LanguageModel | None, Reader | None]:
    """Load the model where something needs or names it; return it and what reads activations."""
    from ep.rereading import StoredMembers, WholeStream

    if not (reanchor or arguments.text or arguments.model or arguments.adapter):
        return None, None
    model = load_model(arguments, origin, progress)
    if arguments.text:
        return model, WholeStream(origin, model, arguments.text, arguments.field)
    if reanchor:
        progress.say(
            "no --text: the new exemplars are chosen among the stored excerpts and founders"
        )
    return model, StoredMembers(origin, model)


def _built(origin: Dictionary, arguments: argparse.Namespace, progress: Printer) -> list[Any]:
    """Build the other seeds that were asked for; those that exist already are opened."""
    from ep import reseeding, storage

    if arguments.seeds < 0:
        raise ConfigError(f"{arguments.seeds} seeds were asked for: expected at least 1")
    found, first = [], int(origin.info.get("seed") or 0) + 1
    taken = {storage.open(path).info.get("seed") for path in arguments.other}
    seeds = [
        seed for seed in range(first, first + arguments.seeds + len(taken)) if seed not in taken
    ]
    for seed in seeds[: arguments.seeds]:
        config = reseeding.settings(origin, Path(arguments.library), seed)
        file = config.folder / config.file_name(config.layers[0], config.percentiles[0])
        if not file.exists():
            progress.stage(f"building seed {seed}")
            with closing(reseeding.rebuild(config)) as steps:
                for step in steps:
                    progress(step.stage, reseeding.share(step))
        found.append(storage.open(file))
    return found


def _print_plan(arguments: argparse.Namespace, origin: Dictionary, made: Any) -> None:
    facts = {
        "regions": [len(origin), len(made)],
        "merged": int((made.parts - 1).sum()),
        "left_out_regions": int((made.target < 0).sum()),
    }
    if arguments.json:
        print(json.dumps(facts, indent=1))
        return
    print(
        f"{len(origin):,} regions would become {len(made):,}: {facts['merged']:,} join others, "
        f"{facts['left_out_regions']:,} are left out; nothing was written"
    )


def _print(arguments: argparse.Namespace, dictionary: Dictionary, path: Path, flagged: int) -> None:
    from ep.views import refined

    facts = dictionary.info["refined"]
    if arguments.json:
        print(json.dumps({"file": str(path), "flagged": flagged, **facts}, indent=1))
        return
    for line in refined.lines(dictionary.info):
        print(line, file=sys.stderr)
    if flagged:
        print(f"{flagged:,} regions are on the list of unstable ones", file=sys.stderr)
    print(path)
