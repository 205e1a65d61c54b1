"""Where the regions lie among each other: nearest regions, axes for a map, and groups with names.

All from the exemplars in the full space; what a map keeps of it is said beside the map. It knows no
model: a group's name is token ids.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int, Integer, Num, UInt8

from ep.errors import ConfigError

PRODUCT_BYTES = 64 * 2**20
GROUP_AXES = 64
"""k-means for the groups runs on this many principal axes: the cost at d = 2304 falls 36-fold, and
a handful of groups is decided by the broad directions.
"""
SMOOTHING = 1.0
NAME_TOKENS = 3
NEAREST = 8


def surround(
    exemplars: Float32[np.ndarray, "K d"], weight: Num[np.ndarray, " K"], seed: int = 0
) -> tuple[dict[str, np.ndarray], list[float]]:
    """The stored columns that say where regions lie (nearest, map, groups), and the variance each
    map axis keeps.

    weight: (K,) members, which order the groups. Names and shapes are those of `docs/format.md`.
    """
    ids, distances = nearest(exemplars, min(NEAREST, len(exemplars) - 1))
    missing = NEAREST - ids.shape[1]
    coordinates, kept = principal_axes(exemplars)
    columns = {
        "nearest_ids": np.pad(ids, ((0, 0), (0, missing)), constant_values=-1).astype(np.int32),
        "nearest_distances": np.pad(distances, ((0, 0), (0, missing))).astype(np.float32),
        "neighbourhood": neighbourhoods(exemplars, weight, seed=seed),
        "map_pca": coordinates,
    }
    return columns, [float(share) for share in kept]


def nearest(
    exemplars: Float32[np.ndarray, "K d"], k: int = 8
) -> tuple[Int[np.ndarray, "K m"], Float32[np.ndarray, "K m"]]:
    """Each region's k nearest others (fewer when K ≤ k) and their cosine distances in [0, 2],
    nearest first.

    Never the region itself, even where exemplars coincide; the older of equals first. float32, K·K
    in chunks.
    """
    size = len(exemplars)
    k = min(k, size - 1)
    if k < 1:
        return np.empty((size, 0), np.int64), np.empty((size, 0), np.float32)
    ids, distances = np.empty((size, k), np.int64), np.empty((size, k), np.float32)
    step = max(1, PRODUCT_BYTES // (4 * size))
    for start in range(0, size, step):
        block = np.subtract(1.0, exemplars[start : start + step] @ exemplars.T)
        rows = np.arange(len(block))
        block[rows, start + rows] = np.inf
        edge = np.partition(block, k - 1, axis=1)[:, k - 1 : k]
        # k a row, and more only where the last place is tied
        row, column = np.nonzero(block <= edge)
        order = np.lexsort((column, block[row, column], row))
        first = np.searchsorted(row, rows)
        chosen = order[first[:, None] + np.arange(k)]
        ids[start : start + step] = column[chosen]
        distances[start : start + step] = np.clip(block[row[chosen], column[chosen]], 0, 2)
    return ids, distances


def principal_axes(
    exemplars: Float32[np.ndarray, "K d"], n_axes: int = 3
) -> tuple[Float32[np.ndarray, "K a"], Float32[np.ndarray, " a"]]:
    """Coordinates of the exemplars on their first principal axes, and the share of their variance
    each axis keeps.

    Centred on the exemplars' mean, in units of the unit sphere, not normalised. Axes that do not
    exist (d or K too small) hold zeros. The sign of an axis is that of its largest component, so
    equal input gives equal pictures.
    """
    from scipy.linalg import eigh

    centered = exemplars - exemplars.mean(axis=0, dtype=np.float64).astype(np.float32)
    # the smaller of the two products has the same eigenvalues
    small = len(centered) < centered.shape[1]
    product = centered @ centered.T if small else centered.T @ centered
    wanted = (max(0, len(product) - n_axes), len(product) - 1)
    values, vectors = eigh(product.astype(np.float64), subset_by_index=wanted, overwrite_a=True)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    axes = centered.T.astype(np.float64) @ vectors if small else vectors
    lengths = np.linalg.norm(axes, axis=0)
    axes = axes / np.where(lengths > 0, lengths, 1)
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1, 1)

    total = float(np.einsum("kd,kd->", centered, centered, dtype=np.float64))
    real = values > 1e-7 * total
    coordinates = np.zeros((len(exemplars), n_axes), np.float32)
    kept = np.zeros(n_axes, np.float32)
    coordinates[:, : len(values)] = (centered @ axes.astype(np.float32)) * real
    kept[: len(values)] = values * real / total if total > 0 else 0
    return coordinates, kept


def neighbourhoods(
    exemplars: Float32[np.ndarray, "K d"],
    weight: Num[np.ndarray, " K"],
    n_groups: int = 8,
    seed: int = 0,
) -> UInt8[np.ndarray, " K"]:
    """A few broad groups of regions: k-means of the exemplars, seeded; at most one group a region.

    weight: (K,) what a region counts when groups are ordered, such as its members: group 0 has the
    largest total, equal totals are ordered by their oldest region. Each region counts alike when
    the groups are found.
    """
    if not 1 <= n_groups <= 256:
        raise ConfigError(f"{n_groups} groups were asked for: expected 1 to 256")
    distinct = len(np.unique(exemplars, axis=0)) if len(exemplars) <= n_groups else n_groups
    n_groups = min(n_groups, distinct)
    if n_groups < 2:
        return np.zeros(len(exemplars), np.uint8)
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    points = exemplars
    if min(exemplars.shape) > GROUP_AXES:
        points, _ = principal_axes(exemplars, GROUP_AXES)
    # several threads add up in the order they finish: groups would vary from run to run
    with threadpool_limits(1):
        label = KMeans(n_groups, n_init=4, random_state=seed).fit_predict(points.astype(np.float64))
    found, oldest, label = np.unique(label, return_index=True, return_inverse=True)
    total = np.bincount(label, weights=weight, minlength=len(found))
    rank = np.empty(len(found), np.uint8)
    rank[np.lexsort((oldest, -total))] = np.arange(len(found))
    return rank[label]


def group_names(
    group: Integer[np.ndarray, " K"],
    weight: Num[np.ndarray, " K"],
    token_ids: Integer[np.ndarray, "K m"],
    n_tokens: int = NAME_TOKENS,
) -> Int[np.ndarray, "G t"]:
    """The tokens most specific to each group, (groups, n_tokens) int64, best first, −1 where there
    are fewer.

    token_ids: each region's tokens (its lens), −1 for none. weight: (K,) members; a region speaks
    with the logarithm 1 + log(1 + weight), so that one huge region does not name its group alone. A
    token's score in a group is s·log((s + 1)/(r + 1)): s its weight inside, r what that would be if
    the group were like the whole dictionary.
    """
    n_groups = int(group.max()) + 1 if len(group) else 0
    names = np.full((n_groups, n_tokens), -1, np.int64)
    voice = np.broadcast_to((1 + np.log1p(weight.astype(np.float64)))[:, None], token_ids.shape)
    owner = np.broadcast_to(group.astype(np.int64)[:, None], token_ids.shape)
    there = token_ids >= 0
    if not there.any():
        return names
    vocabulary, column = np.unique(token_ids[there], return_inverse=True)
    inside = np.zeros((n_groups, len(vocabulary)))
    np.add.at(inside, (owner[there], column), voice[there])
    share = inside.sum(axis=1, keepdims=True) / inside.sum()
    score = inside * np.log((inside + SMOOTHING) / (share * inside.sum(axis=0) + SMOOTHING))
    for row, scores in enumerate(score):
        best = np.lexsort((vocabulary, -scores))[:n_tokens]
        best = best[inside[row, best] > 0]
        names[row, : len(best)] = vocabulary[best]
    return names
