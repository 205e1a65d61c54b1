"""Labelled prompts that are read at their last token: the demo's own, or a visitor's file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from ep.errors import EPError
from ep.public import is_public
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
    """Prompts from which the rates of regions are counted, and others on which they are measured.

    source: where they come from, for people.
    folder, names: the folder of the files, and the names of the files of both sets; without names,
        `folder` is the name of the single file.
    """

    choice: Prompts
    held_out: Prompts
    source: str
    folder: str
    names: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def __len__(self) -> int:
        return len(self.choice) + len(self.held_out)

    @property
    def texts(self) -> tuple[str, ...]:
        """All prompts, those of the choice first."""
        return (*self.choice.texts, *self.held_out.texts)

    @property
    def stamp(self) -> str:
        """A digest of the prompts and their labels, for the keys of results."""
        content = repr((self.choice, self.held_out)).encode("utf-8", "replace")
        return blake2b(content, digest_size=12).hexdigest()


@st.cache_data(show_spinner=False)
def demo_sets() -> PromptSets | None:
    """Return the demo's own prompts; None where the demo is not installed."""
    if not all((DEMO_PROMPTS / f"{name}.csv").is_file() for name in CHOICE + HELD_OUT):
        return None
    choice, held_out = (
        _joined([DEMO_PROMPTS / f"{name}.csv" for name in names]) for names in (CHOICE, HELD_OUT)
    )
    choice_files, held_out_files = (
        tuple(f"{name}.csv" for name in names) for names in (CHOICE, HELD_OUT)
    )
    folder = DEMO_PROMPTS.relative_to(loading.ROOT).as_posix()
    held_out = held_out.without(choice.texts)
    return PromptSets(
        choice, held_out, "the demo's prompts", folder, (choice_files, held_out_files)
    )


def uploaded_sets(data: bytes, name: str) -> PromptSets:
    """Return a visitor's labelled prompts; every second one goes to the choice.

    Raises CorpusError as `read_prompts` does.
    """
    prompts = read_prompts(data, name)
    choice, held_out = (
        Prompts(prompts.texts[start::2], prompts.labels[start::2]) for start in (0, 1)
    )
    return PromptSets(choice, held_out, name, name)


def _joined(paths: Sequence[Path]) -> Prompts:
    total = Prompts((), ())
    for path in paths:
        total = total + read_prompts(path)
    return total


def pick() -> PromptSets | None:
    """Draw the button for another file and a line on the prompts, and return them; None without
    any.
    """
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        upload = None if is_public() else _upload()
        sets = demo_sets()
        if upload is not None:
            try:
                sets = uploaded_sets(upload.getvalue(), upload.name)
            except EPError as error:
                messages.note(messages.sentence(error))
        if sets is not None:
            messages.quiet(_about(sets))
    return sets


def _upload() -> UploadedFile | None:
    """Draw the button for a file of the visitor, and return the file, if there is one."""
    with st.popover("Other prompts", icon=":material/upload_file:", type="tertiary"):
        upload = st.file_uploader(
            "Labelled prompts",
            type=["csv", "jsonl"],
            key="compare_prompts",
            label_visibility="collapsed",
        )
        messages.quiet("Columns prompt and label. Every second prompt chooses, the others measure.")
    return upload


def _about(sets: PromptSets) -> str:
    behaving = sum(bool(label) for label in sets.held_out.labels)
    return (
        f"{sets.source}: rates of regions from {len(sets.choice):,} prompts, measured on "
        f"{behaving:,} harmful-style "
        f"and {len(sets.held_out) - behaving:,} other prompts never used for that; the last token "
        "before the reply."
    )
