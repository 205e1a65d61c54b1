"""The fate of each region in another dictionary: persisted, moved, or present on one side only.

Two dictionaries of one width (a base and a tuned model, two checkpoints, two seeds) are paired one
to one by their directions (protocol 7.1, 7.2), and each region gets its nearest counterpart (7.4).
Directions are taken about each dictionary's own centre, or are recentred on a common one (W20).
They are those among the activations (`Dictionary.raw_basis`): a standardised or whitened dictionary
lives in a space of its own, whose spread or covariance another seed measures otherwise.
Verdicts mean little by themselves, so they are compared with a null: the same matching with a
dictionary of the same setting from another order of the stream (W21).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ep.config import MetricName
from ep.errors import RequestError
from ep.method.dictionary import BASES, Basis, Dictionary
from ep.method.metrics import DEFAULT
from ep.method.pairing import counterpart, pair
from ep.shapes import Float32, Int8, Int64
from ep.studies.rates import Rate

CENTRES = ("own", "common", "a", "b")
"""The point that directions are taken about.

Each dictionary's own centre, the middle of both, A's, or B's.
"""
CUTOFF = 0.7
"""Default cosine from which a pair counts as the same region."""
PERSISTED, MOVED, ONLY = 0, 1, 2
"""The verdicts on a region, see `verdicts`."""
LEVEL_SHARE = 0.1
"""Quantile of the null's nearest-counterpart cosines that is its level.

Nine of ten regions have a counterpart above it in a dictionary of another seed.
"""
SETTING = (
    "model_name",
    "layer",
    "percentile",
    "positions",
    "skip_first",
    "norm_cap",
    "text_weights",
    "deduplicate",
    "protocol",
    "n_activations",
    "context",
    "chat",
    "metric",
)
"""Entries of the provenance that dictionaries of one setting have in common."""
ShareReport = Callable[[float], None]
"""Called with the share of the work done in [0, 1]; an exception it raises ends the work."""


@dataclass(frozen=True)
class Centres:
    """How the centres of two dictionaries lie to each other.

    cosine: between them as vectors.
    apart: their distance in typical norms (the mean of both r); None when a file does not store its
        typical norm.
    """

    cosine: float
    apart: float | None


@dataclass(frozen=True, eq=False)
class Side:
    """The counterparts of the K regions of one dictionary in another.

    partner: (K,) the one-to-one partner, −1 for none.
    cosine: (K,) with the partner, NaN for none.
    nearest: (K,) the nearest counterpart, which several regions may share.
    nearest_cosine: (K,) with it, in [−1, 1].
    threshold: θ of this dictionary; NaN where its metric stretches the space, so that a cosine
        among the activations cannot be measured in θ.
    """

    partner: Int64[np.ndarray, " K"]
    cosine: Float32[np.ndarray, " K"]
    nearest: Int64[np.ndarray, " K"]
    nearest_cosine: Float32[np.ndarray, " K"]
    threshold: float

    def __len__(self) -> int:
        return len(self.partner)

    @property
    def matched(self) -> Float32[np.ndarray, " m"]:
        """The cosines (m,) of the regions that have a partner."""
        return self.cosine[self.partner >= 0]

    def shown(self, region: int) -> int:
        """Return the region of the other dictionary to show beside one of these.

        It is the partner, or else the nearest counterpart.
        """
        return int(self.partner[region] if self.partner[region] >= 0 else self.nearest[region])


@dataclass(frozen=True, eq=False)
class Match:
    """A matching of dictionaries A and B.

    a, b: the regions of each and their counterparts.
    basis: whose directions were matched.
    centre: one of `CENTRES`.
    centres: how the two centres lie to each other.
    metrics: of A and of B.
    """

    a: Side
    b: Side
    basis: Basis
    centre: str
    centres: Centres
    metrics: tuple[MetricName, MetricName] = (DEFAULT, DEFAULT)

    @property
    def turned(self) -> Match:
        """The same matching with A and B exchanged."""
        return Match(
            self.b,
            self.a,
            self.basis,
            {"a": "b", "b": "a"}.get(self.centre, self.centre),
            self.centres,
            (self.metrics[1], self.metrics[0]),
        )


@dataclass(frozen=True)
class Summary:
    """The number of regions with each verdict.

    cutoff: smallest cosine of a pair that persists.
    levels: nearest-counterpart cosine from which a region of A, and of B, counts as moved.
    pairs: number of pairs that persist.
    a, b: the rate of each verdict; those of persisted, moved and only add up to K.
    """

    cutoff: float
    levels: tuple[float, float]
    pairs: int
    a: Mapping[int, Rate]
    b: Mapping[int, Rate]


@dataclass(frozen=True, eq=False)
class Null:
    """The matching of one side with a dictionary that differs only in the order of the stream.

    name: of that dictionary.
    match: the matching, with the side as A.
    other: that dictionary.
    """

    name: str
    match: Match
    other: Dictionary

    @property
    def level(self) -> float:
        """The nearest-counterpart cosine that nine of ten regions of the null exceed."""
        return float(np.quantile(self.match.a.nearest_cosine, LEVEL_SHARE))

    def persisted(self, cutoff: float = CUTOFF) -> Rate:
        """Return the rate of regions that persist in the other seed."""
        return self.counted(cutoff)[PERSISTED]

    def counted(self, cutoff: float = CUTOFF) -> Mapping[int, Rate]:
        """Return the rate of each verdict in the other seed, at this null's own level."""
        return summary(self.match, cutoff, (self.level, self.level)).a


