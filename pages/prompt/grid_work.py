"""The work behind the Prompt page's grid of layers: reading it, and ranking a pinned token.

Both run the model, so they are jobs; a link starts none that takes longer than a moment.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models import LanguageModel, jacobian_store, model_of
from ep.models.jacobian import JacobianLens
from ep.models.lens_grid import (
    LONGEST,
    LensGrid,
    LensName,
    lens_grid,
    piece,
    token_ranks,
    variants,
)
from ep.views import lens_grid as view
from pages.prompt.settings import Settings
from pages.shared import estimates, jobs, models, reading
from pages.shared.jobs import Job
from pages.shared.reading import Request

SHARE_OF_READING = 6.0
"""A guess: how many times longer than a reading it takes to unembed every layer."""
_WANTED = "prompt_grid_wanted"


def want() -> None:
    """Record, from a callback, that the visitor asked for the grid however long it takes."""
    st.session_state[_WANTED] = True


def grid_or_offer(
    key: str, dictionary: Dictionary, request: Request, lens: LensName
) -> LensGrid | None:
    """Return the grid of a request, or None while there is none.

    Until then its progress is drawn, or a button that starts it; see `jobs.result_or_offer`. Raises
    ModelError when the model is missing.
    """
    model_of(dictionary)  # raises for a missing model, before a button is offered
    work = partial(_read, dictionary, request, lens)
    name = _name("grid", key, dictionary, request, lens)
    grid: LensGrid | None = _result_or_offer(name, "Reading every layer", work, dictionary, request)
    return grid


def ranks_or_offer(
    key: str, dictionary: Dictionary, request: Request, grid: LensGrid, token: int
) -> np.ndarray | None:
    """Return the ranks (L, t) of a token in the cells of a grid, or None as in `grid_or_offer`."""
    work = partial(_rank, dictionary, grid, token)
    name = _ranks_name(key, dictionary, request, grid, token)
    ranks: np.ndarray | None = _result_or_offer(
        name, "Ranking a token at every layer", work, dictionary, request
    )
    return ranks


def table(
    key: str, dictionary: Dictionary, request: Request, settings: Settings
) -> Callable[[], pa.Table] | None:
    """Return the function that makes the table of the grid and of the pinned token's ranks, as far
    as they are read; None where the grid is not.
    """
    grid: LensGrid | None = jobs.result(_name("grid", key, dictionary, request, settings.lens))
    if grid is None:
        return None
    if settings.pin is None:
        return partial(view.table, grid)
    ranks = jobs.result(_ranks_name(key, dictionary, request, grid, settings.pin))
    return partial(view.table, grid, ranks, text_of(dictionary, settings.pin))


def has_lens(dictionary: Dictionary) -> bool:
    """Return whether there is a file with a Jacobian lens of the dictionary's model.

    Raises ModelError where the dictionary names no model.
    """
    model = loaded(dictionary)
    weights = model.fingerprint if model else str(dictionary.info.get("weights") or "unknown")
    own = jacobian_store.beside(model_of(dictionary))
    return own.is_file() or jacobian_store.place(weights).is_file()


def loaded(dictionary: Dictionary) -> LanguageModel | None:
    """Return the dictionary's model if it is loaded."""
    try:
        return models.models().get(model_of(dictionary))
    except EPError:
        return None


def text_of(dictionary: Dictionary, token: int | None) -> str | None:
    """Return the text of a token of the dictionary's model; None while the model is not loaded."""
    model = loaded(dictionary)
    return None if model is None or token is None else piece(model, token)


def variants_of(dictionary: Dictionary, token: int) -> list[tuple[int, str]]:
    """Return (id, text) of a token and of the one that differs by a space in front, if any; nothing
    while the model is not loaded.
    """
    if (model := loaded(dictionary)) is None:
        return []
    return [(one, piece(model, one)) for one in variants(model, token)]


def _result_or_offer(
    name: str, title: str, work: jobs.Work, dictionary: Dictionary, request: Request
) -> Any:
    """Return the result; start the work at once where the visitor asked for it on this page."""
    seconds = _seconds(dictionary, request)
    is_missing = jobs.result(name) is None
    if is_missing and st.session_state.pop(_WANTED, False) and seconds > jobs.AT_ONCE_S:
        jobs.start(name, title, work)
    return jobs.result_or_offer(name, title, work, seconds=seconds, button="Read", framed=False)


def _seconds(dictionary: Dictionary, request: Request) -> float:
    """Return the seconds that one pass over all layers takes, the loading of the model included."""
    load = 0.0 if models.is_ready(dictionary) else estimates.loading_model(dictionary)
    tokens = _tokens(request)
    guess = SHARE_OF_READING * estimates.reading(dictionary, tokens)
    rate = estimates.rates().get(f"grid {model_of(dictionary)}", guess / tokens)
    return load + tokens * rate


def _tokens(request: Request) -> float:
    """Return an estimate of how many tokens of a request the grid has."""
    return min(float(LONGEST), reading.estimated_tokens(request.text))


def _read(dictionary: Dictionary, request: Request, wanted: LensName, job: Job) -> LensGrid:
    model = models.load_for(dictionary, job.report)
    prompt = request.messages() if request.chat else request.text
    with jobs.model_turn(job, model), _measured(dictionary, _tokens(request)):
        return lens_grid(model, prompt, _lens(model, wanted), report=job.report)


def _rank(dictionary: Dictionary, grid: LensGrid, token: int, job: Job) -> np.ndarray:
    model = models.load_for(dictionary, job.report)
    with jobs.model_turn(job, model), _measured(dictionary, len(grid.tokens)):
        return token_ranks(model, grid.prompt_ids, token, _lens(model, _lens_of(grid)), job.report)


def _measured(dictionary: Dictionary, tokens: float) -> AbstractContextManager[None]:
    """Return a context that measures the seconds a token takes, for later estimates."""
    return estimates.rates().measured(f"grid {model_of(dictionary)}", tokens)


def _lens(model: LanguageModel, wanted: LensName) -> JacobianLens | None:
    return jacobian_store.find(model) if wanted == "jacobian" else None


def _lens_of(grid: LensGrid) -> LensName:
    return "jacobian" if "jacobian" in grid.lenses else "logit"


def _ranks_name(
    key: str, dictionary: Dictionary, request: Request, grid: LensGrid, token: int
) -> str:
    return _name(f"ranks {token}", key, dictionary, request, _lens_of(grid))


def _name(kind: str, key: str, dictionary: Dictionary, request: Request, lens: LensName) -> str:
    """Return the key of a job; another file of the lens gives another one."""
    stamp = _stamp(dictionary) if lens == "jacobian" else ()
    return f"prompt {kind} {lens} {reading.name_of(key, request)} {stamp}"


def _stamp(dictionary: Dictionary) -> tuple[tuple[str, int], ...]:
    """Return all files with a Jacobian lens that the model might have, with the times of their last
    change. The weights are only known once the model is loaded, and the key of a job must not
    change by loading it.
    """
    files = [jacobian_store.beside(model_of(dictionary)), *jacobian_store.files()]
    with suppress(OSError):
        return tuple((str(path), path.stat().st_mtime_ns) for path in files if path.is_file())
    return ()
