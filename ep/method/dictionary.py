"""The dictionary: exemplars, mean directions and what is known of each region; immutable, read
piece by piece.

It knows no file and no model: a `Source` hands out arrays by name, whole or by rows, so that a
screen that shows one region reads one region. Names, shapes and dtypes of everything a source may
hold are in `docs/format.md`.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

import numpy as np

from ep.errors import DictionaryFileError, UnknownRegion
from ep.method.assignment import Assignment
from ep.method.geometry import cosine_distance, directions
from ep.method.nearest import nearest_exemplar

Basis = Literal["exemplar", "mean"]
"""Which direction stands for a region: its founding one, or the mean of its arrival members."""
BASES: tuple[Basis, ...] = get_args(Basis)
BANDS = ("near", "spread", "far")
LENSES = (
    "exemplar_up",
    "exemplar_down",
    "mean_up",
    "mean_down",
    "exemplar_shift_up",
    "exemplar_shift_down",
)
ASSIGN_CHUNK_BYTES = 64 * 2**20


@runtime_checkable
class Source(Protocol):
    """Where a dictionary's arrays come from: memory while building, a file afterwards."""

    def __contains__(self, name: str) -> bool: ...

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        """The array called `name`, or its rows start..stop."""
        ...


class MemorySource:
    """Arrays already in memory, frozen against writing."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = {name: np.asarray(array).view() for name, array in arrays.items()}
        for array in self._arrays.values():
            array.setflags(write=False)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def read(self, name: str, start: int | None = None, stop: int | None = None) -> np.ndarray:
        return self._arrays[name][start:stop]


@dataclass(frozen=True)
class Excerpt:
    """One passage with one position marked.

    pieces: the passage's tokens as text, in order; "".join(pieces) is the passage. In a file
    without token ids (a published dictionary no model has completed yet) it is the whole text in
    one piece.
    position: index of the marked token in the model's input, the beginning-of-sequence token
    included.
    marked: its index within `pieces`; None where there are no tokens.
    distance: cosine distance of the activation at that token to the exemplar, in [0, 2].
    band: "near", "spread", "far", or "founder" for the exemplar's own event.
    agrees: whether a model that was asked later found the activation at that distance; None if none
    was asked.
    """

    passage: int
    position: int
    pieces: tuple[str, ...]
    distance: float
    band: str
    is_plain: bool = False
    agrees: bool | None = None

    @property
    def marked(self) -> int | None:
        return None if self.is_plain else self.position

    @property
    def token(self) -> str:
        return "" if self.is_plain else self.pieces[self.position]


class TokenScore(NamedTuple):
    """(token text, value): a logit, a count or a share."""

    token: str
    value: float


@dataclass(frozen=True)
class Region:
    """Everything stored about one region; see `docs/format.md` for the definitions and units."""

    id: int
    columns: Mapping[str, Any]
    lens: Mapping[str, tuple[TokenScore, ...]]
    tokens: tuple[TokenScore, ...]
    next_tokens: tuple[TokenScore, ...]
    nearest: tuple[tuple[int, float], ...]
    founder: Excerpt | None
    excerpts: tuple[Excerpt, ...]
    rivals: tuple[tuple[int, int], ...] = ()
    coarser: tuple[tuple[int, int], ...] = ()

    @property
    def count_arrival(self) -> int:
        return int(self.columns["count_arrival"])

    @property
    def count_voronoi(self) -> int:
        return int(self.columns["count_voronoi"])

    @property
    def coherence(self) -> float:
        return float(self.columns["coherence"])


class Dictionary:
    """An exemplar-partitioning dictionary of K regions in d dimensions.

    center: (d,) float32, the centre c subtracted from every activation.
    threshold: θ, a cosine distance in (0, 2).
    exemplars: (K, d) float32 unit rows, region id = row = order of founding.
    mean_directions: (K, d) float32 unit rows, the normalised sum of each region's arrival members.
    info: provenance (model, layer, percentile, corpus, seed, versions, ...).
    path: the file it was opened from, None for one in memory.
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

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        where = f"{self.info.get('model', 'unknown model')} layer {self.info.get('layer', '?')}"
        p = self.info.get("percentile")
        return f"<Dictionary of {len(self):,} regions, {where}, p={p}, θ={self.threshold:.4f}>"

    @property
    def layer(self) -> int | None:
        """The 0-based block whose residual stream was partitioned; None where the file does not
        say.
        """
        layer = self.info.get("layer")
        return None if layer is None else int(layer)

    @property
    def percentile(self) -> float | None:
        """p, the percentile of pairwise distances that set θ; None where the file does not say."""
        percentile = self.info.get("percentile")
        return None if percentile is None else float(percentile)

    # -- arrays ------------------------------------------------------------------------------------

    def __contains__(self, name: str) -> bool:
        return name in self.source

    def column(self, name: str) -> np.ndarray:
        """A whole array by its name in `docs/format.md`, read once and kept.

        KeyError when the file lacks it.
        """
        if name not in self._columns:
            if name not in self.source:
                raise KeyError(f"this dictionary holds no {name!r}")
            self._columns[name] = self.source.read(name)
            self._columns[name].setflags(write=False)
        return self._columns[name]

    def row(self, name: str, region: int) -> Any:
        """One region's row of an array, without reading the rest."""
        if name in self._columns:
            return self._columns[name][region]
        return self.source.read(name, region, region + 1)[0]

    @property
    def center(self) -> np.ndarray:
        return self.column("center")

    @property
    def exemplars(self) -> np.ndarray:
        return self.column("exemplars")

    @property
    def mean_directions(self) -> np.ndarray:
        return self.column("mean_directions")

    @property
    def members(self) -> np.ndarray:
        """(K,) int64 members of each region: Voronoi where they were counted, else at arrival.

        Where neither is stored every region counts one, the activation that founded it.
        """
        if self.members_column is None:
            return np.ones(len(self), np.int64)
        return self.column(self.members_column)

    @property
    def members_column(self) -> str | None:
        """The stored array that `members` is, None where the file holds no count."""
        names = ("count_voronoi", "count_arrival")
        return next((name for name in names if name in self.source), None)

    @property
    def width(self) -> int:
        return int(self.center.shape[0])

    @property
    def typical_norm(self) -> float:
        """r, the typical distance of an activation from the centre: what one unit of strength is.

        ‖c‖ stands in where the file does not say (published files), and 1 where the centre is the
        origin.
        """
        return float(self.info.get("typical_norm") or np.linalg.norm(self.center) or 1.0)

    # -- geometry ----------------------------------------------------------------------------------

    def assign(self, x: np.ndarray) -> Assignment:
        """The nearest exemplar of each raw activation (protocol 3.1); no threshold is applied.

        x: (n, d) raw residual activations. Returns region (n,) int64, distance (n,) float32 in [0,
        2].
        Exact: decided in float64 on the float32 unit vectors, ties to the older region.
        ActivationError on bad x.
        """
        cosine, region = nearest_exemplar(directions(x, self.center), self.exemplars)
        distance = np.clip(1.0 - cosine, 0.0, 2.0).astype(np.float32)
        return Assignment(region, distance, np.zeros(len(region), bool))

    def distances(self, x: np.ndarray, basis: Basis = "exemplar") -> np.ndarray:
        """Cosine distances (n, K) float32 in [0, 2] of raw activations x (n, d) to every exemplar
        or mean direction.
        """
        rows = directions(x, self.center)
        vectors = self.basis(basis)
        out = np.empty((len(rows), len(vectors)), np.float32)
        step = max(1, ASSIGN_CHUNK_BYTES // (4 * max(1, len(vectors))))
        for start in range(0, len(rows), step):
            cosine_distance(rows[start : start + step], vectors, out=out[start : start + step])
        return out

    def basis(self, name: Basis) -> np.ndarray:
        """The (K, d) unit rows of a basis."""
        if name not in BASES:
            raise KeyError(f"basis {name!r} is unknown: use one of {', '.join(BASES)}")
        return self.exemplars if name == "exemplar" else self.mean_directions

    # -- one region --------------------------------------------------------------------------------

    def check(self, region: Any) -> int:
        """The id as an int, or UnknownRegion naming the range.

        Takes what an address bar may hold.
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
        """Everything stored about one region, read by rows."""
        k = self.check(region)
        columns = {name: self.row(name, k) for name in SCALARS if name in self.source}
        lens = {name: self.lens(k, name) for name in LENSES if f"lens_{name}_ids" in self.source}
        near: tuple[tuple[int, float], ...] = ()
        if "nearest_ids" in self.source:
            pairs = zip(self.row("nearest_ids", k), self.row("nearest_distances", k), strict=True)
            near = tuple((int(i), float(d)) for i, d in pairs if i >= 0)
        return Region(
            id=k,
            columns=columns,
            lens=lens,
            tokens=self._scores("token_ids", "token_counts", k),
            next_tokens=self._scores("next_ids", "next_counts", k),
            nearest=near,
            founder=self._founder(k),
            excerpts=self.excerpts(k),
            rivals=self._counted("rival", k),
            coarser=self._counted("coarser", k),
        )

    def lens(self, region: int, name: str = "exemplar_up") -> tuple[TokenScore, ...]:
        """(token, logit) pairs of one of `LENSES`, strongest first; empty when the file holds no
        lens.
        """
        return self._scores(f"lens_{name}_ids", f"lens_{name}_values", region)

    def _counted(self, name: str, region: int) -> tuple[tuple[int, int], ...]:
        """(region id, members) pairs of "rival" (of this dictionary) or "coarser" (of the next
        coarser one).
        """
        if f"{name}_ids" not in self.source:
            return ()
        pairs = zip(
            self.row(f"{name}_ids", region), self.row(f"{name}_counts", region), strict=True
        )
        return tuple((int(i), int(n)) for i, n in pairs if i >= 0)

    def _scores(self, ids: str, values: str, region: int) -> tuple[TokenScore, ...]:
        if ids not in self.source:
            return ()
        pairs = zip(self.row(ids, region), self.row(values, region), strict=True)
        return tuple(TokenScore(self.piece(int(i)), float(v)) for i, v in pairs if i >= 0)

    # -- text --------------------------------------------------------------------------------------

    @cached_property
    def _pieces(self) -> dict[int, bytes]:
        if "vocabulary_ids" not in self.source:
            return {}
        ids, pieces = self.source.read("vocabulary_ids"), self.source.read("vocabulary_pieces")
        return dict(zip(ids.tolist(), pieces.tolist(), strict=True))

    def piece(self, token: int) -> str:
        """The text of a token id; undecodable bytes become U+FFFD, an id the file does not know
        becomes <id>.
        """
        piece = self._pieces.get(token)
        return f"<{token}>" if piece is None else piece.decode("utf-8", "replace")

    def passage(self, passage: int) -> tuple[str, ...]:
        """The tokens of a stored passage as text. A character split over tokens appears on its
        first token.

        A passage stored without tokens is one piece, its whole text.
        """
        if "plain_ids" in self.source:
            return (self._plain(passage),)
        ids = self.column("passage_ids")
        at = int(np.searchsorted(ids, passage))
        if at == len(ids) or ids[at] != passage:
            raise DictionaryFileError(f"passage {passage} is not stored in this dictionary")
        start, stop = self.column("passage_offsets")[at : at + 2]
        tokens = self.source.read("passage_tokens", int(start), int(stop))
        return split_text([self._pieces.get(int(t), f"<{t}>".encode()) for t in tokens])

    def _plain(self, passage: int) -> str:
        ids = self.column("plain_ids")
        at = int(np.searchsorted(ids, passage))
        if at == len(ids) or ids[at] != passage:
            raise DictionaryFileError(f"passage {passage} is not stored in this dictionary")
        start, stop = self.column("plain_offsets")[at : at + 2]
        return (
            self.source.read("plain_bytes", int(start), int(stop))
            .tobytes()
            .decode("utf-8", "replace")
        )

    def _founder(self, region: int) -> Excerpt | None:
        if "founder_passage" not in self.source or "passage_ids" not in self.source:
            return None
        passage, position = (
            int(self.row(f"founder_{part}", region)) for part in ("passage", "position")
        )
        return self._excerpt(passage, position, 0.0, "founder")

    def excerpts(self, region: int) -> tuple[Excerpt, ...]:
        """The stored excerpts: near (closest first), spread (by distance), far (farthest first)."""
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
        pieces = self.passage(passage)
        if "plain_ids" in self.source:
            return Excerpt(passage, position, pieces, distance, band, is_plain=True)
        if not 0 <= position < len(pieces):
            raise DictionaryFileError(
                f"an excerpt points to token {position} of passage {passage}, which has "
                f"{len(pieces)}"
            )
        return Excerpt(passage, position, pieces, distance, band, agrees=agrees)


def split_text(pieces: list[bytes]) -> tuple[str, ...]:
    """Token bytes as strings whose concatenation is the decoded text; a split character goes to its
    first token.

    Bytes that are no UTF-8 become U+FFFD, as in bytes.decode("utf-8", "replace").
    """
    decoder = getincrementaldecoder("utf-8")("replace")
    out, owner = [""] * len(pieces), 0
    for i, piece in enumerate(pieces):
        for byte in piece:
            begun = decoder.getstate()[0] != b""
            text = decoder.decode(bytes([byte]))
            if begun:
                out[owner] += text[:1]
                out[i] += text[1:]
            else:
                out[i] += text
            if text or not begun:
                owner = i
    if pieces:
        out[owner] += decoder.decode(b"", final=True)
    return tuple(out)


SCALARS = (
    "count_arrival",
    "count_voronoi",
    "coherence",
    "mean_distance",
    "max_distance",
    "distance_sum",
    "distance_square_sum",
    "founded_at",
    "founder_passage",
    "founder_position",
    "founder_token",
    "neighbourhood",
    "exemplar_mean_cosine",
    "rival_seen",
    "contested",
)
