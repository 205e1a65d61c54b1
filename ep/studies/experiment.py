"""The experiment on a behaviour with a model: who shows it, which region, and what it does.

1 Hold     the region is tried on prompts that it was not chosen on (`held_out`)
2 Observe  the model answers the prompts, a judge (or their labels) decides which of them show the
    behaviour, and the activations of their last tokens are taken
3 Find     assign the prompts to the regions of a dictionary, and list those that may carry the
    behaviour
4 Try      answer held-out prompts with the region taken out, beside every control
5 Repeat   2 to 4 on dictionaries of the prompts themselves, with several orders of the stream

This module connects model, dictionary and judge; the statistics are in `behaviour`, the judges in
`judging` and `llm_judge`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ep.config import MetricName
from ep.errors import RequestError
from ep.method.dictionary import Basis, Dictionary
from ep.models import LanguageModel
from ep.models.answering import Answered, answers, final_activations, own_answers
from ep.models.generation import Sampling
from ep.models.interventions import Intervention, Mode, mean_point
from ep.progress import Report, silent
from ep.shapes import Bool, Float32, Int64
from ep.studies.arms import (
    ARMS,
    DEFAULT,
    LAYER_ARMS,
    Ends,
    quiet_region,
    region_arms,
    set_of,
    wider_arms,
)
from ep.studies.behaviour import (
    BEHAVING_SHARE,
    Arm,
    Scored,
    candidates,
    matched_control,
    partition,
    score,
    trial,
)
from ep.studies.held_out import HeldOut
from ep.studies.judging import Agreement, Judge, agreement
from ep.studies.llm_judge import LLMJudge
from ep.studies.prompts import Prompts
from ep.studies.quality import Answer, QualityCheck, quality_check

TOKENS = 128
"""Length limit of an answer where none is given; `ep.models.answering.answer_length` measures one
for a model.
"""
MOST_LAYERS = 6
"""Layers of a sweep at most."""
TOGETHER = 256
"""Prompts whose last tokens are read in one pass."""


@dataclass(frozen=True, eq=False)
class Observed:
    """What the model does with the prompts that the region is chosen on.

    prompts: n prompts.
    layer: of the activations.
    behaves: (n,) whether each shows the behaviour.
    x: (n, d) activations of their last tokens.
    answers: what the model wrote; empty when the labels decided.
    judged: the agreement of the judge with the labels; None where there is nothing to compare.
    """

    prompts: Prompts
    layer: int
    behaves: Bool[np.ndarray, " n"]
    x: Float32[np.ndarray, "n d"]
    answers: tuple[Answer, ...] = ()
    judged: Agreement | None = None

    @property
    def alike(self) -> bool:
        """Whether all prompts behave alike, so that no region stands out."""
        return bool(self.behaves.all() or not self.behaves.any())


def observe(
    model: LanguageModel,
    prompts: Prompts,
    layer: int,
    judge: Judge | None,
    tokens: int = TOKENS,
    report: Report = silent,
) -> Observed:
    """Run the prompts through the model as user turns, and decide which show the behaviour.

    judge: of the model's answers; None lets the labels decide, and then no answer is generated.
    tokens: length limit of an answer.
    report: called as the work goes on; an exception it raises ends it.

    Prompts whose answers are judged alike are a result, see `Observed.alike`. Raises RequestError
    when the labels are to decide and all are alike, or some are missing.
    """
    n, replies = len(prompts), tuple[Answer, ...]()
    if judge is None and not prompts.labelled:
        raise RequestError(
            "some prompts have no label: label them all, or let a judge read the answers"
        )
    if judge is not None:
        count = _counter(report, "prompts answered", n)
        replies = _answers(answers(model, prompts.texts, (), Sampling(tokens), count))
        judge_in_advance(judge, replies, report)
        behaves = np.array([judge(one.text) for one in replies])
    else:
        behaves = np.array([bool(label) for label in prompts.labels])
        check_labels(behaves)
    parts = []
    for start in range(0, n, TOGETHER):
        report(f"{start:,} of {n:,} prompts read", start / n)
        parts.append(
            final_activations(model, prompts.texts[start : start + TOGETHER], [layer])[layer]
        )
    judged = None
    if judge is not None and prompts.labelled:
        judged = agreement(
            judge, [one.text for one in replies], [bool(label) for label in prompts.labels]
        )
    return Observed(prompts, layer, behaves, np.concatenate(parts), replies, judged)


def check_labels(behaves: Bool[np.ndarray, " n"]) -> None:
    """Raise RequestError when all prompts are labelled alike, since no region stands out then."""
    if behaves.all() or not behaves.any():
        every = "all of the {:,} prompts are" if behaves.all() else "none of the {:,} prompts is"
        raise RequestError(
            f"{every.format(len(behaves))} labelled yes: give prompts with both labels, or a judge "
            "of the answers"
        )


# -- one region, chosen and tried ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Placement:
    """The regions that the prompts fall in, for one dictionary.

    region, distance: (n,) of the prompts' last tokens.
    scored: the score of every region that contains a prompt, best first.
    observed: the prompts.
    """

    dictionary: Dictionary
    region: Int64[np.ndarray, " n"]
    distance: Float32[np.ndarray, " n"]
    scored: tuple[Scored, ...]
    observed: Observed

    @property
    def ends(self) -> Ends:
        """The last tokens of the prompts, with the region of each."""
        observed = self.observed
        return Ends(observed.x, observed.behaves, self.region, observed.layer)

    @property
    def candidates(self) -> list[Scored]:
        """The regions that may carry the behaviour, best first."""
        return candidates(self.scored)


def place(dictionary: Dictionary, observed: Observed) -> Placement:
    """Assign every prompt's last token to its nearest region, and score the regions."""
    assigned = dictionary.assign(observed.x)
    return Placement(
        dictionary,
        assigned.region,
        assigned.distance,
        tuple(score(assigned.region, observed.behaves)),
        observed,
    )


