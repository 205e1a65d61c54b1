"""The table of all arrays in an `.ep.h5` file: name, place, dtype, shape and rule for the values.

The meaning of each array is in `docs/format.md`. This module only declares; it neither reads nor
writes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ep.method.lenses import STORED

FORMAT = "ep-dictionary"
VERSION = 3
"""The newest version of the format. A file has the oldest version that can hold it."""
SUFFIX = ".ep.h5"
"""The file name extension of a dictionary."""
BLOCK_BYTES = 4 * 2**20
"""The largest part of an array that any reader, writer or check has in memory at a time."""


@dataclass(frozen=True)
class Array:
    """One dataset.

    name: its name, in the file and in Python.
    group: the HDF5 group it lies in.
    dtype: its dtype, little-endian.
    shape: numbers, or sizes by letter: K regions, d width, E excerpts, P passages, T their tokens,
        V vocabulary entries, B their bytes, Q passages without tokens, C their bytes, N bytes of
        names. A letter with "+1" marks an offsets array.
    rule: what its values must satisfy; see `ep.storage.checks`.
    """

    name: str
    group: str
    dtype: np.dtype
    shape: tuple[int | str, ...]
    rule: str

    @property
    def path(self) -> str:
        """Its path in the file."""
        return f"{self.group}/{self.name}"

    @property
    def is_vectors(self) -> bool:
        """Whether its rows are vectors of the model's width, one for each region."""
        return self.shape == ("K", "d")

    @property
    def is_contiguous(self) -> bool:
        """Whether its rows are vectors of the model's width; they are stored uncompressed."""
        return self.shape[1:] == ("d",)

    def resolve(self, sizes: dict[str, int]) -> tuple[int, ...]:
        """Return the shape in numbers, given the sizes by letter."""
        return tuple(_number(part, sizes) for part in self.shape)


def _number(part: int | str, sizes: dict[str, int]) -> int:
    if isinstance(part, int):
        return part
    return sizes[part.removesuffix("+1")] + part.endswith("+1")


_LENS_LISTS = "\n".join(
    f"{'lens_shift' if 'shift' in name else 'lens'} lens_{name}_{part}"
    for name in STORED
    for part in ("ids i4 K,12 token", "values f4 K,12 finite")
)
_TABLE = f"""
geometry    center                 f4  d      finite
geometry    metric_scale           f4  d      amount
geometry    metric_matrix          f4  d,d    finite
geometry    exemplars              f4  K,d    unit
geometry    mean_directions        f4  K,d    unit
geometry    exemplar_norms         f4  K      amount
geometry    mean_norms             f4  K      amount
geometry    exemplar_mean_cosine   f4  K      cosine
geometry    nearest_ids            i4  K,8    region
geometry    nearest_distances      f4  K,8    distance
geometry    map_pca                f4  K,3    finite
members     count_arrival          i8  K      count
members     count_voronoi          i8  K      count
members     coherence              f4  K      share
members     mean_distance          f4  K      distance?
members     max_distance           f4  K      distance?
members     distance_sum           f8  K      amount
members     distance_square_sum    f8  K      amount
founding    founded_at             i8  K      count
founding    founder_passage        i8  K      free
founding    founder_position       i4  K      count
founding    founder_token          i4  K      token
profile     neighbourhood          u1  K      free
profile     distance_histogram     u4  K,32   free
profile     position_histogram     u4  K,16   free
profile     token_ids              i4  K,10   token
profile     token_counts           u4  K,10   free
profile     next_ids               i4  K,10   token
profile     next_counts            u4  K,10   free
rivals      rival_ids              i4  K,4    region
rivals      rival_counts           u4  K,4    free
rivals      rival_seen             i8  K      count
rivals      contested              i8  K      count
coarser     coarser_ids            i4  K,4    elsewhere
coarser     coarser_counts         u4  K,4    free
coarser     farther_ids            i4  K,8,4  elsewhere
coarser     farther_counts         u4  K,8,4  free
{_LENS_LISTS}
text        passage_ids            i8  P      rising
text        passage_offsets        i8  P+1    offsets:T
text        passage_tokens         i4  T      token
text        plain_ids              i8  Q      rising
text        plain_offsets          i8  Q+1    offsets:C
text        plain_bytes            u1  C      free
text        vocabulary_ids         i4  V      rising
text        vocabulary_offsets     i8  V+1    offsets:B
text        vocabulary_bytes       u1  B      free
survival    survived               i8  K      count
names       name_offsets           i8  K+1    offsets:N
names       name_bytes             u1  N      free
excerpts    excerpt_offsets        i8  K+1    offsets:E
excerpts    excerpt_passage        i8  E      free
excerpts    excerpt_position       i4  E      count
excerpts    excerpt_distance       f4  E      distance
excerpts    excerpt_band           u1  E      band
excerpts    excerpt_agrees         u1  E      flag
"""


def _array(line: str) -> Array:
    """Parse one line of the table."""
    group, name, dtype, shape, rule = line.split()
    parts = tuple(int(part) if part.isdigit() else part for part in shape.split(","))
    return Array(name, group, np.dtype(f"<{dtype}"), parts, rule)


ARRAYS: dict[str, Array] = {array.name: array for array in map(_array, _TABLE.strip().splitlines())}
"""All arrays by name, in the order in which they are written."""

DERIVED = ("name_offsets", "name_bytes")
"""Arrays that follow from the others; the digest leaves them out."""

REQUIRED = ("center", "exemplars", "mean_directions")
"""Arrays that every dictionary has."""

TOGETHER: tuple[tuple[str, ...], ...] = (
    ("nearest_ids", "nearest_distances"),
    ("founder_passage", "founder_position", "founder_token"),
    ("token_ids", "token_counts"),
    ("next_ids", "next_counts"),
    ("rival_ids", "rival_counts", "rival_seen", "contested"),
    ("coarser_ids", "coarser_counts"),
    ("farther_ids", "farther_counts"),
    *((f"lens_{name}_ids", f"lens_{name}_values") for name in STORED),
    ("vocabulary_ids", "vocabulary_offsets", "vocabulary_bytes"),
    ("passage_ids", "passage_offsets", "passage_tokens"),
    ("plain_ids", "plain_offsets", "plain_bytes"),
    ("name_offsets", "name_bytes"),
    ("excerpt_offsets", "excerpt_passage", "excerpt_position", "excerpt_distance", "excerpt_band"),
)
"""Arrays that have no meaning without each other: a file has all of a group or none."""

NEEDS: dict[str, tuple[str, ...]] = {
    "excerpt_offsets": ("passage_ids", "plain_ids"),
    "excerpt_agrees": ("excerpt_offsets",),
    "passage_ids": ("vocabulary_ids",),
    "token_ids": ("vocabulary_ids",),
}
"""Arrays that refer to another: exactly one of those named must be present."""
