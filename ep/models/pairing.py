"""A dictionary and its model: where the model is, and whether a loaded one is the right one.

Dictionaries say which model they were built from as a Hub name or as a path relative to their own
file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ep.errors import ModelError
from ep.models.loading import LanguageModel


def model_of(info: Mapping[str, Any], file: str | Path | None = None) -> str:
    """What to hand to `load`: a directory beside the dictionary's file, or a Hub name.

    Raises ModelError when the dictionary names no model, or names a directory that is not there any
    more.
    """
    name = str(info.get("model") or "")
    if not name:
        raise ModelError(
            "this dictionary does not say which model it was built from: `ep assign` can be told "
            "with --model"
        )
    if file is not None and (beside := (Path(file).resolve().parent / name).resolve()).is_dir():
        return str(beside)
    if name.startswith((".", "/")):
        raise ModelError(
            f"the model {name} is not beside the dictionary any more: put it back, or tell `ep "
            "assign` with --model"
        )
    return name


def check_fits(model: LanguageModel, info: Mapping[str, Any], width: int) -> None:
    """Raise ModelError unless the model has the dictionary's layer, width and tokenizer."""
    name = info.get("model_name") or info.get("model") or "unknown"
    if model.width != width:
        raise ModelError(
            f"the dictionary is {width} wide, {model.name} {model.width}: load {name}, its own "
            "model"
        )
    model.check_layers([int(info["layer"])])
    expected = info.get("tokenizer_hash")
    if expected and expected != model.digest:
        raise ModelError(
            f"{model.name} has another tokenizer than the dictionary's model: load {name}"
        )
