"""What the Compare page computes, once for everybody: matchings, the null, prompts and passages
read by two models.

Quick things are cached; long ones are jobs whose outcome stays on the board. Knows the shelf, draws
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from ep import comparing, reseeding
from ep.comparing import Models
from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.studies import matching as study
from ep.studies.matching import Match, Null, Nulls
from ep.studies.prompts import Prompts, read_prompts
from pages.compare.pick import Asked
from pages.shared import jobs, loading
from pages.shared.jobs import Job

AT_ONCE = 4e9
"""Multiply-adds of a matching that may run while the page is drawn: about two seconds."""
QUICK_NULL = 100_000
"""Activations of another seed that are built without being asked for, where the model is a folder
here.
"""
DEMO_PROMPTS = loading.DEMO / "prompts"
CHOICE = ("train",)
HELD_OUT = (
    "held_out_both",
    "held_out_pairs",
    "held_out_templates",
    "held_out_words",
    "benign",
    "hard_benign",
)


# -- matchings -------------------------------------------------------------------------------------


def match_job(a: str, b: str, basis: str, centre: str) -> str:
    """The name of the job behind a matching."""
    return f"match {loading.fingerprint(a)} {loading.fingerprint(b)} {basis} {centre}"


def matched(a: str, b: str, basis: str, centre: str) -> Match | None:
    """The matching of two dictionaries on the shelf; None while a job computes it. RequestError as
    `study.match`.
    """
    name = match_job(a, b, basis, centre)
    job = jobs.get(name)
    if job is not None and job.state == "done":
        return job.result  # type: ignore[no-any-return]
    first, second = loading.dictionary(a), loading.dictionary(b)
    if float(len(first)) * len(second) * first.width <= AT_ONCE:
        return _matched(name, first, second, basis, centre)
    if job is None:
        jobs.start(
            name, "Pairing the regions", lambda job: _match(job, first, second, basis, centre)
        )
    return None


@st.cache_resource(show_spinner=False, max_entries=24)
def _matched(name: str, _a: Dictionary, _b: Dictionary, basis: str, centre: str) -> Match:
    return study.match(_a, _b, basis, centre)


def _match(job: Job, a: Dictionary, b: Dictionary, basis: str, centre: str) -> Match:
    return study.match(a, b, basis, centre, lambda share: job.report("pairing", share))


# -- the null --------------------------------------------------------------------------------------


def null_job(key: str) -> str:
    """The name of the job that builds another seed of a dictionary."""
    return f"null {loading.fingerprint(key)}"


def nulls(ask: Asked) -> Nulls:
    """What is known of another seed of A and of B."""
    first, second = (null(key, ask.basis, ask.centre) for key in (ask.a, ask.b))
    return first, second


def null(key: str, basis: str, centre: str) -> Null | None:
    """A matching with another seed of the same setting, from the shelf or built before.

    None when there is no such seed, when it lacks what this way of matching needs, and while a job
    (`pairing_job`) matches a large one.
    """
    dictionary, other = loading.dictionary(key), other_seed(key)
    if other is None:
        return None
    name = pairing_job(key, basis, centre)
    if float(len(dictionary)) * len(other) * other.width <= AT_ONCE:
        with suppress(EPError):
            return _null(name, str(other.info["file"]), basis, centre, dictionary, other)
        return None
    job = jobs.get(name)
    if job is None:

        def work(job: Job) -> Null:
            return study.null(
                dictionary, other, basis, centre, told=lambda share: job.report("pairing", share)
            )

        jobs.start(name, "Pairing the regions with another seed", work)
    return job.result if job is not None and job.state == "done" else None


def pairing_job(key: str, basis: str, centre: str) -> str:
    """The name of the job that matches a dictionary with its other seed."""
    return f"null pairs {loading.fingerprint(key)} {basis} {centre}"


def other_seed(key: str) -> Dictionary | None:
    """A dictionary of the same setting and another seed, on the shelf or built for this page."""
    dictionary = loading.dictionary(key)
    files = [e.path for e in loading.entries() if study.same_setting(dictionary.info, e.info)]
    hidden = [
        p for folder in loading.folders() for p in (folder / reseeding.HIDDEN).glob("*/*.ep.h5")
    ]
    return _other_seed(
        loading.fingerprint(key), tuple(map(str, (*files, *sorted(hidden)))), dictionary
    )


@st.cache_resource(show_spinner=False, max_entries=24)
def _other_seed(
    fingerprint: str, paths: tuple[str, ...], _dictionary: Dictionary
) -> Dictionary | None:
    return reseeding.kept(_dictionary, (), [Path(path) for path in paths])


@st.cache_resource(show_spinner=False, max_entries=24)
def _null(
    name: str, path: str, basis: str, centre: str, _dictionary: Dictionary, _other: Dictionary
) -> Null:
    return study.null(_dictionary, _other, basis, centre)


def null_settings(key: str) -> reseeding.BuildConfig | str:
    """The build another seed would take, or the sentence that says why it cannot be built here."""
    return _null_settings(loading.fingerprint(key), str(loading.kept_in()), loading.dictionary(key))


@st.cache_data(show_spinner=False, ttl=60, max_entries=24)
def _null_settings(
    fingerprint: str, out: str, _dictionary: Dictionary
) -> reseeding.BuildConfig | str:
    """Kept for a minute: it reads the whole text to know it by its digest."""
    try:
        return reseeding.settings(_dictionary, Path(out))
    except EPError as error:
        return str(error)


def is_quick(config: reseeding.BuildConfig) -> bool:
    """Whether it is built without being asked for."""
    return (config.tokens or QUICK_NULL + 1) <= QUICK_NULL and Path(config.model).is_dir()


def build_null(key: str, config: reseeding.BuildConfig, letter: str) -> None:
    """Starts building another seed of A or B in the background."""
    jobs.start(
        null_job(key),
        f"Building {letter} again, its text in another order (seed {config.seed})",
        _build(config),
    )


def _build(config: reseeding.BuildConfig) -> Callable[[Job], None]:
    def work(job: Job) -> None:
        with closing(reseeding.rebuilt(config)) as steps:
            for progress in steps:
                job.report(progress.stage, reseeding.share(progress))

    return work


# -- prompts at their last token -------------------------------------------------------------------


@dataclass(frozen=True)
class Sets:
    """Prompts of the choice, and prompts never used for it, with where they come from.

    folder, names: the files of the two inside a folder; without names, the one file's own name.
    """

    chosen: Prompts
    held: Prompts
    source: str
    folder: str
    names: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


@st.cache_data(show_spinner=False)
def demo_sets() -> Sets | None:
    """The demo's own prompts; None when they are not here."""
    if not all((DEMO_PROMPTS / f"{name}.csv").is_file() for name in CHOICE + HELD_OUT):
        return None
    chosen, held = (
        _joined([DEMO_PROMPTS / f"{n}.csv" for n in names]) for names in (CHOICE, HELD_OUT)
    )
    files = tuple(tuple(f"{name}.csv" for name in names) for names in (CHOICE, HELD_OUT))
    folder = DEMO_PROMPTS.relative_to(loading.ROOT).as_posix()
    return Sets(
        chosen, held.without(chosen.texts), "the demo's prompts", folder, (files[0], files[1])
    )


