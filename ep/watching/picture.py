"""A picture of a dictionary while it is built: its exemplars on three PCA axes.

The axes are those of the centred exemplars so far. They turn while regions are added, so each
picture is rotated onto the one before, and cells stay where a reader has seen them.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any

import numpy as np

from ep.method.draft import Draft
from ep.reporting import Key
from ep.shapes import Float64

MOST_POINTS = 2_000
"""Largest number of exemplars on a picture."""
MOST_BYTES = 2**28
"""Exemplars that take more memory than this are not copied for a picture."""
SHARE = 0.02
"""Largest share of the build's time that pictures may take."""
LEAST_S = 1.0
"""Least number of seconds between two pictures."""
AXES = 3


class Picture:
    """Draws pictures, no oftener than their cost allows."""

    def __init__(self) -> None:
        self._due = 0.0
        self._drawn: tuple[Key, int] | None = None
        self._axes: dict[Key, Float64[np.ndarray, "a d"]] = {}

    def draw(self, drafts: Mapping[Key, Draft]) -> dict[str, Any] | None:
        """Return the picture as JSON values; None where it is too early or nothing is new.

        layer, percentile: of the dictionary shown, see `shown`. regions: its K. ids: (n,) the
        regions shown. points: (n, 3) their coordinates. kept: share of their variance on the axes.
        """
        start = monotonic()
        key = shown(drafts)
        if start < self._due or key is None or (key, len(drafts[key])) == self._drawn:
            return None
        draft, k = drafts[key], len(drafts[key])
        ids = np.unique(np.linspace(0, k - 1, min(k, MOST_POINTS)).astype(np.int64))
        points, kept = self._project(key, draft.leaders.exemplars[ids])
        self._drawn = key, k
        self._due = monotonic() + max(LEAST_S, (monotonic() - start) / SHARE)
        return {
            "layer": key[0],
            "percentile": key[1],
            "regions": k,
            "ids": ids.tolist(),
            "points": np.round(points, 4).tolist(),
            "kept": round(kept, 4),
        }

    def _project(self, key: Key, rows: np.ndarray) -> tuple[Float64[np.ndarray, "n a"], float]:
        """Return the coordinates of some exemplars, and the share of their variance on the axes."""
        centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
        _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
        axes = directions[:AXES]
        before = self._axes.get(key)
        if before is not None and before.shape == axes.shape:
            # the rotation of the axes that brings them nearest to those before (Procrustes)
            u, _, v = np.linalg.svd(before @ axes.T)
            axes = (u @ v) @ axes
        self._axes[key] = axes
        total = float((sizes**2).sum())
        return centred @ axes.T, float((sizes[:AXES] ** 2).sum()) / total if total else 0.0


def shown(drafts: Mapping[Key, Draft]) -> Key | None:
    """Return the dictionary that is drawn: the one with most regions that all fit, else the
    smallest; None where none has enough regions or all are too large.
    """
    sizes = {
        key: len(draft)
        for key, draft in drafts.items()
        if len(draft) > AXES and len(draft) * draft.width * 4 <= MOST_BYTES
    }
    fitting = {key: k for key, k in sizes.items() if k <= MOST_POINTS}
    if fitting:
        return max(fitting, key=lambda key: fitting[key])
    return min(sizes, key=lambda key: sizes[key], default=None)
