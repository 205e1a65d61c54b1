"""Activations: those of plain transformers, one pass for all layers, nobody else's hooks
touched.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from ep.errors import ActivationError, ModelError
from ep.models import LanguageModel, TokenBatch, extraction, harvest, load, read
from ep.models.activations import FOLD_TOKENS, fold
from tests.fixtures import tiny

ROOT = Path(__file__).resolve().parent.parent
REAL = {
    "stories": ROOT.parent / "shared/real/stories260K-hf",
    "demo": ROOT / "data/demo/models/base",
}


@dataclass(frozen=True)
class Text:
    id: int
    text: str
    messages: None = None


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LanguageModel]:
    made = {
        name: getattr(tiny, name)(tmp_path_factory.mktemp(name))
        for name in ("gemma", "gpt2", "qwen")
    }
    made |= {name: path for name, path in REAL.items() if (path / "config.json").is_file()}
    return {name: load(str(directory), device="cpu") for name, directory in made.items()}


@pytest.fixture(scope="module")
def gemma(models: dict[str, LanguageModel]) -> LanguageModel:
    return models["gemma"]


def batch_of(model: LanguageModel, texts: list[str] = tiny.TEXTS, context: int = 40) -> TokenBatch:
    passages = [Text(10 + n, text) for n, text in enumerate(texts)]
    return next(model.tokens.batches(passages, batch_size=len(passages), context=context))


def plain_hidden_states(model: LanguageModel, batch: TokenBatch) -> list[np.ndarray]:
    """Residuals of the plain model after every block but the last."""
    plain = AutoModelForCausalLM.from_pretrained(
        model.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    ids, mask = torch.from_numpy(batch.ids), torch.from_numpy(batch.mask).long()
    with torch.inference_mode():
        states = plain(ids, attention_mask=mask, output_hidden_states=True).hidden_states
    return [state.numpy() for state in states[1:-1]]  # the last one is past the final norm


@pytest.mark.parametrize("name", ["gemma", "gpt2", "qwen", "stories", "demo"])
def test_harvest_equals_plain_transformers(name: str, models: dict[str, LanguageModel]) -> None:
    if name not in models:
        pytest.skip(f"{REAL[name].name} is not here")
    model = models[name]
    batch = batch_of(model)
    got = harvest(model, batch, range(model.n_layers))
    for layer, state in enumerate(plain_hidden_states(model, batch)):
        # TransformerLens splits GPT-2's joint query-key-value matrix, which moves the last bit.
        np.testing.assert_allclose(
            got.x[layer], state[batch.keep], rtol=0, atol=5e-7 if name == "gpt2" else 0
        )
    assert got.x[model.n_layers - 1].shape == (batch.keep.sum(), model.width)


def test_one_pass_serves_all_layers_and_stops_after_the_deepest(
    gemma: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []
    inner = gemma.bridge.original_model
    counted = {"forward": gemma.bridge.forward}
    monkeypatch.setattr(
        gemma.bridge,
        "forward",
        lambda *a, **k: ran.append("forward") or counted["forward"](*a, **k),
    )
    handles = [
        block.register_forward_pre_hook(lambda *_, n=n: ran.append(n))
        for n, block in enumerate(gemma.bridge.blocks)
    ]
    handles.append(inner.lm_head.register_forward_pre_hook(lambda *_: ran.append("logits")))
    try:
        got = harvest(gemma, batch_of(gemma), [2, 0])
        assert ran == ["forward", 0, 1, 2]
        assert list(got.x) == [2, 0]
        ran.clear()
        harvest(gemma, batch_of(gemma), [3])
        assert ran == ["forward", 0, 1, 2, 3]
    finally:
        for handle in handles:
            handle.remove()


def test_where_each_activation_stands(gemma: LanguageModel) -> None:
    batch = batch_of(gemma)
    got = harvest(gemma, batch, [1])
    n = 0
    for row, passage in enumerate(batch.passage):
        ids = batch.ids[row][batch.mask[row]].tolist()
        for position in range(1, len(ids)):
            following = ids[position + 1] if position + 1 < len(ids) else -1
            assert (got.events.passage[n], got.events.position[n]) == (passage, position)
            assert (got.events.token[n], got.events.next_token[n]) == (ids[position], following)
            n += 1
    assert n == len(got)


def test_final_positions(gemma: LanguageModel) -> None:
    batch = batch_of(gemma, [*tiny.TEXTS, ""])
    got = harvest(gemma, batch, [1], positions="final")
    assert got.events.passage.tolist() == batch.passage[:-1].tolist()
    assert got.events.position.tolist() == (batch.mask.sum(axis=1) - 1).tolist()[:-1]
    assert (got.events.next_token == -1).all()
    every = harvest(gemma, batch, [1])
    last = np.flatnonzero(np.append(np.diff(every.events.passage) != 0, True))
    np.testing.assert_array_equal(got.x[1], every.x[1][last])


def test_final_of_a_chat_is_the_end_of_its_template(gemma: LanguageModel) -> None:
    @dataclass(frozen=True)
    class Chat:
        id: int = 0
        text: str = ""
        messages: tuple[dict[str, str], ...] = ({"role": "user", "content": "hello"},)

    batch = next(gemma.tokens.batches([Chat()]))
    got = harvest(gemma, batch, [0], positions="final")
    assert got.events.position.tolist() == [batch.ids.shape[1] - 1]
    assert gemma.tokens.piece(int(got.events.token[0])) == b"\n"


def test_bos_is_dropped_only_where_there_is_one(models: dict[str, LanguageModel]) -> None:
    for name, first in (("gemma", 1), ("gpt2", 1), ("qwen", 0)):
        assert harvest(models[name], batch_of(models[name]), [0]).events.position.min() == first


def test_splitting_a_batch_changes_nothing_but_rounding(
    gemma: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of(gemma)
    whole = harvest(gemma, batch, [1, 3])
    monkeypatch.setattr(extraction, "_TOKENS_PER_FORWARD_CPU", 1)
    parts = harvest(gemma, batch, [1, 3])
    for layer in (1, 3):
        np.testing.assert_allclose(parts.x[layer], whole.x[layer], rtol=1e-4, atol=1e-5)
    for name in ("passage", "position", "token", "next_token", "fold"):
        np.testing.assert_array_equal(getattr(parts.events, name), getattr(whole.events, name))


def test_parts_are_bounded_and_cover_every_row_once() -> None:
    lengths = np.random.default_rng(0).integers(1, 3000, 200)
    parts = list(extraction._grouped(lengths, 16_512))
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    for rows in parts:
        assert len(rows) == 1 or len(rows) * lengths[rows].max() <= 16_512


def test_own_hooks_go_and_the_caller_s_stay(gemma: LanguageModel) -> None:
    point = gemma.hook_point(1)
    seen: list[Any] = []
    handle = point.add_hook(lambda tensor, hook: seen.append(tuple(tensor.shape)))
    try:
        before = len(point._forward_hooks)
        batch = batch_of(gemma)
        harvest(gemma, batch, [1, 2])
        read(gemma, [2, 5, 6], [1])
        assert seen == [batch.ids.shape + (gemma.width,), (1, 3, gemma.width)]
        assert len(point._forward_hooks) == before
        assert not gemma.hook_point(2)._forward_hooks
    finally:
        handle.hook.remove()
        point.fwd_hooks.clear()


def test_hooks_go_even_when_the_pass_fails(gemma: LanguageModel) -> None:
    def fail(tensor: Any, hook: Any) -> None:
        raise RuntimeError("the caller's hook fails")

    point = gemma.hook_point(0)
    handle = point.add_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="caller's hook"):
            read(gemma, [2, 5], [1])
        assert not gemma.hook_point(1)._forward_hooks
    finally:
        handle.hook.remove()
        point.fwd_hooks.clear()
    read(gemma, [2, 5], [1])


def test_a_caller_s_intervention_is_what_is_harvested(gemma: LanguageModel) -> None:
    clean = read(gemma, [2, 5, 6], [1])[1]
    point = gemma.hook_point(1)
    handle = point.add_hook(lambda tensor, hook: tensor + 1)
    try:
        np.testing.assert_allclose(read(gemma, [2, 5, 6], [1])[1], clean + 1, atol=1e-6)
    finally:
        handle.hook.remove()
        point.fwd_hooks.clear()


def test_read_keeps_every_position(gemma: LanguageModel) -> None:
    prompt = gemma.encode_prompt(tiny.TEXTS[0])
    x = read(gemma, prompt.ids, [0, 3])
    batch = batch_of(gemma, tiny.TEXTS[:1], context=200)
    got = harvest(gemma, batch, [0, 3])
    for layer in (0, 3):
        assert x[layer].shape == (len(prompt.ids), gemma.width)
        assert x[layer].dtype == np.float32
        np.testing.assert_array_equal(x[layer][1:], got.x[layer])
    with pytest.raises(ModelError, match="no tokens"):
        read(gemma, [], [0])


def test_many_threads_get_what_one_gets(gemma: LanguageModel) -> None:
    prompts = [gemma.encode_prompt(text).ids for text in tiny.TEXTS]
    alone = [read(gemma, ids, [3])[3] for ids in prompts]
    together: dict[int, np.ndarray] = {}

    def work(n: int) -> None:
        together[n] = read(gemma, prompts[n], [3])[3]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, expected in enumerate(alone):
        np.testing.assert_array_equal(together[n], expected)


def test_half_precision_comes_out_as_float32(gemma: LanguageModel) -> None:
    half = load(gemma.name, dtype="bfloat16")
    x = harvest(half, batch_of(half), [1]).x[1]
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, harvest(gemma, batch_of(gemma), [1]).x[1], atol=0.3)


def test_fold_is_equal_exactly_where_the_last_twelve_tokens_are() -> None:
    ids = np.random.default_rng(0).integers(0, 2, (300, 30))
    hashed = fold(ids)
    by_context: dict[tuple[int, ...], int] = {}
    for row in range(ids.shape[0]):
        for position in range(ids.shape[1]):
            context = tuple(ids[row, max(0, position + 1 - FOLD_TOKENS) : position + 1].tolist())
            assert (
                by_context.setdefault(context, int(hashed[row, position])) == hashed[row, position]
            )
    assert len(set(by_context.values())) == len(by_context)
    assert fold(ids[:2, :5]).tolist() == hashed[:2, :5].tolist()


def test_bad_layers_and_contexts_are_named(gemma: LanguageModel) -> None:
    with pytest.raises(ModelError, match="no layer 4: it has layers 0 to 3"):
        harvest(gemma, batch_of(gemma), [0, 4])
    with pytest.raises(ModelError, match="context is 256"):
        read(gemma, [5] * 257, [0])


def test_values_that_are_not_finite_are_named(gemma: LanguageModel) -> None:
    batch = batch_of(gemma)

    def poison(tensor: Any, hook: Any) -> Any:
        tensor = tensor.clone()
        tensor[batch.ids == 5] = float("nan")
        return tensor

    batch = replace(batch, ids=batch.ids.copy())
    batch.ids[1, 4] = 5
    point = gemma.hook_point(2)
    handle = point.add_hook(poison)
    try:
        with pytest.raises(
            ActivationError, match=r"layer 2 .* passage 11, position 4: .* not finite"
        ):
            harvest(gemma, batch, [1, 2])
    finally:
        handle.hook.remove()
        point.fwd_hooks.clear()
