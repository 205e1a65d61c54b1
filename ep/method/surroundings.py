"""The arrangement of the regions: nearest regions, axes for a map, and groups with names.

Everything is computed from the exemplars in the full space. A group's name is a list of token ids;
no model is needed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ep.errors import ConfigError
from ep.method.laws import joined
from ep.method.percentiles import Between, cosines
from ep.method.points import distances as euclidean
from ep.method.threads import one_thread
from ep.shapes import Float32, Int, Integer, Num, UInt8

PRODUCT_BYTES = 64 * 2**20
"""Memory for the products of one block of exemplars with all of them."""
MAP_AXES = 3
"""Principal axes of the stored map."""
GROUP_AXES = 64
"""Principal axes on which k-means computes the groups.

At d = 2304 this reduces the cost 36-fold, and a few broad groups depend on the main axes only.
"""
SMOOTHING = 1.0
"""Added to both weights in the score of a token, so that rare tokens do not dominate."""
NAME_TOKENS = 3
"""Tokens in the name of a group."""
NEAREST = 8
"""Nearest regions stored for each region."""
SPARE = 8
"""Candidates beyond the nearest asked for.

More than rounding in float32 can move ahead of a true neighbour, short of many equal distances."""
Choose = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
"""Writes the columns and values of the smallest entries of rows; see `ep.method.closest`."""


def surround(
    exemplars: Float32[np.ndarray, "K d"],
    weight: Num[np.ndarray, " K"],
    seed: int = 0,
    norms: Float32[np.ndarray, " K"] | None = None,
) -> tuple[dict[str, np.ndarray], list[float]]:
    """Compute the stored arrays that describe the arrangement of the regions.

    exemplars: (K, d) unit rows.
    weight: (K,) members of each region, by which the groups are ordered.
    seed: seed of the groups.
    norms: lengths of the exemplars where the metric keeps them. Then the nearest are by Euclidean
        distance; axes and groups are those of the directions.
    Returns the arrays, named and shaped as in `docs/format.md`, and the share of the exemplars'
    variance on each axis of `map_pca`.
    """
    rows, between = (exemplars, cosines) if norms is None else (joined(exemplars, norms), euclidean)
    from ep.method.closest import closest

    ids, distances = nearest(rows, min(NEAREST, len(exemplars) - 1), between, closest)
    missing = NEAREST - ids.shape[1]
    with one_thread():
        coordinates, shares = principal_axes(exemplars, GROUP_AXES)
    columns = {
        "nearest_ids": np.pad(ids, ((0, 0), (0, missing)), constant_values=-1).astype(np.int32),
        "nearest_distances": np.pad(distances, ((0, 0), (0, missing))).astype(np.float32),
        "neighbourhood": neighbourhoods(exemplars, weight, seed=seed, axes=coordinates),
        "map_pca": np.ascontiguousarray(coordinates[:, :MAP_AXES]),
    }
    return columns, [float(share) for share in shares[:MAP_AXES]]


def nearest(
    exemplars: Float32[np.ndarray, "K d"],
    k: int = 8,
    between: Between = cosines,
    choose: Choose | None = None,
) -> tuple[Int[np.ndarray, "K m"], Float32[np.ndarray, "K m"]]:
    """Return the k nearest other regions of each region and their distances, nearest first.

    between: the distance of the rows. Cosine distances lie in [0, 2].
    choose: how the nearest are found: as `closest_in_numpy` by default, or the faster
        `ep.method.closest.closest`, which needs numba. The result is the same.

    On a tie the older region comes first. A region is never listed as its own neighbour, even
    where exemplars coincide. There are fewer than k columns if K ≤ k. All K·K distances are
    computed, in blocks. Cosines in float32 choose candidates, whose distances are then computed in
    float64 and rounded: the result does not depend on the library or its number of threads.
    """
    size = len(exemplars)
    k = min(k, size - 1)
    if k < 1:
        return np.empty((size, 0), np.int64), np.empty((size, 0), np.float32)
    choose = choose or closest_in_numpy
    width = min(k + SPARE, size - 1) if between is cosines else k
    ids, distances = np.empty((size, width), np.int64), np.empty((size, width), np.float32)
    step = max(1, PRODUCT_BYTES // (4 * size))
    for start in range(0, size, step):
        part = slice(start, start + step)
        block = between(exemplars[part], exemplars)
        rows = np.arange(len(block))
        block[rows, start + rows] = np.inf
        choose(block, ids[part], distances[part])
    if between is cosines:
        ids, distances = _decided(exemplars, ids)
        return ids[:, :k], np.clip(distances[:, :k], 0, 2)
    return ids, distances


def _decided(rows: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order the candidates of each row by their distance in float64, rounded to float32."""
    distances = np.empty(ids.shape, np.float32)
    step = max(1, PRODUCT_BYTES // (8 * ids.shape[1] * rows.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        others = rows[ids[part]].astype(np.float64)
        distances[part] = 1 - np.einsum("nd,nmd->nm", rows[part].astype(np.float64), others)
    order = np.lexsort((ids, distances), axis=1)
    return np.take_along_axis(ids, order, 1), np.take_along_axis(distances, order, 1)


def closest_in_numpy(block: np.ndarray, ids: np.ndarray, distances: np.ndarray) -> None:
    """Do the work of `ep.method.closest.closest` without numba."""
    rows, k = np.arange(len(block)), ids.shape[1]
    kth = np.partition(block, k - 1, axis=1)[:, k - 1 : k]
    # k entries for each row, and more only where the last place is tied
    row, column = np.nonzero(block <= kth)
    # by row, then distance, then age; the first k of each row are the result
    order = np.lexsort((column, block[row, column], row))
    first = np.searchsorted(row, rows)
    chosen = order[first[:, None] + np.arange(k)]
    ids[:], distances[:] = column[chosen], block[row[chosen], column[chosen]]


def principal_axes(
    exemplars: Float32[np.ndarray, "K d"], n_axes: int = MAP_AXES
) -> tuple[Float32[np.ndarray, "K a"], Float32[np.ndarray, " a"]]:
    """Project the exemplars on their first principal axes.

    Returns the coordinates (K, n_axes) and the share of the variance on each axis (n_axes,).

    The coordinates are centred on the exemplars' mean, in units of the unit sphere, not normalised.
    Axes that do not exist (d or K too small) are zero. The sign of an axis is chosen such that its
    largest component is positive, so that equal input gives equal pictures.
    """
    from scipy.linalg import eigh

    centered = exemplars - exemplars.mean(axis=0, dtype=np.float64).astype(np.float32)
    # X Xᵀ (K, K) and Xᵀ X (d, d) have the same nonzero eigenvalues: the smaller one is decomposed
    by_rows = len(centered) < centered.shape[1]
    product = centered @ centered.T if by_rows else centered.T @ centered
    subset = (max(0, len(product) - n_axes), len(product) - 1)
    values, vectors = eigh(product.astype(np.float64), subset_by_index=subset, overwrite_a=True)
    # eigh sorts upwards; rounding may leave eigenvalues slightly below 0
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    axes = centered.T.astype(np.float64) @ vectors if by_rows else vectors
    lengths = np.linalg.norm(axes, axis=0)
    axes = axes / np.where(lengths > 0, lengths, 1)
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1, 1)

    variance = float(np.einsum("kd,kd->", centered, centered, dtype=np.float64))
    # axes with less variance than float32 rounding leaves are noise: they count as absent
    real = values > 1e-7 * variance
    coordinates = np.zeros((len(exemplars), n_axes), np.float32)
    shares = np.zeros(n_axes, np.float32)
    coordinates[:, : len(values)] = (centered @ axes.astype(np.float32)) * real
    shares[: len(values)] = values * real / variance if variance > 0 else 0
    return coordinates, shares


