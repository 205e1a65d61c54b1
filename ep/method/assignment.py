"""What clustering says about a batch of activations: which region, how far, and whether it founded
the region.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Assignment(NamedTuple):
    """One row per activation.

    region: (n,) int64, the nearest exemplar's region id.
    distance: (n,) float32, cosine distance to that exemplar, in [0, 2].
    is_new: (n,) bool, True where the activation founded its region (always False when a finished
    dictionary assigns).
    """

    region: np.ndarray
    distance: np.ndarray
    is_new: np.ndarray
