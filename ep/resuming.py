"""The state of an unfinished build as plain arrays, and what they hold when it is continued.

Their names begin with what they are of, such as `draft.4.2.0.`. `storage/checkpoint.py` stores
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from time import monotonic

import numpy as np

from ep.errors import StorageError
from ep.method.calibration import Calibration
from ep.method.draft import Draft
from ep.method.outliers import Measured
from ep.reporting import Counts, Key
from ep.storage.checkpoint import Checkpoint

Arrays = Mapping[str, np.ndarray]


FEW_S, MOST_S = 1.0, 30.0
"""The state is saved no more often than every `FEW_S` seconds, and mostly every `MOST_S`."""
SHARE, MOST_SHARE = 0.01, 0.1
"""Share of the time that saving may take, and the share that it may never exceed."""


class Saver:
    """Decides when the state of a build is saved, and saves it; a full disk does not end the build.

    So that saving takes about a hundredth of the time and at most half a minute is lost, the
    interval is a hundred times what the last save took, but no more than half a minute unless that
    would be a tenth of the time.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.note = ""
        """Why the last save failed; "" where it did not."""
        self._last = -inf
        self._interval = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to save."""
        return monotonic() - self._last >= self._interval

    def save(self, arrays: Arrays) -> bool:
        """Save the state; return False, with a note, where the disk refuses."""
        start = monotonic()
        try:
            self.checkpoint.save(arrays)
            self.note = ""
        except StorageError as error:
            self.note = f"{error}: the build goes on, and tries again"
        self._last = monotonic()
        cost = self._last - start
        longest = max(MOST_S, cost / MOST_SHARE)
        self._interval = min(max(FEW_S, cost / SHARE), longest)
        return not self.note


def packed(
    counts: Mapping[str, Counts],
    calibrations: Mapping[int, Calibration],
    measured: Mapping[int, Measured],
    drafts: Mapping[Key, Draft],
) -> dict[str, np.ndarray]:
    """Return the state of a build that is calibrated as arrays.

    counts: what each pass over the text has read, by stage.
    calibrations, measured: of each layer.
    drafts: by layer and percentile.
    """
    arrays: dict[str, np.ndarray] = {}
    for stage, counted in counts.items():
        arrays |= named(f"counts.{stage}.", counted.state())
    for layer, calibration in calibrations.items():
        arrays |= named(f"calibration.{layer}.", calibration.state())
    for layer, of_layer in measured.items():
        arrays |= named(f"measured.{layer}.", of_layer.state())
    for key, draft in drafts.items():
        arrays |= named(draft_name(key), draft.state())
    return arrays


def named(prefix: str, arrays: Arrays) -> dict[str, np.ndarray]:
    """Return arrays with a prefix before their names."""
    return {prefix + name: array for name, array in arrays.items()}


def part(arrays: Arrays, prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with a prefix, by the rest of their names."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def draft_name(key: Key) -> str:
    """Return what the names of a draft's arrays begin with."""
    layer, percentile = key
    return f"draft.{layer}.{percentile!r}."


def counts_in(arrays: Arrays) -> dict[str, Counts]:
    """Return what each pass had read, by stage."""
    stages = {name.split(".")[0] for name in part(arrays, "counts.")}
    return {stage: Counts.from_state(part(arrays, f"counts.{stage}.")) for stage in stages}


def calibrations_in(arrays: Arrays) -> dict[int, Calibration]:
    """Return the calibration of each layer."""
    return {
        layer: Calibration.from_state(part(arrays, f"calibration.{layer}."))
        for layer in _layers(arrays, "calibration.")
    }


def measured_in(arrays: Arrays) -> dict[int, Measured]:
    """Return what was measured of each layer, and what is left out of it."""
    return {
        layer: Measured.from_state(part(arrays, f"measured.{layer}."))
        for layer in _layers(arrays, "measured.")
    }


def _layers(arrays: Arrays, prefix: str) -> list[int]:
    return sorted({int(name.split(".")[0]) for name in part(arrays, prefix)})
