"""Does D = log10(N·c²) say which regions are found again? Two builds of one setting and different
seeds, matched.

    python -m benchmarks.stability [LAYER] [PERCENTILE]

Builds the demo's base model twice on its mixed text (75,000 activations; another seed is another
order of the passages, hence also another calibration head), pairs the regions by their mean
directions and relates D to the pairs' cosine. Published for gemma-2-2b, layer 12, 50 M tokens, five
seeds of one calibration: Spearman about 0.68, mean cosine about 0.60 in the weakest fifth and 0.82
in the strongest (paper A.7). A figure of this model and this text, not of theirs.
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
    """One row: n pairs, Spearman with its interval, the mean cosine of each fifth by D."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (
            ep.open(_build(Path(folder) / str(seed), layer, percentile, seed)) for seed in (1, 2)
        )
        found = relate(first, second)
    where = f"demo base, layer {layer}, p = {percentile:g}"
    row: dict[str, Any] = {
        "what": f"D against the cosine with the same region of another seed: {where}"
    }
    row |= {"n": found.n, "K": list(found.sizes), "spearman": round(found.spearman, 3)}
    row |= {
        "interval": "{:.3f} to {:.3f}".format(*found.interval),
        "median_cosine": round(found.median, 3),
    }
    return [row | {"fifths": [round(mean, 3) for mean, _ in found.fifths]}]


def _build(out: Path, layer: int, percentile: float, seed: int) -> Path:
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
