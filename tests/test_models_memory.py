"""Passages that do not fit in memory together go through the model in halves, in the same order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import ep
from ep.errors import ModelError
from ep.models import LanguageModel, extraction, harvest, load
from ep.models.extraction import LocalExtractor, Part, Residuals
from ep.models.memory import NOTE
from tests.fixtures import tiny
from tests.fixtures.builds import built

RUN = extraction.residuals


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load(str(tiny.gemma(tmp_path_factory.mktemp("gemma"))), device="cpu")


def part_of(model: LanguageModel, rows: int = 13, width: int = 9) -> Part:
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 40, (rows, width))
    mask = np.arange(width) < rng.integers(2, width + 1, rows)[:, None]
    keep = mask & (rng.random((rows, width)) < 0.7)
    return Part(np.arange(rows), ids, mask, keep, (1, 2))


def small(rows: int, seen: list[int]) -> Callable[[LanguageModel, Part], Residuals]:
    """A device whose memory holds so many passages of any length."""

    def run(model: LanguageModel, part: Part) -> Residuals:
        seen.append(len(part.rows))
        if len(part.rows) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return RUN(model, part)

    return run


@pytest.mark.parametrize("rows", [1, 2, 3, 6, 12, 13])
def test_in_halves_the_activations_are_the_same_up_to_rounding(
    model: LanguageModel, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, seen = part_of(model), []  # type: ignore[var-annotated]
    wanted = RUN(model, part)
    monkeypatch.setattr(extraction, "residuals", small(rows, seen))
    extractor = LocalExtractor(model)
    found = list(extractor.extract([part, part]))
    for given, values in found:
        assert given is part and list(values) == [1, 2]
        for layer, x in values.items():
            np.testing.assert_allclose(x, wanted[layer], rtol=1e-4, atol=1e-5)
    assert extractor.notes == ((NOTE,) if rows < 13 else ())
    again = seen[len(seen) // 2 :] if rows == 13 else seen[-sum(n <= rows for n in seen) // 2 :]
    assert max(again) <= rows, "a size that failed was tried again"


def test_a_passage_that_does_not_fit_alone_is_one_line(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "residuals", small(0, []))
    with pytest.raises(ModelError, match="one passage of 9 tokens: give a smaller --context"):
        list(LocalExtractor(model).extract([part_of(model)]))


def test_other_errors_pass(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_model: LanguageModel, _part: Part) -> Residuals:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(extraction, "residuals", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(LocalExtractor(model).extract([part_of(model)]))


def test_memory_that_the_system_refuses_counts_too(model: LanguageModel) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50, dtype=torch.float32)
    assert ep.models.memory.is_out_of_memory(caught.value)


def test_a_build_goes_on_and_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ep.open(built(tmp_path / "whole"))
    monkeypatch.setattr(extraction, "residuals", small(2, []))
    notes = []  # type: ignore[var-annotated]
    run = ep.build

    def noted(config: ep.BuildConfig) -> list[ep.building.Progress]:
        steps = list(run(config))
        notes.append(steps[-1].notes)
        return steps

    monkeypatch.setattr(ep, "build", noted)
    halves = ep.open(built(tmp_path / "halves"))
    assert notes == [(NOTE,)]
    assert len(halves) == len(whole)
    np.testing.assert_allclose(halves.exemplars, whole.exemplars, atol=1e-4)
    assert halves.info["n_activations"] == whole.info["n_activations"]


def test_reading_a_batch_goes_through_halves_too(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [ep.corpus.Passage(i, text) for i, text in enumerate(tiny.passages(9))]
    (batch,) = model.tokens.batches(texts, 16, 32)
    wanted = harvest(model, batch, [1])
    monkeypatch.setattr(extraction, "residuals", small(2, []))
    found = harvest(model, batch, [1])
    np.testing.assert_allclose(found.x[1], wanted.x[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.events.position, wanted.events.position)
