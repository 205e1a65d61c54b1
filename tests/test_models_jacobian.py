"""The Jacobian of a prompt: that of plain automatic differentiation, and of finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from ep.errors import ConfigError, ModelError
from ep.models import LanguageModel, load, read
from ep.models.jacobian_rows import SHORTEST, SKIP, jacobian_rows, prompt_jacobian
from tests.fixtures import tiny
from tests.fixtures.gguf_files import llama

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "data/demo/models/base"
STORIES = ROOT.parent / "shared/real/stories260K-hf"
STEP = 1e-2  # parts of the plain models stay in float32: a smaller step would measure its rounding
MODELS = ("gemma", "gpt2", "qwen", "opt", "llama")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LanguageModel]:
    made = {name: getattr(tiny, name)(tmp_path_factory.mktemp(name)) for name in MODELS[:-1]}
    made["llama"] = llama(tmp_path_factory.mktemp("llama"))
    made["demo"] = DEMO
    if STORIES.is_dir():
        made["stories"] = STORIES
    return {name: load(str(directory), device="cpu") for name, directory in made.items()}


@pytest.fixture(scope="module")
def gemma(models: dict[str, LanguageModel]) -> LanguageModel:
    return models["gemma"]


def prompt_of(model: LanguageModel, tokens: int = 22) -> np.ndarray:
    text = " ".join(tiny.TEXTS * 3)
    return np.array(model.encode_prompt(text).ids[:tokens], dtype=np.int64)


def rest_of(model: LanguageModel, ids: np.ndarray, layer: int) -> tuple[Any, torch.Tensor]:
    """The rest of plain transformers' model as a function of a layer's residual stream (t, d), in
    float64, and the stream there.
    """
    plain = AutoModelForCausalLM.from_pretrained(
        model.name, dtype=torch.float64, attn_implementation="eager"
    ).eval()
    blocks = next(
        m
        for m in plain.modules()
        if isinstance(m, torch.nn.ModuleList) and len(m) == model.n_layers
    )
    tokens = torch.from_numpy(ids)[None]
    seen: dict[str, torch.Tensor] = {}

    def stream(output: Any) -> torch.Tensor:
        return output if isinstance(output, torch.Tensor) else output[0]

    def rest(x: torch.Tensor | None) -> torch.Tensor:
        def change(_module: Any, _inputs: Any, output: Any) -> Any:
            seen["here"] = stream(output)[0].detach()
            if x is None:
                return None
            return x[None] if isinstance(output, torch.Tensor) else (x[None], *output[1:])

        def keep(_module: Any, _inputs: Any, output: Any) -> None:
            seen["last"] = stream(output)[0]

        handles = [
            blocks[layer].register_forward_hook(change),
            blocks[-1].register_forward_hook(keep),
        ]
        try:
            plain(tokens, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        return seen["last"]

    rest(None)
    return rest, seen["here"]


def reference(model: LanguageModel, ids: np.ndarray, layer: int) -> np.ndarray:
    """J from the whole Jacobian (targets, d, t, d), one backward pass for each number: the sum over
    valid targets, the mean over valid sources.
    """
    rest, here = rest_of(model, ids, layer)
    valid = slice(SKIP, len(ids) - 1)
    whole = torch.autograd.functional.jacobian(lambda x: rest(x)[valid], here)
    return whole[:, :, valid].sum(0).mean(1).numpy()


@pytest.mark.parametrize("name", MODELS)
def test_it_is_that_of_plain_differentiation(name: str, models: dict[str, LanguageModel]) -> None:
    model = models[name]
    ids = prompt_of(model)
    layers = range(model.n_layers - 1)
    got = prompt_jacobian(model, ids, layers)
    for layer in layers:
        expected = reference(model, ids, layer)
        assert np.abs(expected - np.eye(len(expected))).max() > 0.01  # there is something to see
        np.testing.assert_allclose(got[layer], expected, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", ["demo", "stories"])
def test_it_is_that_of_finite_differences(name: str, models: dict[str, LanguageModel]) -> None:
    if name not in models:
        pytest.skip(f"{name} is not here")
    model, layer, step = models[name], 1, STEP
    ids = prompt_of(model, 40)
    got = prompt_jacobian(model, ids, [layer])[layer]
    rest, here = rest_of(model, ids, layer)
    valid = slice(SKIP, len(ids) - 1)
    v = torch.from_numpy(np.random.default_rng(0).standard_normal(model.width))
    moves = []
    with torch.no_grad():
        for position in range(SKIP, len(ids) - 1):
            nudge = torch.zeros_like(here)
            nudge[position] = step * v
            moves.append((rest(here + nudge) - rest(here - nudge))[valid].sum(0) / (2 * step))
    expected = torch.stack(moves).mean(0).numpy()
    assert np.linalg.norm(got @ v.numpy() - expected) < 2e-3 * np.linalg.norm(expected - v.numpy())


def test_the_last_layer_is_its_own(gemma: LanguageModel) -> None:
    last = gemma.n_layers - 1
    for layers in ([last], [0, last]):
        got = prompt_jacobian(gemma, prompt_of(gemma), layers)
        np.testing.assert_array_equal(got[last], np.eye(gemma.width, dtype=np.float32))


@pytest.mark.parametrize("name", MODELS)
def test_how_many_rows_at_once_changes_nothing(name: str, models: dict[str, LanguageModel]) -> None:
    model = models[name]
    ids = prompt_of(model, 30)
    whole = prompt_jacobian(model, ids, [0, 1])
    for at_once in (1, 5, 1_000):
        again = prompt_jacobian(model, ids, [0, 1], at_once)
        for layer, matrix in whole.items():
            np.testing.assert_allclose(again[layer], matrix, rtol=1e-4, atol=1e-6)


def test_one_backward_pass_serves_every_layer(gemma: LanguageModel) -> None:
    ids = prompt_of(gemma)
    together = prompt_jacobian(gemma, ids, [2, 0])
    assert list(together) == [2, 0]
    for layer, matrix in together.items():
        np.testing.assert_array_equal(matrix, prompt_jacobian(gemma, ids, [layer])[layer])


def test_again_gives_the_same_and_after_a_harvest_too(gemma: LanguageModel) -> None:
    ids = prompt_of(gemma)
    read(gemma, ids.tolist(), [0])
    first = prompt_jacobian(gemma, ids, [1])[1]
    with torch.inference_mode():
        np.testing.assert_array_equal(prompt_jacobian(gemma, ids, [1])[1], first)
    with torch.no_grad():
        np.testing.assert_array_equal(prompt_jacobian(gemma, ids, [1])[1], first)


def test_the_sliding_window_is_the_model_s(models: dict[str, LanguageModel]) -> None:
    """A prompt longer than Gemma-2's window: a derivative that ignored it would be another."""
    model = models["gemma"]
    ids = prompt_of(model, 70)
    assert len(ids) == 70
    np.testing.assert_allclose(
        prompt_jacobian(model, ids, [2])[2], reference(model, ids, 2), rtol=1e-4, atol=2e-6
    )


