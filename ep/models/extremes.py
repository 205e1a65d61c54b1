"""The highest and lowest scores of many states against a large unembedding, exactly and fast.

    1 screen: score every token in a cheap dtype and keep the extreme of every group of tokens
    2 bound: an upper bound of what the cheap dtype can be wrong by, for each state and group
    3 rescore: the groups that can hold one of the k extremes, in float64

The result is that of a plain float64 product rounded to float32, ties to the smaller token id,
whatever the blocks, the dtype of the screen and the number of threads. Memory is bounded by the
blocks, not by states or vocabulary.

The bound: with x̃, w̃ the rounded vectors, x·w − x̃·w̃ = (x − x̃)·w + x̃·(w − w̃), so the error is at
most ‖x − x̃‖·‖w‖ + ‖x̃‖·‖w − w̃‖ plus γ‖x̃‖‖w̃‖ of the summation in float32. The norms are measured,
not estimated. At least k tokens score at least the k-th largest lower bound of the groups; a group
whose upper bound is below that cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ep.errors import ModelError
from ep.shapes import Float32, Int32

_ROWS = 2048
"""States in a block."""
_SLICE = 4096
"""Tokens scored at a time: their scores for one block fit a processor's cache."""
_GROUP = 32
"""Tokens of which only the extreme is kept by the screen."""
_PAIRS = 1 << 19
"""Pairs of state and group rescored at a time: 2^19 · 32 float64 scores are 134 MB."""
_LOOSE = 16
"""A state is screened again in float32 where more than one group in so many is kept."""


class Strongest(NamedTuple):
    """The k tokens with the highest values of each of m states, highest first."""

    ids: Int32[np.ndarray, "m k"]
    values: Float32[np.ndarray, "m k"]


