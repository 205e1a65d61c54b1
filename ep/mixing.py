"""Several texts as one: each passage is drawn from one of them, by seeded weights.

Weights are of passages, not of tokens. A text that has ended is drawn no more, and the others go on
in the proportions that their weights have among themselves.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from ep.corpus import Corpus, Passage, Survey
from ep.seen import Seen


@dataclass
class Draws:
    """What was drawn so far: how many passages of each text, and which texts have ended."""

    counts: list[int]
    ended: set[int] = field(default_factory=set)


class Mix(Corpus):
    """Texts that are mixed by weights; every iteration gives the same passages.

    parts: the texts, each of which is shuffled by itself.
    names: what they are called in reports.
    weights: of each, in proportion to which its passages are drawn; above 0.
    seed: of the draws; None counts as 0.

    The id of a passage is that within its text, times the number of texts, plus the text's place
    among them. Errors as `Corpus`.
    """

    def __init__(
        self,
        parts: Sequence[Corpus],
        names: Sequence[str],
        weights: Sequence[float],
        seed: int | None,
    ) -> None:
        self.parts, self.names, self.weights = list(parts), list(names), list(weights)
        self.seed = seed
        self.files = tuple(chain.from_iterable(part.files for part in parts))
        self.streamed = tuple(chain.from_iterable(part.streamed for part in parts))
        self.deduplicate = any(part.deduplicate for part in parts)

    def passages(self, seen: Seen | None) -> Iterator[Passage]:
        """Return the drawn passages; `seen` as in `Corpus`, shared by all texts."""
        return self._draw(Draws([0] * len(self.parts)), seen)

    def _draw(self, draws: Draws, seen: Seen | None) -> Iterator[Passage]:
        generator = random.Random(f"mix {self.seed or 0}")
        sources = [part.passages(seen) for part in self.parts]
        left = list(range(len(sources)))
        while left:
            at = generator.choices(left, [self.weights[index] for index in left])[0]
            passage = next(sources[at], None)
            if passage is None:
                left.remove(at)
                draws.ended.add(at)
                continue
            draws.counts[at] += 1
            yield Passage(self._id(at, passage.id), passage.text, passage.messages)

    def _id(self, part: int, number: int) -> int:
        return number * len(self.parts) + part

    def survey(
        self, refusal: Callable[[Passage], str] = lambda passage: "", seen: Seen | None = None
    ) -> Iterator[Survey]:
        """Read the texts one after the other, yielding the counts of all so far."""
        seen = self.table() if seen is None else seen
        found: list[Survey] = []
        for part in self.parts:
            for survey in part.survey(refusal, seen):
                yield self._together([*found, survey])
            found.append(survey)

    def survey_until(self, count: int) -> tuple[Survey, dict[str, Any]]:
        """Count what was read for the first `count` passages, and what was drawn of each text.

        Returns the counts, and the entry `mixed` of the provenance beside those of streamed texts.
        """
        draws = Draws([0] * len(self.parts))
        for _ in islice(self._draw(draws, self.table()), count):
            pass
        found, mixed = [], []
        for index, part in enumerate(self.parts):
            survey, facts = part.survey_until(draws.counts[index])
            found.append(survey)
            drawn = {"passages": draws.counts[index], "ended": index in draws.ended}
            mixed.append(
                {"text": self.names[index], "weight": self.weights[index], **drawn, **facts}
            )
        together = self._together(found)
        together.drawn = mixed
        return together, {"mixed": mixed}

    def _together(self, found: Sequence[Survey]) -> Survey:
        """The counts of the texts surveyed so far as one."""
        return Survey(
            rows=sum(one.rows for one in found),
            empty=sum(one.empty for one in found),
            unusable=sum(one.unusable for one in found),
            first=next((one.first for one in found if one.first), ""),
            refused={self._id(n, i) for n, one in enumerate(found) for i in one.refused},
            duplicates=sum(one.duplicates for one in found),
        )

    def is_empty(self) -> bool:
        """Whether none of the texts has a passage."""
        return all(part.is_empty() for part in self.parts)

    def digest(self) -> str:
        """SHA-256 over the digests of the texts and their weights, in order."""
        parts = [
            [part.digest(), weight] for part, weight in zip(self.parts, self.weights, strict=True)
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
