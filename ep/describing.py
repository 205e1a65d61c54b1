"""From a finished draft to a dictionary that can be read without a model: lens, surroundings, passages, provenance.

Everything a screen shows is computed here once and stored, so that browsing needs neither the model nor the corpus.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.config import BuildConfig
from ep.corpus import Corpus
from ep.method.calibration import Calibration
from ep.method.dictionary import Dictionary, MemorySource
from ep.method.draft import Draft
from ep.method.surroundings import group_names, nearest, neighbourhoods, principal_axes

if TYPE_CHECKING:
    from ep.models import LanguageModel, Lens

LENS_TOKENS = 12
NEAREST = 8
NAMING_TOKENS = 4
PACKAGES = ("torch", "transformers", "transformer_lens", "numpy")
Passages = Mapping[int, np.ndarray]


class Describer:
    """Turns the drafts of one build into dictionaries."""

    def __init__(
        self,
        config: BuildConfig,
        model: LanguageModel,
        corpus: Corpus,
        corpus_digest: str,
        calibrations: Mapping[int, Calibration],
    ) -> None:
        self.config = config
        self.model = model
        self.corpus = corpus
        self.corpus_digest = corpus_digest
        self.calibrations = calibrations

    def passages(self, drafts: Mapping[Any, Draft]) -> dict[int, np.ndarray]:
        """The token ids of every passage an excerpt or founder points to: one more look at the text, no model."""
        wanted = {int(p) for draft in drafts.values() for p in _pointed_at(draft.arrays())}
        chosen = (passage for passage in self.corpus if passage.id in wanted)
        tokens = self.model.tokens
        found: dict[int, np.ndarray] = {}
        for batch in tokens.batches(chosen, self.config.batch, self.config.context):
            for passage, ids, mask in zip(batch.passage, batch.ids, batch.mask, strict=True):
                found[int(passage)] = np.asarray(ids)[np.asarray(mask)].astype(np.int32)
        return found

    def dictionary(
        self,
        layer: int,
        percentile: float,
        draft: Draft,
        passages: Passages,
        counts: Mapping[str, int],
        wall_time: float,
        complete: bool,
    ) -> Dictionary:
        """The finished dictionary of one draft, in memory."""
        calibration = self.calibrations[layer]
        arrays = {"center": calibration.center, **draft.arrays()}
        arrays |= self._lenses(arrays, calibration)
        surroundings, names = self._surroundings(arrays)
        arrays |= surroundings
        arrays |= _stored_passages(_pointed_at(arrays), passages)
        arrays |= self._vocabulary(arrays, names["group_token_ids"])
        info = self._info(layer, percentile, draft, counts, wall_time, complete)
        info["variance_kept"] = names["variance_kept"]
        info["group_names"] = [[self._piece(t) for t in group] for group in names["group_token_ids"]]
        return Dictionary(MemorySource(arrays), info, len(draft))

    # -- what the model says -----------------------------------------------------------------------------------------

    def _lenses(self, arrays: Mapping[str, np.ndarray], calibration: Calibration) -> dict[str, np.ndarray]:
        """The paper's lens of exemplars and means, and the shift lens of the exemplars (protocol 5.1, 5.3)."""
        from ep.models import logit_lens, shift_lens

        exemplars, means = arrays["exemplars"], arrays["mean_directions"]
        radius = calibration.typical_norm
        shift = shift_lens(self.model, calibration.center, exemplars, radius, LENS_TOKENS)
        return (
            _lens_arrays("exemplar", logit_lens(self.model, exemplars, LENS_TOKENS))
            | _lens_arrays("mean", logit_lens(self.model, means, LENS_TOKENS))
            | _lens_arrays("exemplar_shift", shift)
        )

    def _piece(self, token: int) -> str:
        return self.model.tokens.piece(int(token)).decode("utf-8", "replace")

    def _vocabulary(self, arrays: Mapping[str, np.ndarray], group_ids: list[list[int]]) -> dict[str, np.ndarray]:
        """The text of every token id that occurs anywhere in the file."""
        used = [array for name, array in arrays.items() if name.endswith("_ids") and name not in _NOT_TOKENS]
        used += [arrays["passage_tokens"], arrays["founder_token"], np.array(sum(group_ids, []), np.int64)]
        ids = np.unique(np.concatenate([np.ravel(array).astype(np.int64) for array in used]))
        ids = ids[ids >= 0].astype(np.int32)
        pieces = np.empty(len(ids), object)
        pieces[:] = [self.model.tokens.piece(int(token)) for token in ids]
        return {"vocabulary_ids": ids, "vocabulary_pieces": pieces}

    # -- what the map says -------------------------------------------------------------------------------------------

    def _surroundings(self, arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Nearest regions, groups and map coordinates, all from the full space."""
        exemplars = arrays["exemplars"]
        weight = arrays.get("count_voronoi", arrays["count_arrival"])
        ids, distances = nearest(exemplars, min(NEAREST, len(exemplars) - 1))
        missing = NEAREST - ids.shape[1]
        coordinates, kept = principal_axes(exemplars)
        groups = neighbourhoods(exemplars, weight, seed=self.config.seed)
        names = self._group_names(groups, weight, arrays["lens_exemplar_up_ids"][:, :NAMING_TOKENS])
        columns = {
            "nearest_ids": np.pad(ids, ((0, 0), (0, missing)), constant_values=-1).astype(np.int32),
            "nearest_distances": np.pad(distances, ((0, 0), (0, missing))).astype(np.float32),
            "neighbourhood": groups,
            "map_pca": coordinates,
        }
        return columns, {"variance_kept": [float(v) for v in kept], "group_token_ids": names}

    def _group_names(self, groups: np.ndarray, weight: np.ndarray, lens: np.ndarray) -> list[list[int]]:
        """Token ids that name each group: whole words where the group has any, since fragments name nothing."""
        ids = np.unique(lens)
        words = [token for token in ids.tolist() if _is_word(self._piece(token))]
        by_word = group_names(groups, weight, np.where(np.isin(lens, words), lens, -1))
        by_any = group_names(groups, weight, lens)
        return [
            [int(t) for t in (word_row if word_row[0] >= 0 else any_row) if t >= 0]
            for word_row, any_row in zip(by_word, by_any, strict=True)
        ]

    # -- provenance --------------------------------------------------------------------------------------------------

    def _info(
        self,
        layer: int,
        percentile: float,
        draft: Draft,
        counts: Mapping[str, int],
        wall_time: float,
        complete: bool,
    ) -> dict[str, Any]:
        config, calibration = self.config, self.calibrations[layer]
        return {
            "title": config.title or f"{config.model_name} on {_names(config.text)}",
            "family": self._family(),
            "model": _portable(config.model, config.folder),
            "model_name": config.model_name,
            "model_revision": config.revision,
            "tokenizer_hash": self.model.digest,
            "layer": layer,
            "hook": f"blocks.{layer}.hook_resid_post",
            "width": self.model.width,
            "positions": config.positions,
            "context": config.context,
            "chat": config.chat,
            "corpus": {"name": _names(config.text), "digest": self.corpus_digest, **counts},
            "percentile": percentile,
            "coarser_percentile": None if draft.coarser is None else config.coarser(percentile),
            "threshold": float(calibration.thresholds[percentile]),
            "protocol": config.protocol,
            "batch": config.batch,
            "seed": config.seed,
            "typical_norm": float(calibration.typical_norm),
            "n_calibration": int(calibration.n_activations),
            "n_activations": draft.n_seen,
            "n_voronoi": draft.voronoi.n_seen,
            "stop_reason": draft.stop_reason or "interrupted",
            "saturated": draft.stop_reason in ("new-region rate", "quiet batches"),
            "complete": complete,
            "growth": [[int(n), int(k)] for n, k in draft.growth],
            "device": str(self.model.device),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "versions": {"ep": version_of("ep-explorer"), "python": platform.python_version()}
            | {name: version_of(name) for name in PACKAGES},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_time_s": round(wall_time, 2),
            **config.extra,
        }

    def _family(self) -> str:
        """One id for the files of one build, equal for equal builds; layers and percentiles may be added later."""
        settings = {k: v for k, v in self.config.deciding().items() if k not in ("layers", "percentiles", "model")}
        settings |= {"model": self.config.model_name, "tokenizer": self.model.digest, "corpus": self.corpus_digest}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


_NOT_TOKENS = ("passage_ids", "nearest_ids", "rival_ids", "coarser_ids")


def version_of(package: str) -> str:
    """The installed version of a package, or this checkout's own."""
    from importlib.metadata import PackageNotFoundError

    try:
        return version(package)
    except PackageNotFoundError:
        from ep import __version__

        return __version__ if package == "ep-explorer" else "not installed"


def _lens_arrays(name: str, lens: Lens) -> dict[str, np.ndarray]:
    return {
        f"lens_{name}_{way}_{part}": getattr(lens, f"{way}_{part}")
        for way in ("up", "down")
        for part in ("ids", "values")
    }


def _pointed_at(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Ids of the passages that founders and excerpts point to, sorted."""
    pointers = [arrays[name] for name in ("founder_passage", "excerpt_passage") if name in arrays]
    return np.unique(np.concatenate(pointers))


def _stored_passages(ids: np.ndarray, passages: Passages) -> dict[str, np.ndarray]:
    tokens = [passages[int(i)] for i in ids]
    offsets = np.concatenate([[0], np.cumsum([len(t) for t in tokens])]).astype(np.int64)
    return {"passage_ids": ids.astype(np.int64), "passage_offsets": offsets, "passage_tokens": np.concatenate(tokens)}


def _is_word(piece: str) -> bool:
    """Whether a token begins a word: a space, then two letters or more."""
    word = piece.strip()
    return word.isalpha() and len(word) > 1 and piece != word


def _names(text: Iterable[str]) -> str:
    return ", ".join(Path(source).name for source in text)


def _portable(model: str, folder: Path) -> str:
    """A Hub name as it is; a local model relative to the dictionary's folder, so that both can move together."""
    if not Path(model).is_dir():
        return model
    return Path(os.path.relpath(Path(model).resolve(), folder.resolve())).as_posix()
