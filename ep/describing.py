"""Describes the regions of a finished draft: lens, surroundings, passages and provenance.

All of it is stored in the dictionary, so that browsing one needs neither the model nor the corpus.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.config import CONTEXT, BuildConfig, is_model_path
from ep.corpus import Corpus, Passage
from ep.lensing import provenance, read_outs, with_choice
from ep.method.calibration import Calibration
from ep.method.dictionary import Dictionary
from ep.method.draft import Draft
from ep.method.metrics import DEFAULT
from ep.method.outliers import Measured
from ep.method.source import MemorySource
from ep.method.surroundings import surround
from ep.studies.names import with_names

if TYPE_CHECKING:
    from ep.models import JacobianLens, LanguageModel

PACKAGES = ("torch", "transformers", "transformer_lens", "numpy")
"""Packages whose versions go into the provenance."""
Passages = Mapping[int, np.ndarray]
"""Token ids (n,) int32 of passages, by passage id."""


class Describer:
    """Turns the drafts of one build into dictionaries.

    corpus_digest: `corpus.digest()`, which is slow to compute.
    calibrations, measured: the calibration of each layer, and what else was measured of it.
    jacobian: a Jacobian lens of the model, or None.
    """

    def __init__(
        self,
        config: BuildConfig,
        model: LanguageModel,
        corpus: Corpus,
        corpus_digest: str,
        calibrations: Mapping[int, Calibration],
        measured: Mapping[int, Measured],
        jacobian: JacobianLens | None = None,
    ) -> None:
        self.config = config
        self.model = model
        self.corpus = corpus
        self.corpus_digest = corpus_digest
        self.calibrations = calibrations
        self.measured = measured
        self.jacobian = jacobian

    def passages(self, drafts: Mapping[Any, Draft]) -> dict[int, np.ndarray]:
        """Return the token ids of every passage that an excerpt or a founder of a draft refers to.

        The text is read and tokenized once more; the model is not run.
        """
        needed = {int(p) for draft in drafts.values() for p in _referenced(draft.arrays())}
        selected = self._found(needed)
        tokens = self.model.tokens
        token_ids: dict[int, np.ndarray] = {}
        for batch in tokens.batches(selected, self.config.batch, self.config.context or CONTEXT):
            for passage, ids, mask in zip(batch.passage, batch.ids, batch.mask, strict=True):
                token_ids[int(passage)] = np.asarray(ids)[np.asarray(mask)].astype(np.int32)
        return token_ids

    def _found(self, needed: set[int]) -> Iterator[Passage]:
        """Yield the passages with some ids, and read the text no further than the last of them."""
        for passage in self.corpus if needed else ():
            if passage.id in needed:
                yield passage
                needed.discard(passage.id)
                if not needed:
                    return

    def dictionary(
        self,
        layer: int,
        percentile: float,
        draft: Draft,
        passages: Passages,
        counts: Mapping[str, Any],
        wall_time: float,
        complete: bool,
    ) -> Dictionary:
        """Return the finished dictionary of one draft, in memory.

        passages: token ids of at least the passages that the draft refers to.
        counts: entries of the provenance about the corpus, such as the number of passages.
        wall_time: seconds since the build began.
        complete: False for a build that was interrupted.
        """
        calibration = self.calibrations[layer]
        metric, radius = calibration.metric, calibration.typical_norm
        arrays = {**metric.arrays(), **draft.arrays()}
        arrays |= read_outs(self.model, arrays, metric, layer, radius, self.jacobian)
        weight = arrays.get("count_voronoi", arrays["count_arrival"])
        surroundings, variance_kept = surround(
            arrays["exemplars"], weight, self.config.seed, arrays.get("exemplar_norms")
        )
        arrays |= surroundings
        arrays |= stored_passages(_referenced(arrays), passages)
        arrays |= vocabulary(self.model, arrays)
        info = self._info(layer, percentile, draft, counts, wall_time, complete)
        info |= {"variance_kept": variance_kept, **provenance(self.jacobian, layer)}
        return with_choice(with_names(Dictionary(MemorySource(arrays), info, len(draft))))

    # -- provenance --------------------------------------------------------------------------------

    def _info(
        self,
        layer: int,
        percentile: float,
        draft: Draft,
        counts: Mapping[str, Any],
        wall_time: float,
        complete: bool,
    ) -> dict[str, Any]:
        config, calibration = self.config, self.calibrations[layer]
        homes = draft.homes.percentiles if draft.homes else ()
        quantization = self.model.quantization
        kind = "" if config.metric == DEFAULT else f", {config.metric}"
        return {
            "title": config.title or f"{config.model_name} on {_names(config.text)}{kind}",
            "family": family(self.config, self.model, self.corpus_digest),
            "model": portable(config.model, config.folder),
            "model_name": config.model_name,
            "model_revision": config.revision,
            "tokenizer_hash": self.model.digest,
            "weights": self.model.fingerprint,
            "layer": layer,
            "hook": f"blocks.{layer}.hook_resid_post",
            "width": self.model.width,
            "positions": config.positions,
            "context": config.context,
            "chat": config.chat,
            "corpus": {"name": _names(config.text), "digest": self.corpus_digest, **counts},
            "percentile": percentile,
            "coarser_percentile": homes[0] if homes else None,
            "farther_percentiles": list(homes[1:]),
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
            **({"quantization": quantization} if quantization else {}),
            **self.measured[layer].facts(),
            **config.sifting(),
            **config.drawing(),
            **draft.left_out.facts(config.sifting()),
            **adapter_facts(self.model, config.folder),
            **calibration.provenance(),
            **config.extra,
        }


def family(config: BuildConfig, model: LanguageModel, corpus_digest: str) -> str:
    """Return the id that the files of one build share.

    Layers and percentiles do not affect it, so files that are added later join the family.
    """
    settings = {
        k: v
        for k, v in config.deciding().items()
        if k not in ("layers", "percentiles", "model", "adapter")  # model_name has both names
    }
    settings |= {"model": config.model_name, "tokenizer": model.digest, "corpus": corpus_digest}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


_NOT_TOKENS = ("passage_ids", "plain_ids", "nearest_ids", "rival_ids", "coarser_ids", "farther_ids")
"""Arrays whose names end in "_ids" but with ids of passages or regions, not of tokens."""


def version_of(package: str) -> str:
    """Return the installed version of a package, or "not installed".

    For a checkout of ep-explorer that is not installed, it is the version in the source.
    """
    from importlib.metadata import PackageNotFoundError

    try:
        return version(package)
    except PackageNotFoundError:
        from ep import __version__

        return __version__ if package == "ep-explorer" else "not installed"


def _referenced(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The ids of the passages that founders and excerpts refer to, sorted."""
    names = ("founder_passage", "excerpt_passage")
    return np.unique(np.concatenate([arrays[name] for name in names if name in arrays]))


