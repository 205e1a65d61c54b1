"""Generation with interventions, compared with `generate` of transformers without any.

The model is a randomly initialised Gemma-2 of more than 300 M parameters, where the forward pass
dominates. Both generate the same number of tokens greedily for four rows of one prompt; here these
are the default, ablated, steered and random continuations. The two are timed in turn; the ratio is
the median over rounds. A second row is the time to the first token on the demo's model.

    python -m benchmarks.generation
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import ep
from ep.models import LanguageModel
from ep.models.generation import Row, Sampling, generate
from ep.models.interventions import Intervention, random_control
from tests.fixtures import tiny

ROWS, PROMPT, NEW, ROUNDS = 4, 64, 24, 5
DEMO = Path("data/demo")


def run() -> list[dict[str, Any]]:
    """Return two rows: tokens/s of the large model, and seconds to the demo's first token."""
    with tempfile.TemporaryDirectory() as folder:
        return [_at_scale(Path(folder)), _first_token()]


def _at_scale(folder: Path) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM

    tiny.gemma_of_size(folder, width=1024, n_layers=18, vocabulary=50_000)
    ours, theirs = (
        ep.load(str(folder)),
        AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval(),
    )
    parameters = sum(parameter.numel() for parameter in theirs.parameters())
    ids = tuple(np.random.default_rng(0).integers(10, 300, PROMPT).tolist())
    _ours(ours, ids), _theirs(theirs, ids)
    times = [(_ours(ours, ids), _theirs(theirs, ids)) for _ in range(ROUNDS)]
    return {
        "what": "tokens/s of four rows with interventions against transformers' generate without",
        "model": f"random Gemma-2, {parameters / 1e6:.0f} M parameters",
        "device": f"{ours.device}, {ours.dtype}",
        "our_tokens_per_s": round(ROWS * NEW / statistics.median(a for a, _ in times), 1),
        "their_tokens_per_s": round(ROWS * NEW / statistics.median(b for _, b in times), 1),
        "ratio": round(statistics.median(b / a for a, b in times), 2),
        "target": 0.9,
    }


def _rows(model: LanguageModel, ids: tuple[int, ...]) -> list[Row]:
    direction = np.random.default_rng(1).standard_normal((1, model.width)).astype(np.float32)
    direction /= np.linalg.norm(direction)
    layer = (model.n_layers // 2,)
    steer = Intervention("add", direction, layer, np.zeros(model.width, np.float32), 1.0)
    ablate = Intervention("ablate", direction, layer, np.zeros(model.width, np.float32), 1.0)
    return [Row(ids), Row(ids, (ablate,)), Row(ids, (steer,)), Row(ids, (random_control(steer),))]


def _ours(model: LanguageModel, ids: tuple[int, ...]) -> float:
    start = time.perf_counter()
    for _ in generate(model, _rows(model, ids), Sampling(NEW, stop=False)):
        pass
    return time.perf_counter() - start


def _theirs(model: Any, ids: tuple[int, ...]) -> float:
    import torch

    batch = torch.tensor([ids] * ROWS)
    start = time.perf_counter()
    with torch.inference_mode():
        model.generate(
            batch,
            attention_mask=torch.ones_like(batch),
            max_new_tokens=NEW,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    return time.perf_counter() - start


def _first_token() -> dict[str, Any]:
    model = ep.load(str(DEMO / "models" / "tuned"))
    prompt = model.encode_prompt([{"role": "user", "content": "How do I bake a cake?"}])
    waits = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        steps = generate(model, _rows(model, tuple(prompt.ids)), Sampling(40))
        next(steps)
        waits.append(time.perf_counter() - start)
        steps.close()
    return {
        "what": "first token of four rows on the demo model, seconds",
        "seconds": round(statistics.median(waits[1:]), 3),
        "first_run_seconds": round(waits[0], 3),
        "of": "seconds",
        "target": 0.3,
        "at_most": True,
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
