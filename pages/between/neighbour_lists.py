"""The nearest regions of every region in the dictionaries of a family, as a graph for paths.

They are computed once for all visitors, by a job where that takes long.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import NamedTuple

from ep.method.dictionary import Basis, Dictionary
from ep.studies.between import Neighbours, neighbours
from pages.shared import estimates, jobs, loading
from pages.shared.jobs import Job


class Lists(NamedTuple):
    """The neighbour lists of one dictionary, and the seconds that computing them took."""

    neighbours: Neighbours
    seconds: float


def lists_or_offer(ladder: Mapping[str, Dictionary], basis: Basis) -> dict[str, Lists] | None:
    """Return the lists of all these dictionaries by key; see `jobs.result_or_offer`."""

    def work(job: Job) -> dict[str, Lists]:
        by_key = {}
        for number, (key, dictionary) in enumerate(ladder.items()):
            job.report(f"{len(dictionary):,} regions", number / len(ladder))
            start = perf_counter()
            graph = neighbours(dictionary.basis(basis))
            by_key[key] = Lists(graph, perf_counter() - start)
        return by_key

    fingerprints = " ".join(loading.fingerprint(key) for key in ladder)
    result: dict[str, Lists] | None = jobs.result_or_offer(
        f"neighbour lists {basis} {fingerprints}",
        "Finding every region's nearest regions, once",
        work,
        seconds=estimates.matrix_products(
            sum(float(len(d)) ** 2 * d.width for d in ladder.values())
        ),
        button="Find them",
        about="A path walks on every region's nearest regions, which are found once.",
    )
    return result
