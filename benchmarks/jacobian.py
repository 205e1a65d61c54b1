"""The Jacobian of one prompt, compared with plain estimators; and how a lens settles.

The rivals run transformers' own model with frozen parameters and hooks of their own, from the same
layer on: one takes a dimension at a time, the other eight from eight copies of the prompt, as the
published reference does by default. They are timed in turn with ours, so that a busy machine slows
all; a ratio is the median over rounds. The second table row measures J of n prompts of the demo's
text against J of `OTHERS` different ones, by the cosine of J − 1, what a lens adds to the logit
lens.

    python -m benchmarks.jacobian
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from ep.corpus import Corpus
from ep.models import LanguageModel, load
from ep.models.jacobian_rows import SKIP, jacobian_rows, prompt_jacobian
from ep.models.jacobian_text import lens_prompts
from tests.fixtures import tiny

DEMO, TEXT = Path("data/demo/models/base"), Path("data/demo/text/mixed.jsonl")
TOKENS, ROUNDS, COPIES = 128, 3, 8
WIDTH, LAYERS, SOURCE = 512, 8, 3
ROWS = 32
"""Rows of J that are timed on the larger model, which has 512."""
STEPS, OTHERS, LAYER = (1, 2, 4, 8, 16, 32, 64), 64, 2
TARGET = 1.0


def run() -> list[dict[str, Any]]:
    """Return two rows on time, for the demo and a larger model, and one on how J settles."""
    with tempfile.TemporaryDirectory() as folder:
        larger = tiny.gemma_of_size(Path(folder), WIDTH, LAYERS, 512)
        return [
            _timed("the demo base, every layer", DEMO, 0, None),
            _timed(f"a random Gemma-2, d = {WIDTH}, {ROWS} rows", larger, SOURCE, ROWS),
            _settling(),
        ]


def _timed(what: str, directory: Path, layer: int, rows: int | None) -> dict[str, Any]:
    model = load(str(directory), device="cpu")
    count = rows or model.width
    ids = np.random.default_rng(0).integers(5, 200, TOKENS)
    ours = _ours(model, ids, layer, count)
    rivals = {copies: _rival(directory, model, ids, layer, count, copies) for copies in (1, COPIES)}
    expected = ours()
    for rival in rivals.values():
        assert np.abs(rival() - expected).max() < 1e-4 * np.abs(expected).max()
    times = [
        (_seconds(ours), *(_seconds(rival) for rival in rivals.values())) for _ in range(ROUNDS)
    ]
    ratios = [statistics.median(time[n] / time[0] for time in times) for n in (1, 2)]
    return {
        "what": f"J of a prompt of {TOKENS} tokens, {what}: eight copies of the prompt against us",
        "seconds": round(statistics.median(time[0] for time in times), 2),
        "ratio": round(ratios[1], 2),
        "target": TARGET,
        "one_at_a_time_ratio": round(ratios[0], 2),
    }


def _ours(model: LanguageModel, ids: np.ndarray, layer: int, rows: int) -> Callable[[], np.ndarray]:
    def measured() -> np.ndarray:
        parts, done = [], 0
        for first, some in jacobian_rows(model, ids, [layer]):
            parts.append(some[layer])
            done = first + len(some[layer])
            if done >= rows:
                break
        return np.concatenate(parts)[:rows]

    return measured


def _rival(
    directory: Path, model: LanguageModel, ids: np.ndarray, layer: int, rows: int, copies: int
) -> Callable[[], np.ndarray]:
    plain = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    plain.requires_grad_(False)
    blocks, kept = plain.model.layers, {}

    def start(_module: Any, _inputs: Any, x: Any) -> Any:
        kept["source"] = x.detach().requires_grad_(True)
        return kept["source"]

    def keep(_module: Any, _inputs: Any, x: Any) -> None:
        kept["target"] = x

    def measured() -> np.ndarray:
        handles = [blocks[layer].register_forward_hook(start)]
        handles.append(blocks[-1].register_forward_hook(keep))
        plain.model(torch.from_numpy(ids)[None].expand(copies, -1), use_cache=False)
        for handle in handles:
            handle.remove()
        parts, copy = [], torch.arange(copies)
        for first in range(0, rows, copies):
            cotangent = torch.zeros_like(kept["target"])
            cotangent[copy, SKIP:-1, first + copy] = 1
            (gradient,) = torch.autograd.grad(
                kept["target"], kept["source"], cotangent, retain_graph=True
            )
            parts.append(gradient[:, SKIP:-1].mean(1))
        return torch.cat(parts)[:rows].numpy()

    return measured


def _settling() -> dict[str, Any]:
    model = load(str(DEMO), device="cpu")
    prompts = lens_prompts(model, Corpus([TEXT]), STEPS[-1] + OTHERS, TOKENS)
    added = [
        prompt_jacobian(model, ids, [LAYER])[LAYER] - np.eye(model.width, dtype=np.float32)
        for ids in prompts
    ]
    others = np.mean(added[STEPS[-1] :], axis=0)
    cosines = {f"n_{n}": round(_cosine(np.mean(added[:n], axis=0), others), 3) for n in STEPS}
    what = f"J − 1 of n prompts, demo base, layer {LAYER}: cosine with that of {OTHERS} others"
    return {"what": what, **cosines}


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))


def _seconds(action: Callable[[], Any]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
