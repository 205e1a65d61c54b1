"""How often each region met each token: an exact, sparse counter of (region, token) pairs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32, Integer, UInt32

PENDING = 2**20
TOKEN_BITS = np.int64(32)


class PairCounter:
    """Counts pairs; memory grows with the number of distinct pairs (12 bytes each), not with the
    stream.
    """

    def __init__(self) -> None:
        self._keys = np.empty(0, np.int64)
        self._counts: np.ndarray = np.empty(0, np.uint32)
        self._pending: list[np.ndarray] = []
        self._n_pending = 0

    def add(self, region: Integer[np.ndarray, " n"], token: Integer[np.ndarray, " n"]) -> None:
        """Counts n pairs in; pairs with a negative token (there is none) are left out."""
        keys = (region.astype(np.int64) << TOKEN_BITS) | token
        self._pending.append(keys[token >= 0])
        self._n_pending += len(keys)
        if self._n_pending > max(PENDING, len(self._keys)):
            self._settle()

    def _settle(self) -> None:
        """Merges what waits into the sorted pairs."""
        if not self._pending:
            return
        keys, counts = np.unique(np.concatenate(self._pending), return_counts=True)
        self._pending, self._n_pending = [], 0
        keys = np.concatenate([self._keys, keys])
        order = np.argsort(keys, kind="stable")
        keys, counts = keys[order], np.concatenate([self._counts, counts.astype(np.uint32)])[order]
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        self._keys = keys[first]
        self._counts = (
            np.add.reduceat(counts, first, dtype=np.uint32).astype(np.uint32)
            if len(first)
            else counts
        )

    def top(
        self, n_regions: int, k: int = 10
    ) -> tuple[Int32[np.ndarray, "K k"], UInt32[np.ndarray, "K k"]]:
        """Each region's k most frequent tokens and their counts, ties to the smaller id; −1 and 0
        pad short rows.
        """
        self._settle()
        ids, counts = np.full((n_regions, k), -1, np.int32), np.zeros((n_regions, k), np.uint32)
        region = self._keys >> TOKEN_BITS
        # the keys break ties by token
        order = np.lexsort((self._keys, -self._counts.astype(np.int64), region))
        region = region[order]
        rank = np.arange(len(region)) - np.searchsorted(region, region)
        order, region, rank = order[rank < k], region[rank < k], rank[rank < k]
        ids[region, rank] = (self._keys[order] & 0xFFFFFFFF).astype(np.int32)
        counts[region, rank] = self._counts[order]
        return ids, counts

    def state(self) -> dict[str, np.ndarray]:
        self._settle()
        return {"keys": self._keys, "counts": self._counts}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> PairCounter:
        counter = cls()
        counter._keys, counter._counts = state["keys"], state["counts"]
        return counter
