"""Read-outs: which regions an activation activates, and how strongly.

There are two families. Masks over the distances d (n, K) to the exemplars follow the geometry of
the dictionary: `top1`, `top_k`, `within_threshold` and `otsu` each return (n, K) bool. Features f
(n, K) float32 on a basis B (K, d) of unit rows serve tools that expect a sparse code (protocol
3.2): `signed`, `cosine`, `signed_norm`, `topk`, `topk_norm` and `binary`, all decoded by `decode`.

In the formulas, u = x − c and û = u/‖u‖. On the mean basis, top-1 and binary select the nearest
mean direction, which is not always the region an activation is a member of (protocol W24).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ep.errors import ConfigError
from ep.method.geometry import directions
from ep.shapes import Bool, Float, Float32

Distances = Float[np.ndarray, "n K"]
Mask = Bool[np.ndarray, "n K"]
OTSU_BLOCK = 2**22
"""Distances sorted at a time."""


def top1(distances: Distances) -> Mask:
    """Select the nearest region only, arg min_k d_k; on a tie the older one."""
    return top_k(distances, 1)


def top_k(distances: Distances, k: int) -> Mask:
    """Select the k nearest regions, or all if there are fewer; on a tie the older ones.

    Raises ConfigError for k < 1.
    """
    return _smallest(distances, k)


def within_threshold(distances: Distances, threshold: float) -> Mask:
    """Select every region with d_k ≤ θ (protocol 2.1); there may be none."""
    return distances <= threshold


def otsu(distances: Distances) -> Mask:
    """Select the near side of Otsu's cut of each row's K distances (protocol 3.3).

    A cut divides the sorted distances into a near part (share w0, mean μ0) and a far part (w1, μ1).
    The one with the largest w0·w1·(μ0 − μ1)² is taken, and on a tie the one with the smaller near
    part. A row of equal distances has no cut: all its regions are selected.
    """
    out = np.ones(distances.shape, bool)
    step = max(1, OTSU_BLOCK // max(1, distances.shape[1]))
    for start in range(0, len(distances), step):
        block = distances[start : start + step]
        out[start : start + step] = block <= otsu_cut(block)[:, None]
    return out


def otsu_cut(distances: Distances) -> Float[np.ndarray, " n"]:
    """Return the largest distance on the near side of each row's cut; see `otsu`."""
    ordered = np.sort(distances, axis=1)
    size = ordered.shape[1]
    if size < 2:
        return ordered[:, 0] if size else np.zeros(len(ordered), distances.dtype)
    sums = np.cumsum(ordered, axis=1, dtype=np.float64)
    # every cut at once: column i leaves i + 1 distances on the near side
    near = np.arange(1, size)
    gap = sums[:, :-1] / near - (sums[:, -1:] - sums[:, :-1]) / (size - near)
    between = near * (size - near) * gap**2
    between[ordered[:, 1:] == ordered[:, :-1]] = -1.0  # a cut cannot separate equal distances
    cut = np.argmax(between, axis=1)
    cut[between.max(axis=1) < 0] = size - 1
    return ordered[np.arange(len(ordered)), cut]


def signed(x: np.ndarray, center: np.ndarray, basis: np.ndarray) -> Float32[np.ndarray, "n K"]:
    """Return f = u Bᵀ: signed projections that keep the magnitude."""
    rows = directions(x, center)  # raises for values that are not finite
    return (rows @ basis.T) * np.linalg.norm(x - center, axis=1, keepdims=True).astype(np.float32)


def cosine(x: np.ndarray, center: np.ndarray, basis: np.ndarray) -> Float32[np.ndarray, "n K"]:
    """Return f = û Bᵀ, in [−1, 1]."""
    return np.clip(directions(x, center) @ basis.T, -1, 1)


def signed_norm(x: np.ndarray, center: np.ndarray, basis: np.ndarray) -> Float32[np.ndarray, "n K"]:
    """Return f = û Bᵀ; the published adapter has this second name for `cosine`."""
    return cosine(x, center, basis)


def topk(
    x: np.ndarray, center: np.ndarray, basis: np.ndarray, k: int = 1
) -> Float32[np.ndarray, "n K"]:
    """Return f = ReLU of the k largest entries of u Bᵀ, zero elsewhere."""
    return _keep_largest(signed(x, center, basis), k)


def topk_norm(
    x: np.ndarray, center: np.ndarray, basis: np.ndarray, k: int = 1
) -> Float32[np.ndarray, "n K"]:
    """Return f = ReLU of the k largest entries of û Bᵀ, zero elsewhere."""
    return _keep_largest(cosine(x, center, basis), k)


def binary(x: np.ndarray, center: np.ndarray, basis: np.ndarray) -> Float32[np.ndarray, "n K"]:
    """Return f = 1 at arg max_k (û Bᵀ)_k, on a tie the older region, and 0 elsewhere."""
    return _smallest(-cosine(x, center, basis), 1).astype(np.float32)


def decode(
    features: Float[np.ndarray, "n K"],
    center: Float[np.ndarray, " d"],
    basis: Float[np.ndarray, "K d"],
) -> Float32[np.ndarray, "n d"]:
    """Return x̂ = f B + c.

    This is not an inverse of the features, since the rows of B are not orthogonal.
    """
    return (features @ basis + center).astype(np.float32)


FEATURES: dict[str, Callable[..., np.ndarray]] = {
    "signed": signed,
    "cosine": cosine,
    "signed_norm": signed_norm,
    "topk": topk,
    "topk_norm": topk_norm,
    "binary": binary,
}
"""The feature read-outs by name."""


def _keep_largest(scores: np.ndarray, k: int) -> np.ndarray:
    return np.where(_smallest(-scores, k), np.maximum(scores, 0), np.float32(0))


def _smallest(values: np.ndarray, k: int) -> np.ndarray:
    """Mark the k smallest entries of each row, on a tie the first ones."""
    if k < 1:
        raise ConfigError(f"k = {k}: a read-out selects at least one region, use k ≥ 1")
    n, size = values.shape
    if k >= size:
        return np.ones((n, size), bool)
    out = np.zeros((n, size), bool)
    if k == 1:
        out[np.arange(n), np.argmin(values, axis=1)] = True
        return out
    kth = np.partition(values, k - 1, axis=1)[:, k - 1 : k]
    # everything below the k-th value, then its ties from the left until there are k
    out[:] = values < kth
    ties = values == kth
    return out | (ties & (np.cumsum(ties, axis=1) <= k - out.sum(axis=1, keepdims=True)))
