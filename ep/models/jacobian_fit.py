"""Fitting a Jacobian lens: the mean of J over prompts of a text, which can be stopped and resumed.

    1 read the text once for what cannot be used, and choose the prompts
    2 for each prompt, add its J to the sums, and save them
    3 divide by the number of prompts

The sums are in float64, and a resumed fit continues with the numbers that it was stopped with, so
it gives the same lens as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np

from ep.config import model_name
from ep.corpus import Corpus, Passage, Survey
from ep.errors import ConfigError, CorpusError, ModelError
from ep.models.jacobian import JacobianLens
from ep.models.jacobian_rows import SHORTEST, SKIP, jacobian_rows
from ep.models.jacobian_state import FitState
from ep.models.jacobian_text import lens_prompts
from ep.models.loading import LanguageModel
from ep.progress import Report, silent

PROMPTS, TOKENS = 100, 128
"""Defaults: a lens of 100 prompts is usable, and the paper's has 1,000."""
_SAVING_SHARE = 0.1
"""Largest share of the time that is spent on saving the state of a large model."""


@dataclass(frozen=True)
class FitSettings:
    """What a lens is fitted on, besides the model and the text.

    layers: source layers; empty for all.
    prompts: number of prompts.
    tokens: tokens of each prompt, BOS included.
    skip: prompts of the text that are left out first. Fits that skip each other's prompts can be
        merged.

    Raises ConfigError for numbers out of range.
    """

    layers: tuple[int, ...] = ()
    prompts: int = PROMPTS
    tokens: int = TOKENS
    skip: int = 0

    def __post_init__(self) -> None:
        for name, least in (("prompts", 1), ("tokens", SHORTEST), ("skip", 0)):
            if getattr(self, name) < least:
                raise ConfigError(
                    f"{name} = {getattr(self, name)} was given: expected at least {least}"
                )

    def fitted(self, model: LanguageModel) -> FitSettings:
        """Return the settings with the layers of a model, ascending and each once.

        Raises ModelError for unknown layers, and for prompts that do not fit the context.
        """
        layers = tuple(sorted(set(self.layers))) or tuple(range(model.n_layers))
        model.check_layers(layers)
        if self.tokens > model.context:
            raise ModelError(
                f"prompts of {self.tokens} tokens do not fit {model.name}, whose context is "
                f"{model.context}: choose fewer tokens"
            )
        return replace(self, layers=layers)


@dataclass(frozen=True)
class FitProgress:
    """How far a fit is.

    done, total: prompts.
    share: of all the work, in [0, 1].
    seconds: mean time of a prompt in this run; None before the first is done.
    lens: the result, with the last progress alone.
    """

    done: int
    total: int
    share: float
    seconds: float | None = None
    lens: JacobianLens | None = None


def fit_lens(
    model: LanguageModel,
    corpus: Corpus,
    layers: Sequence[int] = (),
    prompts: int = PROMPTS,
    tokens: int = TOKENS,
    skip: int = 0,
    report: Report = silent,
) -> JacobianLens:
    """Fit the Jacobian lens of a model on a text; see `FitSettings` and `fitting`."""
    settings = FitSettings(tuple(layers), prompts, tokens, skip)
    lens = None
    for progress in fitting(model, corpus, settings):
        report(f"{progress.done:,} of {progress.total:,} prompts", progress.share)
        lens = progress.lens
    assert lens is not None
    return lens


def fitting(
    model: LanguageModel,
    corpus: Corpus,
    settings: FitSettings,
    state: Path | None = None,
    resume: bool = False,
) -> Generator[FitProgress, None, None]:
    """Fit a lens, yielding the progress before the first prompt and many times during each.

    state: a file that keeps the sums after each prompt; without one, a stopped fit is lost. It is
        left for the caller to remove.
    resume: continue with what `state` holds.

    Raises CorpusError for a text that cannot be used or is too short, ConfigError as `FitState`,
    and the errors of `jacobian_rows`.
    """
    settings = settings.fitted(model)
    survey = _surveyed(model, corpus)
    origin = _origin(model, corpus, settings, survey)
    kept = FitState(state, settings.layers, model.width, origin | {"weights": model.fingerprint})
    if resume:
        kept.restore()
    prompts = lens_prompts(
        model, corpus, settings.prompts, settings.tokens, settings.skip, survey.refused
    )
    yield from _add(model, prompts, kept)
    matrices = {layer: (total / kept.done).astype(np.float32) for layer, total in kept.sums.items()}
    lens = JacobianLens(matrices, model.fingerprint, kept.done, origin)
    yield FitProgress(kept.done, max(kept.done, settings.prompts), 1.0, lens=lens)


