"""Every region's nearest regions in the dictionaries of a family: paths walk on them.

Found once for all visitors; where that takes long, a button starts it. Draws nothing else.
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
    """A dictionary's lists and the seconds they took."""

    neighbours: Neighbours
    seconds: float


def of(ladder: Mapping[str, Dictionary], basis: Basis) -> dict[str, Lists] | None:
    """The lists of all these dictionaries by their keys; None while they are not here."""

    def work(job: Job) -> dict[str, Lists]:
        found = {}
        for number, (key, dictionary) in enumerate(ladder.items()):
            job.report(f"{len(dictionary):,} regions", number / len(ladder))
            start = perf_counter()
            made = neighbours(dictionary.basis(basis))
            found[key] = Lists(made, perf_counter() - start)
        return found

    names = " ".join(loading.fingerprint(key) for key in ladder)
    made: dict[str, Lists] | None = jobs.outcome(
        f"neighbour lists {basis} {names}",
        "Finding every region's nearest regions, once",
        work,
        seconds=estimates.products(sum(float(len(d)) ** 2 * d.width for d in ladder.values())),
        button="Find them",
        about="A path walks on every region's nearest regions, which are found once.",
    )
    return made
