"""The prompts of a behaviour run: the demo's with one click, or files of a visitor's own, which
live in the session.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import streamlit as st

from ep.demo.behaviour import BENIGN, CHOICE, FILES, HELD_OUT
from ep.errors import CorpusError, EPError
from ep.studies.held_out import HeldOut, hold_out
from ep.studies.prompts import Prompts, columns, read_prompts
from ep.views.snippets_behaviour import Files
from pages.behaviour.settings import Settings
from pages.shared import loading, messages, state, tokens

MOST_BYTES = 20 * 2**20
NONE = "(none)"
DEMO_NAME = "the demo's own"
_OWN, _TIMES = "behaviour_own", "behaviour_times"
PromptFile = tuple[str, bytes]
"""Its name and what is in it."""


class PromptFiles(NamedTuple):
    """Prompts of a run. name: what they are called. files: how code reads the same ones."""

    name: str
    held: HeldOut
    files: Files


def chosen_prompts() -> PromptFiles:
    """A visitor's own prompts, or the demo's. EPError when they cannot be parted."""
    return _own_chosen() or PromptFiles(DEMO_NAME, _demo(str(loading.DEMO)), FILES)


def own_prompts() -> PromptFiles | None:
    """The prompts this visitor gave, if any."""
    own: PromptFiles | None = st.session_state.get(_OWN)
    return own


def _own_chosen() -> PromptFiles | None:
    return own_prompts() if state.settings(Settings).prompts == "own" else None


@st.cache_resource(show_spinner=False, max_entries=2)
def _demo(folder: str) -> HeldOut:
    def read(names: tuple[str, ...]) -> Prompts:
        whole = Prompts((), ())
        for name in names:
            whole = whole + read_prompts(Path(folder) / "prompts" / f"{name}.csv")
        return whole

    return hold_out(read((CHOICE,)), read(HELD_OUT), read(BENIGN))


def prompts_popover() -> None:
    """Which prompts: the demo's with one click, or files of one's own."""
    own = _own_chosen()
    name = DEMO_NAME if own is None else own.name
    with (
        st.popover(
            f"Prompts: {tokens.button_label(name)}",
            icon=":material/list:",
            key=f"behaviour_prompts {_times()}",
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
        choice = _file("Prompts to choose the region on", "choice")
        held_out = _file("Held-out prompts to try it on (without: 30 % are held back)", "held")
        benign = _file("Benign prompts that must stay intact", "benign")
        names = _columns(choice)
        left, right = st.columns(2, gap="small")
        text = left.selectbox(
            "Column with the prompt", names, index=_at(names, "prompt", 0), key="behaviour_text"
        )
        labels = [*names, NONE]
        label = right.selectbox(
            "Column with the label", labels, index=_at(labels, "label", 1), key="behaviour_label"
        )
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
            yes = st.text_input(
                "Labels that mean yes, with commas between",
                key="behaviour_yes",
                placeholder="harmful, yes, 1, true",
                max_chars=300,
            )
            asked = st.button(
                "Use these files", key="behaviour_use", disabled=choice is None, type="primary"
            )
        if asked and choice is not None:
            _use(choice, held_out, benign, text, label, yes)


def _at(names: list[str], wanted: str, otherwise: int) -> int:
    return names.index(wanted) if wanted in names else min(otherwise, len(names) - 1)


def _file(title: str, name: str) -> PromptFile | None:
    """A file given by upload or by its path on this machine, as (name, bytes); a sentence when it
    cannot be read.
    """
    left, right = st.columns([5, 4], gap="small", vertical_alignment="bottom")
    given = left.file_uploader(
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
        if given is not None:
            return given.name, given.getvalue()
        if path.strip():
            return _at_path(path.strip().strip("'\""))
    except EPError as error:
        messages.quiet(messages.sentence(error))
    return None


def _at_path(given: str) -> PromptFile:
    path = Path(given).expanduser()
    if path.suffix.lower() not in (".csv", ".jsonl", ".ndjson"):
        raise CorpusError(f"{path.name[:80]} is no prompt file: expected .csv or .jsonl")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CorpusError(
                f"{path.name[:80]} has more than {MOST_BYTES >> 20} MB: give a smaller file"
            )
        return path.name, path.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no such file"
        raise CorpusError(f"{path.name[:80]} cannot be read on this machine: {why}") from error


def _columns(choice: PromptFile | None) -> list[str]:
    """The columns of the file to choose on, those of the demo without one."""
    if choice is None:
        return ["prompt", "label"]
    try:
        return columns(choice[1], choice[0]) or ["prompt"]
    except EPError as error:
        messages.quiet(messages.sentence(error))
        return ["prompt"]


def _times() -> int:
    """How often prompts were taken over: another key is another popover, and that one is closed."""
    return int(st.session_state.get(_TIMES, 0))


def _taken_over() -> None:
    st.session_state[_TIMES] = _times() + 1


def _use_demo() -> None:
    state.keep(Settings, prompts="demo")
    _taken_over()


def _use(
    choice: PromptFile,
    held_out: PromptFile | None,
    benign: PromptFile | None,
    text: str,
    label: str,
    yes: str,
) -> None:
    wanted = tuple(part.strip() for part in yes.split(",") if part.strip())

    def read(file: PromptFile) -> Prompts:
        return read_prompts(file[1], file[0], text=text, label=label, yes=wanted)

    try:
        parted = hold_out(read(choice), held_out and read(held_out), benign and read(benign))
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    files = Files(choice[0], _names(held_out), _names(benign), text, label, wanted)
    st.session_state[_OWN] = PromptFiles(choice[0][:60], parted, files)
    state.keep(Settings, prompts="own", region=None)
    _taken_over()
    state.rerun()


def _names(file: PromptFile | None) -> tuple[str, ...]:
    return () if file is None else (file[0],)
