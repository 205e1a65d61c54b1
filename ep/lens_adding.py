"""Adds to an existing dictionary the read-outs that it lacks, and the lens to show first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from ep.describing import vocabulary
from ep.errors import ModelError
from ep.lensing import computable, provenance, read_outs, with_choice
from ep.method.dictionary import Dictionary
from ep.method.lenses import LENSES
from ep.method.source import MemorySource
from ep.progress import Report, silent
from ep.storage.file import open as open_dictionary
from ep.storage.schema import ARRAYS
from ep.storage.writing import save
from ep.studies.refinement import with_found

if TYPE_CHECKING:
    from ep.models import JacobianLens, LanguageModel

_CHECKED = 64
"""Regions whose stored lens is computed again, in a file that does not state its weights."""


def add_lenses(
    path: str | os.PathLike[str], model: LanguageModel, report: Report = silent
) -> tuple[str, ...]:
    """Add the read-outs that a file lacks, and replace it; return the names of their kinds.

    path: the `.ep.h5` file, which is replaced in one step. Read-outs of a Jacobian lens are added
        where the model has one for the layer, and computed again where they came from another one.
        A file that lacks nothing is left as it is.

    Raises ModelError for a model with other weights than the dictionary's, of another width or with
    too few layers; DictionaryFileError and StorageError as `ep.open` and `ep.save`.
    """
    from ep.models import check_fits, find_lens

    dictionary = open_dictionary(path)
    layer = check_fits(model, dictionary)
    _check_weights(dictionary, model)
    jacobian = find_lens(model)
    missing = _missing(dictionary, layer, jacobian)
    if not missing and "first_lens" in dictionary.info:
        return ()
    arrays = {
        name: dictionary.column(name)
        for name in ARRAYS
        if name in dictionary and not name.startswith("vocabulary_")
    }
    radius = dictionary.typical_norm
    arrays |= read_outs(model, arrays, dictionary.metric, layer, radius, jacobian, missing, report)
    arrays |= vocabulary(model, arrays)
    report("writing", 1.0)
    info = with_found(dictionary.info, arrays)
    if any(LENSES[name].is_jacobian for name in missing):
        info |= provenance(jacobian, layer)
    save(with_choice(Dictionary(MemorySource(arrays), info, len(dictionary))), path)
    return missing


def _missing(dictionary: Dictionary, layer: int, jacobian: JacobianLens | None) -> tuple[str, ...]:
    """Return the kinds that a file lacks, or holds of another Jacobian lens than this one."""
    same = provenance(jacobian, layer).get("jacobian") == dictionary.info.get("jacobian")
    return tuple(
        name
        for name in computable(layer, jacobian)
        if f"lens_{LENSES[name].stored[0]}_ids" not in dictionary
        or (LENSES[name].is_jacobian and not same)
    )


def _check_weights(dictionary: Dictionary, model: LanguageModel) -> None:
    """Raise ModelError for a model with other weights than those of the dictionary.

    A file of an earlier version does not state them; then the lens of its exemplars must be what
    this model gives.
    """
    from ep.models import logit_lens, other_weights

    line = other_weights(model, dictionary)
    if line is None and not dictionary.info.get("weights"):
        stored = "lens_exemplar_up_ids"
        if stored not in dictionary:
            return
        chosen = np.unique(np.linspace(0, len(dictionary) - 1, _CHECKED).astype(int))
        first = logit_lens(model, dictionary.metric.raw(dictionary.exemplars[chosen]), 1).up_ids[
            :, 0
        ]
        # in half precision, or on another device, the first two may change places
        among = (dictionary.column(stored)[chosen, :3] == first[:, None]).any(1)
        if among.mean() < 0.9:
            line = f"this dictionary was built on other weights than those of {model.name}"
    if line is not None:
        raise ModelError(f"{line.split(': ')[0]}: give its own model with --model")
