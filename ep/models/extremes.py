"""The highest and lowest scores of many states against a large unembedding, exactly and fast.

    1 screen: find the tokens that can be among the k extremes, in a cheap dtype (`screening.py`)
    2 decide: score those in float64, round to float32 and sort

The result is that of a plain float64 product rounded to float32, ties to the smaller token id,
whatever the blocks, the dtype of the screen and the number of threads. Memory is bounded by the
blocks, not by states or vocabulary.
"""

from __future__ import annotations

from functools import lru_cache
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ep.errors import ModelError
from ep.models.screening import Pairs, Screener, Subtracted
from ep.models.token_groups import Groups
from ep.shapes import Float32, Int32

_ROWS = 2048
"""States in a block, at most."""
_SCORES = 1 << 27
"""Scores in memory at a time: 268 MB in bfloat16."""
_PRODUCTS = 1 << 21
"""Numbers of either side multiplied in float64 at a time: 17 MB."""
_LOOSE = 16
"""A state is screened again in float32 where more than so many times k tokens are kept, and more
than one for so many groups.
"""


class Strongest(NamedTuple):
    """The k tokens with the highest values of each of m states, highest first."""

    ids: Int32[np.ndarray, "m k"]
    values: Float32[np.ndarray, "m k"]


class Unembedding:
    """W_U (V, width), ready to be searched for extremes.

    weights: a tensor of any floating dtype on any device; it is kept, not copied.
    kind: the dtype of the screen; by default the fastest here.
    groups: the division of the tokens; it decides about speed alone.
    """

    def __init__(self, weights: Any, kind: Any = None, groups: Groups | None = None) -> None:
        import torch

        self.weights = weights
        self.kind = kind or _fastest(str(weights.device))
        self._groups = groups or Groups(len(weights))
        self._screener = Screener(weights, self._groups)
        self._rows = max(1, min(_ROWS, _SCORES // max(1, len(weights))))
        # mps has no float64
        self._exact = torch.device("cpu") if weights.device.type == "mps" else weights.device

    def __len__(self) -> int:
        return len(self.weights)

    def both(self, states: Any, k: int) -> tuple[Strongest, Strongest]:
        """Return the k highest and the k lowest scores of states (m, width) float32.

        The lowest come lowest first. k is at most the number of tokens.
        """
        blocks = [self._block(part, k, None, (1, -1)) for part in states.split(self._rows)]
        highest, lowest = (_joined([block[end] for block in blocks]) for end in (0, 1))
        return highest, Strongest(lowest.ids, -lowest.values)

    def highest(self, states: Any, k: int, offset: Any, shift: Any) -> Strongest:
        """Return the k highest of score − offset[token] − shift[state] for each state.

        offset: (V,), shift: (m,), float64 on the CPU.
        """
        shifts = shift.split(self._rows)
        blocks = [
            self._block(part, k, Subtracted(offset, of_part), (1,))[0]
            for part, of_part in zip(states.split(self._rows), shifts, strict=True)
        ]
        return _joined(blocks)

    # -- one block of states -----------------------------------------------------------------------

    def _block(
        self, x: Any, k: int, minus: Subtracted | None, signs: tuple[int, ...]
    ) -> list[Strongest]:
        """Return the k highest scores of a block, and with sign −1 those of the negated ones."""
        import torch

        if not len(x):
            nothing = np.zeros((0, k))
            return [Strongest(nothing.astype(np.int32), nothing.astype(np.float32))] * len(signs)
        if not torch.isfinite(x).all():
            raise ModelError("the logit lens of a region is not finite: its model is damaged")
        found = self._pairs(x, k, minus, signs)
        return [
            self._decided(x, pairs, minus, k, sign)
            for pairs, sign in zip(found, signs, strict=True)
        ]

    def _pairs(
        self, x: Any, k: int, minus: Subtracted | None, signs: tuple[int, ...]
    ) -> list[Pairs]:
        """Return the tokens that can be among the k highest, for each sign.

        States of which a cheap dtype keeps a great many are screened again in float32.
        """
        import torch

        found = self._screener.pairs(x, k, minus, signs, self.kind)
        counts = sum(torch.bincount(pairs.row, minlength=len(x)) for pairs in found)
        loose = torch.nonzero(counts > max(_LOOSE * k, len(self._groups) // _LOOSE))[:, 0]
        if self.kind == torch.float32 or not len(loose):
            return found
        of_loose = minus and minus.of(loose.cpu())
        again = self._screener.pairs(x[loose], k, of_loose, signs, torch.float32)
        is_loose = torch.zeros(len(x), dtype=torch.bool, device=loose.device)
        is_loose[loose] = True
        merged = []
        for pairs, better in zip(found, again, strict=True):
            stays = ~is_loose[pairs.row]
            row = torch.cat([pairs.row[stays], loose[better.row]])
            merged.append(Pairs(row, torch.cat([pairs.ids[stays], better.ids])))
        return merged

    def _decided(
        self, x: Any, pairs: Pairs, minus: Subtracted | None, k: int, sign: int
    ) -> Strongest:
        """Return the k highest values of each state, or with sign −1 those of the negated ones."""
        exact = self._products(x, pairs)
        row, ids = (part.cpu() for part in pairs)
        if minus is not None:
            exact = exact - minus.offset[ids] - minus.shift[row]
        row, ids, values = (part.numpy() for part in (row, ids, exact.float() * sign))
        order = np.lexsort((ids, -values, row))
        first = np.searchsorted(row[order], np.arange(len(x)))[:, None] + np.arange(k)
        return Strongest(ids[order][first].astype(np.int32), values[order][first])

    def _products(self, x: Any, pairs: Pairs) -> Any:
        """Return the float64 scores (n,), on the CPU, of pairs of a state and a token."""
        import torch

        step = max(1, _PRODUCTS // x.shape[1])
        parts = []
        for row, ids in zip(pairs.row.split(step), pairs.ids.split(step), strict=True):
            a, b = (v.to(self._exact).double() for v in (x[row], self.weights[ids]))
            parts.append(torch.linalg.vecdot(a, b).cpu())
        return torch.cat(parts)


def _joined(parts: list[Strongest]) -> Strongest:
    return Strongest(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@lru_cache
def _fastest(device: str) -> Any:
    """Return the dtype in which a device multiplies fastest: bfloat16 or float32.

    Without support in hardware, bfloat16 is many times slower than float32.
    """
    import torch

    if device.startswith("cuda"):
        return torch.bfloat16
    if device != "cpu":
        return torch.float32
    seconds = {}
    for kind in (torch.float32, torch.bfloat16):
        a = torch.ones((256, 512), dtype=kind)
        times = []
        for _ in range(4):
            started = perf_counter()
            a @ a.T
            times.append(perf_counter() - started)
        seconds[kind] = min(times)
    return min(seconds, key=lambda kind: seconds[kind])