def _names(text: Iterable[str]) -> str:
    return ", ".join(Path(source).name for source in text)


def portable(model: str, folder: Path) -> str:
    """Return a Hub name as it is, and a local path relative to the dictionary's folder.

    Model and dictionary can then be moved together.
    """
    if not is_model_path(model):
        return model
    return Path(os.path.relpath(Path(model).resolve(), folder.resolve())).as_posix()


def adapter_facts(model: LanguageModel, folder: Path) -> dict[str, Any]:
    """Return the provenance of a model's adapter; empty for a model without one.

    folder: that of the dictionary.
    """
    if model.adapter is None:
        return {}
    return {"adapter": model.adapter.facts(portable(str(model.adapter.folder), folder))}


# -- arrays that are computed with the model -------------------------------------------------------


def vocabulary(model: LanguageModel, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the vocabulary arrays: every token id in `arrays`, with its bytes."""
    used = [
        array for name, array in arrays.items() if name.endswith("_ids") and name not in _NOT_TOKENS
    ]
    used += [arrays[name] for name in ("passage_tokens", "founder_token") if name in arrays]
    ids = np.unique(np.concatenate([np.ravel(array).astype(np.int64) for array in used]))
    ids = ids[ids >= 0].astype(np.int32)
    pieces = np.empty(len(ids), object)
    pieces[:] = [model.tokens.piece(int(token)) for token in ids]
    return {"vocabulary_ids": ids, "vocabulary_pieces": pieces}


def stored_passages(ids: np.ndarray, passages: Passages) -> dict[str, np.ndarray]:
    """Return the arrays with the tokens of the passages `ids`, which are in rising order."""
    tokens = [passages[int(i)] for i in ids]
    offsets = np.concatenate([[0], np.cumsum([len(t) for t in tokens])]).astype(np.int64)
    return {
        "passage_ids": ids.astype(np.int64),
        "passage_offsets": offsets,
        "passage_tokens": np.concatenate(tokens),
    }
