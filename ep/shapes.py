"""Array types for signatures, such as `Float32[np.ndarray, "n d"]`: a dtype and a shape.

They are jaxtyping's types where jaxtyping is installed, as it is for the tests, which check every
call against them. Otherwise they are plain annotations, so the package works without jaxtyping.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING or find_spec("jaxtyping"):
    from jaxtyping import (
        Bool,
        Float,
        Float32,
        Float64,
        Int,
        Int8,
        Int32,
        Int64,
        Integer,
        Num,
        UInt,
        UInt8,
        UInt32,
        UInt64,
    )
else:
    Bool = Float = Float32 = Float64 = Int = Int8 = Int32 = Int64 = Integer = Num = Annotated
    UInt = UInt8 = UInt32 = UInt64 = Annotated
