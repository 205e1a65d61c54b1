"""Presentation of a steering run: descriptions of its columns, JSON, and marked differences.

This module depends neither on a model nor on Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from difflib import SequenceMatcher
from typing import Any

from ep.method.dictionary import Dictionary
from ep.studies.steering import Continuation, Setting


def abouts(setting: Setting) -> tuple[str, ...]:
    """A phrase for each of the four columns that says what is done to the stream.

    setting: the setting of the run, with its strength resolved to a number.
    """
    regions, strength = listed(setting.regions), setting.strength or 0.0
    reference = setting.reference
    reference = reference if isinstance(reference, str) else f"region {reference}"
    about = {"centre": "", "origin": " about the origin"}.get(reference, f" about {reference}")
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
    return ("nothing changed", f"{regions} projected out{about}", steered, control)


def listed(regions: Sequence[int]) -> str:
    """Ids as a list in words: "3", "3 and 9", "3, 9 and 12", or "none"."""
    *others, last = map(str, regions or ("none",))
    return f"{', '.join(others)} and {last}" if others else last


def as_json(
    dictionary: Dictionary, setting: Setting, continuations: Sequence[Continuation]
) -> dict[str, Any]:
    """A run as plain values for JSON: its setting, and every column with its tokens and measures.

    Of the values, asked and moved are in typical norms; kl_to_default, surprise and the log
    probabilities are in nats; distances are those of the dictionary.
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
                "asked": one.requested,
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
    """For each token of `other`, whether its word is not in the default text at that place.

    default, other: the tokens of the two texts, which are compared word by word.
    """
    default_words, other_words = _words(default), _words(other)
    match = SequenceMatcher(
        None, [w for w, _ in default_words], [w for w, _ in other_words], autojunk=False
    )
    marks = [False] * len(other)
    for kind, _, _, start, stop in match.get_opcodes():
        if kind in ("replace", "insert"):
            for _, tokens in other_words[start:stop]:
                for token in tokens:
                    marks[token] = True
    return marks


def _words(tokens: Sequence[str]) -> list[tuple[str, list[int]]]:
    """The words of a text, each with the indices of its tokens.

    A token begins a word if it begins with whitespace or the token before it ends with some.
    """
    words: list[tuple[str, list[int]]] = []
    for number, token in enumerate(tokens):
        before = tokens[number - 1] if number else ""
        if not words or token[:1].isspace() or before[-1:].isspace():
            words.append(("", []))
        text, members = words[-1]
        words[-1] = ((text + token).strip(), [*members, number])
    return words