@dataclass(frozen=True, eq=False)
class Attempt:
    """One region taken out, and the results.

    scored: the region tried; None when no region is a candidate, and then there are no arms either.
    control: the matched region.
    cosine: of its exemplar with that of the region tried.
    target: the region without the behaviour whose mean a swap puts back; without one it is the mean
        of all prompts without it.
    arms: the results by name.
    together: the regions of the set; empty where that arm is not there.
    quality: decides whether an answer is coherent.
    seed, share: of the stream, see `repeat`; None for a dictionary from a file.
    """

    dictionary: Dictionary
    scored: Scored | None
    control: int | None = None
    cosine: float | None = None
    target: int | None = None
    arms: dict[str, Arm] = field(default_factory=dict)
    together: tuple[int, ...] = ()
    quality: QualityCheck | None = None
    seed: int | None = None
    share: float | None = None


class Bench:
    """Held-out prompts with a model and a judge.

    The answers of the unchanged model are generated once and serve every attempt.

    held: the prompts.
    tokens: length limit of an answer.
    basis: directions to intervene along, "exemplar" or "mean".
    """

    def __init__(
        self,
        model: LanguageModel,
        held: HeldOut,
        judge: Judge,
        tokens: int = TOKENS,
        basis: Basis = "exemplar",
    ) -> None:
        self.model, self.held, self.judge, self.tokens, self.basis = (
            model,
            held,
            judge,
            tokens,
            basis,
        )
        self._default: dict[tuple[str, ...], tuple[Answer, ...]] = {}
        self._quality: QualityCheck | None = None

    def attempt(
        self,
        found: Placement,
        region: int | None = None,
        mode: Mode = "ablate",
        controls: bool = True,
        report: Report = silent,
        seed: int = 0,
        wider: bool = False,
        only: Collection[str] = ARMS,
    ) -> Attempt:
        """Try one region on the held-out prompts.

        region: by default the best candidate.
        mode: "ablate", or "swap", which adds an arm that puts the mean of a region without the
            behaviour in its place.
        controls: whether to add a random direction and the matched region.
        seed: of the random direction.
        wider: whether to add the set of regions, the difference of means, and the random span; see
            `ep.studies.arms`.
        only: names of arms; others are left out, except the unchanged model.

        Raises RequestError for a region without prompts, and the errors of `trial` and
        `of_regions`.
        """
        ranked = found.candidates
        chosen = ranked[0].region if region is None and ranked else region
        if chosen is None:
            return Attempt(found.dictionary, None)
        dictionary = found.dictionary
        scored = next((one for one in found.scored if one.region == chosen), None)
        if scored is None:
            raise RequestError(
                f"none of the prompts falls in region {dictionary.check(chosen)}: choose a region "
                "with some"
            )
        control = matched_control(dictionary, found.scored, chosen) if controls else None
        target = quiet_region(found.scored) if mode == "swap" else None
        point = None
        if mode == "swap":
            point = found.ends.ordinary if target is None else mean_point(dictionary, target)
        changes = region_arms(dictionary, chosen, point, control, controls, seed, self.basis)
        together = set_of(found.scored) if wider else []
        if wider:
            changes |= wider_arms(found.ends, together, dictionary.typical_norm, seed)
        kept = {DEFAULT, *only}
        changes = {name: changes[name] for name in ARMS if name in changes and name in kept}
        cosine = (
            None
            if control is None
            else float(np.dot(*dictionary.raw_basis("exemplar", [control, chosen])))
        )
        quality = self.quality(report)
        return Attempt(
            dictionary,
            scored,
            control,
            cosine,
            target,
            self._tried(changes, quality, report),
            tuple(together),
            quality,
        )

    def quality(self, report: Report = silent) -> QualityCheck:
        """Return the quality check of this model, which is measured once.

        It is measured on answers of the unchanged model to the benign prompts, sampled from it.
        """
        if self._quality is None:
            prompts = self.held.benign or self.held.target
            self._quality = quality_of(
                self.model,
                prompts,
                self.tokens,
                lambda n: report("measuring what is usual for the model", None),
            )
        return self._quality

    def _tried(
        self, changes: dict[str, tuple[Intervention, ...]], quality: QualityCheck, report: Report
    ) -> dict[str, Arm]:
        """Return the results of all arms; the unchanged model answers each list once."""
        size, done = len(self.held.target) + len(self.held.benign), 0
        total = size * len(changes)

        def answer(prompts: Sequence[str], arm: str) -> tuple[Answer, ...]:
            nonlocal done
            texts = tuple(prompts)
            # the unchanged model's answers are cached, since every attempt needs the same ones
            if arm != DEFAULT or texts not in self._default:
                count = _counter(report, f"answers, {arm}", total, done)
                replies = _answers(
                    answers(self.model, texts, changes[arm], Sampling(self.tokens), count)
                )
                judge_in_advance(self.judge, replies, report)
                if arm != DEFAULT:
                    done += len(texts)
                    return replies
                self._default[texts] = replies
            done += len(texts)
            return self._default[texts]

        return trial(answer, list(changes), self.held.target, self.held.benign, self.judge, quality)


