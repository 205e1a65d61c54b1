"""The stored studies of the Behaviour page: refusal by a demo's tuned model, and its ablation.

This stage of a recipe takes some minutes and writes behaviour.json to the folder of a demo. It has
a trial on a dictionary of last tokens, trials on several orders of the stream, short trials on the
demo's other dictionaries, and a sweep over layers, all of them on held-out prompts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from ep.method.dictionary import Basis
from ep.models import LanguageModel, check_fits, load, model_of
from ep.models.answering import answer_length
from ep.storage import open as open_file
from ep.storage.sidecar import write_bytes
from ep.studies.behaviour import BEHAVING_SHARE
from ep.studies.experiment import Bench, Observed, by_layer, observe, place, repeat, spread_layers
from ep.studies.held_out import HeldOut, hold_out
from ep.studies.judging import Phrases
from ep.studies.prompts import Prompts, read_prompts
from ep.views import behaviour as plain

FILE = "behaviour.json"


@dataclass(frozen=True)
class Study:
    """What is tried, on the prompts and dictionaries of one demo.

    choice, held_out, benign: names of the prompt files for the choice, for the trial, and of benign
        prompts.
    chosen, others: file names of the dictionary of the trial, and of those of short trials.
    percentile, seeds, shares: of the orders of the stream; see `ep.studies.experiment.repeat`.
    basis: the direction taken out.
    texts: prompts of each kind whose answers are stored.
    fewer: prompts of each kind for everything but the trial itself; None for all.
    """

    choice: str
    held_out: tuple[str, ...]
    benign: tuple[str, ...]
    chosen: str
    others: tuple[str, ...]
    percentile: float
    seeds: int
    shares: tuple[float, ...]
    basis: Basis = "exemplar"
    texts: int = 14
    fewer: int | None = None


TINY = Study(
    choice="train",
    held_out=("held_out_words", "held_out_templates"),
    benign=("benign",),
    chosen="last-token/tuned-L4-final-p4.ep.h5",
    others=(
        *(f"last-token/tuned-L4-final-p{p}.ep.h5" for p in (2, 8, 10, 16)),
        *(f"last-token/tuned-L2-final-p{p}.ep.h5" for p in (4,)),
        *(f"all-tokens/tuned-L4-p{p}.ep.h5" for p in (1, 4, 16)),
    ),
    percentile=4.0,
    seeds=4,
    shares=(BEHAVING_SHARE, 0.5),
)
"""The study of the tiny demo."""


def prompts(folder: Path, study: Study = TINY) -> HeldOut:
    """Return a demo's prompts, split into those of the choice and those held out.

    folder: of the demo, such as data/demo.
    """

    def read(names: tuple[str, ...]) -> Prompts:
        found = Prompts((), ())
        for name in names:
            found = found + read_prompts(folder / "prompts" / f"{name}.csv")
        return found

    benign = read(study.benign) if study.benign else None
    return hold_out(read((study.choice,)), read(study.held_out), benign)


def run(folder: Path, study: Study, say: Callable[[str], None]) -> dict[str, Any]:
    """Run a study and return it as plain data.

    folder: of the demo. say: takes a line of progress.
    """
    started, judge, held = perf_counter(), Phrases(), prompts(folder, study)
    chosen = open_file(folder / "dictionaries" / study.chosen)
    model = load(model_of(chosen))
    tokens = answer_length(model, held.choice.texts).tokens
    say(f"answers of at most {tokens} tokens")
    observed = observe(model, held.choice, check_fits(model, chosen), judge, tokens)
    bench = Bench(model, held, judge, tokens, study.basis)
    regions = place(chosen, observed)
    attempt = bench.attempt(regions, mode="swap", wider=True)
    say("the region tried")
    few = Bench(model, _fewer(held, study.fewer), judge, tokens, study.basis)
    return {
        "made": datetime.now(UTC).date().isoformat(),
        "seconds": round(perf_counter() - started),
        "tokens": tokens,
        "basis": study.basis,
        "sets": {
            "choice": [study.choice],
            "held_out": list(study.held_out),
            "benign": list(study.benign),
        },
        "choice": plain.choice(observed, held, regions, False, f"{len(judge.phrases)} phrases"),
        "trial": plain.trial(attempt, held, judge, study.texts),
        "streams": list(_streams(study, few, observed, say)),
        "layers": list(_layers(study, few, observed, say)),
        "others": list(_others(folder, study, few, observed, say)),
    }


def _fewer(held: HeldOut, n: int | None) -> HeldOut:
    """Return the same choice, and up to n evenly spaced held-out prompts of each kind."""
    if n is None:
        return held

    def spaced(texts: tuple[str, ...]) -> tuple[str, ...]:
        return texts[:: max(1, len(texts) // n)][:n]

    return replace(held, target=spaced(held.target), benign=spaced(held.benign))


def _streams(
    study: Study, bench: Bench, observed: Observed, say: Callable[[str], None]
) -> Iterator[list[dict[str, Any]]]:
    """Yield the trials on several orders of the stream, for each share of behaving prompts."""
    for share in study.shares:
        tried = repeat(bench, observed, study.seeds, study.percentile, share)
        yield [plain.trial(one, bench.held, bench.judge, 0) for one in tried]
        say(f"{study.seeds} orders of the stream tried, {share:.0%} behaving")


def _layers(
    study: Study, bench: Bench, observed: Observed, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Yield the trials layer by layer."""
    layers = spread_layers(bench.model.n_layers, observed.layer)
    for one in by_layer(bench, observed, layers, study.percentile):
        say(f"layer {one.dictionary.layer} tried")
        yield plain.trial(one, bench.held, bench.judge, 0)


def _others(
    folder: Path, study: Study, bench: Bench, observed: Observed, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Yield the trial, without controls and texts, on the other dictionaries of the model."""
    for name in study.others:
        dictionary = open_file(folder / "dictionaries" / name)
        there = _at(check_fits(bench.model, dictionary), bench.model, observed, bench)
        attempt = bench.attempt(place(dictionary, there), controls=False)
        say(f"{name} tried")
        yield plain.trial(attempt, bench.held, bench.judge, 0)


def _at(layer: int, model: LanguageModel, observed: Observed, bench: Bench) -> Observed:
    """Return what was observed, with the activations of a layer."""
    if layer == observed.layer:
        return observed
    return observe(model, observed.prompts, layer, bench.judge, bench.tokens)


def make(folder: Path, say: Callable[[str], None], study: Study = TINY) -> None:
    """Run a study and write behaviour.json. folder: of the demo. say: takes a line of progress."""
    found = run(folder, study, say)
    write_bytes(folder / FILE, (json.dumps(found, separators=(",", ":")) + "\n").encode())
    say(f"{FILE} written")
