"""The prompts of a behaviour run: a demo's, or a visitor's own files, kept in the session."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import streamlit as st

from ep.errors import CorpusError, EPError, RequestError
from ep.public import is_public
from ep.studies.held_out import HeldOut, hold_out
from ep.studies.prompts import (
    KINDS,
    PROMPT,
    Prompts,
    columns,
    label_values,
    means_yes,
    read_prompts,
)
from ep.views.snippets_behaviour import Files
from pages.behaviour.bundled import (
    BUNDLED,
    bundled_with,
    files_of,
    folder_of,
    offered,
    read_bundled,
)
from pages.behaviour.settings import PromptSet, Settings
from pages.shared import messages, state, tokens

MOST_BYTES = 20 * 2**20
NO_COLUMN = "(none)"
_OWN, _REPLACEMENTS = "behaviour_own", "behaviour_times"
PromptFile = tuple[str, bytes]
"""The name of a file, and its content."""


class PromptFiles(NamedTuple):
    """The prompts of a run.

    name: for people.
    held: the prompts, split into those that choose the region and those held out.
    files: how code reads the same prompts.
    """

    name: str
    held: HeldOut
    files: Files


def chosen_prompts(key: str) -> PromptFiles:
    """Return the visitor's own prompts, or bundled ones.

    key: of the open dictionary. Bundled prompts belong to the dictionaries of their demo; for any
        other they are used only when they were chosen.

    Raises EPError where there are none, or they cannot be split.
    """
    chosen = _chosen(key)
    if chosen == "own":
        own = own_prompts()
        if own is None:
            raise RequestError("there are no prompts: give some, under Prompts")
        return own
    if chosen is None:
        raise RequestError(
            "there are no prompts for this dictionary: give some that show a behaviour and some "
            "that do not, under Prompts"
        )
    bundled = BUNDLED[chosen]
    return PromptFiles(bundled.name, read_bundled(str(folder_of(chosen)), chosen), files_of(chosen))


def _chosen(key: str) -> PromptSet | None:
    """Return whose prompts are used; None where there are none for this dictionary."""
    chosen = state.settings(Settings).prompts
    return bundled_with(key) if chosen == "auto" else chosen


def stored_with(key: str) -> Literal["", "demo", "real"]:
    """Return the demo whose prompts are used on one of its own dictionaries; else empty."""
    belonging = bundled_with(key)
    if belonging in ("demo", "real") and _chosen(key) == belonging:
        return "real" if belonging == "real" else "demo"
    return ""


def own_prompts() -> PromptFiles | None:
    """Return the prompts that this visitor gave, if any."""
    own: PromptFiles | None = st.session_state.get(_OWN)
    return own


def has_lost_own() -> bool:
    """Return whether a link refers to prompts that only another visitor's session has."""
    return state.settings(Settings).prompts == "own" and own_prompts() is None


def prompts_popover(key: str) -> None:
    """Draw the choice of prompts: bundled ones with one click, or own files.

    key: of the open dictionary.
    """
    chosen, own = _chosen(key), own_prompts()
    name = (
        BUNDLED[chosen].name
        if chosen in BUNDLED
        else own.name
        if chosen == "own" and own is not None
        else "none yet"
    )
    with (
        st.popover(
            f"Prompts: {tokens.button_label(name)}",
            icon=":material/list:",
            key=f"behaviour_prompts {_replacements()}",
            width="content",
        ),
        st.container(width=560, gap="small"),
    ):
        if not is_public():  # a public server takes no files
            _own_files()
        _bundled(key)


def _bundled(key: str) -> None:
    """Draw the buttons for the prompts that come with the explorer.

    key: of the open dictionary.
    """
    for which in offered(key):
        bundled = BUNDLED[which]
        st.button(
            f"Use {bundled.name}",
            key=f"behaviour_{which}",
            on_click=_use_bundled,
            args=(which,),
            icon=":material/replay:",
        )
        of_others = "" if which == bundled_with(key) else " They were written for another model."
        messages.quiet(bundled.about + of_others)


def _own_files() -> None:
    """Draw the boxes for the visitor's own files."""
    choice = _file("Prompts to choose the region on", "choice")
    held_out = _file("Held-out prompts to try it on (without: 30 % are held back)", "held")
    benign = _file("Benign prompts that must stay intact", "benign")
    names = _columns(choice)
    left, right = st.columns(2, gap="small")
    text = left.selectbox(
        "Column with the prompt", names, index=_index(names, PROMPT, 0), key="behaviour_text"
    )
    labels = [*names, NO_COLUMN]
    label = right.selectbox(
        "Column with the label", labels, index=_index(labels, "label", 1), key="behaviour_label"
    )
    values = _label_values(choice, label)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        yes = st.multiselect(
            "Labels that mean yes",
            values,
            [value for value in values if means_yes(value)],
            key=f"behaviour_yes {' '.join(values)}",
            placeholder="the others mean no" if values else "no labels",
            disabled=not values,
        )
        submitted = st.button(
            "Use these files", key="behaviour_use", disabled=choice is None, type="primary"
        )
    if submitted and choice is not None:
        _use(choice, held_out, benign, text, label, tuple(yes))


def _index(names: list[str], preferred: str, otherwise: int) -> int:
    return names.index(preferred) if preferred in names else min(otherwise, len(names) - 1)


def _file(title: str, name: str) -> PromptFile | None:
    """Draw the boxes for a file, by upload or by its path on this machine, and return the file.

    None without one; an error is drawn as a sentence.
    """
    left, right = st.columns([5, 4], gap="small", vertical_alignment="bottom")
    upload = left.file_uploader(
        title,
        type=list(KINDS),
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
    if path.suffix.lower().lstrip(".") not in KINDS:
        raise CorpusError(f"{path.name[:80]} is no prompt file: expected .csv, .jsonl or .json")
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


def _label_values(choice: PromptFile | None, label: str) -> list[str]:
    """Return the labels of the file that chooses; none where it cannot be read."""
    if choice is None:
        return []
    try:
        return label_values(choice[1], choice[0], label)
    except EPError:
        return []  # `_columns` says what is wrong with the file


def _replacements() -> int:
    """Return how often the prompts were replaced.

    It is part of the popover's key, because a popover with a new key starts closed.
    """
    return int(st.session_state.get(_REPLACEMENTS, 0))


def _close_popover() -> None:
    st.session_state[_REPLACEMENTS] = _replacements() + 1


def _use_bundled(which: PromptSet) -> None:
    state.update_settings(Settings, prompts=which)
    _close_popover()


def _use(
    choice: PromptFile,
    held_out: PromptFile | None,
    benign: PromptFile | None,
    text: str,
    label: str,
    yes: tuple[str, ...],
) -> None:
    def read(file: PromptFile) -> Prompts:
        return read_prompts(file[1], file[0], text=text, label=label, yes=yes)

    try:
        held = hold_out(read(choice), held_out and read(held_out), benign and read(benign))
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    files = Files(choice[0], _names(held_out), _names(benign), text, label, yes)
    st.session_state[_OWN] = PromptFiles(choice[0][:60], held, files)
    state.update_settings(Settings, prompts="own", region=None)
    _close_popover()
    state.rerun()


def _names(file: PromptFile | None) -> tuple[str, ...]:
    return () if file is None else (file[0],)
