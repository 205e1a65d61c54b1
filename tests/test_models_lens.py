"""The lens: plain transformers' final norm and unembedding, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from ep.errors import ModelError
from ep.models import LanguageModel, lens, load, logit_lens, read, shift_lens
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
    monkeypatch.setattr(lens, "_SCORES_AT_ONCE", 200)
    monkeypatch.setattr(lens, "_COLUMNS_AT_ONCE", 100)
    parts = logit_lens(model, directions)
    np.testing.assert_allclose(parts.up_values, whole.up_values, atol=1e-5)
    np.testing.assert_allclose(parts.down_values, whole.down_values, atol=1e-5)
    np.testing.assert_array_equal(parts.up_ids, whole.up_ids)


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
