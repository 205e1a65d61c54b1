"""The grid of layers and positions: a plain computation, and at the last layer the model itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from ep.errors import ModelError
from ep.models import LanguageModel, lens_grid, load, read
from ep.models.jacobian import JacobianLens
from ep.models.lens_grid import piece, token_of, token_ranks, variants
from ep.views import lens_grid as view
from tests.fixtures import tiny

TEXT = "The cat sat on the mat and looked at the moon."
DEMO = Path(__file__).resolve().parents[1] / "data/demo/models/tuned"


@pytest.fixture(scope="module", params=["gemma", "gpt2", "qwen", "opt", "demo"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LanguageModel:
    if request.param == "demo":
        return load(str(DEMO), device="cpu")
    directory = tmp_path_factory.mktemp("models") / request.param
    return load(str(getattr(tiny, request.param)(directory)), device="cpu")


def plain_chances(model: LanguageModel, x: np.ndarray) -> np.ndarray:
    """softmax of the head of rows before the final norm, by plain transformers' modules."""
    plain: Any = AutoModelForCausalLM.from_pretrained(model.name, dtype=torch.float32).eval()
    body = plain.transformer if hasattr(plain, "transformer") else plain.model
    body = getattr(body, "decoder", body)
    norm = getattr(body, "ln_f", None) or getattr(body, "norm", None)
    rows = torch.from_numpy(x)
    with torch.inference_mode():
        for module in (norm, getattr(body, "project_out", None)):
            rows = rows if module is None else module(rows)
        logits = rows @ plain.get_output_embeddings().weight.T
        if cap := getattr(plain.config, "final_logit_softcapping", None):
            logits = cap * torch.tanh(logits / cap)
        return torch.softmax(logits, -1).numpy()


def own_chances(model: LanguageModel, ids: tuple[int, ...]) -> np.ndarray:
    """The model's own probabilities of the next token."""
    plain = AutoModelForCausalLM.from_pretrained(model.name, dtype=torch.float32).eval()
    with torch.inference_mode():
        return torch.softmax(plain(torch.tensor([ids])).logits[0], -1).numpy()


def some_lens(model: LanguageModel, layers: list[int]) -> JacobianLens:
    rng = np.random.default_rng(0)
    shape = (model.width, model.width)
    matrices = {layer: rng.normal(size=shape).astype(np.float32) for layer in layers}
    return JacobianLens(matrices, model.fingerprint, 7)


def check(grid: lens_grid.LensGrid, layer: int, chances: np.ndarray) -> None:
    got = np.take_along_axis(chances, grid.ids[layer].astype(np.int64), 1)
    np.testing.assert_allclose(got, grid.probabilities[layer], atol=2e-6)
    best = np.sort(chances, 1)[:, ::-1][:, : grid.ids.shape[2]]
    np.testing.assert_allclose(grid.probabilities[layer], best, atol=2e-6)


def test_the_last_layer_predicts_what_the_model_predicts(model: LanguageModel) -> None:
    grid = lens_grid.lens_grid(model, TEXT)
    check(grid, model.n_layers - 1, own_chances(model, grid.prompt_ids))
    assert "".join(grid.tokens[int(grid.outside[0]) :]).strip() == TEXT
    assert grid.ids.shape == (model.n_layers, len(grid.tokens), 5)


def test_every_cell_is_a_plain_computation_with_either_lens(model: LanguageModel) -> None:
    lens = some_lens(model, [0])
    grid = lens_grid.lens_grid(model, TEXT, lens)
    assert grid.lenses == ("jacobian", *["logit"] * (model.n_layers - 1)) and grid.n_prompts == 7
    x = read(model, grid.prompt_ids, range(model.n_layers))
    check(grid, 0, plain_chances(model, x[0] @ lens.matrices[0].T))
    check(grid, 1, plain_chances(model, x[1]))


def test_a_rank_counts_the_tokens_that_are_more_probable(model: LanguageModel) -> None:
    grid = lens_grid.lens_grid(model, TEXT)
    token = grid.prompt_ids[-1]
    ranks = token_ranks(model, grid.prompt_ids, token)
    chances = own_chances(model, grid.prompt_ids)
    expected = 1 + (chances > chances[:, token : token + 1]).sum(1)
    assert np.abs(ranks[-1] - expected).max() <= 1  # two models round near ties differently
    first = token_ranks(model, grid.prompt_ids, int(grid.ids[0, 3, 0]))
    assert first[0, 3] == 1


def test_slices_of_the_vocabulary_change_nothing(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, ranks = lens_grid.lens_grid(model, TEXT), token_ranks(model, [3, 4, 5], 90)
    monkeypatch.setattr(lens_grid, "_COLUMNS_AT_ONCE", 60)
    parts = lens_grid.lens_grid(model, TEXT)
    # matrix products of another shape round differently
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=5e-5)
    np.testing.assert_array_equal(parts.ids, whole.ids)
    np.testing.assert_array_equal(token_ranks(model, [3, 4, 5], 90), ranks)


def test_a_long_prompt_is_cut_and_what_is_read_does_not_change(model: LanguageModel) -> None:
    whole, cut = lens_grid.lens_grid(model, TEXT), lens_grid.lens_grid(model, TEXT, longest=4)
    assert len(cut.tokens) == 4 and cut.n_left_out == len(whole.tokens) - 4
    np.testing.assert_allclose(cut.probabilities, whole.probabilities[:, :4], atol=1e-5)


def test_a_typed_word_is_the_token_of_a_word_in_a_text(model: LanguageModel) -> None:
    token = token_of(model, "the")
    assert token is not None and piece(model, token) in ("the", " the")
    assert token in variants(model, token) and len(variants(model, token)) <= 2
    assert token_of(model, "") is None
    assert token_of(model, "qzxw qzxw") is not None


def test_lenses_and_tokens_of_another_model_are_refused(model: LanguageModel) -> None:
    other = JacobianLens({0: np.eye(5, dtype=np.float32)}, "", 1)
    with pytest.raises(ModelError, match="ep lens fit"):
        lens_grid.lens_grid(model, TEXT, other)
    with pytest.raises(ModelError, match="does not exist"):
        token_ranks(model, [1, 2], model.vocabulary_size)


def test_the_table_has_a_row_for_every_cell(model: LanguageModel) -> None:
    grid = lens_grid.lens_grid(model, TEXT)
    ranks = token_ranks(model, grid.prompt_ids, 4)
    rows = view.table(grid, ranks, "x").to_pylist()
    assert len(rows) == grid.ids.shape[0] * grid.ids.shape[1]
    row = rows[len(grid.tokens) + 2]
    assert (row["layer"], row["position"], row["token"]) == (1, 2, grid.tokens[2])
    assert row["tokens"] == [grid.pieces[i] for i in grid.ids[1, 2].tolist()]
    assert row["rank"] == ranks[1, 2] and row["pinned"] == "x"


def test_colours_follow_probability_and_the_logarithm_of_the_rank(model: LanguageModel) -> None:
    grid = lens_grid.lens_grid(model, TEXT)
    np.testing.assert_array_equal(view.shares(grid), grid.probabilities[:, :, 0])
    ends = np.full(grid.ids.shape[:2], grid.vocabulary_size)
    ends[0] = 1
    share = view.shares(grid, ends)
    assert (share[0] == 1).all() and np.allclose(share[1:], 0)
    assert view.steps(share).max() == view.STEPS - 1 and view.steps(share).min() == 0
    texts = [view.rank_text(rank) for rank in (1, 999, 1000, 9949, 9950, 49151)]
    assert texts == ["1", "999", "1.0k", "9.9k", "10k", "49k"]
