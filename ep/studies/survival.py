"""Reads how often each region of a dictionary is found again in other seeds, where it is stored.

It is counted by `ep.studies.surviving`. This module needs none of the libraries that counting does.
"""

from __future__ import annotations

import numpy as np

from ep.method.dictionary import Dictionary
from ep.shapes import Float64
from ep.studies.rates import Rate


def seeds(dictionary: Dictionary) -> int:
    """Return the number of seeds on which `survived` was counted; 0 where it is not stored."""
    if "survived" not in dictionary:
        return 0
    return int((dictionary.info.get("survival") or {}).get("n") or 0)


def share(dictionary: Dictionary) -> Float64[np.ndarray, " K"] | None:
    """Return the share of the seeds in which each region survived, in [0, 1]; None without any."""
    if not (n := seeds(dictionary)):
        return None
    return np.asarray(np.minimum(dictionary.column("survived") / n, 1.0), np.float64)


def rate_of_region(dictionary: Dictionary, region: int) -> Rate | None:
    """Return in how many of the seeds a region survived; None where it is not stored."""
    if not (n := seeds(dictionary)):
        return None
    return Rate(min(n, int(dictionary.row("survived", region))), n)
