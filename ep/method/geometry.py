"""Directions of raw activations, as seen from the centre, and distances between directions.

This module handles vectors only, whatever their origin. Source: protocol section 1.
"""

from __future__ import annotations

import numpy as np

from ep.errors import ActivationError
from ep.shapes import Float, Float32

EPS = 1e-12
"""An activation with ‖x − c‖ up to this counts as lying on the centre: it has no direction."""

BLOCK_BYTES = 2**20
"""Memory of one block of rows, so that its steps stay in the cache."""
FLOAT32_SAFE = (1e-24, 1e36)
"""Squared norms that float32 represents without loss.

Outside this range, digits may have been lost to overflow or underflow, and the row is computed
again in float64.
"""


def directions(x: np.ndarray, center: np.ndarray) -> Float32[np.ndarray, "n d"]:
    """Return the unit directions û = u/‖u‖ of u = x − c, in float32 (protocol 1.1).

    x: (n, d) raw activations of any float or integer type; n may be 0.
    center: (d,) the centre c; zeros for no centring.

    Each row has length 1 to rounding and is computed alone, so the result does not depend on the
    division of a stream into batches.

    The reference divides by ‖u‖ + 1e-12, which float32 cannot distinguish from ‖u‖ unless u is
    almost zero. For ‖u‖ ≤ EPS the reference yields a vector of length 0, which is no direction.
    Such a row becomes the first unit vector instead, so that a long build neither stops nor founds
    a region without a direction.

    Raises ActivationError for NaN, infinity, a wrong width or a wrong number of dimensions, and
    names the offending value.
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
        # overflow and NaN show as squares outside the safe range and are dealt with there
        with np.errstate(over="ignore", invalid="ignore"):
            u = np.subtract(
                x[start : start + step], center, out=out[start : start + step], dtype=np.float32
            )
            squares = np.einsum("nd,nd->n", u, u)
        is_safe = (squares > FLOAT32_SAFE[0]) & (squares < FLOAT32_SAFE[1])
        if is_safe.all():
            u /= np.sqrt(squares)[:, None]
        else:
            # dividing by 1 leaves the unsafe rows as they are until they are computed again
            squares[~is_safe] = 1.0
            u /= np.sqrt(squares)[:, None]
            for row in np.flatnonzero(~is_safe).tolist():
                u[row] = _direction_in_float64(x[start + row], center, start + row)
    return out


def cosine_distance(
    a: Float[np.ndarray, "n d"],
    b: Float[np.ndarray, "m d"],
    out: Float32[np.ndarray, "n m"] | None = None,
) -> Float32[np.ndarray, "n m"]:
    """Return the cosine distance 1 − a·b of every pair of unit rows, clamped to [0, 2].

    out: (n, m) float32 array for the result; a new one if None.
    """
    out = np.matmul(a, b.T, out=out)
    np.subtract(1.0, out, out=out)
    return np.clip(out, 0.0, 2.0, out=out)


def checked(x: np.ndarray, width: int) -> np.ndarray:
    """Return x as an array of shape (n, width).

    Raises ActivationError, with the shape or dtype of x, if it is not one.
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
    """Raise ActivationError for the first NaN or infinity in x (n, d), if there is one.

    first_row: row number of x[0] in the message.
    """
    invalid = np.argwhere(~np.isfinite(x))
    if len(invalid):
        row, column = invalid[0].tolist()
        raise ActivationError(
            f"the activations contain {'NaN' if np.isnan(x[row, column]) else 'infinity'} at row "
            f"{first_row + row}, column {column}: all must be finite; check the model's dtype and "
            "weights"
        )


def _direction_in_float64(x: np.ndarray, center: np.ndarray, row: int) -> np.ndarray:
    """Return the direction of one activation whose squared length is not safe in float32.

    Raises ActivationError, with the row number `row`, if the activation is not finite.
    """
    refuse_not_finite(x[None], row)
    u = x.astype(np.float64) - center
    if np.linalg.norm(u) <= EPS:
        return np.eye(1, len(u))[0]
    u /= np.abs(u).max()  # keeps the squares in the norm below from overflowing or vanishing
    return u / np.linalg.norm(u)
