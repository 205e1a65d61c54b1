"""The form's fields, made from those of `BuildConfig`, and what was typed as settings.

Nothing here draws anything or loads a model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ep.config import BuildConfig, is_model_path
from ep.corpus import Corpus
from ep.errors import ConfigError, CorpusError, ModelError
from ep.text import one_line

COMMON = (
    *("layers", "percentiles", "tokens", "stop_rate", "positions", "metric"),
    *("lens_prompts", "chat"),
)
"""The fields that are always shown, besides model, text and folder, which are drawn apart."""
APART = ("model", "adapter", "text", "out", "title")
NAMES = {
    "tokens": "Budget, tokens",
    "stop_rate": "Stop rule, rate",
    "percentiles": "Percentiles p",
    "chat": "Chat",
    "out": "Write to",
}
"""Names on screen that say more than the field's own."""
HINTS = get_type_hints(BuildConfig)


def documented() -> dict[str, Field[Any]]:
    """Return the fields that are options of `ep build`, by name."""
    return {one.name: one for one in fields(BuildConfig) if "help" in one.metadata}


def rest() -> list[str]:
    """Return the names of the fields behind "More settings"."""
    return [name for name in documented() if name not in (*COMMON, *APART)]


def label(name: str) -> str:
    """Return a field's name on screen."""
    return NAMES.get(name) or name.replace("_", " ").capitalize()


def choices(name: str) -> tuple[Any, ...]:
    """Return the values that a field can have; empty where it is not one of several."""
    return get_args(HINTS[name]) if get_origin(HINTS[name]) is Literal else ()


def initial(name: str) -> Any:
    """Return what a field shows at first: its default, as it would be typed."""
    default = documented()[name].default
    if HINTS[name] is bool or choices(name):
        return default
    if default is MISSING or default is None:
        return ""
    if isinstance(default, tuple):
        return ", ".join(f"{value:g}" for value in default)
    return f"{default:g}" if isinstance(default, float) else str(default)


def config_of(values: Mapping[str, Any]) -> BuildConfig:
    """Return the settings that the fields of the form hold.

    values: by name, text as it was typed; a field that is missing or blank has its default.

    Raises ConfigError for text that is no value of its field, and as `BuildConfig` does.
    """
    given = {}
    for name, field in documented().items():
        typed = values.get(name, "")
        if isinstance(typed, str) and not typed.strip():
            if field.default is MISSING:
                raise ConfigError(f"{label(name).lower()} is empty: {_wanted(name)}")
            continue
        given[name] = typed if not isinstance(typed, str) else _read(name, typed.strip())
    return BuildConfig(**given)


def _wanted(name: str) -> str:
    return {
        "model": "name a model",
        "text": "choose a text",
        "layers": "name at least one layer, such as 10",
    }.get(name, "fill it in")


def _read(name: str, typed: str) -> Any:
    """Return the value of a text; ConfigError where it is none."""
    hint = HINTS[name]
    if isinstance(hint, UnionType):
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    if get_origin(hint) is Literal or hint is str:
        return typed
    if isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Sequence):
        kind = get_args(hint)[0]
        if kind is str:
            return (typed,)
        return tuple(_number(name, part, kind) for part in re.split(r"[,;\s]+", typed) if part)
    return _number(name, re.sub(r"(?<=\d)[,_\s](?=\d{3})", "", typed), hint)


def _number(name: str, typed: str, kind: type[Any]) -> Any:
    try:
        value = float(typed)
        if kind is not int:
            return value
        if not value.is_integer():
            raise ValueError
        return int(value)
    except (ValueError, OverflowError) as error:
        wanted = "a whole number" if kind is int else "a number"
        raise ConfigError(
            f"{label(name).lower()} is {one_line(typed, 40)!r}: expected {wanted}"
        ) from error


def check_inputs(config: BuildConfig) -> None:
    """Raise an error for a model or a text that is not there, without loading either.

    A name on the Hub is not looked up.
    """
    looks_local = config.model.startswith((".", "/", "~")) or config.model.lower().endswith(".gguf")
    if looks_local and not is_model_path(Path(config.model).expanduser()):
        if config.model.lower().endswith(".gguf") and config.model.count("/") == 2:
            return  # OWNER/REPO/FILE.gguf, on the Hub
        raise ModelError(
            f"there is no model at {one_line(config.model, 200)} on the machine that runs this "
            "explorer: give a folder, a .gguf file or a name on the Hub"
        )
    if Corpus(config.text, config.seed, config.field_name, config.chat).is_empty():
        raise CorpusError(
            f"{one_line(', '.join(config.text), 200)} contains no text: expected at least one "
            "passage"
        )
