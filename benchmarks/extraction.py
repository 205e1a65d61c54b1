"""Extraction of activations, compared with a full forward pass of the same model and batches.

Measures `harvest` at one layer as a build calls it, with hooks, selection of positions, copies to
numpy and bookkeeping, and the forward pass, which runs every block and the unembedding. The two are
timed in turn, so that a busy machine slows both; the ratio is the median over rounds.

    python -m benchmarks.extraction
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ep.models import LanguageModel, TokenBatch, harvest, load

DEMO = Path("data/demo/models/base")
PASSAGES, TOKENS, ROUNDS = 32, 129, 9
TARGET = 3.0


def run(layers: tuple[int, ...] = (2, 4), rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Return a row per layer: tokens/s of extraction and of the forward pass, and their ratio."""
    model = load(str(DEMO))
    return [_measure(model, layer, rounds) for layer in layers]


def _measure(model: LanguageModel, layer: int, rounds: int) -> dict[str, Any]:
    batch = _batch(model)
    extract, forward = (lambda: harvest(model, batch, [layer])), _full_forward(model, batch)
    extract(), forward()
    times = [(_seconds(extract), _seconds(forward)) for _ in range(rounds)]
    return {
        "what": f"extraction at layer {layer} of {model.n_layers} against a full forward with "
        "logits",
        "model": "demo base",
        "device": f"{model.device}, {model.dtype}",
        "extraction_tokens_per_s": round(
            batch.n_tokens / statistics.median(ours for ours, _ in times)
        ),
        "forward_tokens_per_s": round(
            batch.n_tokens / statistics.median(theirs for _, theirs in times)
        ),
        "ratio": round(statistics.median(theirs / ours for ours, theirs in times), 2),
        "target": TARGET if layer == 2 else None,
    }


def _batch(model: LanguageModel) -> TokenBatch:
    ids = np.random.default_rng(0).integers(10, model.vocabulary_size, (PASSAGES, TOKENS))
    mask = np.ones(ids.shape, dtype=bool)
    keep = mask & (np.arange(TOKENS) > 0)
    return TokenBatch(ids, mask, keep, np.arange(PASSAGES), np.zeros(PASSAGES, dtype=bool))


def _full_forward(model: LanguageModel, batch: TokenBatch) -> Callable[[], Any]:
    import torch

    ids, mask = (
        torch.from_numpy(array).long().to(model.device) for array in (batch.ids, batch.mask)
    )

    def forward() -> Any:
        with torch.inference_mode():
            logits = model.bridge(ids, attention_mask=mask)
        if logits.is_cuda:
            torch.cuda.synchronize()
        return logits

    return forward


def _seconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
