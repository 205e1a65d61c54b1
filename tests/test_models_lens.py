"""The lens: plain transformers' final norm and unembedding, and nothing else."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from ep.errors import ModelError
from ep.models import LanguageModel, extremes, lens, load, logit_lens, read, shift_lens
from ep.models.jacobian import JacobianLens
from ep.models.lens import jacobian_lens, point_lift, points
from ep.models.token_groups import Groups
from tests.fixtures import tiny

ROOT = Path(__file__).resolve().parent.parent
REAL = {
    "stories": ROOT.parent / "shared/real/stories260K-hf",
    "demo": ROOT / "data/demo/models/base",
}


@pytest.fixture(scope="module", params=["gemma", "gpt2", "qwen", "stories", "demo"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LanguageModel:
    if request.param in REAL:
        directory = REAL[request.param]
        if not (directory / "config.json").is_file():
            pytest.skip(f"{directory.name} is not here")
    else:
        directory = getattr(tiny, request.param)(tmp_path_factory.mktemp(request.param))
    return load(str(directory), device="cpu")


def plain_scores(model: LanguageModel, x: np.ndarray) -> np.ndarray:
    """final_norm(x) · W_U with the modules of the plain model."""
    plain: Any = AutoModelForCausalLM.from_pretrained(model.name, dtype=torch.float32).eval()
    norm = plain.transformer.ln_f if hasattr(plain, "transformer") else plain.model.norm
    with torch.inference_mode():
        return (norm(torch.from_numpy(x)) @ plain.get_output_embeddings().weight.T).numpy()


def unit_rows(n: int, width: int) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(n, width)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def check(got: lens.Lens, scores: np.ndarray, k: int) -> None:
    assert [part.shape for part in got] == [(len(scores), k)] * 4
    ordered = np.sort(scores, axis=1)
    np.testing.assert_allclose(got.up_values, ordered[:, ::-1][:, :k], atol=2e-4)
    np.testing.assert_allclose(got.down_values, ordered[:, :k], atol=2e-4)
    np.testing.assert_allclose(np.take_along_axis(scores, got.up_ids, 1), got.up_values, atol=2e-4)
    np.testing.assert_allclose(
        np.take_along_axis(scores, got.down_ids, 1), got.down_values, atol=2e-4
    )
    assert got.up_values.dtype == got.down_values.dtype == np.float32


def test_logit_lens_is_norm_then_unembedding(model: LanguageModel) -> None:
    directions = unit_rows(9, model.width)
    check(logit_lens(model, directions, k=7), plain_scores(model, directions), 7)


def test_shift_lens_is_the_difference_of_two_lenses(model: LanguageModel) -> None:
    directions = unit_rows(9, model.width)
    center = 3 * unit_rows(1, model.width)[0]
    expected = plain_scores(model, center + 2.5 * directions) - plain_scores(model, center[None])
    check(shift_lens(model, center, directions, radius=2.5, k=5), expected, 5)


def test_chunks_change_nothing(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    directions = unit_rows(9, model.width)
    whole = logit_lens(model, directions)
    monkeypatch.setattr(extremes, "_ROWS", 4)
    monkeypatch.setattr(extremes, "_PRODUCTS", 99)
    monkeypatch.setattr(extremes, "Groups", partial(Groups, members=7, step=90))
    lens._UNEMBEDDINGS.clear()  # what was measured of it depends on the groups
    for part, same in zip(logit_lens(model, directions), whole, strict=True):
        np.testing.assert_array_equal(part, same)
    lens._UNEMBEDDINGS.clear()


def test_half_precision_weights_are_read_in_float32(tmp_path: Path) -> None:
    for made in (tiny.gemma, tiny.gpt2):
        directory = str(made(tmp_path / made.__name__))
        directions = unit_rows(5, 32)
        whole, half = (
            logit_lens(load(directory, dtype=dtype), directions)
            for dtype in ("float32", "bfloat16")
        )
        np.testing.assert_allclose(half.up_values, whole.up_values, atol=0.05)
        assert not np.array_equal(half.up_values, whole.up_values)


def test_no_directions_and_wrong_widths(model: LanguageModel) -> None:
    nothing = logit_lens(model, np.empty((0, model.width), dtype=np.float32))
    assert nothing.up_ids.shape == (0, 12)
    with pytest.raises(ModelError, match=f"width is {model.width}"):
        logit_lens(model, np.zeros((2, model.width + 1), dtype=np.float32))


@pytest.mark.parametrize("has_norm", [False, True])
def test_a_projection_before_the_unembedding_belongs_to_the_lens(
    has_norm: bool, tmp_path: Path
) -> None:
    """What the lens says of the last block's output is what the model itself predicts."""
    model = load(str(tiny.opt(tmp_path, has_norm)), device="cpu")
    ids = model.tokens.encode("The cat sat on the mat.")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = plain(torch.tensor([ids])).logits[0].numpy()
    x = read(model, ids, [model.n_layers - 1])[model.n_layers - 1]
    check(logit_lens(model, x, k=7), logits, 7)


