"""Every region's nearest regions, found once for a dictionary and basis, shared by all visitors:
paths walk on them.

A light family is done at once, a heavy one in a job. Draws nothing but that job.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

import streamlit as st

from ep.method.dictionary import Dictionary
from ep.studies.between import Neighbours, neighbours
from pages.between import anchors
from pages.shared import jobs, loading

KEPT = 48
"""Lists kept at a time; the oldest go first."""


@st.cache_resource(show_spinner=False)
def _kept() -> dict[tuple[str, str], tuple[Neighbours, float]]:
    """Lists and the seconds they took, by the file's fingerprint and basis."""
    return {}


def of(key: str, basis: str) -> Neighbours:
    """The lists of a dictionary for which `ready` was True."""
    return _entry(key, basis)[0]


def cost(key: str, basis: str) -> float:
    """The seconds they took."""
    return _entry(key, basis)[1]


def _entry(key: str, basis: str) -> tuple[Neighbours, float]:
    name = loading.fingerprint(key)
    if (name, basis) not in _kept():  # another visitor's newer lists may have pushed it out
        _make(name, loading.dictionary(key), basis)
    return _kept()[name, basis]


def ready(ladder: Mapping[str, Dictionary], basis: str) -> bool:
    """Whether the lists of all these dictionaries are here; else the job that makes them is
    drawn.
    """
    names = {loading.fingerprint(key): dictionary for key, dictionary in ladder.items()}
    missing = {
        name: dictionary for name, dictionary in names.items() if (name, basis) not in _kept()
    }
    if sum(float(len(d)) ** 2 * d.width for d in missing.values()) <= anchors.LIGHT:
        for name, dictionary in missing.items():
            _make(name, dictionary, basis)
        return True

    def work(job: jobs.Job) -> None:
        for i, (name, dictionary) in enumerate(missing.items()):
            job.report(f"{len(dictionary):,} regions", i / len(missing))
            _make(name, dictionary, basis)

    key = f"neighbour lists {basis} {' '.join(sorted(missing))}"
    kept = jobs.get(key)
    if kept is None or kept.state == "done":
        jobs.start(key, "Finding every region's nearest regions, once", work)
    jobs.watch(key)
    return False


def _make(name: str, dictionary: Dictionary, basis: str) -> None:
    start, kept = perf_counter(), _kept()
    made = neighbours(dictionary.basis(basis))
    while len(kept) >= KEPT:
        kept.pop(next(iter(kept)), None)
    kept[name, basis] = made, perf_counter() - start
