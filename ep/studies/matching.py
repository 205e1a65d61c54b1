"""What became of each region in another dictionary: persisted, moved, or only on one side; beside a
null.

Two dictionaries of one width (a base and a tuned model, two checkpoints, two seeds) are paired one
to one by their directions (protocol 7.1, 7.2), and each region gets its nearest counterpart (7.4).
Directions stand about each dictionary's own centre, or are recentred on a common one (W20).
Verdicts mean little by themselves: the same is done with a dictionary of the same setting from
another order of the stream, the null (W21). Knows no model and no screen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int8, Int64

from ep.errors import RequestError
from ep.method.dictionary import BASES, Basis, Dictionary
from ep.method.pairing import counterpart, pair
from ep.studies.rates import Rate

CENTRES = ("own", "common", "a", "b")
"""About which point directions stand: each dictionary's own centre, the middle of both, A's, or
B's.
"""
CUTOFF = 0.7
PERSISTED, MOVED, ONLY = 0, 1, 2
"""A region's verdict: see `verdicts`."""
LEVEL_SHARE = 0.1
"""The null's level: nine of ten regions of another seed have a nearest counterpart above it."""
SETTING = (
    "model_name",
    "layer",
    "percentile",
    "positions",
    "protocol",
    "n_activations",
    "context",
    "chat",
)
Told = Callable[[float], None]


@dataclass(frozen=True)
class Centres:
    """Two centres. cosine: between them as vectors; apart: their distance in typical norms (the
    mean of both r).

    apart is None when a file does not hold its typical norm.
    """

    cosine: float
    apart: float | None


@dataclass(frozen=True, eq=False)
class Side:
    """One dictionary's view of the other, K regions.

    partner: (K,) its one-to-one partner, −1 for none; cosine: (K,) with it, NaN for none. nearest:
    (K,) the nearest counterpart, many-to-one; nearest_cosine: (K,), in [−1, 1]. threshold: θ of
    this dictionary.
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
        """The cosines of the regions that have a partner."""
        return self.cosine[self.partner >= 0]

    def shown(self, region: int) -> int:
        """The region of the other dictionary a screen puts beside one of these: its partner, else
        the nearest.
        """
        return int(self.partner[region] if self.partner[region] >= 0 else self.nearest[region])


@dataclass(frozen=True, eq=False)
class Match:
    """A matching of dictionaries A and B on one basis, about one choice of centre."""

    a: Side
    b: Side
    basis: Basis
    centre: str
    centres: Centres

    @property
    def turned(self) -> Match:
        """The same from the other side."""
        return Match(
            self.b,
            self.a,
            self.basis,
            {"a": "b", "b": "a"}.get(self.centre, self.centre),
            self.centres,
        )


@dataclass(frozen=True)
class Summary:
    """The verdicts counted. pairs: those at or above the cutoff. Of A and of B: persisted + moved +
    only = K.

    levels: from which nearest-counterpart cosine a region of A, and of B, counts as moved.
    """

    cutoff: float
    levels: tuple[float, float]
    pairs: int
    a: Mapping[int, Rate]
    b: Mapping[int, Rate]


@dataclass(frozen=True, eq=False)
class Null:
    """What matching gives where nothing changed but the order of the stream.

    name: of the other dictionary. match: of one side with it, that side as A. other: that
    dictionary.
    """

    name: str
    match: Match
    other: Dictionary

    @property
    def level(self) -> float:
        """The nearest-counterpart cosine that nine of ten regions of the null exceed."""
        return float(np.quantile(self.match.a.nearest_cosine, LEVEL_SHARE))

    def persisted(self, cutoff: float = CUTOFF) -> Rate:
        """Regions that persist in the other seed."""
        return self.counted(cutoff)[PERSISTED]

    def counted(self, cutoff: float = CUTOFF) -> Mapping[int, Rate]:
        """The verdicts of the regions in the other seed, at this null's own level."""
        return summary(self.match, cutoff, (self.level, self.level)).a


Nulls = tuple[Null | None, Null | None]
"""The null of A and that of B, None where there is none."""
NO_NULLS: Nulls = (None, None)


def levels(nulls: Nulls) -> tuple[float, float] | None:
    """Each side's level; a side without a null borrows the other's. None without any."""
    known = [None if one is None else one.level for one in nulls]
    first = known[0] if known[0] is not None else known[1]
    second = known[1] if known[1] is not None else known[0]
    return None if first is None or second is None else (first, second)


def centres(a: Dictionary, b: Dictionary) -> Centres:
    """How the centres of two dictionaries of one width lie to each other.

    RequestError when widths differ.
    """
    _check_width(a, b)
    x, y = a.center.astype(np.float64), b.center.astype(np.float64)
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    norms = [d.info.get("typical_norm") for d in (a, b)]
    known = [float(norm) for norm in norms if norm]
    apart = float(np.linalg.norm(x - y)) / (sum(known) / 2) if len(known) == 2 else None
    return Centres(float(x @ y) / size if size else 1.0 if np.array_equal(x, y) else 0.0, apart)