# -- raw points, lifts and the Jacobian lens -------------------------------------------------------


def region_points(model: LanguageModel, n: int = 23) -> np.ndarray:
    return points(3 * unit_rows(1, model.width)[0], unit_rows(n, model.width), radius=2.5)


def plain_lift(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """log p − log p̄ of every state and token, densely in float64."""
    scores = scores.astype(np.float64)
    relative = np.exp(np.maximum(scores - scores.max(1, keepdims=True), lens._SMALLEST_LOG))
    p = relative / relative.sum(1, keepdims=True)
    log_p = scores - scores.max(1, keepdims=True) - np.log(relative.sum(1, keepdims=True))
    return log_p - np.log(weights / weights.sum() @ p)


@pytest.mark.parametrize("scores_at_once", [None, 50, 2000])
def test_the_lift_is_the_gain_over_the_weighted_average(
    model: LanguageModel, scores_at_once: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scores_at_once:
        monkeypatch.setattr(lens, "_SCORES_AT_ONCE", scores_at_once)
        monkeypatch.setattr(lens, "_COLUMNS_AT_ONCE", 77)
    x, weights = region_points(model), np.random.default_rng(1).integers(0, 50, 23)
    expected = plain_lift(plain_scores(model, x), weights)
    got = point_lift(model, x, weights, k=7)
    ordered = np.sort(expected, axis=1)[:, ::-1]
    np.testing.assert_allclose(got.values, ordered[:, :7], atol=2e-4)
    np.testing.assert_allclose(np.take_along_axis(expected, got.ids, 1), got.values, atol=2e-4)
    assert got.values.dtype == np.float32 and got.ids.dtype == np.int32


def test_nothing_is_lifted_where_all_regions_are_alike_or_there_is_one(
    model: LanguageModel,
) -> None:
    x = np.repeat(region_points(model, 1), 5, axis=0)
    for points_, weights in ((x, np.arange(5)), (x[:1], [7]), (x, np.zeros(5))):
        np.testing.assert_allclose(point_lift(model, points_, weights).values, 0, atol=1e-4)


def test_a_region_without_members_is_lifted_and_changes_no_other(model: LanguageModel) -> None:
    x, weights = region_points(model, 9), np.arange(9)
    whole, rest = point_lift(model, x, weights), point_lift(model, x[1:], weights[1:])
    np.testing.assert_array_equal(whole.ids[1:], rest.ids)
    np.testing.assert_allclose(whole.values[1:], rest.values, atol=1e-5)
    heavier = np.where(np.arange(9) == 3, 10**6, weights)
    risen = point_lift(model, x, heavier)
    # the more of the average a region is, the less it can rise above it
    assert (risen.values[3] <= whole.values[3] + 1e-5).all()


def test_the_jacobian_lens_is_the_lens_behind_a_matrix(model: LanguageModel) -> None:
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(model.width, model.width)).astype(np.float32)
    fitted = JacobianLens({1: matrix}, model.fingerprint, 2)
    x = region_points(model)
    check(jacobian_lens(model, fitted, 1, x, k=5), plain_scores(model, x @ matrix.T), 5)
    same = JacobianLens({1: np.eye(model.width, dtype=np.float32)}, model.fingerprint, 2)
    for got, expected in zip(jacobian_lens(model, same, 1, x), logit_lens(model, x), strict=True):
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(ModelError, match="no layer 0"):
        jacobian_lens(model, fitted, 0, x)


def test_a_vocabulary_smaller_than_the_list_gives_all_of_it(tmp_path: Path) -> None:
    model = load(str(tiny.gemma(tmp_path)), device="cpu")
    size = model.vocabulary_size
    x = unit_rows(3, model.width)
    got = point_lift(model, x, np.ones(3), k=size + 4)
    assert got.ids.shape == (3, size)
    assert [sorted(row) for row in got.ids.tolist()] == [list(range(size))] * 3
