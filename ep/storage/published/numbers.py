"""The dtypes, arrays and scalars of numpy in a published file.

While the file is read they are only described; their values are read when they are needed. Floats
of 2, 4 and 8 bytes, integers and booleans are supported; object, text and record dtypes are
refused. A shape is accepted only if it needs exactly as many bytes as the file has for the array.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ep.errors import DictionaryFileError
from ep.storage.published.tape import Tape
from ep.storage.published.values import Array, Dtype, Latin, Span, Text

CODES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
"""The supported dtypes: kind and bytes."""
ORDERS = ("<", ">", "|", "=")
"""The byte orders of numpy."""


def dtype(arguments: tuple[Any, ...]) -> Dtype:
    """Return the dtype for a call of `numpy.dtype`: a code, and two flags that are ignored."""
    code = arguments[0] if arguments else None
    if len(arguments) > 3 or code not in CODES:
        raise DictionaryFileError(
            f"refused: an array of dtype {ascii(code)[:40]}, expected floats or whole numbers"
        )
    return Dtype(str(code))


def build_dtype(target: Dtype, state: Any) -> None:
    """Set the byte order of a dtype; one with fields, a sub-array or metadata is refused."""
    is_simple = (
        type(state) is tuple
        and len(state) == 8
        and state[2:5] == (None, None, None)
        and state[1] in ORDERS
    )
    if not is_simple:
        raise DictionaryFileError(
            "refused: an array of a compound dtype, expected floats or whole numbers"
        )
    target.order = state[1]


def array() -> Array:
    """Return an array whose state follows in the file."""
    return Array()


def frombuffer(arguments: tuple[Any, ...]) -> Array:
    """Return an array made of its bytes, dtype, shape and order (protocol 5)."""
    if len(arguments) != 4:
        raise DictionaryFileError(
            "refused: an array that is not made of bytes, dtype, shape and order"
        )
    payload, kind, shape, order = arguments
    return _filled(Array(), payload, kind, shape, order == "C")


def build_array(target: Array, state: Any) -> None:
    """Set an array's state: version, shape, dtype, Fortran order, bytes (protocols 2 to 4)."""
    if type(state) is not tuple or len(state) != 5 or target.payload is not None:
        raise DictionaryFileError(
            "refused: an array whose state is not version, shape, dtype, order and bytes"
        )
    _, shape, kind, fortran, payload = state
    _filled(target, payload, kind, shape, not fortran)


def _filled(target: Array, payload: Any, kind: Any, shape: Any, rows_first: bool) -> Array:
    """Set dtype, shape and payload of an array once they fit together; returns the array."""
    if type(kind) is not Dtype or type(payload) not in (Span, Latin):
        raise DictionaryFileError("refused: an array whose dtype or bytes are of another kind")
    sizes = (shape,) if type(shape) is int else shape
    if (
        type(sizes) is not tuple
        or not 0 < len(sizes) <= 2
        or not all(type(n) is int and n >= 0 for n in sizes)
    ):
        raise DictionaryFileError("refused: an array whose shape is not one or two numbers")
    if not rows_first and len(sizes) > 1:
        raise DictionaryFileError("refused: an array in Fortran order")
    expected = math.prod(sizes) * kind.itemsize
    if isinstance(payload, Span) and payload.length != expected:
        needed = f"{expected:,}" if expected < 2**62 else "far more"
        raise DictionaryFileError(
            f"an array of shape {sizes!r} needs {needed} bytes, the file has {payload.length:,}"[
                :200
            ]
        )
    # A byte below 0x80 takes one byte as UTF-8, another one two. `_values` compares exactly.
    if isinstance(payload, Latin) and not expected <= _utf8_length(payload) <= 2 * expected:
        raise DictionaryFileError(
            f"an array of shape {sizes!r} does not fit the bytes in the file"[:200]
        )
    target.dtype, target.shape, target.payload = kind, sizes, payload
    return target


def _utf8_length(payload: Latin) -> int:
    """The number of bytes of the text as UTF-8."""
    return (
        payload.text.length
        if isinstance(payload.text, Text)
        else len(payload.text.encode("utf-8", "surrogatepass"))
    )


def scalar(tape: Tape, kind: Dtype, payload: Any) -> int | float:
    """Return a numpy scalar as a number of Python."""
    if type(payload) not in (Span, Latin):
        raise DictionaryFileError("refused: a number whose bytes are of another kind")
    target = Array(kind, (1,), payload)
    value = _values(tape, target, np.dtype(kind.order + kind.code))
    return float(value[0]) if kind.code[0] == "f" else int(value[0])


def vector(tape: Tape, stored: Any, width: int | None, name: str) -> np.ndarray:
    """Return the values of a one-dimensional float array as (d,) float32.

    stored: the array as read from the file.
    width: the expected d; None accepts any.
    name: what the array is, for messages.

    Raises DictionaryFileError for another dtype or shape, or a value that is not finite.
    """
    if type(stored) is not Array or stored.dtype is None:
        raise DictionaryFileError(f"{name} is missing or not an array")
    if stored.dtype.code[0] != "f":
        raise DictionaryFileError(
            f"{name} has dtype {stored.dtype.code}, expected float16, float32 or float64"
        )
    if len(stored.shape) != 1 or stored.shape[0] < 1 or width not in (None, stored.shape[0]):
        expected = "(d,)" if width is None else f"({width},)"
        raise DictionaryFileError(f"{name} has shape {stored.shape}, expected {expected}")
    values = _values(tape, stored, np.dtype(stored.dtype.order + stored.dtype.code))
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is refused
        out = values.astype(np.float32)
    if not np.isfinite(out).all():
        raise DictionaryFileError(f"{name} contains a number that is not finite")
    return out


def _values(tape: Tape, stored: Array, kind: np.dtype) -> np.ndarray:
    """Read the values of an array as a flat array of dtype `kind`."""
    data = payload_bytes(tape, stored.payload)
    if len(data) != math.prod(stored.shape) * kind.itemsize:
        raise DictionaryFileError(
            f"an array of shape {stored.shape} does not fit its {len(data):,} bytes"
        )
    return np.frombuffer(data, kind)


def payload_bytes(tape: Tape, payload: Span | Latin | None) -> bytes:
    """Read the bytes of an array."""
    if isinstance(payload, Span):
        return tape.read_at(payload.offset, payload.length)
    assert payload is not None
    try:
        return text(tape, payload.text).encode("latin-1")
    except UnicodeEncodeError:
        raise DictionaryFileError(
            "the bytes of an array are written as text that is not Latin-1"
        ) from None


def text(tape: Tape, stored: str | Text) -> str:
    """Return a string, reading it if it is still in the file."""
    if isinstance(stored, str):
        return stored
    try:
        return tape.read_at(stored.offset, stored.length).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise DictionaryFileError("a string that is not UTF-8") from None