def quality_of(
    model: LanguageModel,
    prompts: Sequence[str],
    tokens: int = TOKENS,
    report: Callable[[int], None] = lambda done: None,
) -> QualityCheck:
    """Return the quality check of a model, measured on its own sampled answers to prompts.

    report: called with the number of answers so far; an exception it raises cancels the work.

    Raises RequestError without prompts.
    """
    sampled = own_answers(model, prompts, tokens, report)
    return quality_check(_answers(sampled.answers), _answers(sampled.spoiled))


def repeat(
    bench: Bench,
    observed: Observed,
    seeds: int = 4,
    percentile: float = 4.0,
    share: float = BEHAVING_SHARE,
    mode: Mode = "ablate",
    report: Report = silent,
    metric: MetricName = "centred",
) -> Iterator[Attempt]:
    """Yield one attempt for each order of the stream, as soon as it is finished.

    Each is made on a dictionary of the prompts' own last tokens.

    seeds: number of orders.
    percentile: p of these dictionaries.
    share: of behaving prompts in the stream that the centre and θ are taken from.
    mode: see `Bench.attempt`.
    metric: of these dictionaries.

    Raises the errors of `partition` and `Bench.attempt`.
    """
    for seed in range(seeds):

        def report_seed(message: str, done: float | None, seed: int = seed) -> None:
            report(f"seed {seed + 1} of {seeds}: {message}", (seed + (done or 0.0)) / seeds)

        dictionary = partition(
            observed.x, observed.behaves, percentile, seed, observed.layer, share, metric
        )
        attempt = bench.attempt(
            place(dictionary, observed), mode=mode, report=report_seed, seed=seed
        )
        yield replace(attempt, seed=seed, share=share)


