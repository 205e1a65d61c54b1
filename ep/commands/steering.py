"""The steering command: one prompt and one seed four times, with a region taken out, pushed
towards, and a control.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ep.commands.options import command
from ep.errors import InputError
from ep.method.dictionary import BASES
from ep.models.interventions import MODES, SCOPES

if TYPE_CHECKING:
    from ep.method.dictionary import Dictionary
    from ep.studies.steering import Continuation, Setting


def add(kinds: Any) -> None:
    """Adds steer."""
    about = "continue a prompt with a region ablated, steered towards, and a random control"
    one = command(kinds, "steer", about, steer)
    option = one.add_argument
    option("file", help="an .ep.h5 file")
    option(
        "id", type=int, nargs="+", help="the region; several are one span, or one step between them"
    )
    option(
        "--prompt", required=True, metavar="TEXT", help="text to continue, or with --chat a request"
    )
    option("--chat", action="store_true", help="send the text as a user turn")
    option("--system", default="", metavar="TEXT", help="with --chat, a system message")
    option("--mode", default="add", choices=MODES, help="what is done")
    option(
        "--strength",
        type=float,
        help="in typical norms; ablate and swap: share taken out (default: from the file)",
    )
    option("--target", type=int, metavar="ID", help="the region whose mean a swap puts back")
    option("--basis", default="exemplar", choices=BASES, help="the direction")
    option("--reference", default="centre", metavar="POINT", help="centre, origin or a region's id")
    option("--scope", default="all", choices=SCOPES, help="which tokens")
    option("--layers", default="", metavar="LIST", help="2,4-6 or all; default: the dictionary's")
    option("--tokens", type=int, default=64, help="tokens to write at most, 1 to 256")
    option("--temperature", type=float, default=0.0, help="0 is greedy")
    option("--seed", type=int, default=0, help="of sampling and of the random control")
    option("--model", help="the model, when it is not where the dictionary says")
    option("--json", action="store_true", help="print JSON")


def steer(arguments: argparse.Namespace) -> None:
    """Writes the four continuations as one batch and prints them with what was measured."""
    from ep import models, storage
    from ep.studies import steering
    from ep.views import steering as view

    dictionary, setting = storage.open(arguments.file), _setting(arguments)
    steering.checked(setting, dictionary)  # before the model is loaded
    model = models.load(arguments.model or models.model_of(dictionary))
    run = steering.finished(steering.steer(dictionary, model, setting))
    if arguments.json:
        print(json.dumps(view.as_json(dictionary, run.setting, run.continuations), indent=1))
        return
    for one, about in zip(run.continuations, view.abouts(run.setting), strict=True):
        _print(one, about, dictionary)


def _setting(arguments: argparse.Namespace) -> Setting:
    from ep.studies.steering import Setting

    reference: str | int = arguments.reference
    if str(reference).isascii() and str(reference).isdigit():
        reference = int(reference)
    if arguments.system and not arguments.chat:
        raise InputError("a system message was given without --chat: add --chat, or leave it out")
    own = ("regions", "reference")
    given = {
        one.name: getattr(arguments, one.name) for one in fields(Setting) if one.name not in own
    }
    return Setting(**given, regions=tuple(dict.fromkeys(arguments.id)), reference=reference)


def _print(column: Continuation, about: str, dictionary: Dictionary) -> None:
    from ep.text import plain

    print(f"{column.name}: {about}")
    print(f"  {plain(column.text)}".replace("\n", "\n  "))
    moved, asked = (
        "not finite" if length is None else f"{length * dictionary.typical_norm:.1f}"
        for length in (column.moved, column.asked)
    )
    facts = {
        "change": f"{moved} of {asked} asked for",
        "log-prob": _number(column.mean_logprob),
        "repetition": f"{1 - column.fluency.distinct:.2f}",
        "KL": _number(column.kl),
        "refuses": "yes" if column.behaves else "no",
        "ended": column.ending,
    }
    print("  [" + " · ".join(f"{name} {value}" for name, value in facts.items()) + "]\n")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
