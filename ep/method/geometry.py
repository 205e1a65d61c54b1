"""Directions and distances: a raw activation becomes the unit vector that points from the centre to
it.

The room knows vectors only: not where they come from, nor which region they fall into. Protocol
section 1.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from ep.errors import ActivationError

EPS = 1e-12
"""‖x − c‖ at or below which an activation sits on the centre and has no direction of its own."""

BLOCK_BYTES = 2**20
FLOAT32_SAFE = (1e-24, 1e36)
"""Squared norms outside this range may have lost digits to float32's own range and are computed
again in float64.
"""


def directions(x: np.ndarray, center: np.ndarray) -> Float32[np.ndarray, "n d"]:
    """The unit directions û = u / ‖u‖ of u = x − c (protocol 1.1), float32, every row of length 1
    to rounding.

    x: (n, d) raw activations of any float type; n may be 0. center: (d,) the centre c, all zeros
    for none. Each row is computed alone, so the result does not depend on how a stream is cut into
    batches.

    The reference divides by ‖u‖ + 1e-12, which float32 cannot tell from ‖u‖ unless u is all but
    zero. There (‖u‖ ≤ EPS) it yields a vector of length 0, which is no direction: such a row
    becomes the first axis, so that a long build neither stops nor founds a region on nothing.

    Raises ActivationError, naming what was found, for NaN, infinity, another width or another rank.
    """
    center = np.asarray(center, np.float32)
    if center.ndim != 1 or len(center) == 0 or not np.isfinite(center).all():
        raise ActivationError(
            f"the centre has shape {center.shape}: expected one finite vector (d,)"
        )
    x = checked(x, len(center))
    out = np.empty(x.shape, np.float32)
    step = max(1, BLOCK_BYTES // (4 * x.shape[1]))
    for start in range(0, len(x), step):
        with np.errstate(over="ignore", invalid="ignore"):
            u = np.subtract(
                x[start : start + step], center, out=out[start : start + step], dtype=np.float32
            )
            squares = np.einsum("nd,nd->n", u, u)
        inside = (squares > FLOAT32_SAFE[0]) & (squares < FLOAT32_SAFE[1])
        if inside.all():
            u /= np.sqrt(squares)[:, None]
        else:
            squares[~inside] = 1.0
            u /= np.sqrt(squares)[:, None]
            for row in np.flatnonzero(~inside).tolist():
                u[row] = _careful(x[start + row], center, start + row)
    return out


def cosine_distance(
    a: Float[np.ndarray, "n d"],
    b: Float[np.ndarray, "m d"],
    out: Float32[np.ndarray, "n m"] | None = None,
) -> Float32[np.ndarray, "n m"]:
    """d(a, b) = 1 − a·b of every pair of unit rows, clamped to [0, 2]; (n, m) float32, written into
    `out` if given.
    """
    out = np.matmul(a, b.T, out=out)
    np.subtract(1.0, out, out=out)
    return np.clip(out, 0.0, 2.0, out=out)


def checked(x: np.ndarray, width: int) -> np.ndarray:
    """x itself as an array of shape (n, width), or ActivationError naming the shape or dtype
    found.
    """
    x = np.asarray(x)
    if x.ndim != 2:
        raise ActivationError(
            f"the activations have shape {x.shape}: expected (n, {width}), one row each"
        )
    if x.shape[1] != width:
        raise ActivationError(
            f"the activations are {x.shape[1]} wide, expected {width}: use the model and layer of "
            "the dictionary"
        )
    if x.dtype.kind not in "fiu":
        raise ActivationError(
            f"the activations have dtype {x.dtype}: expected floating point numbers"
        )
    return x


def refuse_not_finite(x: np.ndarray, first_row: int = 0) -> None:
    """ActivationError naming the first NaN or infinity of x (n, d), whose first row is number
    `first_row`.
    """
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0].tolist()
        raise ActivationError(
            f"the activations hold {'NaN' if np.isnan(x[row, column]) else 'infinity'} at row "
            f"{first_row + row}, "
            f"column {column}: all must be finite; check the model's dtype and weights"
        )


def _careful(x: np.ndarray, center: np.ndarray, row: int) -> np.ndarray:
    """The direction of one activation whose squared length is not a safe float32: refused, or
    computed in float64.
    """
    refuse_not_finite(x[None], row)
    u = x.astype(np.float64) - center
    if np.linalg.norm(u) <= EPS:
        return np.eye(1, len(u))[0]
    u /= np.abs(u).max()
    return u / np.linalg.norm(u)
