"""What is unlike the rest in a layer: first tokens, massive activations, and one large dimension.

Many models put an attention sink on the first token of every passage, and give it and a few
delimiters activations of a norm many times that of all others (Xiao et al. 2024, "Efficient
streaming language models with attention sinks"; Sun et al. 2024, "Massive activations in large
language models"). They are few, but the sinks all point the same way. A build counts them, and can
leave them out (`sieve.py`). It also measures the share that one dimension has of all directions:
where it is large, cosine distances are in large part distances along that dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ep.method.geometry import directions
from ep.method.sieve import Sieve, Sifted, lengths
from ep.shapes import Float32

MASSIVE = 5.0
"""An activation is massive if its norm is more than this many times the median norm of its layer.

In SmolLM2-135M, stories260K and Gemma-3-270M, 99.9 % of ordinary activations lie below 3.5 medians
at every layer measured, and BOS and the sinks of passages without one at 5 to 108. Sun et al. call
a *value* massive above 1,000 medians, which a norm over hundreds of dimensions does not show.
"""


@dataclass(frozen=True)
class Outliers:
    """What was measured of one layer on the head of the stream, before anything was left out.

    n: activations examined, those that are left out included unless they are not finite.
    first: how many of them are the first token of their passage, after any BOS.
    massive: how many have a norm of more than MASSIVE medians.
    first_massive: how many are both.
    median: the median of ‖x‖ over the positions that are kept, in the units of x.
    largest: the largest ‖x‖.
    """

    n: int
    first: int
    massive: int
    first_massive: int
    median: float
    largest: float


@dataclass(frozen=True)
class Largest:
    """The dimension that has the largest share of the directions of one layer.

    dimension: its index, from 0.
    directions: mean of û², its share of the squared length of the directions, in [0, 1]. Cosine
        distances weigh dimensions by it.
    variance: its share of the variance about the centre, to which a few massive activations may
        contribute most.
    """

    dimension: int
    directions: float
    variance: float


class Norms:
    """The norms of a layer, from which `Outliers` follow. It takes 12 bytes an activation.

    start: as in `Sieve`.
    bos: number of positions before the first token of a passage.
    """

    def __init__(self, start: int, bos: int) -> None:
        self._start, self._bos = start, bos
        self._lengths: list[np.ndarray] = []
        self.hopeless = 0
        """Activations before the first that is finite; all of them where none is."""
        self._positions: list[np.ndarray] = []

    def update(self, batch: Sifted) -> None:
        """Add the finite activations of a batch, also those that are left out."""
        is_finite = batch.is_finite
        if not any(map(len, self._lengths)):
            self.hopeless += int(np.argmax(is_finite)) if is_finite.any() else len(is_finite)
        self._lengths.append(lengths(batch.whole[is_finite]).astype(np.float32))
        self._positions.append(batch.position[is_finite].astype(np.int32))

    def state(self) -> dict[str, np.ndarray]:
        """Return what was added as plain arrays, from which `restore` continues exactly."""
        return {
            "norms": np.concatenate([np.empty(0, np.float32), *self._lengths]),
            "positions": np.concatenate([np.empty(0, np.int32), *self._positions]),
            "hopeless": np.array(self.hopeless),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Replace what was added by the `state` of others with the same settings."""
        self._lengths, self._positions = [state["norms"]], [state["positions"]]
        self.hopeless = int(state["hopeless"])

    def outliers(self) -> Outliers:
        """Return what was measured; without any activation all is 0."""
        norms, position, _ = self.state().values()
        kept = norms[position >= self._start]
        median = float(np.median(kept)) if len(kept) else 0.0
        is_first, is_massive = position == self._bos, norms > MASSIVE * median
        return Outliers(
            n=len(norms),
            first=int(is_first.sum()),
            massive=int(is_massive.sum()),
            first_massive=int((is_first & is_massive).sum()),
            median=median,
            largest=float(norms.max(initial=0.0)),
        )


class Spread:
    """The share of each dimension in the directions from a centre, and in the variance about it.

    center: (d,), the centre c.
    """

    def __init__(self, center: np.ndarray) -> None:
        self.center = center
        self._directions = np.zeros(len(center))
        self._variance = np.zeros(len(center))

    def update(self, x: Float32[np.ndarray, "n d"]) -> None:
        """Add a batch of raw activations."""
        rows = directions(x, self.center)
        shifted = x - self.center
        self._directions += np.einsum("nd,nd->d", rows, rows, dtype=np.float64)
        self._variance += np.einsum("nd,nd->d", shifted, shifted, dtype=np.float64)

    def state(self) -> dict[str, np.ndarray]:
        """Return the sums as plain arrays, from which `restore` continues exactly."""
        return {"directions": self._directions, "variance": self._variance}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Replace the sums by the `state` of others about the same centre."""
        self._directions, self._variance = state["directions"], state["variance"]

    def largest(self) -> Largest:
        """Return the dimension with the largest share of the directions."""
        dimension = int(np.argmax(self._directions))
        shares = (
            float(sums[dimension] / max(sums.sum(), np.finfo(float).tiny))
            for sums in (self._directions, self._variance)
        )
        return Largest(dimension, *shares)


@dataclass(frozen=True)
class Measured:
    """What a build measured of one layer, and what it leaves out of it."""

    outliers: Outliers
    largest: Largest
    sieve: Sieve

    def facts(self) -> dict[str, Any]:
        """What was measured, as entries of a file's provenance."""
        norms, largest = self.outliers, self.largest
        facts = {
            "norms": asdict(norms) | {"times": MASSIVE},
            "largest_dimension": {
                "dimension": largest.dimension,
                "directions": round(largest.directions, 4),
                "variance": round(largest.variance, 4),
            },
        }
        return facts | ({"norm_limit": self.sieve.limit} if np.isfinite(self.sieve.limit) else {})

    def state(self) -> dict[str, np.ndarray]:
        """Return it as plain arrays, from which `from_state` restores it."""
        return {
            f"{part}.{name}": np.array(value)
            for part, values in asdict(self).items()
            for name, value in values.items()
        }

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> Measured:
        """Restore it from the arrays of `state`."""
        kinds: dict[str, Any] = {"outliers": Outliers, "largest": Largest, "sieve": Sieve}
        return cls(
            **{
                part: kind(
                    **{field.name: state[f"{part}.{field.name}"].item() for field in fields(kind)}
                )
                for part, kind in kinds.items()
            }
        )