def test_hooks_and_flags_of_the_caller_survive(gemma: LanguageModel) -> None:
    ids = prompt_of(gemma)
    clean = prompt_jacobian(gemma, ids, [1])[1]
    seen: list[Sequence[int]] = []
    point = gemma.hook_point(2)
    handle = point.register_forward_hook(lambda m, i, x: seen.append(x.shape) or 2 * x)
    parameter = next(gemma.bridge.original_model.parameters())
    parameter.requires_grad_(True)
    try:
        changed = prompt_jacobian(gemma, ids, [1])[1]
        assert seen == [(1, len(ids) - 1, gemma.width)]
        assert np.abs(changed - clean).max() > 0.1  # what the caller changes is differentiated
        assert parameter.requires_grad and parameter.grad is None
        assert len(point._forward_hooks) == 1 and not gemma.hook_point(1)._forward_hooks
        with pytest.raises(ModelError):
            prompt_jacobian(gemma, np.append(ids, 10**6), [1])
    finally:
        handle.remove()
        parameter.requires_grad_(False)
    others = [p.requires_grad for p in gemma.bridge.original_model.parameters()]
    assert not any(others)
    np.testing.assert_array_equal(prompt_jacobian(gemma, ids, [1])[1], clean)


def test_hooks_go_even_when_the_pass_fails(gemma: LanguageModel) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the caller's hook fails")

    handle = gemma.hook_point(0).register_forward_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="caller's hook"):
            prompt_jacobian(gemma, prompt_of(gemma), [1])
    finally:
        handle.remove()
    assert not any(gemma.hook_point(n)._forward_hooks for n in range(gemma.n_layers))


def test_prompts_that_cannot_be_used_are_named(gemma: LanguageModel) -> None:
    ids = prompt_of(gemma)
    with pytest.raises(ConfigError, match=f"{SHORTEST - 1} tokens was given: expected at least"):
        next(jacobian_rows(gemma, ids[: SHORTEST - 1], [0]))
    assert len(prompt_jacobian(gemma, ids[:SHORTEST], [0])) == 1
    with pytest.raises(ModelError, match="no layer 4"):
        next(jacobian_rows(gemma, ids, [4]))
    with pytest.raises(ModelError, match="context is 256"):
        next(jacobian_rows(gemma, np.full(257, 5), [0]))
