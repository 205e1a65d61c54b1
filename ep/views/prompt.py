"""A prompt read through a dictionary: each token's region and distance, and other near regions.

The functions take activations as arrays; the model is run elsewhere. Distances, thresholds and
read-outs are those of `ep.method`. The distribution of the build's own distances comes from the
histograms stored in the file. This module does not depend on Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ep.errors import ModelError
from ep.method import readouts
from ep.method.dictionary import Dictionary
from ep.method.sieve import left_out
from ep.shapes import Bool, Float, Int

READOUTS = {
    "Nearest": "the one region whose exemplar is nearest; the stronger the colour, the closer",
    "Top 5": "the five nearest regions; the stronger the colour, the more of them share a "
    "neighbourhood",
    "Within θ": "every region closer than θ; the stronger the colour, the more there are, grey "
    "where there is none",
    "Otsu": "the regions on the near side of Otsu's split; the stronger the colour, the fewer "
    "stand out",
}
"""The page's read-outs, and what each shows."""
NEAR = 8
"""Nearest regions stored for each token."""
STRONGEST = 0.78
WEAKEST = 0.05
"""Range of the strength of a token's colour."""
CHUNK = 64
"""Tokens whose distances to all regions are in memory together."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The t tokens of one prompt, assigned to the regions of one dictionary.

    tokens: their texts.
    outside: (t,) True where the dictionary does not apply: at the beginning-of-sequence token, and
        at tokens that the build left out.
    template: (t,) True for tokens that come from a chat template.
    x: (t, d) raw activations.
    near_ids, near_distances: (t, m) the m ≤ 8 nearest regions, closest first, and their distances.
    within: (t,) number of regions within θ.
    otsu: (t,) number of regions on the near side of Otsu's split.
    norm: (t,) ‖x − c‖ in units of the build's typical norm; NaN if the file does not have it.
    truncated: whether the prompt was cut off because it was too long.
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
        """(t,) the nearest region of each token."""
        return self.near_ids[:, 0]

    @property
    def distance(self) -> Float[np.ndarray, " t"]:
        """(t,) the distance of each token to its nearest exemplar."""
        return self.near_distances[:, 0]

    def margin(self, token: int) -> float | None:
        """The distance to the second nearest exemplar less that to the nearest.

        None in a dictionary of one region.
        """
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
    """Assign the tokens of a prompt to the regions of a dictionary.

    tokens, x, template, truncated: as in `Reading`.
    outside: (t,) True at the beginning-of-sequence token.

    Raises ModelError when the activations have another width than the dictionary.
    """
    if x.shape[1] != dictionary.width:
        raise ModelError(
            f"the model's activations have {x.shape[1]} dimensions, this dictionary has "
            f"{dictionary.width}: open a dictionary that was built from this model"
        )
    parts = [_chunk(dictionary, x[start : start + CHUNK]) for start in range(0, len(x), CHUNK)]
    near_ids, near_distances, within, otsu = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    typical = float(dictionary.info.get("typical_norm") or np.nan)
    return Reading(
        tokens=tuple(tokens),
        outside=left_out(dictionary.info, x, np.asarray(outside, bool)),
        template=np.asarray(template, bool),
        x=x,
        near_ids=near_ids,
        near_distances=near_distances,
        within=within,
        otsu=otsu,
        norm=np.linalg.norm(x - dictionary.center, axis=1) / typical,
        truncated=truncated,
    )


def why_outside(token: int) -> str:
    """Return why a token is `outside`, as the end of a sentence that begins with "this token"."""
    if token == 0:
        return "begins every text and is not part of the dictionary"
    return "was not part of the build: it left out the first tokens of a text or outsize norms"


def _chunk(dictionary: Dictionary, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """near_ids, near_distances, within and otsu of some tokens, see `Reading`."""
    rows, law = dictionary.metric.rows(x), dictionary.law
    distances = dictionary.row_distances(rows)
    m = min(NEAR, len(dictionary))
    near = np.argpartition(distances, m - 1, axis=1)[:, :m]
    # Rounding in float32 orders near ties arbitrarily, so the few nearest regions are ordered by
    # the rule of the search. Of equal regions the older comes first.
    exact = law.scores(rows, dictionary.basis_rows("exemplar"), near)
    order = np.lexsort((near, exact), axis=1)
    near, exact = (np.take_along_axis(part, order, 1) for part in (near, exact))
    return (
        near,
        law.distance(exact),
        readouts.within_threshold(distances, dictionary.threshold).sum(1),
        readouts.otsu(distances).sum(1),
    )


def chosen(
    dictionary: Dictionary, reading: Reading, token: int, readout: str
) -> tuple[np.ndarray, np.ndarray]:
    """The ids and distances of the regions a read-out selects for one token, closest first.

    token: index of the token. readout: one of `READOUTS`.
    """
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
    """(t,) strength of each token's colour, in [0.05, 0.78]; 0 where the dictionary does not apply.

    readout: one of `READOUTS`, which describes what the strength stands for.
    groups: (K,) the neighbourhood of every region.
    size: K.
    threshold: θ.
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
    """(t,) True for tokens drawn grey: beyond θ, or where the dictionary does not apply."""
    return reading.outside | (reading.distance > threshold)


