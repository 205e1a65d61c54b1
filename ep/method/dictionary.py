"""A finished dictionary: its exemplars, its mean directions and what is stored about each region.

A dictionary depends on neither files nor models. A `Source` provides its arrays by name, whole or
by rows, so that showing one region reads the rows of that region only. A whole array is cached once
it has been read; arrays are read-only. Their names, shapes and dtypes are in `docs/format.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ep.errors import DictionaryFileError, UnknownRegion
from ep.method.assignment import Assignment
from ep.method.laws import LENGTHS, CosineLaw, joined, law_of
from ep.method.lenses import PAPER
from ep.method.lenses import STORED as STORED_LENSES
from ep.method.metrics import STORED, Metric, distance_name, name_of
from ep.method.region import BANDS, SCALARS, Excerpt, Region, TokenScore
from ep.method.source import Source
from ep.method.template import template_edges
from ep.shapes import Float32
from ep.text import split_text

Basis = Literal["exemplar", "mean"]
"""Which direction represents a region: its exemplar, or the mean of its arrival members."""
BASES: tuple[Basis, ...] = get_args(Basis)
TEMPLATE_PASSAGES = 64
"""Passages among which the tokens of a chat template are looked for."""
ASSIGN_CHUNK_BYTES = 64 * 2**20
"""Memory for the distances of one block of activations."""


class Dictionary:
    """An Exemplar Partitioning dictionary of K regions in d dimensions.

    source: provides the arrays.
    info: provenance (model, layer, percentile, corpus, seed, versions, …); it is copied.
    size: K, also `len` of the dictionary.
    path: the file it was opened from, None for one in memory.

    Attributes beside these: threshold, θ, a distance by `law`. A region's id is its row in
    all arrays, in order of founding.
    """

    def __init__(
        self, source: Source, info: Mapping[str, Any], size: int, path: Path | None = None
    ) -> None:
        self.source = source
        self.info = dict(info)
        self.path = path
        self.threshold = float(self.info["threshold"])
        self._size = size
        self._columns: dict[str, np.ndarray] = {}
        self._raw: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        where = f"{self.info.get('model', 'unknown model')} layer {self.info.get('layer', '?')}"
        p = self.info.get("percentile")
        return f"<Dictionary of {len(self):,} regions, {where}, p={p}, θ={self.threshold:.4f}>"

    @property
    def layer(self) -> int | None:
        """The 0-based block whose residual stream was partitioned; None if not recorded."""
        layer = self.info.get("layer")
        return None if layer is None else int(layer)

    @property
    def percentile(self) -> float | None:
        """p, the percentile of pairwise distances that set θ; None if not recorded."""
        percentile = self.info.get("percentile")
        return None if percentile is None else float(percentile)

    # -- arrays ------------------------------------------------------------------------------------

    def __contains__(self, name: str) -> bool:
        """Return whether the array called `name` is stored."""
        return name in self.source

    def column(self, name: str) -> np.ndarray:
        """Return a whole array by its name in `docs/format.md`.

        It is read once, then cached, and read-only. Raises KeyError if it is not stored.
        """
        if name not in self._columns:
            if name not in self.source:
                raise KeyError(f"this dictionary has no array {name!r}")
            self._columns[name] = self.source.read(name)
            self._columns[name].setflags(write=False)
        return self._columns[name]

    def row(self, name: str, region: int) -> Any:
        """Return one region's row of an array, without reading the rest."""
        if name in self._columns:
            return self._columns[name][region]
        return self.source.read(name, region, region + 1)[0]

    @property
    def center(self) -> np.ndarray:
        """The centre c, (d,) float32, which is subtracted from every activation."""
        return self.column("center")

    @cached_property
    def metric(self) -> Metric:
        """The space in which directions are taken, and the way back from it."""
        name = name_of(self.info)
        arrays = {part: self.column(part) for part in ("center", *STORED[name])}
        shrinkage = float(self.info.get("metric_shrinkage") or 0)
        return Metric.from_arrays(name, arrays, shrinkage, self.typical_norm)

    @cached_property
    def law(self) -> CosineLaw:
        """How rows of the metric are compared."""
        return law_of(name_of(self.info))

    @property
    def distance_name(self) -> str:
        """What to call a distance of this dictionary on screen, such as "cosine distance"."""
        return distance_name(self.info)

    @property
    def exemplars(self) -> np.ndarray:
        """The exemplars, (K, d) float32 unit rows."""
        return self.column("exemplars")

    @property
    def mean_directions(self) -> np.ndarray:
        """The directions of the sums of the arrival members, (K, d) float32 unit rows."""
        return self.column("mean_directions")

    @property
    def members(self) -> np.ndarray:
        """The number of members of each region, (K,) int64.

        These are the Voronoi members where they were counted, otherwise the arrival members. Where
        neither count is stored, every region counts 1, the activation that founded it.
        """
        if self.members_column is None:
            return np.ones(len(self), np.int64)
        return self.column(self.members_column)

    @property
    def members_column(self) -> str | None:
        """The name of the array behind `members`; None where no count is stored."""
        names = ("count_voronoi", "count_arrival")
        return next((name for name in names if name in self.source), None)

    @property
    def width(self) -> int:
        """d, the number of dimensions."""
        return int(self.center.shape[0])

    def position_edges(self, bins: int) -> np.ndarray:
        """Return the edges of the bins of a position histogram, in tokens from a passage's start.

        bins: their number B; the edges are (B + 1,). Where the length of the passages is not
            recorded, a bin counts as one token.
        """
        return np.linspace(0, int(self.info.get("context") or 0) or bins, bins + 1)

    @property
    def typical_norm(self) -> float:
        """r, the median distance of an activation from the centre: the unit of steering strength.

        Where it is not recorded (published files) ‖c‖ is used instead, or 1 if the centre is the
        origin.
        """
        return float(self.info.get("typical_norm") or np.linalg.norm(self.center) or 1.0)

    @property
    def metric_norm(self) -> float:
        """The median length of an activation in the space of the metric."""
        return float(self.info.get("metric_norm") or self.typical_norm)

    # -- geometry ----------------------------------------------------------------------------------

    def assign(self, x: np.ndarray) -> Assignment:
        """Return the nearest exemplar of each raw activation (protocol 3.1).

        No threshold is applied.

        x: (n, d) raw residual activations.
        Returns region (n,) int64 and distance (n,) float32, in [0, 2] for a cosine; `is_new` is
        False throughout.

        The result is exact: it is decided in float64 on the float32 rows, and ties go to the older
        region. Raises ActivationError if x is not finite or has the wrong shape.
        """
        distance, region = self.law.nearest(self.metric.rows(x), self.basis_rows("exemplar"))
        return Assignment(region, distance, np.zeros(len(region), bool))

    def distances(self, x: np.ndarray, basis: Basis = "exemplar") -> np.ndarray:
        """Return the distances of raw activations to all exemplars or all mean directions.

        x: (n, d) raw activations.
        basis: "exemplar" or "mean".
        Returns (n, K) float32, in [0, 2] for a cosine.
        """
        return self.row_distances(self.metric.rows(x), basis)

    def row_distances(
        self, rows: Float32[np.ndarray, "n w"], basis: Basis = "exemplar"
    ) -> Float32[np.ndarray, "n K"]:
        """Return the distances of rows, as `Metric.rows` gives them, as `distances` does."""
        vectors = self.basis_rows(basis)
        out = np.empty((len(rows), len(vectors)), np.float32)
        step = max(1, ASSIGN_CHUNK_BYTES // (4 * max(1, len(vectors))))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            self.law.distances(rows[part], vectors, out=out[part])
        return out

    def basis(self, name: Basis) -> np.ndarray:
        """Return the (K, d) unit rows of a basis; raise KeyError if there is no such basis."""
        if name not in BASES:
            raise KeyError(f"basis {name!r} is unknown: use one of {', '.join(BASES)}")
        return self.exemplars if name == "exemplar" else self.mean_directions

    def basis_rows(self, name: Basis) -> np.ndarray:
        """Return a basis as rows that the law compares: unit rows (K, d), which are `basis`, or
        (K, d + 1) with their lengths, all joined once.
        """
        directions = self.basis(name)
        if not self.law.extra:
            return directions
        key = f"rows {name}"
        if key not in self._raw:
            lengths = LENGTHS["exemplars" if name == "exemplar" else "mean_directions"]
            self._raw[key] = joined(directions, self.column(lengths))
            self._raw[key].setflags(write=False)
        return self._raw[key]

    def raw_basis(self, name: Basis, regions: Sequence[int] | None = None) -> np.ndarray:
        """Return a basis, or some rows of it, as unit directions among the activations, (m, d).

        They point from the centre: an exemplar's to the activation that founded its region. They
        are the rows of `basis` unless the metric stretches the space. All are computed once.
        """
        rows = self.basis(name) if regions is None else self.basis(name)[list(regions)]
        if not STORED[name_of(self.info)]:
            return rows
        if regions is not None:
            return self.metric.raw(rows)
        if name not in self._raw:
            self._raw[name] = self.metric.raw(rows)
            self._raw[name].setflags(write=False)
        return self._raw[name]

    # -- one region --------------------------------------------------------------------------------

    def check(self, region: Any) -> int:
        """Return a region id as an int, or raise UnknownRegion with the valid range.

        region: any value, such as text from a URL.
        """
        try:
            k = int(region)
        except (TypeError, ValueError):
            k = -1
        if not 0 <= k < len(self):
            raise UnknownRegion(
                f"region {region} does not exist: this dictionary has regions 0 to {len(self) - 1}"
            )
        return k

    def region(self, region: int) -> Region:
        """Return everything stored about one region, read by rows."""
        k = self.check(region)
        columns = {name: self.row(name, k) for name in SCALARS if name in self.source}
        lens = {name: self.lens(k, name) for name in self.lenses}
        nearest: tuple[tuple[int, float], ...] = ()
        if "nearest_ids" in self.source:
            pairs = zip(self.row("nearest_ids", k), self.row("nearest_distances", k), strict=True)
            nearest = tuple((int(i), float(d)) for i, d in pairs if i >= 0)
        return Region(
            id=k,
            columns=columns,
            lens=lens,
            tokens=self._scores("token_ids", "token_counts", k),
            next_tokens=self._scores("next_ids", "next_counts", k),
            nearest=nearest,
            founder=self._founder(k),
            excerpts=self.excerpts(k),
            rivals=self._counted("rival", k),
            coarser=self._counted("coarser", k),
        )

    @property
    def first_lens(self) -> str:
        """The lens to show first, such as "jacobian_lift_up".

        It is the one that the scores of the build decided on; in a file that states none, or one
        that it does not hold, the paper's rule.
        """
        chosen = self.info.get("first_lens")
        is_held = chosen in STORED_LENSES and f"lens_{chosen}_ids" in self.source
        return str(chosen) if is_held else PAPER

    @property
    def lenses(self) -> tuple[str, ...]:
        """The names of the stored lenses, `first_lens` first, the others in the stored order."""
        names = [name for name in STORED_LENSES if f"lens_{name}_ids" in self.source]
        return tuple(sorted(names, key=lambda name: name != self.first_lens))

    def lens(self, region: int, name: str | None = None) -> tuple[TokenScore, ...]:
        """Return the (token, value) pairs of a lens, strongest first.

        name: one of `ep.method.lenses.STORED`; by default `first_lens`.

        There are none if the lens is not stored.
        """
        name = name or self.first_lens
        return self._scores(f"lens_{name}_ids", f"lens_{name}_values", region)

    def _counted(self, name: str, region: int) -> tuple[tuple[int, int], ...]:
        """Return the (region id, members) pairs of a region.

        name: "rival" for regions of this dictionary, "coarser" for regions of the next coarser one.
        """
        if f"{name}_ids" not in self.source:
            return ()
        pairs = zip(
            self.row(f"{name}_ids", region), self.row(f"{name}_counts", region), strict=True
        )
        return tuple((int(i), int(n)) for i, n in pairs if i >= 0)

    def _scores(self, ids: str, values: str, region: int) -> tuple[TokenScore, ...]:
        """Return the (token, value) pairs of a region from two arrays; empty if not stored."""
        if ids not in self.source:
            return ()
        pairs = zip(self.row(ids, region), self.row(values, region), strict=True)
        return tuple(TokenScore(self.piece(int(i)), float(v)) for i, v in pairs if i >= 0)

    # -- text --------------------------------------------------------------------------------------

    @cached_property
    def _pieces(self) -> dict[int, bytes]:
        """The bytes of the vocabulary entries, by token id."""
        if "vocabulary_ids" not in self.source:
            return {}
        ids, pieces = self.source.read("vocabulary_ids"), self.source.read("vocabulary_pieces")
        return dict(zip(ids.tolist(), pieces.tolist(), strict=True))

    @cached_property
    def _template(self) -> tuple[int, int]:
        """How many first and last tokens of the passages belong to a chat template."""
        ids = self.column("passage_ids")
        step = max(1, len(ids) // TEMPLATE_PASSAGES)
        return template_edges([self.passage(int(passage)) for passage in ids[::step]])

    def piece(self, token: int) -> str:
        """Return the text of a token id.

        Undecodable bytes become U+FFFD, an id without an entry in the vocabulary becomes <id>.
        """
        piece = self._pieces.get(token)
        return f"<{token}>" if piece is None else piece.decode("utf-8", "replace")

    def passage(self, passage: int) -> tuple[str, ...]:
        """Return the tokens of a stored passage as text.

        A character split over several tokens appears on the first of them. A passage stored without
        tokens is one piece, its whole text. Raises DictionaryFileError if the passage is not
        stored.
        """
        if "plain_ids" in self.source:
            return (self._plain(passage),)
        ids = self.column("passage_ids")
        row = int(np.searchsorted(ids, passage))
        if row == len(ids) or ids[row] != passage:
            raise DictionaryFileError(f"passage {passage} is not stored in this dictionary")
        start, stop = self.column("passage_offsets")[row : row + 2]
        tokens = self.source.read("passage_tokens", int(start), int(stop))
        return split_text([self._pieces.get(int(t), f"<{t}>".encode()) for t in tokens])

    def _plain(self, passage: int) -> str:
        """Return the text of a passage stored without tokens."""
        ids = self.column("plain_ids")
        row = int(np.searchsorted(ids, passage))
        if row == len(ids) or ids[row] != passage:
            raise DictionaryFileError(f"passage {passage} is not stored in this dictionary")
        start, stop = self.column("plain_offsets")[row : row + 2]
        return (
            self.source.read("plain_bytes", int(start), int(stop))
            .tobytes()
            .decode("utf-8", "replace")
        )

    def _founder(self, region: int) -> Excerpt | None:
        """Return the excerpt of the activation that founded a region, if it is stored."""
        if "founder_passage" not in self.source or "passage_ids" not in self.source:
            return None
        passage, position = (
            int(self.row(f"founder_{part}", region)) for part in ("passage", "position")
        )
        return self._excerpt(passage, position, 0.0, "founder")

    def excerpts(self, region: int) -> tuple[Excerpt, ...]:
        """Return the stored excerpts of a region.

        Near comes first (closest first), then spread (by distance), then far (farthest first).
        """
        if "excerpt_offsets" not in self.source:
            return ()
        start, stop = (int(v) for v in self.source.read("excerpt_offsets", region, region + 2))
        parts = (
            self.source.read(f"excerpt_{p}", start, stop)
            for p in ("passage", "position", "distance", "band")
        )
        agrees: list[bool | None] = [None] * (stop - start)
        if "excerpt_agrees" in self.source:
            agrees = [bool(flag) for flag in self.source.read("excerpt_agrees", start, stop)]
        return tuple(
            self._excerpt(int(p), int(t), float(d), BANDS[int(b)], agree)
            for p, t, d, b, agree in zip(*parts, agrees, strict=True)
        )

    def _excerpt(
        self, passage: int, position: int, distance: float, band: str, agrees: bool | None = None
    ) -> Excerpt:
        """Return an excerpt of a stored passage, after checking its position."""
        pieces = self.passage(passage)
        if "plain_ids" in self.source:
            return Excerpt(passage, position, pieces, distance, band, is_plain=True)
        if not 0 <= position < len(pieces):
            raise DictionaryFileError(
                f"an excerpt refers to token {position} of passage {passage}, which has "
                f"{len(pieces)} tokens"
            )
        head, tail = self._template
        start, stop = head, len(pieces) - tail
        content = None if start <= position < stop or start >= stop else (start, stop)
        return Excerpt(passage, position, pieces, distance, band, agrees=agrees, content=content)
