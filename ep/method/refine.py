"""Plans that merge or remove regions of a finished dictionary, and what its arrays become by them.

A plan says where the members of each region go: to a region of the refined dictionary, or nowhere.
Regions that go to one place become one region, anchored on the exemplar of one of them. Plans look
at exemplars and numbers alone. `combine` adds the stored arrays up accordingly. What does not
follow from stored arrays, because it depends on single activations, it leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ep.errors import ConfigError
from ep.method.nearest import nearest_exemplar
from ep.shapes import Bool, Float32, Int64, Num

Orphans = Literal["nearest", "left-out"]
"""Where the members of a removed region go: to the nearest exemplar that remains, or nowhere."""
ORPHANS: tuple[Orphans, ...] = get_args(Orphans)


@dataclass(frozen=True, eq=False)
class Plan:
    """Where the members of K regions go, to become L regions.

    target: (K,) the new region of each, −1 where its members are left out.
    kept: (L,) for each new region the old one whose exemplar it has, in rising order, so that
        regions stay in order of founding.
    """

    target: Int64[np.ndarray, " K"]
    kept: Int64[np.ndarray, " L"]

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def parts(self) -> Int64[np.ndarray, " L"]:
        """The number of old regions in each new one, (L,), at least 1."""
        return np.bincount(self.target[self.target >= 0], minlength=len(self))

    @property
    def changes(self) -> bool:
        """Whether the new regions differ from the old ones."""
        return len(self.kept) < len(self.target)

    def then(self, other: Plan) -> Plan:
        """Return this plan followed by another, which is about the new regions of this one."""
        target = np.where(self.target >= 0, other.target[self.target], -1)
        return Plan(target, self.kept[other.kept])

    @classmethod
    def onto(cls, size: int, kept: np.ndarray, places: np.ndarray, into: np.ndarray) -> Plan:
        """Return the plan that keeps some regions and moves others.

        size: K. kept: the old regions that stay. places: those that do not. into: the old region
        that each of the latter joins, −1 for none.
        """
        kept = np.sort(kept).astype(np.int64)
        number = np.full(size + 1, -1, np.int64)  # the last entry stands for −1, "none"
        number[kept] = np.arange(len(kept))
        target = number[:-1].copy()
        target[places] = number[into]
        return cls(target, kept)


def unchanged(size: int) -> Plan:
    """Return the plan that leaves K = `size` regions as they are."""
    return Plan(np.arange(size), np.arange(size))


def merging(
    exemplars: Float32[np.ndarray, "K d"], weight: Num[np.ndarray, " K"], within: float
) -> Plan:
    """Return the plan that merges regions whose exemplars lie close together.

    exemplars: (K, d) unit rows.
    weight: (K,) members of each region.
    within: the largest distance at which two regions merge, in (0, 2).

    The rule is the one by which the regions were founded, applied to their exemplars: from the
    region with the most members to the one with the fewest, a region stays unless a region that
    stays already lies within the distance. Each of the others then joins the nearest one that
    stays. So those that stay lie further apart than `within`, and every other one lies within it of
    the region that it joins: there are no chains of steps (as in protocol 2.10). Among equal
    weights the exemplar's bytes decide, so the result does not depend on the order of the rows.

    Raises ConfigError for a distance that is not one.
    """
    from ep.method.leaders import Leaders

    if not 0 < within < 2:
        raise ConfigError(f"regions cannot merge within {within:g}: expected a distance in (0, 2)")
    order = np.array(
        sorted(range(len(weight)), key=lambda k: (-weight[k], exemplars[k].tobytes())), np.int64
    )
    leaders = Leaders(within, width=exemplars.shape[1])
    stays = leaders.partial_fit(exemplars[order]).is_new
    kept, others = order[stays], order[~stays]
    if not len(others):
        return unchanged(len(weight))
    into = kept[leaders.assign(exemplars[others]).region]
    return Plan.onto(len(weight), kept, others, into)


def pruning(
    exemplars: Float32[np.ndarray, "K d"], remove: Bool[np.ndarray, " K"], orphans: Orphans
) -> Plan:
    """Return the plan that removes regions.

    exemplars: (K, d) unit rows.
    remove: (K,) which regions to remove.
    orphans: where their members go. "nearest" moves all members of a removed region to the one
        whose exemplar is nearest to its own; ties go to the older. "left-out" gives them no region.

    Raises ConfigError if no region would be left, and for another value of `orphans`.
    """
    if orphans not in ORPHANS:
        raise ConfigError(f"orphans is {orphans!r}: expected one of {', '.join(ORPHANS)}")
    kept, gone = np.flatnonzero(~remove), np.flatnonzero(remove)
    if not len(kept):
        raise ConfigError(f"all {len(remove):,} regions would be removed: choose a weaker rule")
    if orphans == "left-out" or not len(gone):
        return Plan.onto(len(remove), kept, gone, np.full(len(gone), -1))
    _, near = nearest_exemplar(exemplars[gone], exemplars[kept])
    return Plan.onto(len(remove), kept, gone, kept[near])


def at_random(plan: Plan, seed: int) -> Plan:
    """Return the control of a plan: as many regions, drawn at random, go to random ones that stay.

    Regions whose members the plan leaves out are replaced by as many that are left out.
    """
    rng, size = np.random.default_rng(seed), len(plan.target)
    order = rng.permutation(size)
    kept, gone = order[: len(plan)], order[len(plan) :]
    into = rng.choice(kept, len(gone))
    into[: int((plan.target < 0).sum())] = -1
    return Plan.onto(size, kept, gone, into)


# -- the arrays of a dictionary --------------------------------------------------------------------

SUMMED = ("count_arrival", "count_voronoi", "position_histogram")
"""Arrays that add up exactly."""
LISTS = ("token", "next", "coarser", "farther")
"""Lists of the most frequent ids with their counts; see `_joined` for what of them adds up."""
_OF_MEMBERS = ("mean_distance", "max_distance", "distance_histogram", "distance_square_sum")
"""Arrays that depend on the distance of every single member to the exemplar."""
_OF_ROW = (
    *("exemplars", "exemplar_mean_cosine", "distance_sum"),
    *("founded_at", "founder_passage", "founder_position", "founder_token"),
    *_OF_MEMBERS,
)
"""Arrays whose row belongs to one exemplar and its members."""
_EXCERPTS = ("passage", "position", "distance", "band", "agrees")


def combine(arrays: Mapping[str, np.ndarray], plan: Plan) -> dict[str, np.ndarray]:
    """Return the arrays of the refined regions, as far as they follow from those of the old ones.

    arrays: by name and shape as in `docs/format.md`; at least exemplars and mean directions.

    Counts and histograms of positions add up. Sums of directions add up, from which follow mean
    direction, coherence and the sum of the distances to the exemplar that stays. Rows of regions
    that nothing joined are copied bit for bit. Passages are those of the exemplar that stays. Left
    out where regions were joined: arrays of the distances of single members. Left out where any
    region went: rivals. Lenses, names, surroundings, survival and text are the caller's.
    """
    parts, found = plan.parts, {}
    for name in SUMMED:
        if name in arrays:
            found[name] = _sum(arrays[name], plan)
    for name in _OF_ROW:
        if name in arrays and not (name in _OF_MEMBERS and parts.max() > 1):
            found[name] = arrays[name][plan.kept]
    found |= _directions(arrays, plan)
    for name in LISTS:
        if f"{name}_ids" in arrays:
            found |= _joined(name, arrays, plan)
    if "excerpt_offsets" in arrays:
        found |= _excerpts(arrays, plan.kept)
    if not plan.changes:
        found |= {n: a for n, a in arrays.items() if n.startswith("rival_") or n == "contested"}
    return found


def _sum(rows: np.ndarray, plan: Plan) -> np.ndarray:
    """Add up the rows of the regions that go to one place."""
    total = np.zeros((len(plan), *rows.shape[1:]), np.int64)
    goes = plan.target >= 0
    np.add.at(total, plan.target[goes], rows[goes].astype(np.int64))
    return total.astype(rows.dtype)


def sums(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return Σû of the arrival members of each region, (K, d) float64: N·c·m."""
    length = arrays["count_arrival"] * arrays["coherence"].astype(np.float64)
    return np.asarray(length[:, None] * arrays["mean_directions"].astype(np.float64))


