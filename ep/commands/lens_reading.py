"""The commands `ep lens add` and `ep lens score`: the read-outs that dictionaries store."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ep.commands.options import add_command
from ep.commands.progress import on_stderr
from ep.extras import require

if TYPE_CHECKING:
    from ep.models import LanguageModel
    from ep.models.adapters import Named
    from ep.studies.lens_scores import Agreement, NextScore, WordScore


def add(commands: Any) -> None:
    """Add `add` and `score` to the commands of `ep lens`."""
    add_parser = add_command(
        commands, "add", "add the read-outs that dictionaries lack, with their model", add_
    )
    add_parser.add_argument("files", nargs="+", metavar="FILE", help="an .ep.h5 file; repeatable")
    add_parser.add_argument(
        "--model",
        default=None,
        help="Hub name, folder or .gguf file of the model (default: as stated in each file)",
    )
    score_parser = add_command(
        commands, "score", "score what the read-outs of a dictionary say of its regions", score
    )
    score_parser.add_argument("file", metavar="FILE", help="an .ep.h5 file")
    score_parser.add_argument(
        "--against",
        metavar="FILE",
        help="another build of the same model and layer, such as one of another seed: how far the "
        "two agree on the regions they share",
    )
    score_parser.add_argument("--json", action="store_true", help="print JSON")


def add_(arguments: argparse.Namespace) -> None:
    """Add the missing read-outs to each file; print its path, and on stderr what was added."""
    from ep import models, storage
    from ep.lens_adding import add_lenses

    require("torch")
    loaded: dict[Named, LanguageModel] = {}
    for file in arguments.files:
        dictionary = storage.open(file)
        name: Named = arguments.model or models.model_of(dictionary)
        with on_stderr() as progress:
            if name not in loaded:
                progress.stage(f"loading {name}")
                loaded = {name: models.load(name)}  # one at a time: a model may be large
            progress.stage(f"adding to {file}")
            added = add_lenses(file, loaded[name], progress)
        first = storage.open(file).first_lens
        what = ", ".join(added) if added else "nothing: it has them all"
        print(f"ep: added {what}; shown first: {first}", file=sys.stderr)
        print(file)


def score(arguments: argparse.Namespace) -> None:
    """Print the scores of every stored lens, beside those of other regions' read-outs."""
    from ep import storage
    from ep.method.lenses import kind_of
    from ep.studies import lens_scores as study

    dictionary = storage.open(arguments.file)
    with on_stderr() as progress:
        progress.stage(f"scoring {arguments.file}")
        following, words = study.next_scores(dictionary), study.word_scores(dictionary)
        agreed: dict[str, Agreement] = {}
        if arguments.against:
            other = storage.open(arguments.against)
            progress.stage(f"matching with {arguments.against}")
            agreed = study.agreement(dictionary, other, report=progress.to_share)
    first, why = study.first_lens(words, dictionary.lenses)
    rows: list[dict[str, Any]] = [
        {
            "lens": name,
            "beside": kind_of(name).control,
            "next": _next(following.get(name)),
            "words": asdict(words[name]) if name in words else None,
            "agreement": asdict(agreed[name]) if name in agreed else None,
        }
        for name in study.lenses_of(dictionary)
    ]
    if arguments.json:
        facts = {"first_lens": dictionary.first_lens, "best": first, "why": why}
        print(json.dumps({**facts, "lenses": rows}, indent=1))
        return
    _print(rows, following, words, agreed)
    print(f"best: {first}; {why}")
    if dictionary.first_lens != first:
        print(f"the file shows {dictionary.first_lens} first: `ep lens add` decides it anew")


def _next(score: NextScore | None) -> dict[str, Any] | None:
    if score is None:
        return None
    return {
        "own": score.own.value,
        "interval": score.own.interval,
        "other": score.other,
        "n": score.own.n,
    }


def _print(
    rows: list[dict[str, Any]],
    following: dict[str, NextScore],
    words: dict[str, WordScore],
    agreed: dict[str, Agreement],
) -> None:
    """Print a line for each lens; "other" is the same with another region's read-out."""
    heading = f"{'lens':18} {'beside':14} {'next token':>24} {'other':>6}  "
    heading += f"{'words':>6} {'other':>6} {'ratio':>5} {'':14} {'bits':>6}"
    if agreed:
        heading += f"  {'agree':>6} {'other':>6}"
    print(heading)
    for row in rows:
        name = row["lens"]
        line = f"{name:18} {row['beside']:14} {_next_text(following.get(name)):>31}  "
        line += _words_text(words.get(name))
        if name in agreed:
            line += f"  {agreed[name].own:>6.2f} {agreed[name].other:>6.2f}"
        print(line)
    counts = [f"{s.own.n:,} regions for the next token" for s in list(following.values())[:1]]
    counts += [f"{s.n:,} for the words" for s in list(words.values())[:1]]
    counts += [f"{s.n:,} matched" for s in list(agreed.values())[:1]]
    if counts:
        print(f"({', '.join(counts)})")


def _next_text(score: NextScore | None) -> str:
    if score is None or (interval := score.own.interval) is None:
        return "–"
    low, high = interval
    return f"{score.own.value:.2f} ({low:.2f} to {high:.2f}) {score.other:>6.2f}"


def _words_text(score: WordScore | None) -> str:
    if score is None:
        return f"{'–':>6} {'–':>6} {'–':>5} {'':14} {'–':>6}"
    interval = f"({score.low:.1f} to {score.high:.1f})"
    shares = f"{score.own:>6.3f} {score.other:>6.3f} {score.ratio:>5.1f}"
    return f"{shares} {interval:14} {score.bits:>6.3f}"
