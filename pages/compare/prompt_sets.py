"""Labelled prompts to read at their last token: the demo's own, or a visitor's file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import streamlit as st

from ep.errors import EPError
from ep.studies.prompts import Prompts, read_prompts
from pages.shared import loading, messages

DEMO_PROMPTS = loading.DEMO / "prompts"
CHOICE = ("train",)
HELD_OUT = (
    "held_out_both",
    "held_out_pairs",
    "held_out_templates",
    "held_out_words",
    "benign",
    "hard_benign",
)


@dataclass(frozen=True)
class PromptSets:
    """Prompts of the choice, and prompts never used for it, with where they come from.

    folder, names: the files of the two inside a folder; without names, the one file's own name.
    """

    chosen: Prompts
    held: Prompts
    source: str
    folder: str
    names: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def __len__(self) -> int:
        return len(self.chosen) + len(self.held)

    @property
    def texts(self) -> tuple[str, ...]:
        """All prompts, those of the choice first."""
        return (*self.chosen.texts, *self.held.texts)

    @property
    def stamp(self) -> str:
        """A short name for these prompts and their labels, for keys of results."""
        content = repr((self.chosen, self.held)).encode("utf-8", "replace")
        return blake2b(content, digest_size=12).hexdigest()


@st.cache_data(show_spinner=False)
def demo_sets() -> PromptSets | None:
    """The demo's own prompts; None when they are not here."""
    if not all((DEMO_PROMPTS / f"{name}.csv").is_file() for name in CHOICE + HELD_OUT):
        return None
    chosen, held = (
        _joined([DEMO_PROMPTS / f"{name}.csv" for name in names]) for names in (CHOICE, HELD_OUT)
    )
    first, second = (tuple(f"{name}.csv" for name in names) for names in (CHOICE, HELD_OUT))
    folder = DEMO_PROMPTS.relative_to(loading.ROOT).as_posix()
    held = held.without(chosen.texts)
    return PromptSets(chosen, held, "the demo's prompts", folder, (first, second))


def given_sets(data: bytes, name: str) -> PromptSets:
    """A visitor's labelled prompts, every second one for the choice.

    CorpusError as `read_prompts`.
    """
    every = read_prompts(data, name)
    chosen, held = (Prompts(every.texts[at::2], every.labels[at::2]) for at in (0, 1))
    return PromptSets(chosen, held, name, name)


def _joined(paths: Sequence[Path]) -> Prompts:
    total = Prompts((), ())
    for path in paths:
        total = total + read_prompts(path)
    return total


def pick() -> PromptSets | None:
    """Draws the button for another file, and a line on the prompts it returns; None without any."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        with st.popover("Other prompts", icon=":material/upload_file:", type="tertiary"):
            given = st.file_uploader(
                "Labelled prompts",
                type=["csv", "jsonl"],
                key="compare_prompts",
                label_visibility="collapsed",
            )
            messages.quiet(
                "Columns prompt and label. Every second prompt chooses, the others measure."
            )
        sets = demo_sets()
        if given is not None:
            try:
                sets = given_sets(given.getvalue(), given.name)
            except EPError as error:
                messages.note(messages.sentence(error))
        if sets is not None:
            messages.quiet(_about(sets))
    return sets


def _about(sets: PromptSets) -> str:
    behaving = sum(bool(label) for label in sets.held.labels)
    return (
        f"{sets.source}: rates of regions from {len(sets.chosen):,} prompts, measured on "
        f"{behaving:,} harmful-style "
        f"and {len(sets.held) - behaving:,} other prompts never used for that; the last token "
        "before the reply."
    )
