"""The result of assigning a batch of activations to regions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Assignment(NamedTuple):
    """Region, distance and founder flag of each of n activations.

    region: (n,) int64, id of the region with the nearest exemplar.
    distance: (n,) float32, distance to that exemplar, in [0, 2] for a cosine.
    is_new: (n,) bool, True where the activation founded its region; always False for assignments to
        a finished dictionary.
    """

    region: np.ndarray
    distance: np.ndarray
    is_new: np.ndarray
