"""The newest exemplars of a build, each with the text around it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.reporting import Key, Progress
from ep.text import split_text

if TYPE_CHECKING:
    from ep.models.tokens import TokenBatch, Tokens

KEPT = 6
"""Exemplars kept of each dictionary."""
TOKENS_LEFT, TOKENS_RIGHT = 14, 10
"""Tokens of the text shown before and after an exemplar."""


class Newest:
    """Collects the exemplars that each batch founds."""

    def __init__(self) -> None:
        self._known: dict[Key, int] = {}
        self._found: dict[Key, deque[dict[str, Any]]] = {}

    def look(self, progress: Progress) -> None:
        """Add the exemplars founded since the last call, with their text from the last batch."""
        for key, draft in progress.drafts.items():
            k = len(draft)
            born = k - self._known.get(key, k)
            self._known[key] = k
            if born <= 0 or progress.batch is None or progress.tokens is None:
                continue
            founders = draft.newest(min(born, KEPT))
            kept = self._found.setdefault(key, deque(maxlen=KEPT))
            for back, (passage, position) in enumerate(
                zip(founders["passage"].tolist(), founders["position"].tolist(), strict=True)
            ):
                text = _around(progress.batch, progress.tokens, passage, position)
                region = k - len(founders["passage"]) + back
                if text is not None:
                    kept.append({"layer": key[0], "percentile": key[1], "region": region, **text})

    def rows(self) -> tuple[dict[str, Any], ...]:
        """Return the newest exemplars of every dictionary, the newest last."""
        return tuple(row for kept in self._found.values() for row in kept)


def _around(
    batch: TokenBatch, tokens: Tokens, passage: int, position: int
) -> dict[str, str] | None:
    """Return the token at a position of a passage and its text; None if it is in another batch."""
    rows = np.flatnonzero(batch.passage == passage)
    if not len(rows) or not 0 <= position < batch.ids.shape[1]:
        return None
    row = int(rows[0])
    start, stop = max(0, position - TOKENS_LEFT), position + 1 + TOKENS_RIGHT
    shown = batch.mask[row, start:stop] & batch.keep[row, start:stop]
    at = position - start
    ids = batch.ids[row, start:stop].tolist()
    texts = split_text([tokens.piece(id) if shown[n] else b"" for n, id in enumerate(ids)])
    return {"left": "".join(texts[:at]), "token": texts[at], "right": "".join(texts[at + 1 :])}
