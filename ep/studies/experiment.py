"""The whole question of a behaviour, asked of a model: who shows it, which region holds them, what
is left without it.

1 Hold     what the region is tried on is no prompt it was chosen on (`holding`)
2 Observe  the model answers the prompts, a judge (or their labels) says which show the behaviour;
           their last tokens' x
3 Find     the regions of a dictionary those prompts fall in, and which of them may carry it
4 Try      the answers to held-out prompts with the region taken out, beside every control
5 Repeat   2 to 4 on dictionaries of the prompts themselves, in several orders of the stream

Knows how model, dictionary and judge come together; the sums are in `behaviour`, the words of
judges in `judging`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64

from ep.errors import RequestError
from ep.method.dictionary import Basis, Dictionary
from ep.models import LanguageModel
from ep.models.answering import Answered, answers, final_activations, own
from ep.models.generation import Sampling
from ep.models.interventions import Intervention, of_regions, random_control
from ep.progress import Report, silent
from ep.studies.behaviour import (
    BEHAVING_SHARE,
    FEWEST,
    NULL_RATE,
    Arm,
    Scored,
    candidates,
    matched_control,
    partition,
    score,
    trial,
)
from ep.studies.holding import Held
from ep.studies.judging import Agreement, Judge, agreement
from ep.studies.llm_judge import LLMJudge
from ep.studies.prompts import Prompts
from ep.studies.quality import Answer, QualityCheck, quality_check

DEFAULT, ABLATED, SWAPPED, RANDOM, MATCHED = (
    "default",
    "ablated",
    "swapped",
    "random direction",
    "matched region",
)
ARMS = (DEFAULT, ABLATED, SWAPPED, RANDOM, MATCHED)
TOKENS = 40
"""Tokens of an answer by default: refusals and the demo's answers are shorter."""
TOGETHER = 256
"""Prompts whose last tokens are read in one pass."""


@dataclass(frozen=True, eq=False)
class Observed:
    """What the model does with the prompts of the choice.

    behaves: (n,) which show the behaviour. x: (n, d) activations of their last tokens. answers:
    what the model wrote, empty when the labels decided. judged: the judge beside the labels, None
    where there is nothing to compare.
    """

    prompts: Prompts
    layer: int
    behaves: Bool[np.ndarray, " n"]
    x: Float32[np.ndarray, "n d"]
    answers: tuple[Answer, ...] = ()
    judged: Agreement | None = None


def observe(
    model: LanguageModel,
    prompts: Prompts,
    layer: int,
    judge: Judge | None,
    tokens: int = TOKENS,
    report: Report = silent,
) -> Observed:
    """Reads the prompts as user turns. judge: of the model's answers; None lets the labels decide,
    with no answer made.

    RequestError when all prompts behave alike, or when labels are to decide and some are missing.
    """
    n, said = len(prompts), tuple[Answer, ...]()
    if judge is None and not prompts.labelled:
        raise RequestError(
            "some prompts have no label: label them all, or let a judge read the answers"
        )
    if judge is not None:
        told = _share(report, "prompts answered", n)
        said = _answers(answers(model, prompts.texts, (), Sampling(tokens), told))
        ask_in_advance(judge, said, report)
        behaves = np.array([judge(one.text) for one in said])
    else:
        behaves = np.array([bool(label) for label in prompts.labels])
    check_alike(behaves, judge is None)
    parts = []
    for start in range(0, n, TOGETHER):
        report(f"{start:,} of {n:,} prompts read", start / n)
        parts.append(
            final_activations(model, prompts.texts[start : start + TOGETHER], [layer])[layer]
        )
    judged = None
    if judge is not None and prompts.labelled:
        judged = agreement(
            judge, [one.text for one in said], [bool(label) for label in prompts.labels]
        )
    return Observed(prompts, layer, behaves, np.concatenate(parts), said, judged)


