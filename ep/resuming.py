"""The state of an unfinished build as plain arrays, and what they hold when it is continued.

Their names begin with what they are of, such as `draft.4.2.0.`. `storage/checkpoint.py` stores
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from ep.method.calibration import Calibration
from ep.method.draft import Draft
from ep.method.outliers import Measured
from ep.reporting import Counts, Key

Arrays = Mapping[str, np.ndarray]


def packed(
    counts: Mapping[str, Counts],
    calibrations: Mapping[int, Calibration],
    measured: Mapping[int, Measured],
    drafts: Mapping[Key, Draft],
) -> dict[str, np.ndarray]:
    """Return the state as arrays.

    counts: what each pass over the text has read, by stage.
    calibrations, measured: of each layer.
    drafts: by layer and percentile.
    """
    arrays: dict[str, np.ndarray] = {}
    for stage, counted in counts.items():
        state = {name: np.array(count) for name, count in asdict(counted).items()}
        arrays |= _named(f"counts.{stage}.", state)
    for layer, calibration in calibrations.items():
        arrays |= _named(f"calibration.{layer}.", calibration.state())
    for layer, of_layer in measured.items():
        arrays |= _named(f"measured.{layer}.", of_layer.state())
    for key, draft in drafts.items():
        arrays |= _named(draft_name(key), draft.state())
    return arrays


def _named(prefix: str, arrays: Arrays) -> dict[str, np.ndarray]:
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
    return {
        stage: Counts(
            **{name: int(count) for name, count in part(arrays, f"counts.{stage}.").items()}
        )
        for stage in stages
    }


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
