"""The command `ep steer`, which continues a prompt unchanged, ablated, steered and as a control."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ep.commands.options import add_command, add_model, load_model
from ep.commands.progress import Printer, on_stderr
from ep.errors import InputError
from ep.method.dictionary import BASES
from ep.models.interventions import MODES, SCOPES

if TYPE_CHECKING:
    from ep.method.dictionary import Dictionary
    from ep.studies.steering import Continuation, Setting


def add(subparsers: Any) -> None:
    """Add `steer`."""
    about = "continue a prompt with a region ablated, steered towards, and a random control"
    parser = add_command(subparsers, "steer", about, steer)
    option = parser.add_argument
    option("file", help="an .ep.h5 file")
    option(
        "id",
        type=int,
        nargs="+",
        help="the region; several are ablated as one span and steered towards along their sum",
    )
    option(
        "--prompt", required=True, metavar="TEXT", help="text to continue, or with --chat a request"
    )
    option("--chat", action="store_true", help="treat the text as a user turn")
    option("--system", default="", metavar="TEXT", help="with --chat, a system message")
    option(
        "--mode",
        default="add",
        choices=MODES,
        help="intervention of the steered continuation (default add)",
    )
    option(
        "--strength",
        type=float,
        help="add, clamp: in typical norms; ablate, swap: share to remove (default: from the file)",
    )
    option("--target", type=int, metavar="ID", help="region whose mean a swap puts in instead")
    option(
        "--basis",
        default="exemplar",
        choices=BASES,
        help="direction of a region (default exemplar)",
    )
    option("--reference", default="centre", metavar="POINT", help="centre, origin or a region's id")
    option("--scope", default="all", choices=SCOPES, help="tokens to change (default all)")
    option(
        "--layers",
        default="",
        metavar="LIST",
        help="such as 2,4-6 or all (default: the dictionary's)",
    )
    option(
        "--tokens", type=int, default=64, help="tokens to generate at most, 1 to 256 (default 64)"
    )
    option("--temperature", type=float, default=0.0, help="0 is greedy (the default)")
    option("--seed", type=int, default=0, help="seed of sampling and of the random control")
    add_model(parser)
    option("--json", action="store_true", help="print JSON")


def steer(arguments: argparse.Namespace) -> None:
    """Generate the four continuations as one batch and print them with their measures."""
    from ep import storage
    from ep.studies import steering
    from ep.views import steering as view

    dictionary, setting = storage.open(arguments.file), _setting(arguments)
    steering.checked(setting, dictionary)  # before the model is loaded
    with on_stderr() as progress:
        model = load_model(arguments, dictionary, progress)
        progress.stage("generating")
        steps = steering.steer(dictionary, model, setting, warn=False)
        run = steering.finished(_counted(steps, setting.tokens, progress))
    if arguments.json:
        print(json.dumps(view.as_json(dictionary, run.setting, run.continuations), indent=1))
        return
    for continuation, about in zip(run.continuations, view.abouts(run.setting), strict=True):
        _print(continuation, about, dictionary)


def _counted(steps: Iterable[Any], tokens: int, progress: Printer) -> Iterator[Any]:
    """Pass the steps of a run on, one for each token, and print how many there were."""
    for done, step in enumerate(steps):
        progress(f"{done:,} of at most {tokens:,} tokens", min(1.0, done / tokens))
        yield step


def _setting(arguments: argparse.Namespace) -> Setting:
    from ep.studies.steering import Setting

    reference: str | int = arguments.reference
    if str(reference).isascii() and str(reference).isdigit():
        reference = int(reference)
    if arguments.system and not arguments.chat:
        raise InputError("a system message was given without --chat: add --chat, or leave it out")
    converted = ("regions", "reference")
    values = {
        field.name: getattr(arguments, field.name)
        for field in fields(Setting)
        if field.name not in converted
    }
    return Setting(**values, regions=tuple(dict.fromkeys(arguments.id)), reference=reference)


def _print(continuation: Continuation, about: str, dictionary: Dictionary) -> None:
    from ep.text import plain

    print(f"{continuation.name}: {about}")
    print(f"  {plain(continuation.text)}".replace("\n", "\n  "))
    moved, requested = (
        "not finite" if length is None else f"{length * dictionary.typical_norm:.1f}"
        for length in (continuation.moved, continuation.requested)
    )
    facts = {
        "change": f"{moved} of {requested} requested",
        "log-prob": _number(continuation.mean_logprob),
        "repetition": f"{1 - continuation.fluency.distinct:.2f}",
        "KL": _number(continuation.kl),
        "refuses": "yes" if continuation.behaves else "no",
        "ended": continuation.ending,
    }
    print("  [" + " · ".join(f"{name} {value}" for name, value in facts.items()) + "]\n")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