def _directions(arrays: Mapping[str, np.ndarray], plan: Plan) -> dict[str, np.ndarray]:
    """Return mean direction, coherence and what follows from them."""
    is_joined = plan.parts > 1
    mean = arrays["mean_directions"][plan.kept].copy()
    if not is_joined.any() or "count_arrival" not in arrays or "coherence" not in arrays:
        kept = {"coherence": arrays["coherence"][plan.kept]} if "coherence" in arrays else {}
        return {"mean_directions": mean, **kept}
    total = np.zeros(mean.shape)
    goes = plan.target >= 0
    np.add.at(total, plan.target[goes], sums(arrays)[goes])
    count = _sum(arrays["count_arrival"], plan)
    length = np.linalg.norm(total, axis=1)
    # parts that cancel out have no mean: the exemplar stands in for it
    has_mean = is_joined & (length > 1e-9)
    mean[has_mean] = (total[has_mean] / length[has_mean, None]).astype(np.float32)
    exemplars = arrays["exemplars"][plan.kept].astype(np.float64)
    mean[is_joined & ~has_mean] = arrays["exemplars"][plan.kept][is_joined & ~has_mean]
    coherence = arrays["coherence"][plan.kept].copy()
    coherence[is_joined] = np.minimum(length / np.maximum(count, 1), 1)[is_joined]
    found = {"mean_directions": mean, "coherence": coherence}
    if "distance_sum" in arrays:
        # Σ(1 − û·e) = N − Σû·e, for the exemplar e that stays
        distance = count - np.einsum("kd,kd->k", total, exemplars)
        own = arrays["distance_sum"][plan.kept]
        found["distance_sum"] = np.where(is_joined, np.maximum(distance, 0), own)
    cosine = np.einsum("kd,kd->k", exemplars, mean.astype(np.float64)).astype(np.float32)
    if "exemplar_mean_cosine" in arrays:
        own = arrays["exemplar_mean_cosine"][plan.kept]
        found["exemplar_mean_cosine"] = np.where(is_joined, cosine, own)
    return found


