"""What is read by the models of both dictionaries: loaded inside the work, never on a visit."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from ep.comparing import Models
from ep.errors import EPError, ModelError
from ep.method.dictionary import Dictionary
from ep.models import LanguageModel, check_fits, model_of
from pages.compare.comparison import Comparison
from pages.shared import estimates, jobs, messages, models
from pages.shared.jobs import Job

T = TypeVar("T")
NEEDED = "Both models are needed here"


def outcome(
    comparison: Comparison,
    key: str,
    title: str,
    read: Callable[[Job, Models], T],
    *,
    tokens: tuple[float, float],
    button: str,
    about: str,
) -> T | None:
    """`jobs.outcome` of what both models read: a calm box where one of them is missing.

    tokens: about as many as A's model and B's model read.
    """
    kind = " ".join(["read together", *map(_name, comparison.dictionaries)])

    def work(job: Job) -> T:
        both = load(comparison, job)
        with estimates.rates().measured(kind, sum(tokens)):
            return read(job, both)

    is_new = jobs.result(key) is None and jobs.mine(key) is None
    if is_new and is_missing(comparison, NEEDED, partial(_start, key, title, work)):
        return None
    guess = sum(map(estimates.reading, comparison.dictionaries, tokens))
    rate = estimates.rates().get(kind, guess / max(sum(tokens), 1.0))
    try:
        made: T | None = jobs.outcome(
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
    return made


def _start(key: str, title: str, work: Callable[[Job], object]) -> None:
    jobs.start(key, title, work)


def load(comparison: Comparison, job: Job) -> Models:
    """Both models, loaded by the work of a job. ModelError when one is not here or does not fit its
    dictionary.
    """
    first, second = (_load(dictionary, job) for dictionary in comparison.dictionaries)
    return first, second


def _load(dictionary: Dictionary, job: Job) -> LanguageModel:
    model = models.load_for(dictionary, job.report)
    check_fits(model, dictionary)
    return model


def loading_seconds(comparison: Comparison) -> float:
    """How long it takes until both models are loaded."""
    waiting = {
        _name(dictionary): estimates.loading_model(dictionary)
        for dictionary in comparison.dictionaries
        if not models.is_ready(dictionary)
    }
    return sum(waiting.values())


def is_missing(comparison: Comparison, headline: str, download: Callable[[], None]) -> bool:
    """Whether a model is not on this machine; then a box says so, with a button that calls
    `download` where the model may be on the Hub.
    """
    try:
        names = {model_of(d): d for d in comparison.dictionaries}
    except ModelError as error:
        messages.box(headline, messages.sentence(error))
        return True
    absent = [name for name, dictionary in names.items() if not models.is_here(dictionary)]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        about = f"{' and '.join(absent)} {verb} not on this machine."
        messages.box(headline, about, "Download and read", download)
    return bool(absent)


# -- chat templates --------------------------------------------------------------------------------


def without_chat_template(comparison: Comparison) -> str:
    """The models known to have no chat template, by name and joined; nothing where there are none.

    Loads none: of a model that is not loaded, the tokenizer's files say it.
    """
    names = {_name(d): _has_chat_template(_name(d)) for d in comparison.dictionaries}
    return " and ".join(name.rsplit("/", 1)[-1] for name, has in names.items() if has is False)


def _name(dictionary: Dictionary) -> str:
    """What a dictionary's model is loaded by; empty where it is gone."""
    try:
        return model_of(dictionary)
    except ModelError:
        return ""


def _has_chat_template(name: str) -> bool | None:
    """Whether a model has a chat template; None where that is not known here."""
    if (model := models.models().get(name)) is not None:
        return bool(getattr(model.tokenizer, "chat_template", None))
    folder = _folder(name)
    if folder is None:
        return None
    if (folder / "chat_template.jinja").is_file():
        return True
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return bool(config.get("chat_template")) if isinstance(config, dict) else None


def _folder(name: str) -> Path | None:
    """Where a model's files are on this machine: a folder, or one in the Hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    if not name or Path(name).is_dir():
        return Path(name) if name else None
    try:
        cached = try_to_load_from_cache(name, "tokenizer_config.json")
    except ValueError:  # a name the Hub could not have
        return None
    return Path(cached).parent if isinstance(cached, str) else None
