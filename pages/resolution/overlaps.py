"""The overlaps of any two dictionaries of a ladder, from which a followed region is counted.

They are computed once for all visitors; where that takes long, a button starts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from ep.method.dictionary import Dictionary
from ep.studies import resolution as study
from pages.shared import estimates, jobs, loading
from pages.shared.jobs import Job

Overlaps = dict[tuple[int, int], study.Overlap]
"""Overlaps by (finer, coarser) level."""


def overlaps_of(ladder: Mapping[str, Dictionary]) -> Overlaps | None:
    """Return the overlaps, or None while there are none.

    In their place, draw the progress or a button that starts the work.

    ladder: dictionaries by key, coarse to fine.
    """
    levels = list(ladder.values())
    pairs = [(finer, coarser) for coarser, finer in combinations(range(len(levels)), 2)]

    def work(job: Job) -> Overlaps:
        overlaps = {}
        for n, (finer, coarser) in enumerate(pairs):
            one, other = levels[finer], levels[coarser]
            job.report(f"{len(one):,} with {len(other):,} exemplars", n / len(pairs))
            overlaps[finer, coarser] = study.overlap(one, other)
        return overlaps

    names = " ".join(loading.fingerprint(key) for key in ladder)
    cost = sum(study.cost(levels[finer], levels[coarser]) for finer, coarser in pairs)
    result: Overlaps | None = jobs.result_or_offer(
        f"overlaps {names}",
        "Comparing the dictionaries",
        work,
        seconds=estimates.matrix_products(cost),
        button="Compare them",
        about="How the members move from one percentile to the next was not recorded; comparing "
        "the dictionaries estimates it, once.",
    )
    return result
