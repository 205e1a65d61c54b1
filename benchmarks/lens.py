"""How often the logit lens of an exemplar predicts the next token, with another region as control.

A region counts as a hit if its members' most common next token is among the five tokens that the
exemplar's lens ranks highest. The share is over all regions of a demo dictionary with at least five
Voronoi members and a next token, on the stream from which the dictionary was built. The interval is
Wilson's, 95 %.

    python -m benchmarks.lens
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import ep
from ep.studies.rates import wilson

FOLDER = Path("data/demo/dictionaries/all-tokens")
FEWEST, STRONGEST = 5, 5


def run() -> list[dict[str, Any]]:
    """Return a row per layer and percentile of the tuned demo model."""
    return [measure(layer, percentile) for layer in (2, 4) for percentile in (1, 2, 4)]


def measure(layer: int, percentile: int) -> dict[str, Any]:
    """Return the row of one dictionary."""
    dictionary = ep.open(FOLDER / f"tuned-L{layer}-p{percentile}.ep.h5")
    following = dictionary.column("next_ids")[:, 0]
    asked = np.flatnonzero((dictionary.column("count_voronoi") >= FEWEST) & (following >= 0))
    lens = dictionary.column("lens_exemplar_up_ids")[:, :STRONGEST]
    others = np.random.default_rng(0).permutation(asked)
    hits = int((lens[asked] == following[asked, None]).any(axis=1).sum())
    low, high = wilson(hits, len(asked))
    return {
        "what": f"lens names the next token: demo tuned, layer {layer}, p = {percentile}, K = "
        f"{len(dictionary):,}",
        "share": round(hits / len(asked), 3),
        "interval": f"{low:.2f} to {high:.2f}",
        "n": len(asked),
        "control": round(float((lens[others] == following[asked, None]).any(axis=1).mean()), 3),
    }


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
