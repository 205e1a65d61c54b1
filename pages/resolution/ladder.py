"""The open dictionary's layer at every percentile of its family, and how these dictionaries
overlap.

Knows the shelf; a comparison that takes long runs as a job and draws its progress.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import streamlit as st

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.storage import Entry
from ep.studies import resolution as study
from pages.shared import jobs, loading

QUICK = 2e10
"""Multiply-adds an estimate may take while the visitor waits; a longer one runs as a job."""
Overlaps = dict[tuple[int, int], study.Overlap]


def rungs(key: str, dictionary: Dictionary) -> tuple[list[Entry], list[Dictionary]]:
    """The family's files of this layer, coarse to fine; one a percentile, damaged ones and other
    widths left out.
    """
    here = loading.find(key)
    if here is None or here.percentile is None:
        return [], []
    found: dict[float, tuple[Entry, Dictionary]] = {here.percentile: (here, dictionary)}
    for entry in loading.families().get(here.family, ()):
        p = entry.percentile
        if (
            p is not None
            and p not in found
            and (entry.layer, entry.width) == (here.layer, here.width)
        ):
            with suppress(EPError):
                found[p] = (entry, loading.dictionary(entry.key))
    ordered = [found[p] for p in sorted(found, reverse=True)]
    return [entry for entry, _ in ordered], [opened for _, opened in ordered]


def overlapping(
    entries: Sequence[Entry], ladder: Sequence[Dictionary], origin: int
) -> Overlaps | None:
    """The overlaps, by (finer, coarser) level, of adjacent rungs and of the origin with all; None
    while a job works.
    """
    last = len(ladder) - 1
    wanted = {(i + 1, i) for i in range(last)} | {
        (max(i, origin), min(i, origin)) for i in range(last + 1)
    }
    pairs = sorted((f, c) for f, c in wanted if f != c)
    prints = [loading.fingerprint(entry.key) for entry in entries]
    if sum(study.cost(ladder[finer], ladder[coarser]) for finer, coarser in pairs) <= QUICK:
        return {(f, c): _overlap(prints[f], prints[c], (ladder[f], ladder[c])) for f, c in pairs}
    name_ = f"ladder {origin} " + " ".join(prints)
    job = jobs.get(name_) or jobs.start(
        name_, "Comparing the dictionaries", lambda job: _compared(job, ladder, pairs)
    )
    if job.state == "done":
        return job.result
    jobs.watch(name_)
    return None


@st.cache_resource(show_spinner=False, max_entries=128)
def _overlap(finer: str, coarser: str, _pair: tuple[Dictionary, Dictionary]) -> study.Overlap:
    """`finer` and `coarser` are the files' fingerprints: what was rebuilt is compared anew."""
    return study.overlap(*_pair)


def _compared(
    job: jobs.Job, ladder: Sequence[Dictionary], pairs: Sequence[tuple[int, int]]
) -> Overlaps:
    found = {}
    for n, (finer, coarser) in enumerate(pairs):
        job.report(
            f"{len(ladder[finer]):,} with {len(ladder[coarser]):,} exemplars", n / len(pairs)
        )
        found[finer, coarser] = study.overlap(ladder[finer], ladder[coarser])
    return found
