"""Leader clustering with its bookkeeping, compared with a float32 matmul and max on the same rows.

A synthetic stream of Gemma-2-2B's width (d = 2304) is clustered until there are K regions. From
then on both sides get the same batches of 1,024 rows in turn, and the ratio is the median over
batches of the rival's seconds over ours. The rival computes (x @ E.T).max(1) in torch; it founds
and counts nothing, and is not exact. Ours is Leaders.partial_fit, ArrivalMembers.observe and
VoronoiMembers.observe. A sample of rows is assigned again by brute force in float64, and every
difference is counted as wrong.

    python -m benchmarks.leaders
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ep.method.assignment import Assignment
from ep.method.leaders import Leaders
from ep.method.members import ArrivalMembers, Events, VoronoiMembers

WIDTH = 2304
BATCH = 1024
ROUNDS = 15
THREADS = 2
PAUSE = 0.05
"""Seconds before each side, in which threads that the other left waiting go to sleep."""
SAMPLE = 64
CONTEXT = 128
SETTINGS = ((200, 0.89, 0.6), (1_000, 0.85, 0.8), (5_000, 0.77, 1.0), (20_000, 0.55, 1.5))
"""K, a threshold at which the stream founds so many regions in 100,000 rows, and the target."""

WORDS, PAIRS, DOCUMENT = 30_000, 8_192, 200
"""Of the synthetic stream: number of words, number of word pairs, rows of a document."""


def run() -> list[dict[str, Any]]:
    """Return a row per K."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        return [measure(*setting) for setting in SETTINGS]
    finally:
        torch.set_num_threads(threads)


def measure(n_regions: int, threshold: float, target: float) -> dict[str, Any]:
    """Cluster until there are `n_regions` regions, then time both sides on the same batches."""
    batches = stream()
    leaders = Leaders(threshold, width=WIDTH)
    members = ArrivalMembers(WIDTH), VoronoiMembers(threshold, CONTEXT)
    while len(leaders) < n_regions:
        cluster(leaders, *members, *next(batches))
    k_before, n_before = len(leaders), leaders.n_seen
    bare, ours, wrong = [], [], 0
    for _ in range(ROUNDS):
        rows, events = next(batches)
        exemplars = torch.from_numpy(leaders.exemplars)
        time.sleep(PAUSE)
        bare.append(bare_seconds(torch.from_numpy(rows), exemplars))
        time.sleep(PAUSE)
        start = time.perf_counter()
        assignment = cluster(leaders, *members, rows, events)
        ours.append(time.perf_counter() - start)
        wrong += n_wrong(leaders, rows, assignment)
    return {
        "what": f"clustering with bookkeeping against a bare matmul + max, K = {n_regions:,}, d = "
        f"{WIDTH:,}",
        "K": len(leaders),
        "rows_seen": leaders.n_seen,
        "new_per_1000_rows": round(
            1000 * (len(leaders) - k_before) / (leaders.n_seen - n_before), 1
        ),
        "bare_us_per_row": round(1e6 * float(np.median(bare)) / BATCH, 1),
        "ratio_of_fastest": round(min(bare) / min(ours), 2),
        "wrong": f"{wrong} of {SAMPLE * ROUNDS}",
        "ratio": round(float(np.median(np.divide(bare, ours))), 2),
        "target": target,
    }


def cluster(
    leaders: Leaders,
    arrival: ArrivalMembers,
    voronoi: VoronoiMembers,
    rows: np.ndarray,
    events: Events,
) -> Assignment:
    """Cluster one batch and record its members."""
    assignment = leaders.partial_fit(rows)
    arrival.observe(assignment, rows)
    voronoi.observe(assignment, events)
    return assignment


def n_wrong(leaders: Leaders, rows: np.ndarray, assignment: Assignment) -> int:
    """Return the number of rows, of a sample, that a brute-force search assigns differently.

    The search is in float64 over the exemplars that existed when the row arrived.
    """
    sample = np.linspace(0, len(rows) - 1, SAMPLE).astype(int)
    cosine = rows[sample].astype(np.float64) @ leaders.exemplars.astype(np.float64).T
    at = leaders.n_seen - len(rows) + sample
    cosine[leaders.founded_at[None, :] >= at[:, None]] = -np.inf
    founds = 1.0 - cosine.max(1) > leaders.threshold
    own = leaders.founded_at[assignment.region[sample]] == at
    right = np.where(founds, own, cosine.argmax(1) == assignment.region[sample])
    return int((~right | (founds != assignment.is_new[sample])).sum())


def stream(seed: int = 0, width: int = WIDTH) -> Iterator[tuple[np.ndarray, Events]]:
    """Yield batches of synthetic unit rows without end.

    Each row is the sum of a word, a word pair, a document and noise, minus the mean. Words follow a
    Zipf distribution, and all vectors have a power-law spectrum.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    spectrum = torch.arange(1, width + 1) ** -0.43
    spectrum /= spectrum.norm()

    def draw(n: int) -> torch.Tensor:
        return torch.randn(n, width, generator=generator) * spectrum

    words, pairs = draw(WORDS), draw(PAIRS)
    frequency = 1 / (np.arange(WORDS) + 3.7)
    frequency /= frequency.sum()
    center = torch.from_numpy(frequency).float() @ words
    n_rows = 0
    document = draw(1)
    while True:
        word = rng.choice(WORDS, BATCH + 1, p=frequency)
        place = n_rows + np.arange(BATCH)
        documents = torch.cat([document, draw(BATCH // DOCUMENT + 1)])
        x = words[word[:-1]] - center + 0.7 * pairs[(word[1:] * 31 + word[:-1]) % PAIRS]
        x += 0.5 * documents[place // DOCUMENT - n_rows // DOCUMENT] + 0.5 * draw(BATCH)
        n_rows += BATCH
        document = documents[n_rows // DOCUMENT - place[0] // DOCUMENT][None]
        fold = (word[:-1] * WORDS + word[1:]).astype(np.uint64)
        events = Events(
            place // CONTEXT,
            (place % CONTEXT).astype(np.int32),
            word[:-1].astype(np.int32),
            word[1:].astype(np.int32),
            fold,
            place,
        )
        yield (x / x.norm(dim=1, keepdim=True)).numpy(), events


def bare_seconds(x: torch.Tensor, exemplars: torch.Tensor) -> float:
    """Return the seconds of the rival on one batch."""
    start = time.perf_counter()
    (x @ exemplars.T).max(1)
    return time.perf_counter() - start


if __name__ == "__main__":
    for row in run():
        print(row, flush=True)