def check_alike(behaves: Bool[np.ndarray, " n"], by_labels: bool) -> None:
    """RequestError when all prompts behave alike: no region can be told from another then."""
    if behaves.all() or not behaves.any():
        every, n = "all" if behaves.all() else "none", len(behaves)
        which = f"{every} of the {n:,} prompts"
        shown = (
            f"{which} {'is' if every == 'none' else 'are'} labelled yes"
            if by_labels
            else f"{which} show it"
        )
        raise RequestError(
            f"{shown}: give prompts that show the behaviour and some that do not, or another judge"
        )


# -- one region, found and tried -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Found:
    """Where the prompts lie in one dictionary. region, distance: (n,) of their last tokens; scored:
    best first.
    """

    dictionary: Dictionary
    region: Int64[np.ndarray, " n"]
    distance: Float32[np.ndarray, " n"]
    scored: tuple[Scored, ...]

    @property
    def candidates(self) -> list[Scored]:
        """Regions that may carry the behaviour, the best first."""
        return candidates(self.scored)


def find(dictionary: Dictionary, observed: Observed) -> Found:
    """Every prompt's last token in its nearest region, and the regions' rates."""
    near = dictionary.assign(observed.x)
    return Found(
        dictionary, near.region, near.distance, tuple(score(near.region, observed.behaves))
    )


@dataclass(frozen=True, eq=False)
class Attempt:
    """One region taken out, and what came of it.

    scored: the region tried, None when no region is a candidate (then there are no arms either).
    control: the matched region and its cosine with the one tried. target: the quiet region whose
    mean a swap puts back. quality: what counted as coherent. seed, share: of the stream, None for a
    dictionary from a file.
    """

    dictionary: Dictionary
    scored: Scored | None
    control: int | None = None
    cosine: float | None = None
    target: int | None = None
    arms: dict[str, Arm] = field(default_factory=dict)
    quality: QualityCheck | None = None
    seed: int | None = None
    share: float | None = None


class Bench:
    """Held-out prompts with a model and a judge; what the unchanged model says is asked once,
    whatever is tried.
    """

    def __init__(
        self,
        model: LanguageModel,
        held: Held,
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
        found: Found,
        region: int | None = None,
        mode: str = "ablate",
        controls: bool = True,
        report: Report = silent,
        seed: int = 0,
    ) -> Attempt:
        """Takes out `region`, by default the best candidate; "swap" also puts a quiet region's mean
        back.

        controls: with a random direction and the matched region. Errors as `trial` and
        `of_regions`.
        """
        best = found.candidates
        chosen = best[0].region if region is None and best else region
        if chosen is None:
            return Attempt(found.dictionary, None)
        made = found.dictionary
        mine = next((one for one in found.scored if one.region == chosen), None)
        if mine is None:
            raise RequestError(
                f"none of the prompts falls in region {made.check(chosen)}: choose one that holds "
                "some"
            )
        control = matched_control(made, found.scored, chosen) if controls else None
        target = quiet_region(found.scored) if mode == "swap" else None
        if mode == "swap" and target is None:
            raise RequestError(
                "no region holds five prompts without the behaviour: there is nothing to swap in"
            )
        changes = arms_of(made, chosen, target, control, controls, seed, self.basis)
        cosine = (
            None if control is None else float(made.exemplars[control] @ made.exemplars[chosen])
        )
        quality = self.quality(report)
        return Attempt(
            made, mine, control, cosine, target, self._tried(changes, quality, report), quality
        )

    def quality(self, report: Report = silent) -> QualityCheck:
        """What counts as coherent, measured once on the unchanged model's sampled answers to the
        benign prompts.
        """
        if self._quality is None:
            asked = self.held.benign or self.held.target
            self._quality = quality_of(
                self.model, asked, self.tokens, lambda n: report("what is usual of the model", None)
            )
        return self._quality

    def _tried(
        self, changes: dict[str, tuple[Intervention, ...]], quality: QualityCheck, report: Report
    ) -> dict[str, Arm]:
        size, done = len(self.held.target) + len(self.held.benign), 0
        total = size * len(changes)

        def answer(prompts: Sequence[str], arm: str) -> tuple[Answer, ...]:
            nonlocal done
            asked = tuple(prompts)
            if arm != DEFAULT or asked not in self._default:
                told = _share(report, f"answers, {arm}", total, done)
                said = _answers(
                    answers(self.model, asked, changes[arm], Sampling(self.tokens), told)
                )
                ask_in_advance(self.judge, said, report)
                if arm != DEFAULT:
                    done += len(asked)
                    return said
                self._default[asked] = said
            done += len(asked)
            return self._default[asked]

        return trial(answer, list(changes), self.held.target, self.held.benign, self.judge, quality)


