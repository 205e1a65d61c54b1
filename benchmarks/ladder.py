"""A build of two layers and five percentiles, compared with the slowest of these builds alone.

One calibration, one stream and one forward pass serve all ten dictionaries. The rival is the build
of one of them on the same text and budget: the finest percentile at the deepest layer, which is the
slowest.

    python -m benchmarks.ladder
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from ep.building import build
from ep.config import BuildConfig

MODEL = Path("data/demo/models/base")
TEXT = Path("data/demo/text/mixed.jsonl")
LAYERS, PERCENTILES = (2, 4), (1.0, 2.0, 4.0, 8.0, 10.0)
TOKENS, CALIBRATION, ROUNDS = 100_000, 20_000, 3
TARGET = 1.3


def run(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Return a row: seconds of both builds, which are run in turn, and their median ratio."""
    ladder, single = (LAYERS, PERCENTILES), (LAYERS[-1:], PERCENTILES[:1])
    seconds(*single, tokens=5_000)  # compiles the code and fills the caches that both use
    times = [(seconds(*ladder), seconds(*single)) for _ in range(rounds)]
    return [
        {
            "what": f"{len(LAYERS)} layers × {len(PERCENTILES)} percentiles against the slowest "
            "single build",
            "model": f"demo base, {TOKENS:,} activations",
            "ladder_s": round(statistics.median(ours for ours, _ in times), 1),
            "single_s": round(statistics.median(theirs for _, theirs in times), 1),
            "ratio": round(statistics.median(ours / theirs for ours, theirs in times), 2),
            "target": TARGET,
            "at_most": True,
        }
    ]


def seconds(layers: tuple[int, ...], percentiles: tuple[float, ...], tokens: int = TOKENS) -> float:
    """Return the wall time of one build, including the loading of the model."""
    with tempfile.TemporaryDirectory() as out:
        config = BuildConfig(
            model=str(MODEL),
            text=(str(TEXT),),
            layers=layers,
            percentiles=percentiles,
            out=out,
            tokens=tokens,
            calibration=CALIBRATION,
        )
        start = time.perf_counter()
        for _ in build(config):
            pass
        return time.perf_counter() - start


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
