"""The prompts of a behaviour run: the demo's, or a visitor's own files, kept in the session."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import streamlit as st

from ep.demo.behaviour import BENIGN, CHOICE, FILES, HELD_OUT
from ep.errors import CorpusError, EPError
from ep.public import is_public
from ep.studies.held_out import HeldOut, hold_out
from ep.studies.prompts import Prompts, columns, read_prompts
from ep.views.snippets_behaviour import Files
from pages.behaviour.settings import Settings
from pages.shared import loading, messages, state, tokens

MOST_BYTES = 20 * 2**20
NO_COLUMN = "(none)"
DEMO_NAME = "the demo's own"
_OWN, _REPLACEMENTS = "behaviour_own", "behaviour_times"
PromptFile = tuple[str, bytes]
"""The name of a file, and its content."""


class PromptFiles(NamedTuple):
    """The prompts of a run.

    name: for people.
    files: how code reads the same prompts.
    """

    name: str
    held: HeldOut
    files: Files


def chosen_prompts() -> PromptFiles:
    """Return the visitor's own prompts or the demo's.

    Raises EPError where they cannot be split.
    """
    return _selected_own() or PromptFiles(DEMO_NAME, _demo(str(loading.DEMO)), FILES)


def own_prompts() -> PromptFiles | None:
    """Return the prompts that this visitor gave, if any."""
    own: PromptFiles | None = st.session_state.get(_OWN)
    return own


def _selected_own() -> PromptFiles | None:
    return own_prompts() if state.settings(Settings).prompts == "own" else None


@st.cache_resource(show_spinner=False, max_entries=2)
def _demo(folder: str) -> HeldOut:
    def read(names: tuple[str, ...]) -> Prompts:
        prompts = Prompts((), ())
        for name in names:
            prompts = prompts + read_prompts(Path(folder) / "prompts" / f"{name}.csv")
        return prompts

    return hold_out(read((CHOICE,)), read(HELD_OUT), read(BENIGN))


def prompts_popover() -> None:
    """Draw the choice of prompts: the demo's with one click, or own files."""
    own = _selected_own()
    name = DEMO_NAME if own is None else own.name
    with (
        st.popover(
            f"Prompts: {tokens.button_label(name)}",
            icon=":material/list:",
            key=f"behaviour_prompts {_replacements()}",
            width="content",
        ),
        st.container(width=560, gap="small"),
    ):
        st.button(
            "Use the demo's own prompts",
            key="behaviour_demo",
            on_click=_use_demo,
            icon=":material/replay:",
        )
        messages.quiet(
            "500 requests to choose a region on, 100 with new words and 100 in new forms to try it "
            "on, 100 benign."
        )
        if is_public():  # takes no files
            return
        choice = _file("Prompts to choose the region on", "choice")
        held_out = _file("Held-out prompts to try it on (without: 30 % are held back)", "held")
        benign = _file("Benign prompts that must stay intact", "benign")
        names = _columns(choice)
        left, right = st.columns(2, gap="small")
        text = left.selectbox(
            "Column with the prompt", names, index=_index(names, "prompt", 0), key="behaviour_text"
        )
        labels = [*names, NO_COLUMN]
        label = right.selectbox(
            "Column with the label", labels, index=_index(labels, "label", 1), key="behaviour_label"
        )
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
            yes = st.text_input(
                "Labels that mean yes, with commas between",
                key="behaviour_yes",
                placeholder="harmful, yes, 1, true",
                max_chars=300,
            )
            submitted = st.button(
                "Use these files", key="behaviour_use", disabled=choice is None, type="primary"
            )
        if submitted and choice is not None:
            _use(choice, held_out, benign, text, label, yes)


def _index(names: list[str], preferred: str, otherwise: int) -> int:
    return names.index(preferred) if preferred in names else min(otherwise, len(names) - 1)


def _file(title: str, name: str) -> PromptFile | None:
    """Draw the boxes for a file, by upload or by its path on this machine, and return the file.

    None without one; an error is drawn as a sentence.
    """
    left, right = st.columns([5, 4], gap="small", vertical_alignment="bottom")
    upload = left.file_uploader(
        title,
        type=["csv", "jsonl", "ndjson"],
        key=f"behaviour_file_{name}",
        max_upload_size=MOST_BYTES >> 20,
    )
    path = right.text_input(
        f"Path of: {title}",
        key=f"behaviour_path_{name}",
        placeholder="or its path here",
        label_visibility="collapsed",
    )
    try:
        if upload is not None:
            return upload.name, upload.getvalue()
        if path.strip():
            return _at_path(path.strip().strip("'\""))
    except EPError as error:
        messages.quiet(messages.sentence(error))
    return None


def _at_path(text: str) -> PromptFile:
    path = Path(text).expanduser()
    if path.suffix.lower() not in (".csv", ".jsonl", ".ndjson"):
        raise CorpusError(f"{path.name[:80]} is no prompt file: expected .csv or .jsonl")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CorpusError(
                f"{path.name[:80]} has more than {MOST_BYTES >> 20} MB: give a smaller file"
            )
        return path.name, path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such file"
        raise CorpusError(f"{path.name[:80]} cannot be read on this machine: {reason}") from error


def _columns(choice: PromptFile | None) -> list[str]:
    """Return the columns of the file that chooses; those of the demo without one."""
    if choice is None:
        return ["prompt", "label"]
    try:
        return columns(choice[1], choice[0]) or ["prompt"]
    except EPError as error:
        messages.quiet(messages.sentence(error))
        return ["prompt"]


def _replacements() -> int:
    """Return how often the prompts were replaced.

    It is part of the popover's key, because a popover with a new key starts closed.
    """
    return int(st.session_state.get(_REPLACEMENTS, 0))


def _close_popover() -> None:
    st.session_state[_REPLACEMENTS] = _replacements() + 1


def _use_demo() -> None:
    state.update_settings(Settings, prompts="demo")
    _close_popover()


def _use(
    choice: PromptFile,
    held_out: PromptFile | None,
    benign: PromptFile | None,
    text: str,
    label: str,
    yes: str,
) -> None:
    yes_labels = tuple(part.strip() for part in yes.split(",") if part.strip())

    def read(file: PromptFile) -> Prompts:
        return read_prompts(file[1], file[0], text=text, label=label, yes=yes_labels)

    try:
        held = hold_out(read(choice), held_out and read(held_out), benign and read(benign))
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    files = Files(choice[0], _names(held_out), _names(benign), text, label, yes_labels)
    st.session_state[_OWN] = PromptFiles(choice[0][:60], held, files)
    state.update_settings(Settings, prompts="own", region=None)
    _close_popover()
    state.rerun()


def _names(file: PromptFile | None) -> tuple[str, ...]:
    return () if file is None else (file[0],)
