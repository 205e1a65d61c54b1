"""From what a published file holds to one of our dictionaries: arrays, passages and provenance.

Nothing is invented: what the file does not know (Voronoi members, histograms, founders' passages,
token ids, a lens) is absent, and columns that some region lacks are absent for all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import DictionaryFileError
from ep.method.dictionary import BANDS, Dictionary, MemorySource
from ep.method.surroundings import surround
from ep.storage.published.layout import Event, Published, PublishedRegion
from ep.storage.published.metadata import describe
from ep.storage.published.numbers import text
from ep.storage.published.tape import Tape
from ep.storage.published.values import Text

NEAR, FAR = BANDS.index("near"), BANDS.index("far")
ORIGIN = ("repository", "revision", "file", "licence", "card_regions")
"""Facts about where a file was downloaded from, told by whoever downloaded it."""


def dictionary(
    tape: Tape, found: Published, path: Path, metadata: Mapping[str, Any], origin: Mapping[str, Any]
) -> Dictionary:
    """The dictionary of a published file, in memory.

    `path` names it; `origin` may say any of `ORIGIN`.
    """
    arrays = {
        "center": found.center,
        "exemplars": found.exemplars,
        "mean_directions": found.means,
        "exemplar_mean_cosine": np.clip(np.einsum("kd,kd->k", found.exemplars, found.means), -1, 1),
    }
    arrays |= _columns(found.regions)
    arrays |= _excerpts(tape, found.regions)
    members = arrays.get("count_arrival", np.ones(len(found.regions), np.int64))
    around, kept = surround(found.exemplars, members)
    named = origin.get("file")
    said = describe(Path(named) if isinstance(named, str) else path, metadata)
    info = _info(tape, found, path, said, origin)
    info["variance_kept"] = kept
    return Dictionary(MemorySource(arrays | around), info, len(found.regions))


def _columns(regions: tuple[PublishedRegion, ...]) -> dict[str, np.ndarray]:
    """Numbers of each region; a column only when every region has it."""
    wanted = {
        "count_arrival": ("members", np.int64),
        "coherence": ("coherence", np.float32),
        "distance_sum": ("distance_sum", np.float64),
        "distance_square_sum": ("distance_square_sum", np.float64),
        "founded_at": ("founded_at", np.int64),
    }
    columns = {}
    for name, (field, dtype) in wanted.items():
        values = [getattr(region, field) for region in regions]
        if None not in values:
            columns[name] = np.array(values, dtype)
    return columns


# -- text ------------------------------------------------------------------------------------------


def _excerpts(tape: Tape, regions: tuple[PublishedRegion, ...]) -> dict[str, np.ndarray]:
    """Near and far excerpts, and every distinct passage once, as text; empty when the file holds no
    excerpt.
    """
    passages = _Passages(tape)
    rows, counts = [], []
    for region in regions:
        mine = list(_events(region, passages))
        rows += mine
        counts.append(len(mine))
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
    """(passage, position, distance, band); an event of a small region that is both near and far is
    near.
    """
    seen: set[tuple[int, int]] = set()
    for band, events in ((NEAR, region.near), (FAR, region.far)):
        for event in events:
            place = passages.number(event), event.position
            if place not in seen:
                seen.add(place)
                yield *place, event.distance, band


class _Passages:
    """Every distinct text once, numbered as met; a text is read from the file when it is first
    met.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._by_place: dict[str | Text, int] = {}
        self._by_content: dict[bytes, int] = {}
        self._texts: list[bytes] = []

    def number(self, event: Event) -> int:
        known = self._by_place.get(event.text)
        if known is None:
            data = text(self._tape, event.text).encode("utf-8", "replace")
            content = hashlib.sha256(data).digest()
            known = self._by_content.setdefault(content, len(self._texts))
            if known == len(self._texts):
                self._texts.append(data)
            self._by_place[event.text] = known
        return known

    def arrays(self) -> dict[str, np.ndarray]:
        lengths = [len(data) for data in self._texts]
        return {
            "plain_ids": np.arange(len(lengths), dtype=np.int64),
            "plain_offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            "plain_bytes": np.frombuffer(b"".join(self._texts), np.uint8),
        }


# -- provenance ------------------------------------------------------------------------------------


def _info(
    tape: Tape, found: Published, path: Path, said: dict[str, Any], origin: Mapping[str, Any]
) -> dict[str, Any]:
    """What is known of the build, whose words they are, and both counts of regions where they
    differ.
    """
    stated, short = said.pop("metadata_regions", None), said.pop("model_short", None)
    name = short or str(said.get("model", "")).split("/")[-1] or path.stem
    published = {
        "file": path.name,
        "sha256": tape.digest,
        "bytes": tape.size,
        "regions": len(found.regions),
    }
    published |= {"metadata_regions": stated} if stated is not None else {}
    published |= _origin(origin)
    labels = [[k, region.label] for k, region in enumerate(found.regions) if region.label]
    info = {
        "title": f"{name} (published)",
        "family": f"published-{name}",
        "threshold": found.threshold,
        "width": len(found.center),
        **said,
        "published": published,
    }
    return info | ({"published_labels": labels} if labels else {})


def _origin(origin: Mapping[str, Any]) -> dict[str, Any]:
    """The known facts of the right type."""
    kept: dict[str, Any] = {}
    for key in ORIGIN:
        value = origin.get(key)
        whole = key == "card_regions"
        if isinstance(value, bool) or not isinstance(value, int if whole else str):
            continue
        if whole and not 0 <= int(value) < 2**62:
            raise DictionaryFileError(f"{key} is {value}, expected a count")
        kept[key] = value if whole else str(value)[:300]
    return kept
