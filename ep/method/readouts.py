"""Read-outs: which regions an activation activates, and how strongly.

Two families. Masks over distances d (n, K) to the exemplars, the geometry of the dictionary itself:
`top1`, `top_k`, `within_threshold`, `otsu`; each returns (n, K) bool. Features f (n, K) float32 on
a basis B (K, d) of unit rows, for tools that expect a sparse code (protocol 3.2): `signed`,
`cosine`, `signed_norm`, `topk`, `topk_norm`, `binary`, all decoded by `decode`. With u = x − c and
û = u/‖u‖. On the mean basis top-1 and binary pick the nearest mean direction, which is not always
the region an activation is a member of (protocol W24).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float32

from ep.errors import ConfigError
from ep.method.geometry import directions

Distances = Float[np.ndarray, "n K"]
Mask = Bool[np.ndarray, "n K"]
OTSU_BLOCK = 2**22


def top1(distances: Distances) -> Mask:
    """The nearest region only: arg min_k d_k, the older of equals."""
    return top_k(distances, 1)


def top_k(distances: Distances, k: int) -> Mask:
    """The k nearest regions (all of them when there are fewer), the older of equals.

    ConfigError when k < 1.
    """
    return _smallest(distances, k)


def within_threshold(distances: Distances, threshold: float) -> Mask:
    """Every region with d_k ≤ θ (inclusive, protocol 2.1); may be none."""
    return distances <= threshold


def otsu(distances: Distances) -> Mask:
    """The near side of Otsu's cut of each row's K distances (protocol 3.3).

    Of all cuts of the sorted distances into a near part (share w0, mean μ0) and a far part (w1,
    μ1), the one of largest w0·w1·(μ0 − μ1)², the smaller near part of equals. A row of equal
    distances has no cut: all its regions are active.
    """
    out = np.ones(distances.shape, bool)
    step = max(1, OTSU_BLOCK // max(1, distances.shape[1]))
    for start in range(0, len(distances), step):
        block = distances[start : start + step]
        out[start : start + step] = block <= otsu_cut(block)[:, None]
    return out


def otsu_cut(distances: Distances) -> Float[np.ndarray, " n"]:
    """The largest distance on the near side of each row's cut, see `otsu`."""
    ordered = np.sort(distances, axis=1)
    size = ordered.shape[1]
    if size < 2:
        return ordered[:, 0] if size else np.zeros(len(ordered), distances.dtype)
    sums = np.cumsum(ordered, axis=1, dtype=np.float64)
    near = np.arange(1, size)
    gap = sums[:, :-1] / near - (sums[:, -1:] - sums[:, :-1]) / (size - near)
    between = near * (size - near) * gap**2
    between[ordered[:, 1:] == ordered[:, :-1]] = -1.0  # a cut cannot part equal distances
    cut = np.argmax(between, axis=1)
    cut[between.max(axis=1) < 0] = size - 1
    return ordered[np.arange(len(ordered)), cut]


def signed(x: np.ndarray, center: np.ndarray, basis: np.ndarray) -> Float32[np.ndarray, "n K"]:
    """f = u Bᵀ: signed projections, magnitude kept."""
    rows = directions(x, center)  # refuses what is not finite
    return (rows @ basis.T) * np.linalg.norm(x - center, axis=1, keepdims=True).astype(np.float32)


def cosine(x: np.ndarray, center: np.ndarray, basis: np.ndarray) -> Float32[np.ndarray, "n K"]:
    """f = û Bᵀ, in [−1, 1]."""
    return np.clip(directions(x, center) @ basis.T, -1, 1)


def signed_norm(x: np.ndarray, center: np.ndarray, basis: np.ndarray) -> Float32[np.ndarray, "n K"]:
    """f = û Bᵀ: the published adapter's second name for `cosine`."""
    return cosine(x, center, basis)


def topk(
    x: np.ndarray, center: np.ndarray, basis: np.ndarray, k: int = 1
) -> Float32[np.ndarray, "n K"]:
    """f = ReLU of the k largest entries of u Bᵀ, zero elsewhere."""
    return _keep_largest(signed(x, center, basis), k)


def topk_norm(
    x: np.ndarray, center: np.ndarray, basis: np.ndarray, k: int = 1
) -> Float32[np.ndarray, "n K"]:
    """f = ReLU of the k largest entries of û Bᵀ, zero elsewhere."""
    return _keep_largest(cosine(x, center, basis), k)


def binary(x: np.ndarray, center: np.ndarray, basis: np.ndarray) -> Float32[np.ndarray, "n K"]:
    """f = 1 at arg max_k (û Bᵀ)_k, the older of equals; 0 elsewhere."""
    return _smallest(-cosine(x, center, basis), 1).astype(np.float32)


def decode(
    features: Float[np.ndarray, "n K"],
    center: Float[np.ndarray, " d"],
    basis: Float[np.ndarray, "K d"],
) -> Float32[np.ndarray, "n d"]:
    """x̂ = f B + c. Not an inverse: the rows of B are not orthogonal."""
    return (features @ basis + center).astype(np.float32)


FEATURES: dict[str, Callable[..., np.ndarray]] = {
    "signed": signed,
    "cosine": cosine,
    "signed_norm": signed_norm,
    "topk": topk,
    "topk_norm": topk_norm,
    "binary": binary,
}


def _keep_largest(scores: np.ndarray, k: int) -> np.ndarray:
    return np.where(_smallest(-scores, k), np.maximum(scores, 0), np.float32(0))


def _smallest(values: np.ndarray, k: int) -> np.ndarray:
    """Marks the k smallest entries of each row, the first of equals."""
    if k < 1:
        raise ConfigError(f"k = {k} was asked for: a read-out keeps at least one region")
    n, size = values.shape
    if k >= size:
        return np.ones((n, size), bool)
    out = np.zeros((n, size), bool)
    if k == 1:
        out[np.arange(n), np.argmin(values, axis=1)] = True
        return out
    edge = np.partition(values, k - 1, axis=1)[:, k - 1 : k]
    out[:] = values < edge
    ties = values == edge
    return out | (ties & (np.cumsum(ties, axis=1) <= k - out.sum(axis=1, keepdims=True)))
