"""The work of `ep behaviour`: a model observed, a region chosen and tried, as plain values."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

from ep.commands.options import load_model
from ep.commands.progress import Printer, duration

SWAP = "swap"
"""The mode with one more arm."""
Plain = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """A study as plain values, see `ep.views.behaviour`.

    answers: to the prompts of the choice; empty where labels decided.
    repeats: the trials on other orders of the stream.
    layers: the trials at the layers asked for.
    length: of the answers: the limit in tokens, and the trial that set it, if one did.
    """

    choice: Plain
    answers: list[Plain]
    trial: Plain
    repeats: list[Plain] = field(default_factory=list)
    layers: list[Plain] = field(default_factory=list)
    length: Plain = field(default_factory=dict)


def study(
    arguments: argparse.Namespace,
    dictionary: Any,
    held: Any,
    judge: Any,
    judge_name: str,
    progress: Printer,
) -> Study:
    """The choice of a region, its trial on held-out prompts, and the repeats, as plain values."""
    from ep import models
    from ep.studies import experiment
    from ep.views import behaviour as plain

    model = load_model(arguments, dictionary, progress)
    layer, by_labels = models.check_fits(model, dictionary), arguments.judge == "label"
    experiment.check_layers(model, arguments.layers)
    length = _length(arguments, model, held, progress)
    progress.stage("choosing the region")
    observed = experiment.observe(
        model, held.choice, layer, None if by_labels else judge, length["tokens"], progress
    )
    regions = experiment.place(dictionary, observed)
    bench = experiment.Bench(model, held, judge, length["tokens"], arguments.basis)
    choice = plain.choice(observed, held, regions, by_labels, judge_name)
    answers = plain.answers(observed)
    if observed.alike:
        nothing = plain.trial(experiment.Attempt(dictionary, None), held, judge)
        return Study(choice, answers, nothing, length=length)
    progress.stage("trying it on held-out prompts")
    attempt = bench.attempt(
        regions, arguments.region, arguments.mode, report=progress, wider=not arguments.region_only
    )
    trial = plain.trial(attempt, held, judge)
    if attempt.scored is None:
        trial["served"] = plain.served(_siblings(dictionary, observed))
    further = _further(arguments, bench, observed, dictionary, progress)
    return Study(choice, answers, trial, *further, length)


def _further(
    arguments: argparse.Namespace, bench: Any, observed: Any, dictionary: Any, progress: Printer
) -> tuple[list[Plain], list[Plain]]:
    """The trials on other orders of the stream, and those at the layers asked for."""
    from ep.studies import experiment
    from ep.studies.behaviour import BEHAVING_SHARE
    from ep.views import behaviour as plain

    share = BEHAVING_SHARE if arguments.share is None else arguments.share
    how = (arguments.percentile, share)
    more = {"report": progress, "metric": dictionary.metric.name}

    def plainly(attempts: Any) -> list[Plain]:
        return [plain.trial(one, bench.held, bench.judge, 0) for one in attempts]

    progress.stage("repeating it on other orders of the stream")
    repeats = plainly(experiment.repeat(bench, observed, arguments.seeds, *how, **more))
    if not arguments.layers:
        return repeats, []
    progress.stage("trying it layer by layer")
    return repeats, plainly(experiment.by_layer(bench, observed, arguments.layers, *how, **more))


def _length(arguments: argparse.Namespace, model: Any, held: Any, progress: Printer) -> Plain:
    """The length limit of an answer: the one given, or from a trial of the model.

    Says on stderr how long the answers will take at most, before they are written.
    """
    from ep.models.answering import OWN, answer_length
    from ep.studies.arms import ARMS, LAYER_ARMS, SEED_ARMS, WIDER_ARMS

    if arguments.tokens is not None:
        return {"tokens": arguments.tokens}
    progress.stage("trying how long the answers are")
    tried = answer_length(model, held.choice.texts)
    size = len(held.target) + len(held.benign)
    arms = len(ARMS) - (arguments.mode != SWAP) - len(WIDER_ARMS) * arguments.region_only
    # the unchanged model's answers serve the repeats too
    repeated = len(SEED_ARMS) * arguments.seeds + len(LAYER_ARMS) * len(arguments.layers)
    read = 0 if arguments.judge == "label" else len(held.choice)
    n = read + OWN + (arms + repeated) * size
    progress.say(
        f"answers of at most {tried.tokens} tokens ({tried.ended} of {tried.n} tried end within "
        f"that); up to {n:,} answers, about {duration(n * tried.mean * tried.seconds)} at most"
    )
    return {"tokens": tried.tokens, "tried": [tried.ended, tried.n]}


def _siblings(dictionary: Any, observed: Any) -> Any:
    """How well the other percentiles of the family, in the same folder, serve the prompts."""
    from ep.storage import Shelf
    from ep.studies.coarser import serving, siblings

    if dictionary.path is None:
        return []
    shelf = Shelf([dictionary.path.parent])
    path = dictionary.path.resolve()
    entry = next((one for one in shelf.entries if one.path.resolve() == path), None)
    family = None if entry is None else shelf.family(entry)
    if entry is None or family is None:
        return []
    return serving(observed, [one.open() for one in siblings(entry, family.entries)])
