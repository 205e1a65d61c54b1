"""An exact, sparse counter of (region, token) pairs."""

from __future__ import annotations

import numpy as np

from ep.shapes import Int32, Integer, UInt32

PENDING = 2**20
"""Pairs collected, at least, before they are merged into the sorted counts."""
TOKEN_BITS = np.int64(32)
"""Bits of a token id in a pair's key.

The key is region · 2³² + token, so that sorted keys are ordered by region, then by token.
"""


class PairCounter:
    """Counts of (region, token) pairs.

    Memory grows with the number of distinct pairs (12 bytes each), not with the length of the
    stream.
    """

    def __init__(self) -> None:
        self._keys = np.empty(0, np.int64)
        self._counts: np.ndarray = np.empty(0, np.uint32)
        self._pending: list[np.ndarray] = []
        self._n_pending = 0

    def add(self, region: Integer[np.ndarray, " n"], token: Integer[np.ndarray, " n"]) -> None:
        """Count n pairs.

        region: (n,) region ids.
        token: (n,) token ids; pairs with a negative one, which stands for no token, are skipped.
        """
        keys = (region.astype(np.int64) << TOKEN_BITS) | token
        self._pending.append(keys[token >= 0])
        self._n_pending += len(keys)
        # merging only once the new pairs outnumber the stored ones keeps the cost per pair small
        if self._n_pending > max(PENDING, len(self._keys)):
            self._merge_pending()

    def _merge_pending(self) -> None:
        """Merge the pending pairs into the sorted ones."""
        if not self._pending:
            return
        keys, counts = np.unique(np.concatenate(self._pending), return_counts=True)
        self._pending, self._n_pending = [], 0
        keys = np.concatenate([self._keys, keys])
        # two sorted runs, which a stable sort merges cheaply
        order = np.argsort(keys, kind="stable")
        keys, counts = keys[order], np.concatenate([self._counts, counts.astype(np.uint32)])[order]
        first = np.flatnonzero(np.diff(keys, prepend=-1))  # keys are never negative
        self._keys = keys[first]
        self._counts = (
            np.add.reduceat(counts, first, dtype=np.uint32).astype(np.uint32)
            if len(first)
            else counts
        )

    def top(
        self, n_regions: int, k: int = 10
    ) -> tuple[Int32[np.ndarray, "K k"], UInt32[np.ndarray, "K k"]]:
        """Return each region's k most frequent tokens and their counts, the most frequent first.

        Ties go to the smaller token id. Rows with fewer than k tokens are padded with −1 and 0.
        """
        self._merge_pending()
        ids, counts = np.full((n_regions, k), -1, np.int32), np.zeros((n_regions, k), np.uint32)
        region = self._keys >> TOKEN_BITS
        # by region, then the largest count; within a region, the keys break ties by token
        order = np.lexsort((self._keys, -self._counts.astype(np.int64), region))
        region = region[order]
        # place within the region: each index less that of the region's first pair
        rank = np.arange(len(region)) - np.searchsorted(region, region)
        order, region, rank = order[rank < k], region[rank < k], rank[rank < k]
        ids[region, rank] = (self._keys[order] & 0xFFFFFFFF).astype(np.int32)
        counts[region, rank] = self._counts[order]
        return ids, counts

    def state(self) -> dict[str, np.ndarray]:
        """Return plain arrays, from which `from_state` continues exactly."""
        self._merge_pending()
        return {"keys": self._keys, "counts": self._counts}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> PairCounter:
        """Restore a counter from the arrays of `state`."""
        counter = cls()
        counter._keys, counter._counts = state["keys"], state["counts"]
        return counter
