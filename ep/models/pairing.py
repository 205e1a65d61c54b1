"""A dictionary and its model: where the model is, and whether a loaded one is the right one.

Dictionaries say which model they were built from as a Hub name or as a path relative to their own
file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ep.errors import ModelError
from ep.method.dictionary import Dictionary
from ep.models.loading import LanguageModel


def model_of(dictionary: Dictionary) -> str:
    """What to hand to `load` for a dictionary's own model: a directory beside its file, or a Hub
    name.

    Raises ModelError when the dictionary names no model, or names a directory that is not there any
    more.
    """
    return named_in(dictionary.info, dictionary.path)


def named_in(info: Mapping[str, Any], file: Path | None) -> str:
    """The same from a file's provenance and place, for one that is not open."""
    name = str(info.get("model") or "")
    if not name:
        raise ModelError(
            "this dictionary does not say which model it was built from: `ep assign` can be told "
            "with --model"
        )
    if file is not None and (beside := (file.resolve().parent / name).resolve()).is_dir():
        return str(beside)
    if name.startswith((".", "/")):
        raise ModelError(
            f"the model {name} is not beside the dictionary any more: put it back, or tell `ep "
            "assign` with --model"
        )
    return name


def check_fits(model: LanguageModel, dictionary: Dictionary) -> int:
    """The dictionary's layer, once the model is known to have it, its width and its tokenizer.

    Raises ModelError for any other model, and for a dictionary that does not name its layer.
    """
    info, width = dictionary.info, dictionary.width
    name = info.get("model_name") or info.get("model") or "unknown"
    if model.width != width:
        raise ModelError(
            f"the dictionary is {width} wide, {model.name} {model.width}: load {name}, its own "
            "model"
        )
    if dictionary.layer is None:
        raise ModelError(f"the dictionary does not say which layer of {name} it was built from")
    model.check_layers([dictionary.layer])
    expected = info.get("tokenizer_hash")
    if expected and expected != model.digest:
        raise ModelError(
            f"{model.name} has another tokenizer than the dictionary's model: load {name}"
        )
    return dictionary.layer
