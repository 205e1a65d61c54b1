"""The regions between two regions, compared with computing the whole distance matrix first.

    python -m benchmarks.between [K] [d]

The paper's code computes the K × K matrix of cosine distances of a dictionary and a basis, and then
looks up two of its columns, so that the first query waits for the matrix. Both ways are timed on 20
random pairs, and their results are compared. A second row times the neighbour lists that paths
need, which are computed once for each dictionary, against the same matrix.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter
from typing import Any

import numpy as np

from ep.studies import between as study

SIZE, WIDTH = 5129, 2304
LIMIT_SECONDS = 0.05
PAIRS = 20


def run(size: int = SIZE, width: int = WIDTH) -> list[dict[str, Any]]:
    """Return two rows: one query, and the neighbour lists with one path."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((size, width), np.float32) + 2 * rng.standard_normal(
        width
    ).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = rng.choice(size, (PAIRS, 2), replace=False)
    study.between(vectors, 0, 1)  # first touch of the arrays
    ours = [_timed(lambda a=a, b=b: study.between(vectors, int(a), int(b))) for a, b in pairs]
    matrix, made = _timed(lambda: 1.0 - vectors @ vectors.T)
    looked = [_timed(lambda a=a, b=b: _plain(matrix, int(a), int(b))) for a, b in pairs]
    same = sum(
        set(found.regions.tolist()) == other
        for (found, _), (other, _) in zip(ours, looked, strict=True)
    )
    seconds, lookup = (float(np.median([took for _, took in runs])) for runs in (ours, looked))
    listed, lists = _timed(lambda: study.neighbours(vectors))
    _, way = _timed(lambda: study.path(vectors, listed, int(pairs[0][0]), int(pairs[0][1])))
    where = f"K = {size:,}, d = {width:,}"
    first = {
        "what": f"what lies between two regions, {where}, against the distance matrix and a "
        "look-up",
        "ratio": round((made + lookup) / seconds, 1),
        "of": "seconds",
        "target": LIMIT_SECONDS,
        "at_most": True,
        "seconds": round(seconds, 4),
        "matrix_seconds": round(made, 2),
        "lookup_seconds": round(lookup, 5),
        "same_answers": f"{same} of {PAIRS}",
    }
    second = {
        "what": f"every region's 32 nearest, {where}, against the distance matrix",
        "ratio": round(made / lists, 2),
    }
    return [first, second | {"seconds": round(lists, 2), "then_a_path_seconds": round(way, 3)}]


def _plain(matrix: np.ndarray, a: int, b: int) -> set[int]:
    inside = (matrix[a] < matrix[a, b]) & (matrix[b] < matrix[a, b])
    inside[[a, b]] = False
    return set(np.flatnonzero(inside).tolist())


def _timed(work: Any) -> tuple[Any, float]:
    start = perf_counter()
    return work(), perf_counter() - start


if __name__ == "__main__":
    for result in run(*map(int, sys.argv[1:3])):
        print(json.dumps(result))