Nulls = tuple[Null | None, Null | None]
"""The null of A and that of B, None for a side without one."""
NO_NULLS: Nulls = (None, None)


def levels(nulls: Nulls) -> tuple[float, float] | None:
    """Return the level of each side, or None without any null.

    A side without a null borrows the level of the other.
    """
    own = [None if one is None else one.level for one in nulls]
    first = own[0] if own[0] is not None else own[1]
    second = own[1] if own[1] is not None else own[0]
    return None if first is None or second is None else (first, second)


def centres(a: Dictionary, b: Dictionary) -> Centres:
    """Return how the centres of two dictionaries lie to each other.

    Raises RequestError when the widths differ.
    """
    _check_width(a, b)
    x, y = a.center.astype(np.float64), b.center.astype(np.float64)
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    norms = [d.info.get("typical_norm") for d in (a, b)]
    stored = [float(norm) for norm in norms if norm]
    apart = float(np.linalg.norm(x - y)) / (sum(stored) / 2) if len(stored) == 2 else None
    # a centre at the origin has no angle: cosine 1 if both are equal, else 0
    return Centres(float(x @ y) / size if size else 1.0 if np.array_equal(x, y) else 0.0, apart)


def recentred(
    rows: Float32[np.ndarray, "K d"],
    center: Float32[np.ndarray, " d"],
    norm: float,
    new: Float32[np.ndarray, " d"],
) -> Float32[np.ndarray, "K d"]:
    """Return unit directions about `center` as unit directions about `new`.

    rows: (K, d) unit directions e.
    center, new: (d,) the old and the new centre.
    norm: r, the typical norm ‖x − c‖ of the build.

    They are normalise(center + r·e − new), an approximation that places every activation of a
    region at distance r. With new = center the rows are returned unchanged.
    """
    if np.array_equal(center, new):
        return rows
    # (center + r·e − new) / r, which has the same direction; float64, as the result may be short
    shift = (center.astype(np.float64) - new.astype(np.float64)) / norm
    moved = rows.astype(np.float64) + shift
    return (moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)).astype(
        np.float32
    )


def match(
    a: Dictionary,
    b: Dictionary,
    basis: Basis = "exemplar",
    centre: str = "own",
    report: ShareReport | None = None,
) -> Match:
    """Match the regions of two dictionaries.

    basis: directions to match, "exemplar" or "mean".
    centre: one of `CENTRES`.
    report: called with the share done, which rises to 1; an exception it raises ends the work.

    The one-to-one pairs have the largest sum of cosines; the nearest counterparts are found
    besides. Raises RequestError when the widths differ, when a file lacks the basis, or when a
    centre other than "own" is given and a file does not store its typical norm.
    """
    x, y = _rows(a, b, basis, centre)
    report = report or (lambda share: None)
    # Of equally good pairings, (A, B) and (B, A) must get the same one, so equal sizes are always
    # paired in the same order.
    turned = len(x) == len(y) and x.tobytes() > y.tobytes()
    pairs = pair(y, x, report) if turned else pair(x, y, report)
    first, second = (pairs.second, pairs.first) if turned else (pairs.first, pairs.second)
    side_a, side_b = (
        Side(
            *_partners(len(rows), own, partners, pairs.cosine),
            *counterpart(rows, other_rows),
            threshold,
        )
        for rows, other_rows, own, partners, threshold in (
            (x, y, first, second, _theta(a)),
            (y, x, second, first, _theta(b)),
        )
    )
    names = (a.metric.name, b.metric.name)
    return Match(side_a, side_b, basis, centre, centres(a, b), names)


def _theta(dictionary: Dictionary) -> float:
    """Return the θ that cosines among the activations are comparable with, NaN for none."""
    is_one = dictionary.metric.is_plain and not dictionary.law.extra
    return dictionary.threshold if is_one else float("nan")