def by_layer(
    bench: Bench,
    observed: Observed,
    layers: Sequence[int],
    percentile: float = 4.0,
    share: float = BEHAVING_SHARE,
    report: Report = silent,
    metric: MetricName = "centred",
) -> Iterator[Attempt]:
    """Yield one attempt for each layer, each on a dictionary of the prompts' last tokens there.

    layers: at which the stream is read, and changed.
    percentile, share, metric: see `repeat`.

    The arms are those of `LAYER_ARMS`. Raises the errors of `partition` and `Bench.attempt`, and
    RequestError for a layer that the model does not have.
    """
    check_layers(bench.model, layers)
    x: dict[int, list[np.ndarray]] = {layer: [] for layer in layers}
    for start in range(0, len(observed.prompts), TOGETHER):
        texts = observed.prompts.texts[start : start + TOGETHER]
        for layer, rows in final_activations(bench.model, texts, list(x)).items():
            x[layer].append(rows)
    for number, layer in enumerate(x):

        def report_layer(message: str, done: float | None, number: int = number) -> None:
            report(f"layer {list(x)[number]}: {message}", (number + (done or 0.0)) / len(x))

        there = replace(observed, layer=layer, x=np.concatenate(x[layer]))
        dictionary = partition(there.x, there.behaves, percentile, 0, layer, share, metric)
        yield bench.attempt(
            place(dictionary, there), report=report_layer, wider=True, only=LAYER_ARMS
        )


def check_layers(model: LanguageModel, layers: Sequence[int]) -> None:
    """Raise RequestError for a layer that a model does not have."""
    last = model.n_layers - 1
    if unknown := [layer for layer in layers if not 0 <= layer <= last]:
        raise RequestError(f"layer {unknown[0]} was asked for: expected 0 to {last}")


def spread_layers(n_layers: int, own: int) -> list[int]:
    """Return up to `MOST_LAYERS` layers of a model to sweep, from a third of its depth on.

    own: a layer that is among them.

    Earlier layers hardly hold yet what an answer will be.
    """
    first = n_layers // 3
    several = np.linspace(first, n_layers - 2, MOST_LAYERS - 1).round().astype(int).tolist()
    return sorted({own, *(layer for layer in several if 0 <= layer < n_layers)})


def judge_in_advance(judge: Judge, replies: Sequence[Answer], report: Report = silent) -> None:
    """Let a judge that is asked over a network judge all answers now, several at a time.

    Other judges are fast and do nothing here.
    """
    if isinstance(judge, LLMJudge):
        judge.ask([one.text for one in replies], report)


def _answers(answered: Sequence[Answered]) -> tuple[Answer, ...]:
    """Convert answers from the model package to those of the studies."""
    return tuple(Answer(*one) for one in answered)


def _counter(report: Report, noun: str, total: int, before: int = 0) -> Callable[[int], None]:
    """Return a callback that reports a count of `total`, after `before` others."""
    return lambda done: report(f"{before + done:,} of {total:,} {noun}", (before + done) / total)