def opening_token(reading: Reading, final: bool) -> int:
    """The index of the token that is selected at first.

    It is the word nearest to its exemplar, or the last token if there is no word, or if the
    dictionary was built from last tokens (`final`).
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
    """The regions that the tokens fall in, most frequent first, as arrays by name.

    "region": ids. "tokens": number of tokens. "distance": mean distance of these tokens.
    """
    inside = ~reading.outside
    ids, inverse, count = np.unique(reading.region[inside], return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, reading.distance[inside], len(ids)) / np.maximum(count, 1)
    order = np.lexsort((mean, -count))
    return {
        "region": ids[order],
        "tokens": count[order],
        "distance": mean[order].astype(np.float32),
    }


def group_counts(
    reading: Reading, groups: np.ndarray, threshold: float
) -> tuple[dict[int, int], int]:
    """The number of tokens within θ by neighbourhood, most frequent first, and the number beyond θ.

    groups: (K,) the neighbourhood of every region. threshold: θ.
    """
    near = ~is_far(reading, threshold)
    ids, count = np.unique(groups[reading.region[near]], return_counts=True)
    order = np.argsort(-count, kind="stable")
    beyond = int((~near & ~reading.outside).sum())
    return {int(ids[i]): int(count[i]) for i in order}, beyond


class BuildDistances:
    """The distribution of the build's own distances to the nearest exemplar.

    n: number of activations.
    """

    def __init__(self, counts: np.ndarray, threshold: float) -> None:
        """counts: (b,) activations in b equal bins of distance on [0, threshold]."""
        self.n = int(counts.sum())
        self._edges = np.linspace(0, threshold, len(counts) + 1)
        self._cumulative = np.concatenate([[0], np.cumsum(counts, dtype=np.float64)]) / max(
            1, self.n
        )

    def quantile(self, share: float) -> float:
        """The distance below which a share of the activations lies, interpolated within its bin."""
        return float(np.interp(share, self._cumulative, self._edges))

    def farther(self, distance: float) -> float:
        """The share of the activations at more than `distance` from their exemplar."""
        return float(1 - np.interp(distance, self._edges, self._cumulative))


def build_distances(dictionary: Dictionary) -> BuildDistances | None:
    """The distribution of the build's own distances; None if the file has no histogram of them."""
    if "distance_histogram" not in dictionary:
        return None
    distribution = BuildDistances(
        dictionary.column("distance_histogram").sum(0, dtype=np.int64), dictionary.threshold
    )
    return distribution if distribution.n else None


def groups(dictionary: Dictionary) -> np.ndarray:
    """(K,) the neighbourhood of every region; zeros if the file stores none."""
    if "neighbourhood" in dictionary:
        return dictionary.column("neighbourhood")
    return np.zeros(len(dictionary), np.uint8)


def path(
    dictionaries: Sequence[Dictionary],
    x: Sequence[np.ndarray],
    outside: Sequence[bool] | np.ndarray,
) -> np.ndarray:
    """(layers, t) int, the neighbourhood of each token's region at each layer.

    dictionaries: one per layer. x: per layer, (t, d) raw activations.
    outside: (t,) True at the beginning-of-sequence token.

    It is −1 for tokens beyond θ and −2 where the dictionaries do not apply.
    """
    rows = []
    for dictionary, activations in zip(dictionaries, x, strict=True):
        assignment = dictionary.assign(activations)
        row = np.where(
            assignment.distance > dictionary.threshold,
            -1,
            groups(dictionary)[assignment.region].astype(np.int64),
        )
        is_outside = left_out(dictionary.info, activations, np.asarray(outside, bool))
        rows.append(np.where(is_outside, -2, row))
    return np.array(rows)