def _partners(
    size: int, own: np.ndarray, partners: np.ndarray, cosine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs as two columns for one side.

    size: K of the side.
    own, partners: (m,) the paired regions of this side and of the other.
    cosine: (m,) of the pairs.

    The columns are the partner (K,), −1 for none, and the cosine (K,), NaN for none.
    """
    partner, cosines = np.full(size, -1, np.int64), np.full(size, np.nan, np.float32)
    partner[own], cosines[own] = partners, np.clip(cosine, -1, 1)
    return partner, cosines


def null(
    one: Dictionary,
    other: Dictionary,
    basis: Basis = "exemplar",
    centre: str = "own",
    name: str = "",
    report: ShareReport | None = None,
) -> Null:
    """Return the matching of a dictionary with another of its setting.

    one: the dictionary.
    other: the one of another seed.
    basis, centre, report: see `match`; "a" and "b" become "common", the middle of these two.
    name: to show for `other`; by default its seed.
    """
    chosen = centre if centre in ("own", "common") else "common"
    name = name or f"seed {other.info.get('seed')}"
    return Null(name, match(one, other, basis, chosen, report), other)


def same_setting(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two provenances differ in nothing but the seed.

    Model, layer, percentile, text and number of activations must agree, among others.
    """
    if one.get("seed") is None or one.get("seed") == other.get("seed"):
        return False
    digests = [(info.get("corpus") or {}).get("digest") for info in (one, other)]
    return digests[0] == digests[1] is not None and all(
        one.get(name) == other.get(name) for name in SETTING
    )


def verdicts(
    side: Side, cutoff: float = CUTOFF, level: float | None = None
) -> Int8[np.ndarray, " K"]:
    """Return the verdict on each region as an array (K,).

    cutoff: smallest cosine of a pair that persists.
    level: smallest cosine of a counterpart of a moved region, usually the null's; by default the
        cutoff.

    A region is PERSISTED when the cosine with its partner is at least the cutoff, else MOVED when
    that with its nearest counterpart is at least the level, else ONLY. With the cutoff as level, a
    moved region is one that was split or merged.
    """
    least = cutoff if level is None else level
    persisted = np.nan_to_num(side.cosine, nan=-2.0) >= cutoff  # below every cosine
    return np.where(
        persisted, PERSISTED, np.where(side.nearest_cosine >= least, MOVED, ONLY)
    ).astype(np.int8)


def summary(
    found: Match, cutoff: float = CUTOFF, levels: tuple[float, float] | None = None
) -> Summary:
    """Return the number of regions with each verdict on both sides.

    found: a matching.
    cutoff: smallest cosine of a pair that persists.
    levels: of A and of B, see `verdicts`; by default the cutoff.
    """
    counted = []
    near = (cutoff, cutoff) if levels is None else levels
    for side, level in zip((found.a, found.b), near, strict=True):
        count = np.bincount(verdicts(side, cutoff, level), minlength=3)
        counted.append(
            {kind: Rate(int(count[kind]), len(side)) for kind in (PERSISTED, MOVED, ONLY)}
        )
    pairs = counted[0][PERSISTED].hits
    return Summary(cutoff, near, pairs, *counted)


def distances(side: Side) -> dict[str, float]:
    """Return statistics of the matched pairs of a side, or {} without pairs.

    They are the mean and quantiles of the cosine, and, where this side has a θ to compare with, the
    median distance in units of it with the share of pairs within θ.
    """
    values = side.matched.astype(np.float64)
    if not len(values):
        return {}
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    far = (1 - values) / side.threshold
    in_theta = {
        "theta_median": float(np.median(far)),
        "within_theta": float((far <= 1).mean()),
    }
    return {
        "mean": float(values.mean()),
        "p10": float(low),
        "median": float(middle),
        "p90": float(high),
        **(in_theta if np.isfinite(side.threshold) else {}),
    }


def _rows(a: Dictionary, b: Dictionary, basis: Basis, centre: str) -> tuple[np.ndarray, np.ndarray]:
    """Return both dictionaries' unit rows on a basis, about the chosen centre."""
    _check_width(a, b)
    if basis not in BASES or centre not in CENTRES:
        raise RequestError(
            f"basis {basis!r} and centre {centre!r} were given: expected one of {BASES} and one of "
            f"{CENTRES}"
        )
    name = {"exemplar": "exemplars", "mean": "mean_directions"}[basis]
    if any(name not in d for d in (a, b)):
        raise RequestError(
            "one of the dictionaries has no mean directions: match by exemplars instead"
        )
    if not len(a) or not len(b):
        raise RequestError("one of the dictionaries has no regions: there is nothing to match")
    x, y = a.raw_basis(basis), b.raw_basis(basis)
    if centre == "own":
        return x, y
    norms = [float(d.info.get("typical_norm") or 0) for d in (a, b)]
    if min(norms) <= 0:
        raise RequestError(
            "one of the files does not store its typical norm: match about each one's own centre "
            "instead"
        )
    middle = ((a.center.astype(np.float64) + b.center) / 2).astype(np.float32)
    new = {"common": middle, "a": a.center, "b": b.center}[centre]
    return recentred(x, a.center, norms[0], new), recentred(y, b.center, norms[1], new)


def _check_width(a: Dictionary, b: Dictionary) -> None:
    """Raise RequestError when the widths differ."""
    if a.width != b.width:
        raise RequestError(
            f"the dictionaries are {a.width:,} and {b.width:,} wide, so their directions cannot be "
            "compared: match them through shared inputs instead"
        )
