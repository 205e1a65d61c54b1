"""The nulls of a comparison: A and B each matched with another seed of the same setting.

The other seed is on the shelf or in the hidden folder of builds. A visit uses what exists; building
another seed or matching a large one waits for a click.
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
"""Largest text that a visit may read in full to compare its digest."""
QUESTION = "How much of this would another order of the text do by itself?"
UNMATCHABLE = "its other seed cannot be matched in this way"


def available(comparison: Comparison) -> Nulls:
    """Return the nulls of A and of B that are stored or quickly computed; None for a side without.

    Draws nothing.
    """
    first, second = (_null(key, comparison) for key in comparison.keys)
    return first, second


def _null(key: str, comparison: Comparison) -> Null | None:
    other = other_seed(key)
    if other is None:
        return None
    result_key, dictionary = _result_key(key, other, comparison), loading.dictionary(key)
    null: Null | None = jobs.result(result_key)
    if null is None and pairing.seconds(dictionary, other) <= jobs.AT_ONCE_S:
        with suppress(EPError):  # `draw_missing` says why there is none
            result = study.null(dictionary, other, comparison.basis, comparison.centre)
            null = jobs.put_result(result_key, result)
    return null


def _result_key(key: str, other: Dictionary, comparison: Comparison) -> str:
    return f"null {loading.fingerprint(key)} {other.path} {comparison.basis} {comparison.centre}"


def other_seed(key: str) -> Dictionary | None:
    """Return a dictionary of the same setting with another seed, from the shelf or built for this
    page.
    """
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


# -- what is drawn where a null is missing ---------------------------------------------------------


def draw_missing(comparison: Comparison, nulls: Nulls) -> None:
    """Draw for each side without a null its progress, a button to make it, or why there can be
    none.
    """
    if comparison.a == comparison.b:
        return
    reasons: dict[str, list[str]] = {}
    is_building = any(jobs.is_running(_build_key(key)) for key in comparison.keys)
    for letter, key, null in zip("AB", comparison.keys, nulls, strict=True):
        if null is not None:
            continue
        other = other_seed(key)
        if other is not None:
            reason = _draw_matching(key, other, comparison)
        else:
            question = "" if letter == "B" and _is_offered(comparison.a, nulls[0]) else QUESTION
            reason = _draw_build(letter, key, is_building, question)
        if reason:
            reasons.setdefault(reason, []).append(letter)
    for reason, letters in reasons.items():
        messages.quiet(f"No null for {' and '.join(letters)}: {reason}.")


def _draw_matching(key: str, other: Dictionary, comparison: Comparison) -> str:
    """Draw the button or the progress of matching a dictionary with its other seed.

    Returns the reason where that is impossible, else an empty text.
    """
    dictionary = loading.dictionary(key)

    def work(job: Job) -> Null:
        report = partial(job.report, "pairing")
        return study.null(dictionary, other, comparison.basis, comparison.centre, "", report)

    try:
        null: Null | None = jobs.result_or_offer(
            _result_key(key, other, comparison),
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
        state.rerun()  # the verdicts above were counted without it
    return ""


def _draw_build(letter: str, key: str, is_building: bool, question: str) -> str:
    """Draw the progress of building another seed, or a button that starts it.

    Returns the reason where that is impossible, else an empty text.

    is_building: whether a build of either side is running. A second one would slow both down, so it
        is offered afterwards.
    question: the sentence before the button.
    """
    job_key = _build_key(key)
    if (job := jobs.own_job(job_key)) is not None:
        if job.state != "done":
            messages.quiet(f"{job.title}, to stand beside.")
        jobs.watch(job_key, framed=False)
        if job.state != "done":
            return ""
    if reason := _build_obstacle(key):
        return reason
    if not is_building or jobs.is_running(job_key):
        _offer(letter, key, question)
    return ""


def _is_offered(key: str, null: Null | None) -> bool:
    """Return whether a build is offered for this side, whose button then already states the
    question.
    """
    return null is None and other_seed(key) is None and not _build_obstacle(key)


def _offer(letter: str, key: str, question: str) -> None:
    dictionary = loading.dictionary(key)
    activations = int(dictionary.info.get("n_activations") or 0)
    seed = _next_seed(dictionary)
    jobs.offer(
        _build_key(key),
        f"Building {letter} again, its text in another order (seed {seed})",
        _build(dictionary, loading.library_folder(), seed),
        seconds=_seconds(dictionary, activations),
        button=f"Build another seed of {letter} ({activations:,} activations)",
        about=question,
        framed=False,
    )


def _build_key(key: str) -> str:
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
    """Estimate how long the build takes, in seconds.

    A file that records the time of its own build gives the best estimate.
    """
    recorded = float(dictionary.info.get("wall_time_s") or 0)
    if recorded > 0:
        return recorded
    load = 0.0 if models.is_ready(dictionary) else estimates.loading_model(dictionary)
    products = 2.0 * activations * len(dictionary) * dictionary.width  # two passes over the text
    reading = estimates.reading(dictionary, 2 * activations)
    return load + reading + estimates.matrix_products(products)


# -- whether another seed can be built -------------------------------------------------------------


def _build_obstacle(key: str) -> str:
    """Return why another seed cannot be built here; empty where nothing is known to prevent it.

    A large text is not read on a visit; whether it is the right one is checked when the build is
    started.
    """
    dictionary = loading.dictionary(key)
    texts = reseeding.text_candidates(dictionary)
    if sum(path.stat().st_size for path in texts) > MOST_BYTES:
        return ""
    return _settings_error(loading.fingerprint(key), dictionary)


@st.cache_data(show_spinner=False, ttl=60, max_entries=24)
def _settings_error(fingerprint: str, _dictionary: Dictionary) -> str:
    """Return the error of the build's settings, or an empty text.

    It is cached for a minute, because the whole text is read to compute its digest.
    """
    try:
        reseeding.settings(_dictionary, loading.library_folder())
    except EPError as error:
        return str(error)
    return ""