def neighbourhoods(
    exemplars: Float32[np.ndarray, "K d"],
    weight: Num[np.ndarray, " K"],
    n_groups: int = 8,
    seed: int = 0,
    axes: Float32[np.ndarray, "K a"] | None = None,
) -> UInt8[np.ndarray, " K"]:
    """Divide the regions into a few broad groups by seeded k-means of the exemplars.

    weight: (K,) weight of each region in the order of the groups, such as its members. Group 0 has
        the largest total; equal totals are ordered by their oldest region. The weights do not
        influence the groups themselves.
    n_groups: number of groups, 1 to 256; fewer are returned if there are fewer distinct exemplars.
    axes: the exemplars on their first GROUP_AXES principal axes, where they are known already.
    Returns the group of each region (K,).
    """
    if not 1 <= n_groups <= 256:
        raise ConfigError(f"{n_groups} groups were asked for: expected 1 to 256")
    distinct = len(np.unique(exemplars, axis=0)) if len(exemplars) <= n_groups else n_groups
    n_groups = min(n_groups, distinct)
    if n_groups < 2:
        return np.zeros(len(exemplars), np.uint8)
    from sklearn.cluster import KMeans

    points = exemplars
    if min(exemplars.shape) > GROUP_AXES:
        points = principal_axes(exemplars, GROUP_AXES)[0] if axes is None else axes
    with one_thread():
        label = KMeans(n_groups, n_init=4, random_state=seed).fit_predict(points.astype(np.float64))
    labels, oldest, label = np.unique(label, return_index=True, return_inverse=True)
    total = np.bincount(label, weights=weight, minlength=len(labels))
    # k-means numbers its clusters arbitrarily: number them by weight, then by their oldest region
    rank = np.empty(len(labels), np.uint8)
    rank[np.lexsort((oldest, -total))] = np.arange(len(labels))
    return rank[label]


def group_names(
    group: Integer[np.ndarray, " K"],
    weight: Num[np.ndarray, " K"],
    token_ids: Integer[np.ndarray, "K m"],
    n_tokens: int = NAME_TOKENS,
) -> Int[np.ndarray, "G t"]:
    """Return the tokens most specific to each group, best first, −1 where there are fewer.

    group: (K,) group of each region.
    weight: (K,) members of each region. A region contributes with the weight 1 + log(1 + members),
        so that one very large region does not name its group alone.
    token_ids: (K, m) tokens of each region (its lens), −1 for none.
    n_tokens: tokens to return for each group.
    Returns (groups, n_tokens) int64.

    The score of a token in a group is s·log((s + 1)/(r + 1)), where s is its weight in the group
    and r is what s would be if the group were like the whole dictionary.
    """
    n_groups = int(group.max()) + 1 if len(group) else 0
    names = np.full((n_groups, n_tokens), -1, np.int64)
    token_weight = np.broadcast_to(
        (1 + np.log1p(weight.astype(np.float64)))[:, None], token_ids.shape
    )
    token_group = np.broadcast_to(group.astype(np.int64)[:, None], token_ids.shape)
    present = token_ids >= 0
    if not present.any():
        return names
    vocabulary, column = np.unique(token_ids[present], return_inverse=True)
    inside = np.zeros((n_groups, len(vocabulary)))
    np.add.at(inside, (token_group[present], column), token_weight[present])
    share = inside.sum(axis=1, keepdims=True) / inside.sum()
    score = inside * np.log((inside + SMOOTHING) / (share * inside.sum(axis=0) + SMOOTHING))
    for row, scores in enumerate(score):
        best = np.lexsort((vocabulary, -scores))[:n_tokens]
        best = best[inside[row, best] > 0]
        names[row, : len(best)] = vocabulary[best]
    return names