def _joined(name: str, arrays: Mapping[str, np.ndarray], plan: Plan) -> dict[str, np.ndarray]:
    """Return the lists of the most frequent ids, with the counts of equal ids added up.

    A file has the longest counts of a region only. So the count of an id in a joined region is the
    sum of those that are stored: what it is at least.
    """
    ids, counts = (arrays[f"{name}_{part}"] for part in ("ids", "counts"))
    if plan.parts.max() == 1:
        return {f"{name}_ids": ids[plan.kept], f"{name}_counts": counts[plan.kept]}
    width, shape = ids.shape[-1], (len(plan), *ids.shape[1:])
    # one list for each region and, in three dimensions, for each place j of the second
    lists = int(np.prod(ids.shape[1:-1]))
    place = plan.target[:, None] * lists + np.arange(lists)
    place = np.where(plan.target[:, None] >= 0, place, -1)
    row = np.broadcast_to(place.reshape(-1, 1), (place.size, width)).ravel()
    key_id, count = ids.reshape(-1), counts.reshape(-1).astype(np.int64)
    used = (row >= 0) & (key_id >= 0)
    key = (row[used] << np.int64(32)) | key_id[used]
    key, inverse = np.unique(key, return_inverse=True)
    total = np.bincount(inverse, weights=count[used]).astype(np.int64)
    row, key_id = key >> np.int64(32), key & np.int64(0xFFFFFFFF)
    order = np.lexsort((key_id, -total, row))
    row, key_id, total = row[order], key_id[order], total[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    row, key_id, total, rank = (v[rank < width] for v in (row, key_id, total, rank))
    new_ids = np.full((len(plan) * lists, width), -1, ids.dtype)
    new_counts = np.zeros((len(plan) * lists, width), counts.dtype)
    new_ids[row, rank], new_counts[row, rank] = key_id, total
    return {f"{name}_ids": new_ids.reshape(shape), f"{name}_counts": new_counts.reshape(shape)}


def _excerpts(arrays: Mapping[str, np.ndarray], kept: np.ndarray) -> dict[str, np.ndarray]:
    """Return the excerpts of the regions that stay; their distances are to their own exemplars."""
    offsets = arrays["excerpt_offsets"]
    lengths = np.diff(offsets)[kept]
    rows = np.concatenate([np.arange(offsets[k], offsets[k + 1]) for k in kept.tolist()])
    found = {
        f"excerpt_{part}": arrays[f"excerpt_{part}"][rows.astype(np.int64)]
        for part in _EXCERPTS
        if f"excerpt_{part}" in arrays
    }
    found["excerpt_offsets"] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return found