def _surveyed(model: LanguageModel, corpus: Corpus) -> Survey:
    """Read the text once; CorpusError where there is none or too much of it cannot be used."""
    if corpus.is_empty():
        names = ", ".join(path.name for path in corpus.files)
        raise CorpusError(f"{names} contains no text: expected at least one passage")

    def refusal(passage: Passage) -> str:
        why = model.tokens.refusal(passage.messages) if passage.messages else ""
        return why and f"cannot be read: {why}"

    *_, survey = corpus.survey(refusal)
    survey.check()
    return survey


def _origin(
    model: LanguageModel, corpus: Corpus, settings: FitSettings, survey: Survey
) -> dict[str, Any]:
    return {
        "model": model_name(model.name),
        "text": [path.name for path in corpus.files],
        "digest": corpus.digest(),
        "seed": corpus.seed,
        "skip": settings.skip,
        "tokens": settings.tokens,
        "positions_left_out": {"first": SKIP, "last": 1},
        "target": "residual stream after the last block, before the final norm",
        "dtype": model.dtype,
        **survey.left_out(),
    }


def _add(
    model: LanguageModel, prompts: Sequence[np.ndarray], kept: FitState
) -> Generator[FitProgress, None, None]:
    """Phase 2: add the J of every prompt that is not in the sums yet."""
    began, first = monotonic(), kept.done
    saved, saving = monotonic(), 0.0
    seconds = None
    total = max(len(prompts), kept.done)
    yield FitProgress(kept.done, total, kept.done / total)
    try:
        for ids in prompts[kept.done :]:
            one = {layer: np.empty(mean.shape, np.float32) for layer, mean in kept.sums.items()}
            for row, rows in jacobian_rows(model, ids, tuple(one)):
                for layer, values in rows.items():
                    one[layer][row : row + len(values)] = values
                done = kept.done + min(1.0, (row + len(values)) / model.width)
                yield FitProgress(kept.done, total, done / total, seconds)
            kept.add(one)
            seconds = (monotonic() - began) / (kept.done - first)
            if monotonic() - saved >= saving / _SAVING_SHARE:
                saving = _timed(kept)
                saved = monotonic()
            yield FitProgress(kept.done, total, kept.done / total, seconds)
    finally:  # stopped between two prompts or done: nothing that was added is lost
        kept.save()


def _timed(kept: FitState) -> float:
    """Save the state and return the seconds that it took."""
    began = monotonic()
    kept.save()
    return monotonic() - began


def seconds_expected(model: LanguageModel, settings: FitSettings) -> float:
    """Return a rough estimate of the seconds of one prompt, from the size of the model.

    The work is that of d backward passes through the blocks above the lowest source layer; how fast
    this machine does it is measured on a small product of matrices. A large model comes close to
    it, and a small one takes longer.
    """
    import torch

    settings = settings.fitted(model)
    above = model.bridge.blocks[min(settings.layers) + 1 :]
    weights = sum(p.numel() for block in above for p in block.original_component.parameters())
    dtype = getattr(torch, model.dtype)
    a, b = (torch.ones(shape, device=model.device, dtype=dtype) for shape in ((768, 768),) * 2)
    best = np.inf
    with torch.inference_mode():
        for _ in range(5):
            began = perf_counter()
            (a @ b).sum().item()
            best = min(best, perf_counter() - began)
    return float(2.0 * weights * settings.tokens * model.width * best / (2.0 * 768**3))
