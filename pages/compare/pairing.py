"""The matching of two dictionaries: computed once for everybody, on request where it takes long."""

from __future__ import annotations

from functools import partial

from ep.method.dictionary import Dictionary
from ep.studies import matching as study
from ep.studies.matching import Match
from pages.compare.comparison import Comparison
from pages.shared import estimates, jobs
from pages.shared.jobs import Job

PRODUCTS, PAIR_S = 6, 7e-8
"""How often a matching computes all cosines of two dictionaries, and further seconds per pair of
regions, as measured on dictionaries of 300 to 3,300 regions.
"""


def match_of(comparison: Comparison) -> Match | None:
    """Return the matching of A and B, or None while there is none.

    In its place, draw its progress or a button that starts it. Raises RequestError as
    `ep.studies.matching.match` does.
    """
    a, b = comparison.dictionaries

    def work(job: Job) -> Match:
        report = partial(job.report, "pairing")
        return study.match(a, b, comparison.basis, comparison.centre, report)

    match: Match | None = jobs.result_or_offer(
        f"match {comparison.stamp}",
        "Pairing the regions",
        work,
        seconds=seconds(a, b),
        button="Pair the regions",
        about="Each region of one dictionary is paired with its partner in the other, once.",
    )
    return match


def seconds(a: Dictionary, b: Dictionary) -> float:
    """Estimate how long the matching of two dictionaries takes, in seconds."""
    pairs = float(len(a)) * len(b)
    return estimates.matrix_products(PRODUCTS * pairs * a.width) + PAIR_S * pairs