def quality_of(
    model: LanguageModel,
    prompts: Sequence[str],
    tokens: int = TOKENS,
    told: Callable[[int], None] = lambda done: None,
) -> QualityCheck:
    """What counts as coherent, measured on what the unchanged model writes to `prompts` when
    sampled from.

    told(done): answers written so far; what it raises cancels. RequestError without prompts.
    """
    found = own(model, prompts, tokens, told)
    return quality_check(_answers(found.answers), _answers(found.spoiled))


def arms_of(
    dictionary: Dictionary,
    region: int,
    target: int | None,
    control: int | None,
    controls: bool,
    seed: int,
    basis: Basis = "exemplar",
) -> dict[str, tuple[Intervention, ...]]:
    """What is done to the stream in every arm, the unchanged model first. basis: "exemplar" or
    "mean".
    """
    ablate = of_regions(dictionary, "ablate", [region], basis=basis)
    changes: dict[str, tuple[Intervention, ...]] = {DEFAULT: (), ABLATED: (ablate,)}
    if target is not None:
        changes[SWAPPED] = (of_regions(dictionary, "swap", [region], target=target, basis=basis),)
    if controls:
        changes[RANDOM] = (random_control(ablate, seed),)
    if control is not None:
        changes[MATCHED] = (of_regions(dictionary, "ablate", [control], basis=basis),)
    return changes


def quiet_region(scored: Sequence[Scored]) -> int | None:
    """The region with the most prompts among those that hardly ever behave so; a swap puts its mean
    back.
    """
    quiet = [
        one for one in scored if one.rate.n >= FEWEST and one.rate.hits <= NULL_RATE * one.rate.n
    ]
    return max(quiet, key=lambda one: (one.rate.n, -one.region)).region if quiet else None


def repeat(
    bench: Bench,
    observed: Observed,
    seeds: int = 4,
    percentile: float = 4.0,
    share: float = BEHAVING_SHARE,
    mode: str = "ablate",
    report: Report = silent,
) -> Iterator[Attempt]:
    """One attempt for each order of the stream, on a dictionary of the prompts' own last tokens, as
    each is there.

    share: of behaving prompts in the stream the centre and θ are taken from. Errors as `partition`
    and `attempt`.
    """
    for seed in range(seeds):

        def told(said: str, part: float | None, seed: int = seed) -> None:
            report(f"seed {seed + 1} of {seeds}: {said}", (seed + (part or 0.0)) / seeds)

        made = partition(observed.x, observed.behaves, percentile, seed, observed.layer, share)
        one = bench.attempt(find(made, observed), mode=mode, report=told, seed=seed)
        yield replace(one, seed=seed, share=share)


def ask_in_advance(judge: Judge, said: Sequence[Answer], report: Report = silent) -> None:
    """Lets a judge that is asked over a network hear all answers at once; other judges need no
    time.
    """
    if isinstance(judge, LLMJudge):
        judge.ask([one.text for one in said], report)


def _answers(found: Sequence[Answered]) -> tuple[Answer, ...]:
    return tuple(Answer(*one) for one in found)


def _share(report: Report, what: str, total: int, before: int = 0) -> Callable[[int], None]:
    return lambda done: report(f"{before + done:,} of {total:,} {what}", (before + done) / total)