def given_sets(data: bytes, name: str) -> Sets:
    """A visitor's labelled prompts, every second one for the choice.

    CorpusError as `read_prompts`.
    """
    every = read_prompts(data, name)
    parts = [Prompts(every.texts[at::2], every.labels[at::2]) for at in (0, 1)]
    return Sets(parts[0], parts[1], name, name)


def _joined(paths: Sequence[Path]) -> Prompts:
    total = Prompts((), ())
    for path in paths:
        total = total + read_prompts(path)
    return total


def models_of(a: str, b: str) -> Models:
    """Both models, loaded now. ModelError when one is not here or does not fit its dictionary."""
    from ep.models import check_fits

    found = []
    for key in (a, b):
        dictionary = loading.dictionary(key)
        model = loading.language_model(dictionary.info)
        check_fits(model, dictionary.info, dictionary.width)
        found.append(model)
    return found[0], found[1]


def untaught(ask: Asked) -> str:
    """The models without a chat template, by name and joined; nothing where both have one.

    ModelError as loading.
    """
    models = [loading.language_model(loading.dictionary(key).info) for key in (ask.a, ask.b)]
    names = [
        model.name.rsplit("/", 1)[-1]
        for model in models
        if not getattr(model.tokenizer, "chat_template", None)
    ]
    return " and ".join(dict.fromkeys(names))


def final_job(a: str, b: str, basis: str, centre: str, sets: Sets) -> str:
    """The name of the job that reads the prompts."""
    texts = hash((sets.chosen.texts, sets.held.texts, sets.chosen.labels, sets.held.labels))
    return f"final {loading.fingerprint(a)} {loading.fingerprint(b)} {basis} {centre} {texts}"


def read_final(
    name: str, pair: comparing.Pair, models: Models, sets: Sets, found: Match | None
) -> None:
    """Starts reading the prompts with both models."""
    title = f"Reading {len(sets.chosen) + len(sets.held):,} prompts with both models"

    def work(job: Job) -> comparing.Final:
        return comparing.final(
            pair, models, sets.chosen, sets.held, found, lambda s: job.report("reading", s)
        )

    jobs.start(name, title, work)


def inputs_job(a: str, b: str) -> str:
    """The name of the job that reads the stored passages."""
    return f"inputs {loading.fingerprint(a)} {loading.fingerprint(b)}"


def read_inputs(name: str, pair: comparing.Pair, models: Models) -> None:
    """Starts reading the stored passages of both dictionaries with both models."""
    jobs.start(
        name,
        "Reading stored passages with both models",
        lambda job: comparing.shared(pair, models, lambda share: job.report("reading", share)),
    )
