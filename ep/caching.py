"""The activations that a build has read, so that the model runs once for every token.

A build reads its text several times: to calibrate, to found regions, to assign members. The first
time the model runs; its activations are stored on the disk, from where the later passes and a
resumed build take them. The operating system keeps what fits in memory. Two places may hold them:

    the output folder     removed when the build is done
    the cache folder      kept on request, for later builds of other percentiles, metrics and seeds

What does not fit in the size that is allowed is not stored, and the model runs again for it. A
dictionary is the same in any case: stored activations have every bit of the computed ones.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.config import BuildConfig
from ep.corpus import CHANGED
from ep.errors import CorpusError
from ep.shapes import Float32, UInt64
from ep.storage.activations import LayerStore
from ep.storage.lock import FolderLock
from ep.storage.output import writing

if TYPE_CHECKING:
    from ep.models import LanguageModel
    from ep.models.extraction import Part, Residuals

HIDDEN = ".ep-activations"
"""The folder for the activations inside the output folder of a build."""
NOTE = "ep-activations.json"
"""The file that says what the activations of a folder are of."""
SHARE_OF_FREE = 0.5
"""Share of the free disk space that the activations of a build may take unless a size is given."""


@dataclass(frozen=True, eq=False)
class Origins:
    """Which passages the rows of a part are of.

    passages: (m,) their ids. keys: (m,) hashes of their tokens. counts: (m,) wanted activations.
    """

    passages: np.ndarray
    keys: UInt64[np.ndarray, " m"]
    counts: np.ndarray

    @classmethod
    def of(cls, part: Part, passages: np.ndarray) -> Origins:
        """Return the origins of a part; passages: the ids of its rows."""
        keys = [
            hashlib.blake2b(ids[mask].tobytes() + np.packbits(keep[mask]).tobytes(), digest_size=8)
            for ids, mask, keep in zip(part.ids, part.mask, part.keep, strict=True)
        ]
        found = np.array([int.from_bytes(key.digest(), "little") for key in keys], np.uint64)
        return cls(passages, found, part.keep.sum(axis=1))


class ActivationCache:
    """Stored activations of the layers of one build.

    config, model: of the build, with the context that it reads. corpus_digest: of its text.

    `notes` says in a sentence each what is not stored, and why.
    """

    def __init__(self, config: BuildConfig, model: LanguageModel, corpus_digest: str) -> None:
        self.notes: list[str] = []
        self.layers, self._dtype = config.layers, model.dtype
        self._is_full = False
        self._lock: FolderLock | None = None
        about = facts(config, model, corpus_digest)
        kept, self._own = kept_folder(about), config.folder / HIDDEN
        keeps = config.keep_activations and self._may_keep(kept)
        self._target = kept if keeps else self._own
        self._note = json.dumps(about, sort_keys=True)
        _clear(self._target, self._note)
        places = [kept, self._target] if (kept / NOTE).exists() else [self._target]
        self._stores = {
            layer: [LayerStore(place, layer, model.width) for place in dict.fromkeys(places)]
            for layer in self.layers
        }
        self._limit = config.cache_bytes
        if self._limit is None:
            free = shutil.disk_usage(kept if keeps else config.folder).free
            self._limit = int((free + self.size) * SHARE_OF_FREE)

    @property
    def size(self) -> int:
        """Size of the activations in the folder that this build adds to."""
        return sum(stores[-1].size for stores in self._stores.values())

    def missing(self, origins: Origins) -> tuple[int, ...]:
        """Return the layers of which the activations of some of these passages are not stored."""
        return tuple(layer for layer in self.layers if self._holding(layer, origins) is None)

    def read(self, layer: int, origins: Origins) -> Float32[np.ndarray, "n d"] | None:
        """Return the stored activations of a layer; None where they are missing or damaged."""
        store = self._holding(layer, origins)
        return None if store is None else store.read(origins.passages)

    def add(self, origins: Origins, values: Residuals) -> None:
        """Store the activations of some layers, as far as the size that is allowed.

        Raises CorpusError where a passage has other tokens than when it was read before.
        """
        for layer in values:
            if self._stores[layer][-1].differs(origins.passages, origins.keys):
                raise CorpusError(CHANGED)
        needed = sum(x.nbytes for x in values.values())
        if not self._is_full and self.size + needed > (self._limit or 0):
            self._stop(_beyond(self._limit or 0))
        for layer, x in values.items() if not self._is_full else ():
            counts = origins.counts
            try:
                self._begin()
                self._stores[layer][-1].add(origins.passages, origins.keys, counts, x, self._dtype)
            except OSError as error:
                self._stop(
                    f"activations could not be stored in {self._target} ({error.strerror}): the "
                    "model runs again for them in every later pass"
                )

    def close(self, remove: bool = False) -> None:
        """Give back the lock of the kept ones; remove: delete what is of this build alone."""
        if remove:
            shutil.rmtree(self._own, ignore_errors=True)
        if self._lock is not None:
            self._lock.release()

    def _holding(self, layer: int, origins: Origins) -> LayerStore | None:
        """Return the first place that holds the activations of all these passages."""
        passages, keys = origins.passages, origins.keys
        return next((one for one in self._stores[layer] if one.holds(passages, keys)), None)

    def _may_keep(self, folder: Path) -> bool:
        """Take the lock of the kept activations; where another build has it, say so."""
        lock = FolderLock(folder)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if lock.take():
            self._lock = lock
            return True
        self.notes.append(
            f"another build is adding to the activations in {folder}: those of this one are not "
            "kept"
        )
        return False

    def _begin(self) -> None:
        """Make the folder and say what its activations are of, before the first are added."""
        path = self._target / NOTE
        if not path.exists():
            self._target.mkdir(parents=True, exist_ok=True)
            path.write_text(self._note, encoding="utf-8")

    def _stop(self, note: str) -> None:
        """Store nothing more, and say why."""
        self._is_full = True
        self.notes.append(note)


def _beyond(limit: int) -> str:
    if not limit:
        return "no activations are stored (--cache 0): the model runs again in every pass"
    return (
        f"activations beyond {limit / 1e9:,.1f} GB are not stored (--cache): the model runs again "
        "for them in every later pass"
    )


def facts(config: BuildConfig, model: LanguageModel, corpus_digest: str) -> dict[str, Any]:
    """Return what decides the activations of a passage, beside its tokens, as JSON values.

    Neither seed, percentiles nor metric do, so builds that differ in those share activations.
    """
    return {
        "model": config.model_name,
        "weights": model.fingerprint,
        "tokenizer": model.digest,
        "text": corpus_digest,
        "chat": config.chat,
        "field": config.field_name,
        "positions": config.positions,
        "context": config.context,
        "dtype": model.dtype,
        "device": model.device.split(":")[0],
        **({"extractor": config.extractor} if config.has_own_bits else {}),
    }


def kept_folder(about: dict[str, Any]) -> Path:
    """Return the folder for kept activations; about: `facts`. It need not exist."""
    from ep.models.conversions import folder

    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    return folder() / "activations" / name


def _clear(folder: Path, note: str) -> None:
    """Remove from a folder activations that are of something else than a note says."""
    path = folder / NOTE
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == note:
        return
    with writing(folder):
        path.unlink(missing_ok=True)
        for old in folder.glob("layer-*"):
            old.unlink()
