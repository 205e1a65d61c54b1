"""Another seed of A and of B, beside which verdicts are read: found on the shelf or in the hidden
folder of builds, and matched.

A visit shows what is there. Building another seed, and matching a large one, wait for a click.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import streamlit as st

from ep import reseeding
from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.studies import matching as study
from ep.studies.matching import Null, Nulls
from pages.compare import pairing
from pages.compare.comparison import Comparison
from pages.shared import estimates, jobs, loading, messages, models, state
from pages.shared.jobs import Job

MOST_BYTES = 64 * 2**20
"""Of a text that a visit may read in full, to know it by its digest."""
QUESTION = "How much of this would another order of the text do by itself?"
UNMATCHABLE = "its other seed cannot be matched in this way"


def known(comparison: Comparison) -> Nulls:
    """The nulls of A and of B that are stored or take a moment; None for one that is not.

    Draws nothing.
    """
    first, second = (_known(key, comparison) for key in comparison.keys)
    return first, second


def _known(key: str, comparison: Comparison) -> Null | None:
    other = other_seed(key)
    if other is None:
        return None
    name, dictionary = _pairing_name(key, other, comparison), loading.dictionary(key)
    null: Null | None = jobs.result(name)
    if null is None and pairing.seconds(dictionary, other) <= jobs.AT_ONCE_S:
        with suppress(EPError):  # `panel` says why there is none
            made = study.null(dictionary, other, comparison.basis, comparison.centre)
            null = jobs.keep(name, made)
    return null


def _pairing_name(key: str, other: Dictionary, comparison: Comparison) -> str:
    return f"null {loading.fingerprint(key)} {other.path} {comparison.basis} {comparison.centre}"


def other_seed(key: str) -> Dictionary | None:
    """A dictionary of the same setting and another seed, on the shelf or built for this page."""
    dictionary = loading.dictionary(key)
    listed = [e.path for e in loading.entries() if study.same_setting(dictionary.info, e.info)]
    hidden = [
        path
        for folder in loading.folders()
        for path in sorted((folder / reseeding.HIDDEN).glob("*/*.ep.h5"))
    ]
    return _other_seed(loading.fingerprint(key), (*listed, *hidden), dictionary)


@st.cache_resource(show_spinner=False, max_entries=24)
def _other_seed(
    fingerprint: str, paths: tuple[Path, ...], _dictionary: Dictionary
) -> Dictionary | None:
    return reseeding.find_stored(_dictionary, (), paths)


# -- in the place of a null that is not there ------------------------------------------------------


def panel(comparison: Comparison, nulls: Nulls) -> None:
    """For each side without a null: the progress of its making, the offer to make it, or why there
    can be none.
    """
    if comparison.a == comparison.b:
        return
    refused: dict[str, list[str]] = {}
    is_building = any(jobs.is_running(_build_name(key)) for key in comparison.keys)
    for letter, key, null in zip("AB", comparison.keys, nulls, strict=True):
        if null is not None:
            continue
        other = other_seed(key)
        if other is not None:
            reason = _matching(key, other, comparison)
        else:
            question = "" if letter == "B" and _is_offered(comparison.a, nulls[0]) else QUESTION
            reason = _building(letter, key, is_building, question)
        if reason:
            refused.setdefault(reason, []).append(letter)
    for reason, letters in refused.items():
        messages.quiet(f"No null for {' and '.join(letters)}: {reason}.")


def _matching(key: str, other: Dictionary, comparison: Comparison) -> str:
    """The way to match a dictionary with its other seed; why that cannot be done, else nothing."""
    dictionary = loading.dictionary(key)

    def work(job: Job) -> Null:
        report = partial(job.report, "pairing")
        return study.null(dictionary, other, comparison.basis, comparison.centre, "", report)

    try:
        null: Null | None = jobs.outcome(
            _pairing_name(key, other, comparison),
            "Pairing the regions with another seed",
            work,
            seconds=pairing.seconds(dictionary, other),
            button="Pair them with the other seed",
            about=QUESTION,
            framed=False,
        )
    except EPError:
        return UNMATCHABLE
    if null is not None:
        state.rerun()  # it came after the verdicts were counted
    return ""


def _building(letter: str, key: str, is_building: bool, question: str) -> str:
    """The build of another seed, or the offer of it; why there can be none, else nothing.

    is_building: whether one of either side is under way: a second one would slow both down, so it
    is offered afterwards. question: what the offer says first.
    """
    name = _build_name(key)
    if (job := jobs.mine(name)) is not None:
        if job.state != "done":
            messages.quiet(f"{job.title}, to stand beside.")
        jobs.watch(name, framed=False)
        if job.state != "done":
            return ""
    if reason := _refusal(key):
        return reason
    if not is_building or jobs.is_running(name):
        _offer(letter, key, question)
    return ""


def _is_offered(key: str, null: Null | None) -> bool:
    """Whether a build is offered for this side, so that the question already stands there."""
    return null is None and other_seed(key) is None and not _refusal(key)


def _offer(letter: str, key: str, question: str) -> None:
    dictionary = loading.dictionary(key)
    activations = int(dictionary.info.get("n_activations") or 0)
    seed = _next_seed(dictionary)
    jobs.offer(
        _build_name(key),
        f"Building {letter} again, its text in another order (seed {seed})",
        _build(dictionary, loading.kept_in(), seed),
        seconds=_seconds(dictionary, activations),
        button=f"Build another seed of {letter} ({activations:,} activations)",
        about=question,
        framed=False,
    )


def _build_name(key: str) -> str:
    return f"another seed of {loading.fingerprint(key)}"


def _build(dictionary: Dictionary, out: Path, seed: int) -> Callable[[Job], None]:
    def work(job: Job) -> None:
        job.report("looking for its text")
        config = reseeding.settings(dictionary, out, seed)
        with closing(reseeding.rebuild(config)) as steps:
            for progress in steps:
                job.report(progress.stage, reseeding.share(progress))

    return work


def _next_seed(dictionary: Dictionary) -> int:
    return int(dictionary.info.get("seed") or 0) + 1


def _seconds(dictionary: Dictionary, activations: int) -> float:
    """How long the build takes: as long as that of the dictionary itself, where its file says."""
    took = float(dictionary.info.get("wall_time_s") or 0)
    if took > 0:
        return took
    load = 0.0 if models.is_ready(dictionary) else estimates.loading_model(dictionary)
    cosines = 2.0 * activations * len(dictionary) * dictionary.width  # two passes over the text
    read = estimates.reading(dictionary, 2 * activations)
    return load + read + estimates.products(cosines)


# -- whether another seed can be built -------------------------------------------------------------


def _refusal(key: str) -> str:
    """Why another seed cannot be built here, as far as a visit may know: whether a large text is
    the right one is found out once the build is asked for.
    """
    dictionary = loading.dictionary(key)
    texts = reseeding.text_candidates(dictionary)
    if sum(path.stat().st_size for path in texts) > MOST_BYTES:
        return ""
    return _checked(loading.fingerprint(key), dictionary)


@st.cache_data(show_spinner=False, ttl=60, max_entries=24)
def _checked(fingerprint: str, _dictionary: Dictionary) -> str:
    """Kept for a minute: it reads the whole text to know it by its digest."""
    try:
        reseeding.settings(_dictionary, loading.kept_in())
    except EPError as error:
        return str(error)
    return ""
