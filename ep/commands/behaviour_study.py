"""The work of `ep behaviour`: a model observed, a region chosen and tried, as plain values."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

from ep.commands.options import load_model
from ep.commands.progress import Printer, duration

SWAP = "swap"
"""The mode that needs a region to swap in."""
Plain = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """A study as plain values, see `ep.views.behaviour`.

    answers: to the prompts of the choice; empty where labels decided.
    repeats: the trials on other orders of the stream.
    length: of the answers: the limit in tokens, and the trial that set it, if one did.
    """

    choice: Plain
    answers: list[Plain]
    trial: Plain
    repeats: list[Plain] = field(default_factory=list)
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
        return Study(choice, answers, nothing, [], length)
    mode = _mode(arguments, dictionary, observed, regions, progress)
    progress.stage("trying it on held-out prompts")
    attempt = bench.attempt(regions, arguments.region, mode, report=progress)
    trial = plain.trial(attempt, held, judge)
    if attempt.scored is None:
        trial["served"] = plain.served(_siblings(dictionary, observed))
    return Study(
        choice, answers, trial, _repeats(arguments, bench, observed, dictionary, progress), length
    )


def _repeats(
    arguments: argparse.Namespace, bench: Any, observed: Any, dictionary: Any, progress: Printer
) -> list[Plain]:
    """The trials on other orders of the stream."""
    from ep.studies import experiment
    from ep.studies.behaviour import BEHAVING_SHARE
    from ep.views import behaviour as plain

    progress.stage("repeating it on other orders of the stream")
    share = BEHAVING_SHARE if arguments.share is None else arguments.share
    return [
        plain.trial(repeat, bench.held, bench.judge, 0)
        for repeat in experiment.repeat(
            bench,
            observed,
            arguments.seeds,
            arguments.percentile,
            share,
            report=progress,
            metric=dictionary.metric.name,
        )
    ]


def _length(arguments: argparse.Namespace, model: Any, held: Any, progress: Printer) -> Plain:
    """The length limit of an answer: the one given, or from a trial of the model.

    Says on stderr how long the answers will take at most, before they are written.
    """
    from ep.models.answering import OWN, answer_length
    from ep.studies.experiment import ARMS

    if arguments.tokens is not None:
        return {"tokens": arguments.tokens}
    progress.stage("trying how long the answers are")
    tried = answer_length(model, held.choice.texts)
    size = len(held.target) + len(held.benign)
    arms = len(ARMS) - (arguments.mode != SWAP)
    # the unchanged model's answers serve the repeats too, which never swap
    repeated = (len(ARMS) - 2) * arguments.seeds
    read = 0 if arguments.judge == "label" else len(held.choice)
    n = read + OWN + (arms + repeated) * size
    progress.say(
        f"answers of at most {tried.tokens} tokens ({tried.ended} of {tried.n} tried end within "
        f"that); up to {n:,} answers, about {duration(n * tried.mean * tried.seconds)} at most"
    )
    return {"tokens": tried.tokens, "tried": [tried.ended, tried.n]}


def _mode(
    arguments: argparse.Namespace,
    dictionary: Any,
    observed: Any,
    regions: Any,
    progress: Printer,
) -> str:
    """The mode of the trial: the one asked for, or "ablate" where a swap has nothing to put back.

    Says so on stderr, with the p of the same family that would serve.
    """
    from ep.studies.experiment import quiet_region

    mode: str = arguments.mode
    if mode != SWAP or quiet_region(regions.scored) is not None:
        return mode
    serves = [
        f"{one.dictionary.percentile:g}"
        for one in _siblings(dictionary, observed)
        if one.best is not None and one.quiet is not None
    ]
    instead = (
        f"p = {' or '.join(serves)} of the same family would serve"
        if serves
        else "no other p of this family in its folder would serve"
    )
    progress.say(
        "no region has five prompts without the behaviour, so there is nothing to swap in and the "
        f"region is only ablated: {instead}"
    )
    return "ablate"


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