class Unembedding:
    """W_U (V, width), ready to be searched for extremes.

    weights: a tensor of any floating dtype on any device; it is kept, not copied.
    kind: the dtype of the screen; by default the fastest here.
    """

    def __init__(self, weights: Any, kind: Any = None) -> None:
        import torch

        self.weights = weights
        self.kind = kind or _fastest(str(weights.device))
        self._bounds: dict[Any, tuple[Any, Any]] = {}
        # mps has no float64
        self._exact = torch.device("cpu") if weights.device.type == "mps" else weights.device

    def __len__(self) -> int:
        return len(self.weights)

    def both(self, states: Any, k: int) -> tuple[Strongest, Strongest]:
        """Return the k highest and the k lowest scores of states (m, width) float32.

        The lowest come lowest first. k is at most the number of tokens.
        """
        blocks = [self._block(part, k, None, (1, -1)) for part in states.split(_ROWS)]
        highest, lowest = (_joined([block[end] for block in blocks]) for end in (0, 1))
        return highest, Strongest(lowest.ids, -lowest.values)

    def highest(self, states: Any, k: int, offset: Any, shift: Any) -> Strongest:
        """Return the k highest of score − offset[token] − shift[state] for each state.

        offset: (V,), shift: (m,), float64 on the CPU.
        """
        shifts = shift.split(_ROWS)
        blocks = [
            self._block(part, k, (offset, shift_part), (1,))[0]
            for part, shift_part in zip(states.split(_ROWS), shifts, strict=True)
        ]
        return _joined(blocks)

    # -- one block of states -----------------------------------------------------------------------

    def _block(
        self, x: Any, k: int, minus: tuple[Any, Any] | None, signs: tuple[int, ...]
    ) -> list[Strongest]:
        """Return the k highest scores of a block, and with sign −1 those of the negated ones."""
        import torch

        if not len(x):
            nothing = np.zeros((0, k))
            return [Strongest(nothing.astype(np.int32), nothing.astype(np.float32))] * len(signs)
        if not torch.isfinite(x).all():
            raise ModelError("the logit lens of a region is not finite: its model is damaged")
        keep = self._candidates(x, k, minus, signs, self.kind)
        loose = torch.nonzero(keep.sum(1) > max(4 * k, keep.shape[1] // _LOOSE))[:, 0]
        if len(loose) and self.kind != torch.float32:
            again = minus and (minus[0], minus[1][loose.cpu()])
            keep[loose] = self._candidates(x[loose], k, again, signs, torch.float32)
        parts: list[list[Strongest]] = [[] for _ in signs]
        for start, stop in _runs(keep.sum(1).cpu().numpy(), _PAIRS):
            rows = slice(start, stop)
            ids, values = self._rescored(x[rows], keep[rows], minus and (minus[0], minus[1][rows]))
            for part, sign in zip(parts, signs, strict=True):
                part.append(_top(ids, values * sign, k))
        return [_joined(part) for part in parts]

    def _candidates(
        self, x: Any, k: int, minus: tuple[Any, Any] | None, signs: tuple[int, ...], kind: Any
    ) -> Any:
        """Return which groups (m, G) can hold one of the k extremes of a sign."""
        import torch

        offset = (
            None if minus is None else minus[0] + minus[1].mean()
        )  # close to what is subtracted
        columns = None if offset is None else [c.to(x.device) for c in _split(offset, kind)]
        low = _widened(x.to(kind), columns, -1)
        tops: list[list[Any]] = [[] for _ in signs]
        for start, stop, width in self._slices():
            w = _widened(self.weights[start:stop].to(kind), columns, start)
            scores = low @ w.T
            for top, sign in zip(tops, signs, strict=True):
                top.append(_group_extremes(scores, width, sign))
        error = self._error(x, low[:, : x.shape[1]], offset, kind)
        keep = None
        for top, sign in zip(tops, signs, strict=True):
            extremes = torch.cat(top, 1).float() * sign
            # the scores themselves were rounded to the dtype of the screen
            slack = error + torch.finfo(kind).eps * extremes.abs()
            lower = extremes - slack
            if lower.shape[1] > k:
                least = torch.topk(lower, k, dim=1).values[:, -1:]
                found = extremes + slack >= least
            else:
                found = torch.ones_like(lower, dtype=torch.bool)
            keep = found if keep is None else keep | found
        return keep

    def _error(self, x: Any, low: Any, offset: Any, kind: Any) -> Any:
        """Return the bound (m, G) of what the screen of `low` can be wrong by; see the module."""
        norms, errors = self._norms(kind)
        low = low.float()
        near, far = low.norm(dim=1), (x - low).norm(dim=1)
        gamma = (x.shape[1] + 16) * 2.0**-23
        bound = far[:, None] * norms + near[:, None] * errors
        bound += gamma * (near[:, None] * (norms + errors)) + 1e-30
        if offset is not None:
            bound += gamma * self._grouped(offset.abs().float()).to(bound.device)
        return bound * 1.0001  # the bound itself is computed in float32

    def _norms(self, kind: Any) -> tuple[Any, Any]:
        """Return the largest ‖w‖ and ‖w − w̃‖ of each group (G,), for one dtype of the screen."""
        import torch

        if kind not in self._bounds:
            pairs = []
            for start, stop, _ in self._slices():
                w = self.weights[start:stop].float()
                pairs.append((w.norm(dim=1), (w - w.to(kind).float()).norm(dim=1)))
            norms, errors = (torch.cat(part) for part in zip(*pairs, strict=True))
            self._bounds[kind] = self._grouped(norms), self._grouped(errors)
        return self._bounds[kind]

    def _rescored(self, x: Any, keep: Any, minus: tuple[Any, Any] | None) -> tuple[Any, Any]:
        """Return ids (m, n) and values of all tokens in the groups `keep` (m, G) of each state.

        Both are padded with id -1. Values are float64 sums, rounded to float32.
        """
        import torch

        group, row = torch.nonzero(keep.T, as_tuple=True)
        group, row = group.to(self._exact), row.to(self._exact)
        scores, ids = self._pair_scores(x.to(self._exact).double(), group, row)
        if minus is not None:
            offset, shift = (part.to(self._exact) for part in minus)
            scores = scores - offset[ids.clamp(min=0)] - shift[row][:, None]
        order = torch.argsort(row, stable=True)
        counts = torch.bincount(row, minlength=len(x))
        first = torch.cumsum(counts, 0) - counts
        place = torch.empty_like(row)
        place[order] = torch.arange(len(row), device=row.device) - first[row[order]]
        shape = (len(x), int(counts.max()), _GROUP)
        all_ids = torch.full(shape, -1, dtype=torch.long, device=row.device)
        values = torch.zeros(shape, dtype=torch.float32, device=row.device)
        all_ids[row, place], values[row, place] = ids, scores.float()
        return all_ids.flatten(1), values.flatten(1)

    def _pair_scores(self, x: Any, group: Any, row: Any) -> tuple[Any, Any]:
        """Return float64 scores and ids (pairs, _GROUP) of pairs that are sorted by group.

        x: (m, width) float64. The id of a place beyond the vocabulary is -1.
        """
        import torch

        counts = torch.bincount(group, minlength=self._n_groups()).tolist()
        scores, ids, at, number = [], [], 0, 0
        for start, stop, width in self._slices():
            n = sum(counts[number : number + width])
            if n:
                w = torch.zeros((_GROUP * width, x.shape[1]), dtype=x.dtype, device=x.device)
                w[: stop - start] = self.weights[start:stop].to(x.device)
                w = w.view(_GROUP, width, -1).transpose(0, 1).contiguous().transpose(1, 2)
                rows = x[row[at : at + n]].split(counts[number : number + width])
                scores += [part @ w[j] for j, part in enumerate(rows) if len(part)]
                tokens = torch.arange(_GROUP, device=x.device) * width + start
                found = tokens + (group[at : at + n] - number)[:, None]
                ids.append(torch.where(found < stop, found, -1))
            at, number = at + n, number + width
        return torch.cat(scores), torch.cat(ids)

    # -- groups ------------------------------------------------------------------------------------

    def _slices(self) -> Iterator[tuple[int, int, int]]:
        """Yield (start, stop, number of groups): group j holds tokens start + j, + width, ...

        Strided groups make the extreme of a group an element-wise one of whole rows.
        """
        for start in range(0, len(self), _SLICE):
            stop = min(start + _SLICE, len(self))
            yield start, stop, -(-(stop - start) // _GROUP)

    def _n_groups(self) -> int:
        return sum(width for _, _, width in self._slices())

    def _grouped(self, values: Any) -> Any:
        """Return the largest of values (V,) ≥ 0 in each group (G,)."""
        import torch

        parts = [
            _group_extremes(values[None, start:stop], width, 1)[0]
            for start, stop, width in self._slices()
        ]
        return torch.cat(parts)


def _group_extremes(scores: Any, width: int, sign: int) -> Any:
    """Return the highest score of each group (m, width), or with sign −1 the lowest."""
    import torch

    missing = width * _GROUP - scores.shape[1]
    if missing:
        scores = torch.nn.functional.pad(scores, (0, missing), value=-sign * float("inf"))
    grouped = scores.view(len(scores), _GROUP, width)
    return grouped.amax(1) if sign > 0 else grouped.amin(1)


def _split(offset: Any, kind: Any) -> list[Any]:
    """Return vectors of a dtype whose sum is the offset (V,) to within float32's rounding."""
    import torch

    parts: list[Any] = []
    for _ in range(1 if kind == torch.float32 else 3):
        parts.append(offset.to(kind))
        offset = offset - parts[-1].double()
    return parts


def _widened(rows: Any, columns: list[Any] | None, start: int) -> Any:
    """Return rows with columns that subtract an offset in a product: −1 in states, parts in W_U.

    start: the first token of the rows; −1 for states.
    """
    import torch

    if columns is None:
        return rows
    if start < 0:
        return torch.cat([rows, rows.new_full((len(rows), len(columns)), -1.0)], 1)
    return torch.cat([rows, *(c[start : start + len(rows), None] for c in columns)], 1)


def _top(ids: Any, values: Any, k: int) -> Strongest:
    """Return the k highest values of each row; ties go to the smaller id.

    ids, values: (m, n); entries of id -1 do not count.
    """
    import torch

    values = torch.where(ids >= 0, values, -torch.inf)
    least = torch.topk(values, k, dim=1).values[:, -1:]
    row, column = torch.nonzero((values >= least) & (ids >= 0), as_tuple=True)
    found = [part.cpu().numpy() for part in (row, ids[row, column], values[row, column])]
    order = np.lexsort((found[1], -found[2], found[0]))
    row, tokens, best = (part[order] for part in found)
    first = np.searchsorted(row, np.arange(len(ids)))[:, None] + np.arange(k)
    return Strongest(tokens[first].astype(np.int32), best[first])


def _joined(parts: list[Strongest]) -> Strongest:
    return Strongest(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _runs(counts: np.ndarray, limit: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows whose counts sum to at most `limit`, or of one row."""
    start = 0
    while start < len(counts):
        total = np.cumsum(counts[start:])
        stop = start + max(1, int(np.searchsorted(total, limit, "right")))
        yield start, stop
        start = stop


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
