"""Completing a converted dictionary with its model: token ids, exact highlights, the lens, and
names for the groups.

Published files say at which token of which text an excerpt lies, but hold no token ids. The model
reads the texts again as the build did (protocol 1.6, 1.7: one BOS in front, the residual stream
after the block), and checks every excerpt: the activation at its token must lie at the stored
distance from the exemplar. How many do is kept with the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.describing import lenses, name_groups, spelled, stored_passages, vocabulary
from ep.errors import ModelError
from ep.method.dictionary import Dictionary, MemorySource
from ep.storage.file import open as open_dictionary
from ep.storage.schema import ARRAYS
from ep.storage.writing import save

if TYPE_CHECKING:
    from ep.models import LanguageModel

TOLERANCE = 0.02
"""Cosine distances this near count as the same: published builds ran in bfloat16, which moves them
by about 0.005.
"""

SURELY = 20
"""If not one of at least this many excerpts agrees, it is another model."""

PASSAGES_AT_ONCE = 32

Progress = Callable[[str, float | None], None]


@dataclass(frozen=True)
class _Text:
    """A stored passage as the tokeniser takes it."""

    id: int
    text: str
    messages: Sequence[Any] | None = None


@dataclass(frozen=True)
class _Reading:
    """What the model found: token ids by passage, the distance at each excerpt (NaN: no such
    token), the mean norm.
    """

    tokens: Mapping[int, np.ndarray]
    distance: np.ndarray
    typical_norm: float


def complete(
    path: str | os.PathLike[str], model: LanguageModel, progress: Progress | None = None
) -> Path:
    """Give a dictionary without token ids its tokens, lens and names, and replace its file in one
    step.

    progress: called with a few words and a share in [0, 1]; if it raises, the file stays as it was.
    A dictionary that has token ids and a lens is left as it is, so completing twice changes
    nothing.

    Raises ModelError for a model of another width or too few layers, for a dictionary of another
    hook point, and when no excerpt at all lies where the file says; DictionaryFileError and
    StorageError as `ep.open` and `ep.save`.
    """
    from ep.models import check_fits

    target = Path(path)
    dictionary = open_dictionary(target)
    if "plain_ids" not in dictionary and "lens_exemplar_up_ids" in dictionary:
        return target
    report = progress or (lambda said, share: None)
    _admit(dictionary, model)
    check_fits(model, dictionary)

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
        arrays, found = _with_tokens(arrays, reading)
        info |= {
            "completed": {"model": _name(model), "dtype": model.dtype, **found},
            "typical_norm": reading.typical_norm,
        }
    report("reading every direction through the lens", 0.9)
    arrays |= lenses(model, arrays, _step(info, arrays["center"]))
    names: list[list[int]] = []
    if "neighbourhood" in arrays:
        names = name_groups(model, arrays, arrays.get("count_arrival", np.ones(len(dictionary))))
        info["group_names"] = spelled(model, names)
    arrays |= vocabulary(model, arrays, names)
    info |= {
        "tokenizer_hash": model.digest,
        "model_revision": info.get("model_revision") or model.revision,
    }
    report("writing", 0.98)
    return save(Dictionary(MemorySource(arrays), info, len(dictionary)), target)


def _admit(dictionary: Dictionary, model: LanguageModel) -> None:
    layer, hook = dictionary.info.get("layer"), dictionary.info.get("hook")
    if layer is None:
        raise ModelError(
            "this dictionary does not say which layer it was built from, so no model can complete "
            "it"
        )
    if hook is not None and hook != model.hook_name(int(layer)):
        raise ModelError(
            f"this dictionary was built at {hook}; models are read at "
            f"{model.hook_name(int(layer))} only"
        )


def _name(model: LanguageModel) -> str:
    """The Hub name, or a local model's folder without the way to it, which is nobody else's
    business.
    """
    return Path(model.name).resolve().name if Path(model.name).is_dir() else model.name


def _of_vocabulary(name: str) -> bool:
    return name.startswith("vocabulary_")


def _step(info: Mapping[str, Any], center: np.ndarray) -> float:
    """The length of a typical step for the shift lens; the centre's own length where no activation
    was read.
    """
    return float(info.get("typical_norm") or np.linalg.norm(center))


# -- reading the texts again -----------------------------------------------------------------------


def _read(
    dictionary: Dictionary, model: LanguageModel, report: Callable[[float], None]
) -> _Reading:
    """One forward pass over every stored text, in batches."""
    from ep.models import harvest

    layer, offsets = int(dictionary.info["layer"]), dictionary.column("excerpt_offsets")
    region = np.repeat(np.arange(len(dictionary)), np.diff(offsets))
    passage, position = dictionary.column("excerpt_passage"), dictionary.column("excerpt_position")
    order = np.argsort(passage, kind="stable")
    ids, exemplars = dictionary.column("plain_ids"), dictionary.exemplars
    texts = (_Text(int(i), dictionary.passage(int(i))[0]) for i in ids)
    tokens: dict[int, np.ndarray] = {}
    distance = np.full(len(passage), np.nan, np.float32)
    norms, seen = 0.0, 0
    bos = model.tokens.bos is not None
    for batch in model.tokens.batches(texts, PASSAGES_AT_ONCE, model.context - bos):
        for row, number in enumerate(batch.passage):
            tokens[int(number)] = batch.ids[row][batch.mask[row]].astype(np.int32)
        found = harvest(model, batch, [layer])
        shifted = found.x[layer] - dictionary.center
        length = np.linalg.norm(shifted, axis=1)
        norms, seen = norms + float(length.sum(dtype=np.float64)), seen + len(length)
        place = {
            (int(p), int(t)): n
            for n, (p, t) in enumerate(zip(found.passage, found.position, strict=True))
        }
        mine = order[np.searchsorted(passage[order], batch.passage.min()) :]
        mine = mine[: np.searchsorted(passage[mine], batch.passage.max(), "right")]
        for excerpt in mine:
            at = place.get((int(passage[excerpt]), int(position[excerpt])))
            if at is not None:
                cosine = float(shifted[at] @ exemplars[region[excerpt]]) / max(length[at], 1e-12)
                distance[excerpt] = min(2.0, max(0.0, 1.0 - cosine))
        report(len(tokens) / max(1, len(ids)))
    return _Reading(tokens, distance, norms / max(1, seen))


def _with_tokens(
    arrays: Mapping[str, np.ndarray], reading: _Reading
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays with token ids for text, and what the check found; excerpts at tokens nowhere are
    left out.
    """
    passage, position = arrays["excerpt_passage"], arrays["excerpt_position"]
    length = {number: len(tokens) for number, tokens in reading.tokens.items()}
    exists = np.array(
        [p < length.get(int(n), 0) for n, p in zip(passage, position, strict=True)], bool
    )
    difference = np.abs(reading.distance - arrays["excerpt_distance"])
    agrees = difference <= TOLERANCE  # NaN, where nothing was read, does not agree
    if not exists.any() or (not agrees.any() and len(agrees) >= SURELY):
        raise ModelError(
            f"none of the {len(agrees):,} excerpts lies where the file says: this is another model"
        )
    out = {
        name: array for name, array in arrays.items() if not name.startswith(("plain_", "excerpt_"))
    }
    region = np.repeat(
        np.arange(len(arrays["excerpt_offsets"]) - 1), np.diff(arrays["excerpt_offsets"])
    )
    kept = np.bincount(region[exists], minlength=len(arrays["excerpt_offsets"]) - 1)
    out |= {
        f"excerpt_{part}": arrays[f"excerpt_{part}"][exists]
        for part in ("passage", "position", "distance", "band")
    }
    out["excerpt_offsets"] = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    out["excerpt_agrees"] = agrees[exists].astype(np.uint8)
    out |= stored_passages(np.unique(out["excerpt_passage"]), reading.tokens)
    read = difference[np.isfinite(difference)]
    return out, {
        "n": len(agrees),
        "agree": int(agrees.sum()),
        "tolerance": TOLERANCE,
        "median_difference": float(np.median(read)) if len(read) else 0.0,
        "dropped": int((~exists).sum()),
    }
