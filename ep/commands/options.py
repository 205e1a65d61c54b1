"""Adds commands and their options to the argument parser."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from ep.commands.progress import Printer
    from ep.method.dictionary import Dictionary
    from ep.models import LanguageModel

from ep.errors import ConfigError, StorageError

Handler = Callable[[argparse.Namespace], None]


def add_command(subparsers: Any, name: str, about: str, run: Handler) -> argparse.ArgumentParser:
    """Add a command and return its parser.

    about: what the command does, in a few words without capital or full stop.
    run: called with the parsed arguments.
    """
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + "."
    )
    parser.set_defaults(run=run)
    return parser


def usable_labels(file: str, dictionary: Any) -> Any:
    """Return the `Labels` beside a dictionary; a line on stderr says why there are none, if so."""
    from ep.storage.labels import Labels

    labels = Labels.open(file, dictionary)
    if labels.problem:
        print(f"ep: without labels: {labels.problem}", file=sys.stderr)
    return labels


def output_path(text: str) -> Path:
    """Return the path that an option names; raise ConfigError for the name of a dictionary.

    Only builds, imports and completions write dictionaries: an export would destroy one.
    """
    if text.endswith(".ep.h5"):
        raise ConfigError(f"{text} is the name of a dictionary: give the output another ending")
    return Path(text)


def report_path(text: str) -> Path:
    """Return the path of a report, checked before the long work that it reports.

    Raises ConfigError as `output_path` and without its folder, and StorageError for a folder that
    cannot be written.
    """
    path = output_path(text)
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}: create it, or name another report")
    if not os.access(path.parent, os.W_OK) and not (path.exists() and not path.is_file()):
        raise StorageError(f"{path.name} cannot be written: {path.parent} permits no changes")
    return path


def add_settings(parser: argparse.ArgumentParser, settings: type) -> None:
    """Add an option for each field of a dataclass whose metadata has a help text.

    Name, type and default of an option are those of the field. The first field is a positional
    argument, and other fields without a default are required options. A sequence makes an option
    that can be repeated; a Literal makes one that accepts only its values.
    """
    hints = get_type_hints(settings)
    for number, field in enumerate(_documented_fields(settings)):
        keywords = _type_keywords(hints[field.name]) | {"help": _help(field)}
        if number == 0:
            parser.add_argument(field.name, **keywords)
            continue
        flag = field.metadata["flag"] or field.name
        required = field.default is MISSING
        if "type" in keywords:
            keywords["metavar"] = field.metadata["metavar"] or flag.upper()
        parser.add_argument(
            f"--{flag.replace('_', '-')}",
            dest=field.name,
            default=None,
            required=required,
            **keywords,
        )


def parsed_settings(arguments: argparse.Namespace, settings: type) -> dict[str, Any]:
    """Return the values that were given for the options of `add_settings`, by field name.

    Options that were not given are absent, so that the defaults of the dataclass apply.
    """
    values = {field.name: getattr(arguments, field.name) for field in _documented_fields(settings)}
    return {name: value for name, value in values.items() if value is not None}


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the options that name another model than the dictionary's own, for `load_model`."""
    parser.add_argument(
        "--model",
        default=None,
        help="Hub name, folder or .gguf file of the model (default: as stated in the file)",
    )
    parser.add_argument(
        "--adapter",
        default=None,
        metavar="DIR",
        help="folder of a LoRA adapter to merge into the model (default: as stated in the file; "
        "with --model, none)",
    )


def load_model(
    arguments: argparse.Namespace, dictionary: Dictionary, progress: Printer
) -> LanguageModel:
    """Load the model of a dictionary, or the one that the options of `add_model` name.

    One line on stderr says if it has other weights than those the dictionary was built on, and one
    if the adapter given was trained on a model of another name. Errors as `ep.load` and
    `ep.models.check_fits`.
    """
    from ep import models
    from ep.models import adapters

    named: adapters.Named = arguments.model or ""
    if not named and arguments.adapter:
        named = models.base_of(dictionary)
    if arguments.adapter:
        say_doubt(arguments.adapter, str(named))
        named = adapters.Tuned(str(named), arguments.adapter)
    named = named or models.model_of(dictionary)
    progress.stage(f"loading {named}")
    model = models.load(named, progress=progress)
    models.check_fits(model, dictionary)
    say_other_weights(model, dictionary)
    return model


def say_doubt(adapter: str, model: str) -> None:
    """Print one line on stderr if an adapter was trained on a model of another name.

    Errors as `ep.models.adapters.read`.
    """
    from ep.models import adapters

    if line := adapters.read(adapter).doubt(model):
        print(f"ep: {line}", file=sys.stderr)


def say_other_weights(model: LanguageModel, dictionary: Dictionary) -> None:
    """Print one line on stderr if a dictionary was built on other weights than the model's."""
    from ep.models import other_weights

    if line := other_weights(model, dictionary):
        print(f"ep: {line}", file=sys.stderr)


def _documented_fields(settings: type) -> list[Field[Any]]:
    """The fields that are options: those with a help text."""
    return [field for field in fields(settings) if "help" in field.metadata]


def _type_keywords(hint: Any) -> dict[str, Any]:
    """The keywords of `add_argument` that follow from a field's type."""
    if isinstance(hint, UnionType):  # X | None: None stands for an option that was not given
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    if hint is bool:
        return {"action": "store_true"}
    if get_origin(hint) is Literal:
        return {"choices": get_args(hint)}
    if isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Sequence):
        return {"action": "append", "type": get_args(hint)[0]}
    return {"type": hint}


def _help(field: Field[Any]) -> str:
    """The help text, followed by the default unless that is None, False or empty."""
    text, default = str(field.metadata["help"]).replace("%", "%%"), field.default
    if default is MISSING or default is None or default is False or default == "":
        return text
    if isinstance(default, tuple):
        default_text = ", ".join(f"{value:g}" for value in default)
    else:
        default_text = f"{default:g}" if isinstance(default, float) else str(default)
    return f"{text} (default {default_text})"
