"""Exemplars of one dictionary as another dictionary of the same model and layer sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ep.method.dictionary import Dictionary
from ep.method.laws import joined
from ep.method.metrics import carried
from ep.method.nearest import folded_cosine


class Home(NamedTuple):
    """Where an exemplar lies in another dictionary.

    region: the region it falls into, by that dictionary's distance.
    cosine: of the two exemplars, in [−1, 1].
    lengths_agree: whether both are equally long to one part in 10,000; True where the metric does
        not keep lengths.
    """

    region: int
    cosine: float
    lengths_agree: bool


def carried_rows(
    source: Dictionary, target: Dictionary, regions: Sequence[int] | None = None
) -> np.ndarray:
    """Return exemplars of one dictionary, all or some, as rows that another compares with its own.

    Directions are carried as in `ep.method.metrics.carried`. Lengths are measured in the typical
    norm of the target; exemplars whose lengths are not stored count as 1 long.
    """
    chosen = slice(None) if regions is None else list(regions)
    directions = source.exemplars if regions is None else _rows(source, "exemplars", regions)
    rows = carried(directions, source.metric, target.metric)
    if not target.law.extra:
        return rows
    norms = np.ones(len(rows), np.float32)
    if source.law.extra:
        unit = np.float32(source.typical_norm / target.typical_norm)
        norms = source.column("exemplar_norms")[chosen] * unit
    return joined(rows, norms)


def _rows(source: Dictionary, name: str, regions: Sequence[int]) -> np.ndarray:
    return np.stack([source.row(name, region) for region in regions])


def home(source: Dictionary, region: int, target: Dictionary) -> Home:
    """Return where one exemplar of a dictionary lies in another."""
    exemplar = carried_rows(source, target, [region])
    nearest = target.law.nearest(exemplar, target.basis_rows("exemplar"))[1]
    there, width = target.basis_rows("exemplar")[nearest], target.width
    cosine = folded_cosine(exemplar[:, :width], there[:, :width])
    agree = np.allclose(exemplar[:, width:], there[:, width:], rtol=1e-4, atol=0)
    return Home(int(nearest[0]), float(cosine[0]), bool(agree))
