"""A prompt read through a dictionary: which region each token falls in, how far, and what else is
near.

Arrays in, arrays out: it knows no model (activations are handed in) and no screen. Distances,
thresholds and read-outs are those of `ep.method`; the build's own distribution comes from the
distance histograms stored in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from ep.errors import ModelError
from ep.method import readouts
from ep.method.dictionary import Dictionary
from ep.method.geometry import directions

READOUTS = {
    "Nearest": "the one region whose exemplar is nearest; the stronger the colour, the closer",
    "Top 5": "the five nearest regions; the stronger the colour, the more of them share a "
    "neighbourhood",
    "Within θ": "every region closer than θ; the stronger the colour, the more there are, grey "
    "where there is none",
    "Otsu": "the regions on the near side of Otsu's split; the stronger the colour, the fewer "
    "stand out",
}
"""The read-outs of the page and what each shows."""
NEAR = 8
STRONGEST = 0.78
WEAKEST = 0.05
CHUNK = 64


@dataclass(frozen=True, eq=False)
class Reading:
    """t tokens of one prompt and what one dictionary says of each.

    tokens: their text; outside: True where the dictionary does not apply (BOS), template: True
    where a chat template wrote the token. x (t, d) raw activations. near_ids, near_distances (t,
    m): the m ≤ 8 nearest regions, in order. within, otsu (t,): how many regions lie within θ, and
    on the near side of Otsu's split. norm (t,): ‖x − c‖ in units of the build's typical norm, NaN
    when the file does not hold it.
    """

    tokens: tuple[str, ...]
    outside: Bool[np.ndarray, " t"]
    template: Bool[np.ndarray, " t"]
    x: Float[np.ndarray, "t d"]
    near_ids: Int[np.ndarray, "t m"]
    near_distances: Float[np.ndarray, "t m"]
    within: Int[np.ndarray, " t"]
    otsu: Int[np.ndarray, " t"]
    norm: Float[np.ndarray, " t"]
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def region(self) -> Int[np.ndarray, " t"]:
        """The nearest region of each token."""
        return self.near_ids[:, 0]

    @property
    def distance(self) -> Float[np.ndarray, " t"]:
        """The distance of each token to its nearest exemplar."""
        return self.near_distances[:, 0]

    def margin(self, token: int) -> float | None:
        """How much farther the second region is; None when the dictionary has one region only."""
        row = self.near_distances[token]
        return float(row[1] - row[0]) if len(row) > 1 else None


def reading(
    dictionary: Dictionary,
    tokens: Sequence[str],
    x: Float[np.ndarray, "t d"],
    outside: Sequence[bool] | np.ndarray,
    template: Sequence[bool] | np.ndarray,
    truncated: bool = False,
) -> Reading:
    """What the dictionary says of each token.

    ModelError when the activations have another width.
    """
    if x.shape[1] != dictionary.width:
        raise ModelError(
            f"the model's activations have {x.shape[1]} dimensions, this dictionary has "
            f"{dictionary.width}: "
            "open a dictionary that was built from this model"
        )
    parts = [_chunk(dictionary, x[start : start + CHUNK]) for start in range(0, len(x), CHUNK)]
    near_ids, near_distances, within, otsu = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    typical = float(dictionary.info.get("typical_norm") or np.nan)
    return Reading(
        tokens=tuple(tokens),
        outside=np.asarray(outside, bool),
        template=np.asarray(template, bool),
        x=x,
        near_ids=near_ids,
        near_distances=near_distances,
        within=within,
        otsu=otsu,
        norm=np.linalg.norm(x - dictionary.center, axis=1) / typical,
        truncated=truncated,
    )


def _chunk(dictionary: Dictionary, x: np.ndarray) -> tuple[np.ndarray, ...]:
    distances = dictionary.distances(x)
    m = min(NEAR, len(dictionary))
    near = np.argpartition(distances, m - 1, axis=1)[:, :m]
    exact = np.einsum(
        "td,tmd->tm", directions(x, dictionary.center), dictionary.exemplars[near], dtype=np.float64
    )
    order = np.lexsort((near, -exact), axis=1)
    near, cosine = (np.take_along_axis(part, order, 1) for part in (near, exact))
    return (
        near,
        np.clip(1 - cosine, 0, 2).astype(np.float32),
        readouts.within_threshold(distances, dictionary.threshold).sum(1),
        readouts.otsu(distances).sum(1),
    )


def chosen(
    dictionary: Dictionary, reading: Reading, token: int, readout: str
) -> tuple[np.ndarray, np.ndarray]:
    """The regions a read-out picks for one token and their distances, closest first."""
    distances = dictionary.distances(reading.x[token : token + 1])[0]
    counts = {
        "Nearest": 1,
        "Top 5": 5,
        "Within θ": reading.within[token],
        "Otsu": reading.otsu[token],
    }
    ids = np.argsort(distances, kind="stable")[: int(counts[readout])]
    return ids, distances[ids]


def strengths(
    reading: Reading, readout: str, groups: np.ndarray, size: int, threshold: float
) -> np.ndarray:
    """(t,) strength of each token's colour in [0, 0.78] under a read-out; 0 where the dictionary
    does not apply.

    groups: (K,) the neighbourhood of every region; size: K.
    """
    if readout == "Top 5":
        same = groups[reading.near_ids[:, :5]] == groups[reading.region][:, None]
        share = same.mean(1)
    elif readout == "Within θ":
        share = np.log1p(reading.within) / np.log1p(max(1, int(reading.within.max(initial=0))))
    elif readout == "Otsu":
        share = 1 - np.log(np.maximum(reading.otsu, 1)) / np.log(max(2, size))
    else:
        share = 1 - reading.distance / threshold
    values = np.clip(STRONGEST * share, WEAKEST, STRONGEST)
    return np.where(reading.outside, 0.0, values)


def is_far(reading: Reading, threshold: float) -> np.ndarray:
    """(t,) True where no exemplar is within θ, or the dictionary does not apply: drawn grey."""
    return reading.outside | (reading.distance > threshold)


def opening_token(reading: Reading, final: bool) -> int:
    """The token a screen opens on: the word nearest to its exemplar; the last token of a `final`
    dictionary's text.
    """
    words = [
        i
        for i, token in enumerate(reading.tokens)
        if len(token.strip()) > 2 and not reading.outside[i]
    ]
    words = [i for i in words if not reading.template[i] and reading.tokens[i].strip().isalpha()]
    if final or not words:
        return len(reading) - 1
    return min(words, key=lambda i: float(reading.distance[i]))


def regions(reading: Reading) -> dict[str, np.ndarray]:
    """The regions this text falls in, most frequent first: region, tokens (count), distance
    (mean).
    """
    inside = ~reading.outside
    ids, which, count = np.unique(reading.region[inside], return_inverse=True, return_counts=True)
    mean = np.bincount(which, reading.distance[inside], len(ids)) / np.maximum(count, 1)
    order = np.lexsort((mean, -count))
    return {
        "region": ids[order],
        "tokens": count[order],
        "distance": mean[order].astype(np.float32),
    }


def group_counts(
    reading: Reading, groups: np.ndarray, threshold: float
) -> tuple[dict[int, int], int]:
    """Tokens within θ by neighbourhood, most frequent first, and the number of tokens beyond θ."""
    near = ~is_far(reading, threshold)
    ids, count = np.unique(groups[reading.region[near]], return_counts=True)
    order = np.argsort(-count, kind="stable")
    beyond = int((~near & ~reading.outside).sum())
    return {int(ids[i]): int(count[i]) for i in order}, beyond


class Usual:
    """The distances of the build's own activations to their nearest exemplar, from the stored
    histograms.
    """

    def __init__(self, counts: np.ndarray, threshold: float) -> None:
        self.n = int(counts.sum())
        self._edges = np.linspace(0, threshold, len(counts) + 1)
        self._cumulative = np.concatenate([[0], np.cumsum(counts, dtype=np.float64)]) / max(
            1, self.n
        )

    def quantile(self, share: float) -> float:
        """The distance below which a share of the build's activations lies, interpolated within a
        bin.
        """
        return float(np.interp(share, self._cumulative, self._edges))

    def farther(self, distance: float) -> float:
        """The share of the build's activations that lie farther than `distance`."""
        return float(1 - np.interp(distance, self._edges, self._cumulative))


def usual(dictionary: Dictionary) -> Usual | None:
    """None when the file holds no histogram, or an empty one."""
    if "distance_histogram" not in dictionary:
        return None
    found = Usual(
        dictionary.column("distance_histogram").sum(0, dtype=np.int64), dictionary.threshold
    )
    return found if found.n else None


def groups(dictionary: Dictionary) -> np.ndarray:
    """(K,) neighbourhood of every region; zeros when the file stores none."""
    if "neighbourhood" in dictionary:
        return dictionary.column("neighbourhood")
    return np.zeros(len(dictionary), np.uint8)


def path(
    dictionaries: Sequence[Dictionary],
    x: Sequence[np.ndarray],
    outside: Sequence[bool] | np.ndarray,
) -> np.ndarray:
    """(layers, t) int: the neighbourhood of each token's region in each layer's dictionary; −1
    beyond θ, −2 outside.
    """
    rows = []
    for dictionary, activations in zip(dictionaries, x, strict=True):
        found = dictionary.assign(activations)
        row = np.where(
            found.distance > dictionary.threshold,
            -1,
            groups(dictionary)[found.region].astype(np.int64),
        )
        rows.append(np.where(np.asarray(outside, bool), -2, row))
    return np.array(rows)
