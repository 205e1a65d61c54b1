"""Completes a converted dictionary with its model: token ids, marked tokens, lens, group names.

Published files state the text and the token position of an excerpt, but contain no token ids. The
model reads the texts again as the build did (protocol 1.6, 1.7: one BOS in front, the residual
stream after the block). Every excerpt is checked: the activation at its token must have the stored
distance to the exemplar. The number of excerpts that agree is stored with the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.describing import stored_passages, vocabulary
from ep.errors import ModelError
from ep.lens_adding import add_lenses
from ep.lensing import provenance, read_outs, with_choice
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.progress import Report, silent
from ep.storage.file import open as open_dictionary
from ep.storage.schema import ARRAYS
from ep.storage.writing import save
from ep.studies.names import with_names
from ep.studies.refinement import with_found

if TYPE_CHECKING:
    from ep.models import LanguageModel

TOLERANCE = 0.02
"""Cosine distances that differ by at most this agree.

Published builds ran in bfloat16, which changes distances by about 0.005.
"""

MIN_EXCERPTS = 20
"""With at least this many excerpts of which none agrees, the model is taken to be another one."""

PASSAGES_AT_ONCE = 32
"""Passages in one forward pass."""


@dataclass(frozen=True)
class _Text:
    """A stored passage in the form that the tokenizer takes."""

    id: int
    text: str
    messages: Sequence[Any] | None = None


@dataclass(frozen=True)
class _Reading:
    """What was measured with the model.

    tokens: the token ids of each passage, by passage id.
    distance: (E,) of the activation at each excerpt to the exemplar; NaN where there is no token.
    typical_norm: the median of ‖x − c‖ over all activations.
    """

    tokens: Mapping[int, np.ndarray]
    distance: np.ndarray
    typical_norm: float


def complete(
    path: str | os.PathLike[str], model: LanguageModel, progress: Report | None = None
) -> Path:
    """Add tokens, lenses and names to a dictionary without token ids, and replace its file.

    path: the `.ep.h5` file, which is replaced in one step. To a dictionary that has token ids and a
        lens, the lenses that it lacks are added; completing twice changes nothing.
    progress: called with a message and a share in [0, 1]; if it raises, the file is unchanged.

    Returns the path. Raises ModelError for a model of another width or with too few layers, for a
    dictionary of another hook point, and when no excerpt agrees; DictionaryFileError and
    StorageError as `ep.open` and `ep.save`.
    """
    from ep.models import check_fits, find_lens

    target = Path(path)
    dictionary = open_dictionary(target)
    report = progress or silent
    if "plain_ids" not in dictionary and "lens_exemplar_up_ids" in dictionary:
        add_lenses(target, model, report)
        return target
    _check_hook(dictionary, model)
    layer, jacobian = check_fits(model, dictionary), find_lens(model)

    arrays = {
        name: dictionary.column(name)
        for name in ARRAYS
        if name in dictionary and not _of_vocabulary(name)
    }
    info = dict(dictionary.info)
    if "plain_ids" in dictionary:
        reading = _read(
            dictionary, model, lambda share: report("reading the excerpts", 0.9 * share)
        )
        arrays, agreement = _with_tokens(arrays, reading)
        info |= {
            "completed": {"model": model.title, "dtype": model.dtype, **agreement},
            "typical_norm": reading.typical_norm,
        }
    report("computing the lenses of every region", 0.9)
    radius = _step_length(info, arrays["center"])
    arrays |= read_outs(model, arrays, dictionary.metric, layer, radius, jacobian)
    arrays |= vocabulary(model, arrays)
    info |= {
        "tokenizer_hash": model.digest,
        "model_revision": info.get("model_revision") or model.revision,
        **provenance(jacobian, layer),
    }
    report("writing", 0.98)
    info = with_found(info, arrays)
    completed = Dictionary(MemorySource(arrays), info, len(dictionary))
    return save(with_choice(with_names(completed)), target)


def add_names(path: str | os.PathLike[str]) -> Path:
    """Compute the automatic names of a dictionary's regions and groups, and store them in its file.

    path: the `.ep.h5` file, which is replaced in one step. Names that it has already are computed
        again; nothing else changes. Raises DictionaryFileError and StorageError as `ep.open` and
        `ep.save`.
    """
    target = Path(path)
    return save(with_names(open_dictionary(target)), target)


def _check_hook(dictionary: Dictionary, model: LanguageModel) -> None:
    """Raise ModelError unless the dictionary is of a hook point at which models are read."""
    layer, hook = dictionary.info.get("layer"), dictionary.info.get("hook")
    if layer is None:
        raise ModelError("this dictionary does not state its layer, so no model can complete it")
    if hook is not None and hook != model.hook_name(int(layer)):
        raise ModelError(
            f"this dictionary was built at {hook}: models are read only at "
            f"{model.hook_name(int(layer))}"
        )


def _of_vocabulary(name: str) -> bool:
    return name.startswith("vocabulary_")


def _step_length(info: Mapping[str, Any], center: np.ndarray) -> float:
    """The step of the shift lens: the typical norm, or that of the centre where it is not known."""
    return float(info.get("typical_norm") or np.linalg.norm(center))


# -- reading the texts again -----------------------------------------------------------------------


def _read(
    dictionary: Dictionary, model: LanguageModel, report: Callable[[float], None]
) -> _Reading:
    """Run the model once over every stored text, in batches, and measure the excerpts."""
    from ep.models import harvest

    layer, offsets = int(dictionary.info["layer"]), dictionary.column("excerpt_offsets")
    region = np.repeat(np.arange(len(dictionary)), np.diff(offsets))
    passage, position = dictionary.column("excerpt_passage"), dictionary.column("excerpt_position")
    order = np.argsort(passage, kind="stable")
    ids, exemplars = dictionary.column("plain_ids"), dictionary.exemplars
    texts = (_Text(int(i), dictionary.passage(int(i))[0]) for i in ids)
    tokens: dict[int, np.ndarray] = {}
    distance = np.full(len(passage), np.nan, np.float32)
    norms = []
    bos = model.tokens.bos is not None
    for batch in model.tokens.batches(texts, PASSAGES_AT_ONCE, model.context - bos):
        for number, row_ids, mask in zip(batch.passage, batch.ids, batch.mask, strict=True):
            tokens[int(number)] = row_ids[mask].astype(np.int32)
        harvested = harvest(model, batch, [layer])
        shifted = harvested.x[layer] - dictionary.center
        length = np.linalg.norm(shifted, axis=1)
        norms.append(length)
        row_of = {
            (int(p), int(t)): n
            for n, (p, t) in enumerate(
                zip(harvested.events.passage, harvested.events.position, strict=True)
            )
        }
        # Passages are read by rising id, so the excerpts of a batch are one run of `order`.
        excerpts = order[np.searchsorted(passage[order], batch.passage.min()) :]
        excerpts = excerpts[: np.searchsorted(passage[excerpts], batch.passage.max(), "right")]
        for excerpt in excerpts:
            row = row_of.get((int(passage[excerpt]), int(position[excerpt])))
            if row is not None:
                cosine = float(shifted[row] @ exemplars[region[excerpt]]) / max(length[row], 1e-12)
                distance[excerpt] = min(2.0, max(0.0, 1.0 - cosine))
        report(len(tokens) / max(1, len(ids)))
    return _Reading(tokens, distance, float(np.median(np.concatenate(norms))) if norms else 0.0)


def _with_tokens(
    arrays: Mapping[str, np.ndarray], reading: _Reading
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays with token ids instead of text, and the entry `completed` of the check.

    Excerpts at positions beyond the end of their passage are left out.
    """
    passage, position = arrays["excerpt_passage"], arrays["excerpt_position"]
    length = {number: len(tokens) for number, tokens in reading.tokens.items()}
    exists = np.array(
        [p < length.get(int(n), 0) for n, p in zip(passage, position, strict=True)], bool
    )
    difference = np.abs(reading.distance - arrays["excerpt_distance"])
    agrees = difference <= TOLERANCE  # NaN, where nothing was read, does not agree
    if not exists.any() or (not agrees.any() and len(agrees) >= MIN_EXCERPTS):
        raise ModelError(
            f"none of the {len(agrees):,} excerpts has its stored distance: this is another model"
        )
    out = {
        name: array for name, array in arrays.items() if not name.startswith(("plain_", "excerpt_"))
    }
    region = np.repeat(
        np.arange(len(arrays["excerpt_offsets"]) - 1), np.diff(arrays["excerpt_offsets"])
    )
    counts = np.bincount(region[exists], minlength=len(arrays["excerpt_offsets"]) - 1)
    out |= {
        f"excerpt_{part}": arrays[f"excerpt_{part}"][exists]
        for part in ("passage", "position", "distance", "band")
    }
    out["excerpt_offsets"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    out["excerpt_agrees"] = agrees[exists].astype(np.uint8)
    out |= stored_passages(np.unique(out["excerpt_passage"]), reading.tokens)
    measured = difference[np.isfinite(difference)]
    return out, {
        "n": len(agrees),
        "agree": int(agrees.sum()),
        "tolerance": TOLERANCE,
        "median_difference": float(np.median(measured)) if len(measured) else 0.0,
        "dropped": int((~exists).sum()),
    }