def recentred(
    rows: Float32[np.ndarray, "K d"],
    center: Float32[np.ndarray, " d"],
    norm: float,
    new: Float32[np.ndarray, " d"],
) -> Float32[np.ndarray, "K d"]:
    """Unit directions about `center` as unit directions about `new`: normalise(center + r·e − new).

    norm: r, the typical norm ‖x − c‖ of the build. An approximation: every activation of a region
    is taken to lie at distance r. With new = center the rows are handed back unchanged.
    """
    if np.array_equal(center, new):
        return rows
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
    told: Told | None = None,
) -> Match:
    """Regions of A paired one to one with regions of B so that the sum of cosines is largest, and
    nearest ones.

    told(share): how far it is, rising to 1; what it raises ends the work. RequestError when the
    widths differ, a file lacks the basis, or a centre other than "own" is asked for and a file does
    not hold its typical norm.
    """
    x, y = _rows(a, b, basis, centre)
    report = told or (lambda share: None)
    # one pairing for (A, B) and (B, A), ties included
    turned = len(x) == len(y) and x.tobytes() > y.tobytes()
    found = pair(y, x, report) if turned else pair(x, y, report)
    first, second = (found.second, found.first) if turned else (found.first, found.second)
    one, other = (
        Side(
            *_partners(len(here), mine, others, found.cosine), *counterpart(here, there), threshold
        )
        for here, there, mine, others, threshold in (
            (x, y, first, second, a.threshold),
            (y, x, second, first, b.threshold),
        )
    )
    return Match(one, other, basis, centre, centres(a, b))


def _partners(
    size: int, mine: np.ndarray, others: np.ndarray, cosine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs as columns of one side: the partner of each region, −1 for none, and the cosine, NaN
    for none.
    """
    partner, cosines = np.full(size, -1, np.int64), np.full(size, np.nan, np.float32)
    partner[mine], cosines[mine] = others, np.clip(cosine, -1, 1)
    return partner, cosines


def null(
    one: Dictionary,
    other: Dictionary,
    basis: Basis = "exemplar",
    centre: str = "own",
    name: str = "",
    told: Told | None = None,
) -> Null:
    """The matching of one side with a dictionary of its setting; a foreign centre becomes the
    middle of the two.
    """
    chosen = centre if centre in ("own", "common") else "common"
    name = name or f"seed {other.info.get('seed')}"
    return Null(name, match(one, other, basis, chosen, told), other)


def same_setting(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two provenances differ in nothing but the seed: model, layer, percentile, text and
    its amount agree.
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
    """(K,) PERSISTED: the partner's cosine is at least the cutoff. MOVED: it is not, but the
    nearest counterpart is at least as near as `level` (the null's; without one, as the cutoff: a
    region that was split or joined). ONLY: else.
    """
    least = cutoff if level is None else level
    persisted = np.nan_to_num(side.cosine, nan=-2.0) >= cutoff
    return np.where(
        persisted, PERSISTED, np.where(side.nearest_cosine >= least, MOVED, ONLY)
    ).astype(np.int8)


def summary(
    found: Match, cutoff: float = CUTOFF, levels: tuple[float, float] | None = None
) -> Summary:
    """The verdicts of both sides, counted. levels: of A and of B, see `verdicts`; the cutoff where
    there are none.
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
    """Matched cosine distances of a side: quantiles of the cosine, and of the distance in units of
    this side's θ.
    """
    values = side.matched.astype(np.float64)
    if not len(values):
        return {}
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    far = (1 - values) / side.threshold
    return {
        "mean": float(values.mean()),
        "p10": float(low),
        "median": float(middle),
        "p90": float(high),
        "theta_median": float(np.median(far)),
        "within_theta": float((far <= 1).mean()),
    }


def _rows(a: Dictionary, b: Dictionary, basis: Basis, centre: str) -> tuple[np.ndarray, np.ndarray]:
    """Both dictionaries' unit rows on a basis, about the centre asked for."""
    _check_width(a, b)
    if basis not in BASES or centre not in CENTRES:
        raise RequestError(
            f"basis {basis!r} and centre {centre!r} were given: use {BASES} and {CENTRES}"
        )
    name = {"exemplar": "exemplars", "mean": "mean_directions"}[basis]
    if any(name not in d for d in (a, b)):
        raise RequestError(
            "one of the dictionaries holds no mean directions: match by exemplars instead"
        )
    if not len(a) or not len(b):
        raise RequestError("one of the dictionaries has no regions: there is nothing to match")
    x, y = a.basis(basis), b.basis(basis)
    if centre == "own":
        return x, y
    norms = [float(d.info.get("typical_norm") or 0) for d in (a, b)]
    if min(norms) <= 0:
        raise RequestError(
            "one of the files does not hold its typical norm: match about each one's own centre "
            "instead"
        )
    middle = ((a.center.astype(np.float64) + b.center) / 2).astype(np.float32)
    new = {"common": middle, "a": a.center, "b": b.center}[centre]
    return recentred(x, a.center, norms[0], new), recentred(y, b.center, norms[1], new)


def _check_width(a: Dictionary, b: Dictionary) -> None:
    if a.width != b.width:
        raise RequestError(
            f"the dictionaries are {a.width:,} and {b.width:,} wide, so their directions cannot be "
            "compared: "
            "match them through shared inputs instead"
        )
