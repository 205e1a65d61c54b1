"""A dictionary and its model: where the model is, and whether a loaded model is the right one.

A dictionary names the model it was built from by its Hub name, by a path relative to its own file,
or by a name that `ep.models.packaged` knows.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ep.config import is_model_path
from ep.errors import ModelError
from ep.method.dictionary import Dictionary
from ep.models import packaged
from ep.models.adapters import Named, shown, with_adapter
from ep.models.loading import LanguageModel


def model_of(dictionary: Dictionary) -> Named:
    """Return what to pass to `load` for a dictionary's own model: a path or a Hub name.

    For one that was built with an adapter it names both, as `ep.models.adapters.Tuned`.

    Raises ModelError when the dictionary names no model, or names a path that no longer exists.
    """
    return named_in(dictionary.info, dictionary.path)


def base_of(dictionary: Dictionary) -> str:
    """Return the path or the Hub name of the base model of a dictionary, without an adapter.

    Raises ModelError as `model_of`, but not for an adapter that is missing.
    """
    return _base(_stated(dictionary.info), dictionary.path)


def named_in(info: Mapping[str, Any], file: Path | None) -> Named:
    """Return the same as `model_of` for a dictionary that is not open.

    info: its provenance.
    file: its path, or None where it has none.
    """
    return with_adapter(_base(_stated(info), file), _adapter(info, file))


def _stated(info: Mapping[str, Any]) -> str:
    """Return the model that a provenance names; ModelError where it names none."""
    if not (name := str(info.get("model") or "")):
        raise ModelError(
            "this dictionary does not say which model it was built from: give it with "
            "`ep assign --model`"
        )
    return name


def _adapter(info: Mapping[str, Any], file: Path | None) -> str | None:
    """Return the folder of a dictionary's adapter; None where it was built without one.

    Raises ModelError where the folder is not there: the base model alone is another model.
    """
    stated = info.get("adapter")
    if not stated:
        return None
    path, name = str(stated.get("path") or ""), shown(stated.get("name") or "unnamed")
    folder = path and (file.resolve().parent if file is not None else Path()) / path
    try:
        if folder and folder.is_dir():
            return str(folder.resolve())
    except (OSError, ValueError):  # a name that no folder can have
        pass
    raise ModelError(
        f"the adapter {name}, with which this dictionary was built, is not where the file says"
        f"{f' ({shown(path)})' if path else ''}: put it there, or give it with "
        "`ep assign --adapter`"
    )


def _base(name: str, file: Path | None) -> str:
    """Return the path or Hub name of a dictionary's model, without its adapter.

    Raises ModelError for a path that is not there, and for a package that is not installed.
    """
    if file is not None and is_model_path(beside := (file.resolve().parent / name).resolve()):
        return str(beside)
    if name.startswith((".", "/")):
        raise ModelError(
            f"the model {name} is not beside the dictionary any more: put it back, or give it with "
            "`ep assign --model`"
        )
    return str(packaged.located(name)) if packaged.is_packaged(name) else name


def other_weights(model: LanguageModel, dictionary: Dictionary) -> str | None:
    """Return one line that says that a dictionary was built on other weights than the model's.

    None where they are the same, or where the file does not say what its own were.
    """
    info = dictionary.info
    if not info.get("weights") or info["weights"] == model.fingerprint:
        return None
    name = model.title
    own = info.get("model_name") or info.get("model") or "a model that is not named"
    return (
        f"the weights of {name} are not those of {own}, on which this dictionary was built: "
        "regions and distances may differ from those of its own model"
    )


def warn_other_weights(model: LanguageModel, dictionary: Dictionary) -> None:
    """Warn a caller's caller of what `other_weights` says; nothing where it says nothing."""
    if line := other_weights(model, dictionary):
        warnings.warn(line, stacklevel=3)


def check_fits(model: LanguageModel, dictionary: Dictionary) -> int:
    """Return the dictionary's layer, after checking that the model is the one it was built from.

    The model must have that layer, the width of the dictionary and the same tokenizer. Raises
    ModelError for any other model, and for a dictionary that does not name its layer.
    """
    info, width = dictionary.info, dictionary.width
    name = info.get("model_name") or info.get("model") or "unknown"
    if model.width != width:
        raise ModelError(
            f"the dictionary is {width} wide and {model.name} {model.width}: load {name}, its own "
            "model"
        )
    if dictionary.layer is None:
        raise ModelError(f"the dictionary does not say which layer of {name} it was built from")
    model.check_layers([dictionary.layer])
    expected = info.get("tokenizer_hash")
    if expected and expected != model.digest:
        raise ModelError(
            f"{model.name} has a different tokenizer from the dictionary's model: load {name}"
        )
    return dictionary.layer
