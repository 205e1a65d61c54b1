"""Converts the contents of a published file to a dictionary: arrays, passages and provenance.

What the file does not contain (Voronoi members, histograms, founders' passages, token ids, a lens)
is absent in the dictionary, and so is a column that some region lacks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import DictionaryFileError
from ep.method.dictionary import Dictionary
from ep.method.region import BANDS
from ep.method.source import MemorySource
from ep.method.surroundings import surround
from ep.storage.published.layout import Event, Published, PublishedRegion
from ep.storage.published.metadata import describe
from ep.storage.published.numbers import text
from ep.storage.published.tape import Tape
from ep.storage.published.values import Text

NEAR, FAR = BANDS.index("near"), BANDS.index("far")
ORIGIN = ("repository", "revision", "file", "licence", "card_regions")
"""Entries of the provenance about the download of a file, which are given by the caller."""


def dictionary(
    tape: Tape,
    published: Published,
    path: Path,
    metadata: Mapping[str, Any],
    origin: Mapping[str, Any],
) -> Dictionary:
    """Return the dictionary of a published file, in memory.

    tape: the open file, from which texts are read.
    published: its contents as read by `layout.read`.
    path: the path of the file, whose names may contain model, layer and percentile.
    metadata: the JSON published beside it.
    origin: any of the entries `ORIGIN`.
    """
    exemplars, means = published.exemplars, published.means
    arrays = {
        "center": published.center,
        "exemplars": exemplars,
        "mean_directions": means,
        "exemplar_mean_cosine": np.clip(np.einsum("kd,kd->k", exemplars, means), -1, 1),
    }
    arrays |= _columns(published.regions)
    arrays |= _excerpts(tape, published.regions)
    members = arrays.get("count_arrival", np.ones(len(published.regions), np.int64))
    surroundings, variance_kept = surround(exemplars, members)
    original = origin.get("file")
    described = describe(Path(original) if isinstance(original, str) else path, metadata)
    info = _info(tape, published, path, described, origin)
    info["variance_kept"] = variance_kept
    return Dictionary(MemorySource(arrays | surroundings), info, len(published.regions))


def _columns(regions: tuple[PublishedRegion, ...]) -> dict[str, np.ndarray]:
    """The columns with one number per region; a column is absent if some region lacks it."""
    sources = {
        "count_arrival": ("members", np.int64),
        "coherence": ("coherence", np.float32),
        "distance_sum": ("distance_sum", np.float64),
        "distance_square_sum": ("distance_square_sum", np.float64),
        "founded_at": ("founded_at", np.int64),
    }
    columns = {}
    for name, (field, dtype) in sources.items():
        values = [getattr(region, field) for region in regions]
        if None not in values:
            columns[name] = np.array(values, dtype)
    return columns


# -- text ------------------------------------------------------------------------------------------


def _excerpts(tape: Tape, regions: tuple[PublishedRegion, ...]) -> dict[str, np.ndarray]:
    """The arrays of near and far excerpts and of their passages; empty if there are no excerpts."""
    passages = _Passages(tape)
    rows, counts = [], []
    for region in regions:
        of_region = list(_events(region, passages))
        rows += of_region
        counts.append(len(of_region))
    if not rows:
        return {}
    passage, position, distance, band = zip(*rows, strict=True)
    return passages.arrays() | {
        "excerpt_offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "excerpt_passage": np.array(passage, np.int64),
        "excerpt_position": np.array(position, np.int32),
        "excerpt_distance": np.array(distance, np.float32),
        "excerpt_band": np.array(band, np.uint8),
    }


def _events(region: PublishedRegion, passages: _Passages) -> Iterator[tuple[int, int, float, int]]:
    """Yield (passage, position, distance, band) of each excerpt of a region.

    In small regions the same excerpt may be near and far; it is then near.
    """
    yielded: set[tuple[int, int]] = set()
    for band, events in ((NEAR, region.near), (FAR, region.far)):
        for event in events:
            key = passages.number(event), event.position
            if key not in yielded:
                yielded.add(key)
                yield *key, event.distance, band


class _Passages:
    """The distinct passages, numbered in the order in which they occur first."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._by_reference: dict[str | Text, int] = {}
        self._by_digest: dict[bytes, int] = {}
        self._texts: list[bytes] = []

    def number(self, event: Event) -> int:
        """Return the number of an excerpt's passage, reading it from the file if it is new."""
        number = self._by_reference.get(event.text)
        if number is None:
            data = text(self._tape, event.text).encode("utf-8", "replace")
            digest = hashlib.sha256(data).digest()
            number = self._by_digest.setdefault(digest, len(self._texts))
            if number == len(self._texts):
                self._texts.append(data)
            self._by_reference[event.text] = number
        return number

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of text without tokens."""
        lengths = [len(data) for data in self._texts]
        return {
            "plain_ids": np.arange(len(lengths), dtype=np.int64),
            "plain_offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            "plain_bytes": np.frombuffer(b"".join(self._texts), np.uint8),
        }


# -- provenance ------------------------------------------------------------------------------------


def _info(
    tape: Tape,
    published: Published,
    path: Path,
    described: dict[str, Any],
    origin: Mapping[str, Any],
) -> dict[str, Any]:
    """The provenance: what is known about the build, and about the published file.

    described: the result of `metadata.describe`, from which two entries are removed.
    """
    n_stated, short = described.pop("metadata_regions", None), described.pop("model_short", None)
    name = short or str(described.get("model", "")).split("/")[-1] or path.stem
    file = {
        "file": path.name,
        "sha256": tape.digest,
        "bytes": tape.size,
        "regions": len(published.regions),
    }
    file |= {"metadata_regions": n_stated} if n_stated is not None else {}
    file |= _origin(origin)
    labels = [[k, region.label] for k, region in enumerate(published.regions) if region.label]
    info = {
        "title": f"{name} (published)",
        "family": f"published-{name}",
        "threshold": published.threshold,
        "width": len(published.center),
        **described,
        "published": file,
    }
    return info | ({"published_labels": labels} if labels else {})


def _origin(origin: Mapping[str, Any]) -> dict[str, Any]:
    """The entries `ORIGIN` that have the right type."""
    entries: dict[str, Any] = {}
    for key in ORIGIN:
        value = origin.get(key)
        is_count = key == "card_regions"
        if isinstance(value, bool) or not isinstance(value, int if is_count else str):
            continue
        if is_count and not 0 <= int(value) < 2**62:
            raise DictionaryFileError(f"{key} is {value}, expected a count")
        entries[key] = value if is_count else str(value)[:300]
    return entries
