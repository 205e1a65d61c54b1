"""A steering run as words, plain data and marks: what each column was asked for, what differs.

Knows runs, no model and no screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from difflib import SequenceMatcher
from typing import Any

from ep.method.dictionary import Dictionary
from ep.studies.steering import Continuation, Setting


def abouts(setting: Setting) -> tuple[str, ...]:
    """A half-sentence for each column: what is done to it. Its strength must be resolved."""
    regions, strength = listed(setting.regions), setting.strength or 0.0
    about = setting.reference
    about = about if isinstance(about, str) else f"region {about}"
    point = "" if about == "centre" else f" about {'the origin' if about == 'origin' else about}"
    several = len(setting.regions) > 1
    between = "between " if several else ""
    steered = {
        "add": f"{strength:+.2f} {between or 'towards '}{regions}",
        "ablate": f"{100 * strength:.0f} % of {regions} projected out",
        "swap": f"{regions} swapped for {setting.target}",
        "clamp": f"held at {strength:.2f} {between or 'along '}{regions}",
    }[setting.mode]
    control = {
        "add": f"{strength:+.2f} in a random direction",
        "clamp": f"held at {strength:.2f} in a random direction",
    }.get(
        setting.mode, f"the same along {'random directions' if several else 'a random direction'}"
    )
    return ("nothing changed", f"{regions} projected out{point}", steered, control)


def listed(regions: Sequence[int]) -> str:
    """Ids as a reader says them: 3 · 3 and 9 · 3, 9 and 12."""
    *first, last = map(str, regions or ("none",))
    return f"{', '.join(first)} and {last}" if first else last


def as_json(
    dictionary: Dictionary, setting: Setting, continuations: Sequence[Continuation]
) -> dict[str, Any]:
    """A run as plain values: setting, typical norm, and every column with its tokens and measures.

    asked, moved: in typical norms; KL and surprise in nats.
    """
    return {
        "setting": asdict(setting),
        "typical_norm": dictionary.typical_norm,
        "columns": [
            {
                "name": one.name,
                "about": about,
                "text": one.text,
                "ending": one.ending,
                "mean_logprob": one.mean_logprob,
                "repetition": 1 - one.fluency.distinct,
                "compression": one.fluency.compressed,
                "surprise": one.surprise,
                "kl_to_default": one.kl,
                "refuses": one.behaves,
                "asked": one.asked,
                "moved": one.moved,
                "positions_touched": one.touched,
                "tokens": list(one.tokens),
                "ids": list(one.ids),
                "logprob": list(one.logprob),
                "regions": list(one.regions),
                "distances": list(one.distances),
            }
            for one, about in zip(continuations, abouts(setting), strict=True)
        ],
    }


def differing(default: Sequence[str], other: Sequence[str]) -> list[bool]:
    """For each token of `other`, whether it belongs to a word that the default text does not have
    at that place.
    """
    mine, theirs = _words(other), _words(default)
    match = SequenceMatcher(None, [w for w, _ in theirs], [w for w, _ in mine], autojunk=False)
    marks = [False] * len(other)
    for kind, _, _, start, stop in match.get_opcodes():
        if kind in ("replace", "insert"):
            for _, tokens in mine[start:stop]:
                for token in tokens:
                    marks[token] = True
    return marks


def _words(tokens: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Words with the tokens they are made of; a token that begins with a space, or follows one,
    begins a word.
    """
    words: list[tuple[str, list[int]]] = []
    for number, token in enumerate(tokens):
        before = tokens[number - 1] if number else ""
        if not words or token[:1].isspace() or before[-1:].isspace():
            words.append(("", []))
        text, members = words[-1]
        words[-1] = ((text + token).strip(), [*members, number])
    return words
