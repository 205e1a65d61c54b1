"""Scores all tokens in a cheap dtype and says which can be among the highest of a state.

    1 screen: score every token in a cheap dtype, and find the extreme of every group of tokens
    2 bound: an upper bound of what the cheap dtype can be wrong by, for each state and group
    3 select: the tokens that can be one of the k highest

The bound: with x̃, w̃ the rounded vectors, x·w − x̃·w̃ = (x − x̃)·w + x̃·(w − w̃), so the error is at
most ‖x − x̃‖·‖w‖ + ‖x̃‖·‖w − w̃‖ plus γ‖x̃‖‖w̃‖ of the summation in float32. The norms are measured,
not estimated. At least k tokens score at least the k-th largest lower bound of the groups; a token
whose upper bound is below that cannot matter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ep.models.token_groups import Groups


class Subtracted(NamedTuple):
    """What is subtracted from the scores, in float64 on the CPU.

    offset: (V,) of each token.
    shift: (m,) of each state.
    """

    offset: Any
    shift: Any

    def of(self, rows: Any) -> Subtracted:
        """Return that of some states."""
        return Subtracted(self.offset, self.shift[rows])


class Pairs(NamedTuple):
    """Pairs of a state and a token.

    row: (n,) the state.
    ids: (n,) the token.
    """

    row: Any
    ids: Any


class Screener:
    """Screens states against an unembedding (V, width), in any dtype.

    weights: a tensor of any floating dtype on any device.
    """

    def __init__(self, weights: Any, groups: Groups) -> None:
        self.weights, self.groups = weights, groups
        self._bounds: dict[Any, tuple[Any, Any]] = {}

    def pairs(
        self, x: Any, k: int, minus: Subtracted | None, signs: tuple[int, ...], kind: Any
    ) -> list[Pairs]:
        """Return the tokens that can be one of the k highest of each state, for each sign.

        x: (m, width) float32. Sign −1 is that of the negated scores. kind: the dtype.

        All scores of x are in memory at once: m·V values of the dtype.
        """
        import torch

        # close to what is subtracted: a constant for each state does not change its order
        shift = None if minus is None else minus.shift.mean()
        offset = None if minus is None else minus.offset + shift
        columns = None if offset is None else [c.to(x.device) for c in _split(offset, kind)]
        low = _widened(x.to(kind), columns, -1)
        slices: list[Any] = []
        tops: list[list[Any]] = [[] for _ in signs]
        for start, stop, width in self.groups.slices():
            w = _widened(self.weights[start:stop].to(kind), columns, start)
            scores = low @ w.T
            for top, sign in zip(tops, signs, strict=True):
                grouped = self.groups.grouped(scores, width, -sign * torch.inf)
                top.append(grouped.amax(1) if sign > 0 else -grouped.amin(1))
            slices.append((start, stop, grouped))
        error = self._error(x, low[:, : x.shape[1]], offset, kind)
        if minus is not None:  # the exact values are rounded where they are, not where these are
            beside = (minus.shift - shift).abs().float().to(error.device)
            error += torch.finfo(torch.float32).eps * beside[:, None]
        return [
            self._selected(torch.cat(top, 1).float(), slices, error, k, sign, kind)
            for top, sign in zip(tops, signs, strict=True)
        ]

    def _selected(
        self, extremes: Any, slices: list[Any], error: Any, k: int, sign: int, kind: Any
    ) -> Pairs:
        """Return the tokens whose upper bound reaches the k-th largest lower bound of the groups.

        extremes: (m, G) the highest score times the sign of each group.
        slices: (start, stop, scores (m, members, groups)) of each slice of the tokens.
        error: (m, G) what a score can be wrong by, but for its own rounding.
        """
        import torch

        eps = torch.finfo(kind).eps
        slack = error + eps * extremes.abs()
        if extremes.shape[1] > k:
            least = torch.topk(extremes - slack, k, dim=1).values[:, -1]
        else:
            least = extremes.new_full((len(extremes),), -torch.inf)
        keep = extremes + slack >= least[:, None]
        rows, tokens, number = [], [], 0
        for start, stop, scores in slices:
            width = scores.shape[2]
            row, group = torch.nonzero(keep[:, number : number + width], as_tuple=True)
            values = scores[row, :, group].float() * sign  # (pairs, members)
            values = values + error[row, number + group][:, None] + eps * values.abs()
            pair, member = torch.nonzero(values >= least[row][:, None], as_tuple=True)
            found = start + member * width + group[pair]
            real = found < stop
            rows.append(row[pair][real])
            tokens.append(found[real])
            number += width
        return Pairs(torch.cat(rows), torch.cat(tokens))

    def _error(self, x: Any, low: Any, offset: Any, kind: Any) -> Any:
        """Return the bound (m, G) of what the screen of `low` can be wrong by; see the module."""
        norms, errors = self._norms(kind)
        low = low.float()
        near, far = low.norm(dim=1), (x - low).norm(dim=1)
        gamma = (x.shape[1] + 16) * 2.0**-23
        bound = far[:, None] * norms + near[:, None] * errors
        bound += gamma * (near[:, None] * (norms + errors)) + 1e-30
        if offset is not None:
            bound += gamma * self.groups.largest(offset.abs().float()).to(bound.device)
        return bound * 1.0001  # the bound itself is computed in float32

    def _norms(self, kind: Any) -> tuple[Any, Any]:
        """Return the largest ‖w‖ and ‖w − w̃‖ of each group (G,), for one dtype of the screen."""
        import torch

        if kind not in self._bounds:
            pairs = []
            for start, stop, _ in self.groups.slices():
                w = self.weights[start:stop].float()
                pairs.append((w.norm(dim=1), (w - w.to(kind).float()).norm(dim=1)))
            norms, errors = (torch.cat(part) for part in zip(*pairs, strict=True))
            self._bounds[kind] = self.groups.largest(norms), self.groups.largest(errors)
        return self._bounds[kind]


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
