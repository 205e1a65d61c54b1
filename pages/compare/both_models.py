"""Work that needs the models of both dictionaries; they are loaded by its job, never by a visit."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from ep.comparing import Models
from ep.config import is_model_path
from ep.errors import EPError, ModelError
from ep.method.dictionary import Dictionary
from ep.models import LanguageModel, check_fits, model_of
from ep.models.adapters import Named, parts
from pages.compare.comparison import Comparison
from pages.shared import estimates, jobs, messages, models
from pages.shared.jobs import Job

T = TypeVar("T")
HEADLINE = "Both models are needed here"


def result_or_offer(
    comparison: Comparison,
    key: str,
    title: str,
    read: Callable[[Job, Models], T],
    *,
    tokens: tuple[float, float],
    button: str,
    about: str,
) -> T | None:
    """Return the result of `read(job, models)`, or None while there is none.

    In its place, draw the progress of the job, a button that starts it, or a box where a model is
    missing; see `jobs.result_or_offer`.

    tokens: about how many tokens A's model and B's model read.
    button: label of the button.
    about: a sentence on what the work does.
    """
    names = map(str, map(_model_name, comparison.dictionaries))
    rate_name = " ".join(["read together", *names])

    def work(job: Job) -> T:
        both = load(comparison, job)
        with estimates.rates().measured(rate_name, sum(tokens)):
            return read(job, both)

    is_new = jobs.result(key) is None and jobs.own_job(key) is None
    if is_new and report_missing(comparison, HEADLINE, partial(_start, key, title, work)):
        return None
    guess = sum(map(estimates.reading, comparison.dictionaries, tokens))
    rate = estimates.rates().get(rate_name, guess / max(sum(tokens), 1.0))
    try:
        result: T | None = jobs.result_or_offer(
            key,
            title,
            work,
            seconds=loading_seconds(comparison) + sum(tokens) * rate,
            button=button,
            about=about,
        )
    except EPError as error:
        messages.box("This cannot be read by both models", messages.sentence(error))
        return None
    if result is not None:
        models.note_other_weights(*comparison.dictionaries)
    return result


def _start(key: str, title: str, work: Callable[[Job], object]) -> None:
    jobs.start(key, title, work)


def load(comparison: Comparison, job: Job) -> Models:
    """Load both models inside a job.

    Raises ModelError if one is missing or does not fit its dictionary.
    """
    first, second = (_load(dictionary, job) for dictionary in comparison.dictionaries)
    return first, second


def _load(dictionary: Dictionary, job: Job) -> LanguageModel:
    model = models.load_for(dictionary, job.report)
    check_fits(model, dictionary)
    return model


def loading_seconds(comparison: Comparison) -> float:
    """Return how long it takes, in seconds, until both models are loaded."""
    waiting = {
        _model_name(dictionary): estimates.loading_model(dictionary)
        for dictionary in comparison.dictionaries
        if not models.is_ready(dictionary)
    }
    return sum(waiting.values())


def report_missing(comparison: Comparison, headline: str, download: Callable[[], None]) -> bool:
    """Return whether a model is missing on this machine, and draw a box that says so.

    Where the model may be on the Hub, the box has a button that calls `download`.
    """
    try:
        names = {model_of(d): d for d in comparison.dictionaries}
    except ModelError as error:
        messages.box(headline, messages.sentence(error))
        return True
    absent = [str(name) for name, dictionary in names.items() if not models.is_local(dictionary)]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        about = f"{' and '.join(absent)} {verb} not on this machine."
        messages.box(headline, about, "Download and read", download)
    return bool(absent)


# -- chat templates --------------------------------------------------------------------------------


def without_chat_template(comparison: Comparison) -> str:
    """Return the names of the models known to have no chat template, joined by "and".

    Empty where there are none. Loads no model: for one that is not loaded, its tokenizer's files
    are read.
    """
    names = {_model_name(d): _has_chat_template(_model_name(d)) for d in comparison.dictionaries}
    lacking = [parts(name)[0] for name, has in names.items() if has is False]
    return " and ".join(dict.fromkeys(name.rsplit("/", 1)[-1] for name in lacking))


def _model_name(dictionary: Dictionary) -> Named:
    """Return the name by which a dictionary's model is loaded; empty where the model is gone."""
    try:
        return model_of(dictionary)
    except ModelError:
        return ""


def _has_chat_template(name: Named) -> bool | None:
    """Return whether a model has a chat template; None where that cannot be known here."""
    if (model := models.models().get(name)) is not None:
        return bool(getattr(model.tokenizer, "chat_template", None))
    folder = _model_folder(parts(name)[0])
    if folder is None:
        return None
    if (folder / "chat_template.jinja").is_file():
        return True
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return bool(config.get("chat_template")) if isinstance(config, dict) else None


def _model_folder(name: str) -> Path | None:
    """Return the folder of a model's files: a local directory, or one in the Hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    if not name or is_model_path(name):
        return Path(name) if name else None
    try:
        cached = try_to_load_from_cache(name, "tokenizer_config.json")
    except ValueError:  # not a valid Hub name
        return None
    return Path(cached).parent if isinstance(cached, str) else None
