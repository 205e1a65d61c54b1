"""Whether D = log10(N·c²) predicts which regions a build with another seed finds again.

    python -m benchmarks.stability [LAYER] [PERCENTILE]

Builds dictionaries of the demo's base model twice on its mixed text (75,000 activations), with
different seeds: the seed changes the order of the passages, and so the passages of the calibration.
The regions are paired by their mean directions, and D is related to the cosine of the pairs. The
paper (A.7) states for gemma-2-2b, layer 12, 50 M tokens and five seeds with one calibration: a
Spearman correlation of about 0.68, and a mean cosine of about 0.60 in the weakest fifth by D and
0.82 in the strongest. The results here are for another model and another text.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import ep
from ep.config import BuildConfig
from ep.demo.dictionaries import MIXED_ACTIVATIONS, MIXED_CALIBRATION
from ep.studies.stability import relate

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"


def run(layer: int = 4, percentile: float = 2.0) -> list[dict[str, Any]]:
    """Return a row: n pairs, Spearman with its interval, the mean cosine of each fifth by D."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (
            ep.open(_build(Path(folder) / str(seed), layer, percentile, seed)) for seed in (1, 2)
        )
        relation = relate(first, second)
    where = f"demo base, layer {layer}, p = {percentile:g}"
    row: dict[str, Any] = {
        "what": f"D against the cosine with the same region of another seed: {where}"
    }
    row |= {"n": relation.n, "K": list(relation.sizes), "spearman": round(relation.spearman, 3)}
    row |= {
        "interval": "{:.3f} to {:.3f}".format(*relation.interval),
        "median_cosine": round(relation.median, 3),
    }
    return [row | {"fifths": [round(mean, 3) for mean, _ in relation.fifths]}]


def _build(out: Path, layer: int, percentile: float, seed: int) -> Path:
    """Build one dictionary and return its file."""
    config = BuildConfig(
        model=str(DEMO / "models" / "base"),
        text=(str(DEMO / "text" / "mixed.jsonl"),),
        layers=layer,
        percentiles=percentile,
        out=str(out),
        tokens=MIXED_ACTIVATIONS,
        calibration=MIXED_CALIBRATION,
        seed=seed,
        device="cpu",
    )
    *_, last = ep.build(config)
    return last.files[0]


if __name__ == "__main__":
    layer, percentile = sys.argv[1:3] if len(sys.argv) > 2 else ("4", "2")
    for result in run(int(layer), float(percentile)):
        print(json.dumps(result))
