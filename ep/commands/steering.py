"""The steering command: one prompt and one seed four times, with a region taken out, pushed
towards, and a control.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any

from ep.commands.options import command
from ep.errors import InputError


def add(kinds: Any) -> None:
    """Adds steer."""
    one = command(
        kinds,
        "steer",
        "continue a prompt with a region ablated, steered towards, and a random control",
        steer,
    )
    one.add_argument("file", help="an .ep.h5 file")
    one.add_argument(
        "id", type=int, nargs="+", help="the region; several are one span, or one step between them"
    )
    one.add_argument(
        "--prompt",
        required=True,
        metavar="TEXT",
        help="the text to go on from, or with --chat the request",
    )
    one.add_argument("--chat", action="store_true", help="send the text as a user turn")
    one.add_argument("--system", default="", metavar="TEXT", help="with --chat, a system message")
    one.add_argument(
        "--mode", default="add", choices=("ablate", "add", "swap", "clamp"), help="what is done"
    )
    one.add_argument(
        "--strength",
        type=float,
        default=None,
        help="in typical norms; ablate and swap: share taken out (default: all; else the careful "
        "strength of the file)",
    )
    one.add_argument(
        "--target",
        type=int,
        default=None,
        metavar="ID",
        help="the region whose mean a swap puts back",
    )
    one.add_argument(
        "--basis", default="exemplar", choices=("exemplar", "mean"), help="the direction"
    )
    one.add_argument(
        "--reference", default="centre", metavar="POINT", help="centre, origin or a region's id"
    )
    one.add_argument(
        "--scope",
        default="all",
        choices=("all", "prompt", "generated", "last"),
        help="which tokens",
    )
    one.add_argument(
        "--layers",
        default="",
        metavar="LIST",
        help="such as 2,4-6 or all; default: the dictionary's",
    )
    one.add_argument("--tokens", type=int, default=64, help="tokens to write at most, 1 to 256")
    one.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    one.add_argument("--seed", type=int, default=0, help="of sampling and of the random control")
    one.add_argument(
        "--model", default=None, help="the model, when it is not where the dictionary says"
    )
    one.add_argument("--json", action="store_true", help="print JSON")


def steer(arguments: argparse.Namespace) -> None:
    """Writes the four continuations as one batch and prints them with what was measured."""
    from ep import models, storage
    from ep.models.generation import Written, generate
    from ep.views import continuations
    from ep.views import steering as view

    dictionary = storage.open(arguments.file)
    setting = view.checked(_setting(arguments), dictionary)
    if arguments.strength is None:
        setting = replace(setting, strength=view.standard(dictionary, setting))
    model = models.load(arguments.model or models.model_of(dictionary.info, arguments.file))
    batch = view.rows(dictionary, model, setting)
    written: list[Written] = []
    for step in generate(model, batch, setting.sampling()):
        written = step if isinstance(step, list) else written
    columns = continuations.measured(dictionary, model, batch, written)
    if arguments.json:
        print(json.dumps(continuations.as_json(dictionary, setting, columns), indent=1))
        return
    for column, about in zip(columns, view.abouts(setting), strict=True):
        _print(column, about, dictionary)


def _setting(arguments: argparse.Namespace) -> Any:
    from ep.views.steering import Setting

    reference: str | int = arguments.reference
    if str(reference).isascii() and str(reference).isdigit():
        reference = int(reference)
    if arguments.system and not arguments.chat:
        raise InputError("a system message was given without --chat: add --chat, or leave it out")
    return Setting(
        prompt=arguments.prompt,
        chat=arguments.chat,
        system=arguments.system,
        mode=arguments.mode,
        regions=tuple(dict.fromkeys(arguments.id)),
        strength=1.0 if arguments.strength is None else arguments.strength,
        basis=arguments.basis,
        reference=reference,
        target=arguments.target,
        scope=arguments.scope,
        layers=arguments.layers,
        tokens=arguments.tokens,
        temperature=arguments.temperature,
        seed=arguments.seed,
    )


def _print(column: Any, about: str, dictionary: Any) -> None:
    from ep.views.text import plain

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
