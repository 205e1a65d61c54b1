"""A dictionary of 100,000 regions on the CPU: time, memory, and whether it is exact.

A synthetic stream, as in `benchmarks.leaders` but of width 576, is clustered by a `Draft` until
there are so many regions, then assigned to them, with all bookkeeping, and the arrays of a file
that need no model are made. By hand, since it takes minutes:

    python -m benchmarks large
    python -m benchmarks.large [K]

Checked against plain float64 products with all exemplars: rows as they arrive, and rows of the
second pass. The draft is also restored from its saved state and goes on with the same batches, and
must end with the same arrays. The rival of a pass is a float32 matmul and max of the same rows with
the exemplars so far; it founds and counts nothing, and is not exact.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from typing import Any

import numpy as np
import torch

from benchmarks.leaders import CONTEXT, bare_seconds, n_wrong, stream
from benchmarks.peak import PEAK_MB
from ep.method.assignment import Assignment
from ep.method.draft import Draft
from ep.method.members import Events
from ep.method.saturation import StopRule
from ep.method.surroundings import surround
from ep.storage.checkpoint import Checkpoint

WIDTH, SIZE = 576, 100_000
THRESHOLD = 0.4
"""At which about half the rows found a region."""
EVERY = 25
"""Batches of 1,024 rows between two that are checked."""
RIVAL_BUDGET = 1e12
"""So that rivals are examined of a small share of the members only."""

Batch = tuple[np.ndarray, Events]


def run(size: int = SIZE) -> list[dict[str, Any]]:
    """Return a row for each phase."""
    batches = list[Batch]()
    draft = new_draft()
    founding, bare, wrong, checked = first_pass(draft, size, batches)
    what = f"K = {len(draft):,}, d = {WIDTH}"
    rows = [
        {
            "what": f"founding {what}, against a bare matmul + max of the last batches",
            "rows": draft.n_seen,
            "seconds": round(sum(founding), 1),
            "last_us_per_row": per_row(founding[-5:], batches),
            "ratio": round(float(np.median(bare[-5:]) / np.median(founding[-5:])), 2),
            "wrong": f"{wrong} of {checked}",
        }
    ]
    rows.append({"what": f"saving and restoring {what}", **saving(draft, batches)})
    rows.append({"what": f"second pass, {what}", **second_pass(draft, batches)})
    rows.append({"what": f"arrays of a file, {what}", **writing(draft)})
    rows[-1]["peak_mb_of_all"] = round(eval(PEAK_MB))
    return rows


def new_draft() -> Draft:
    """Return an empty draft."""
    return Draft(THRESHOLD, WIDTH, CONTEXT, StopRule(), rival_budget=RIVAL_BUDGET)


def first_pass(
    draft: Draft, size: int, batches: list[Batch]
) -> tuple[list[float], list[float], int, int]:
    """Stream until there are `size` regions.

    Returns the seconds of each batch, those of the rival on each checked one, and how many of the
    checked rows are wrong.
    """
    seconds, bare, wrong, checked = [], [], 0, 0
    batches_to_come = stream(width=WIDTH)
    while len(draft) < size:
        rows, events = next(batches_to_come)
        batches.append((rows, events))
        start = time.perf_counter()
        draft.stream(rows, events)
        seconds.append(time.perf_counter() - start)
        is_last = len(draft) >= size
        if is_last or len(batches) % EVERY == 0:
            exemplars = torch.from_numpy(draft.leaders.exemplars)
            bare.append(bare_seconds(torch.from_numpy(rows), exemplars))
            found = of_last(draft, rows)
            wrong, checked = wrong + n_wrong(draft.leaders, rows, found), checked + 64
        if len(batches) % (4 * EVERY) == 0:
            print(f"  {draft.n_seen:,} rows, K = {len(draft):,}", file=sys.stderr, flush=True)
    return seconds, bare, wrong, checked


def of_last(draft: Draft, rows: np.ndarray) -> Assignment:
    """Return what a clustering without this batch makes of it."""
    before = draft.leaders.state()
    first = draft.n_seen - len(rows)
    known = int(np.searchsorted(before["founded_at"], first))
    before |= {"n_seen": np.array(first), "exemplars": before["exemplars"][:known]}
    before["founded_at"] = before["founded_at"][:known]
    return type(draft.leaders).from_state(before).partial_fit(rows)


def saving(draft: Draft, batches: list[Batch]) -> dict[str, Any]:
    """Save the state, restore another draft from it, and let both go on with the same batches."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(folder, {})
        start = time.perf_counter()
        checkpoint.save(draft.state())
        saved = time.perf_counter() - start
        megabytes = checkpoint.path.stat().st_size / 1e6
        start = time.perf_counter()
        other = new_draft()
        other.restore(checkpoint.load() or {})
        restored = time.perf_counter() - start
    more = stream(seed=1, width=WIDTH)
    for rows, events in (next(more) for _ in range(3)):
        events = events.starting_at(draft.n_seen)
        for either in (draft, other):
            either.stream(rows, events)
        batches.append((rows, events))
    ours, theirs = draft.arrays(), other.arrays()
    same = all(np.array_equal(ours[name], theirs[name]) for name in ours.keys() | theirs.keys())
    return {
        "seconds": round(saved, 1),
        "megabytes": round(megabytes),
        "restoring_s": round(restored, 1),
        "goes_on_the_same": same,
    }


def second_pass(draft: Draft, batches: list[Batch]) -> dict[str, Any]:
    """Assign all rows to the finished exemplars."""
    exact = draft.leaders.exemplars.astype(np.float64)
    exemplars = torch.from_numpy(draft.leaders.exemplars)
    seconds, bare, wrong, checked = [], [], 0, 0
    for number, (rows, events) in enumerate(batches):
        start = time.perf_counter()
        region = draft.reassign(rows, events)
        seconds.append(time.perf_counter() - start)
        if number % EVERY == 0:
            bare.append(bare_seconds(torch.from_numpy(rows), exemplars))
            sample = np.arange(0, len(rows), 16)
            nearest = (rows[sample].astype(np.float64) @ exact.T).argmax(axis=1)
            wrong, checked = wrong + int((nearest != region[sample]).sum()), checked + len(sample)
    return {
        "seconds": round(sum(seconds), 1),
        "us_per_row": per_row(seconds, batches),
        "ratio": round(float(np.median(bare) / np.median(seconds)), 2),
        "wrong": f"{wrong} of {checked}",
    }


def writing(draft: Draft) -> dict[str, Any]:
    """Make the arrays of a file."""
    start = time.perf_counter()
    arrays = draft.arrays()
    made = time.perf_counter() - start
    start = time.perf_counter()
    surround(arrays["exemplars"], arrays["count_voronoi"])
    return {"seconds": round(made, 1), "surroundings_s": round(time.perf_counter() - start, 1)}


def per_row(seconds: list[float], batches: list[Batch]) -> float:
    """Return the median microseconds of a row."""
    return round(1e6 * float(np.median(seconds)) / len(batches[0][0]), 1)


if __name__ == "__main__":
    for row in run(*map(int, sys.argv[1:])):
        print(json.dumps(row))
