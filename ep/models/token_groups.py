"""The groups of tokens of which a screen of all scores keeps only the extremes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Groups:
    """The division of a vocabulary into groups.

    size: number of tokens.
    members: tokens of a group.
    step: tokens scored at a time; their scores for one block fit a processor's cache.
    """

    size: int
    members: int = 32
    step: int = 4096

    def __len__(self) -> int:
        return sum(width for _, _, width in self.slices())

    def slices(self) -> Iterator[tuple[int, int, int]]:
        """Yield (start, stop, number of groups): group j holds tokens start + j, + width, ...

        Strided groups make the extreme of a group an element-wise one of whole rows.
        """
        for start in range(0, self.size, self.step):
            stop = min(start + self.step, self.size)
            yield start, stop, -(-(stop - start) // self.members)

    def largest(self, values: Any) -> Any:
        """Return the largest of values (V,) in each group (G,)."""
        import torch

        parts = [
            self.grouped(values[None, start:stop], width, -torch.inf).amax(1)[0]
            for start, stop, width in self.slices()
        ]
        return torch.cat(parts)

    def grouped(self, scores: Any, width: int, fill: float) -> Any:
        """Return the scores of a slice (m, tokens) as (m, members, width).

        fill: the score of places beyond the vocabulary.
        """
        import torch

        missing = width * self.members - scores.shape[1]
        if missing:
            scores = torch.nn.functional.pad(scores, (0, missing), value=fill)
        return scores.view(len(scores), self.members, width)
