"""What went wrong in the Library: files that cannot be opened, and changes that failed.

A problem looks like none of the cards: it has the error's colour, and says what, why, and what to
do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from ep.storage import Entry
from ep.text import plain
from pages.library import cards, changes
from pages.shared import messages, state

MOST_SHOWN = 4
"""Damaged files that are listed at once; a line says how many more there are."""


def left_by_changes() -> None:
    """Draw what a callback could not do."""
    if (problem := changes.take_problem()) is not None:
        messages.problem(*problem)


def broken_files(entries: Sequence[Entry]) -> None:
    """Draw the files of the shelf that cannot be opened, each with a button that deletes it."""
    for number, entry in enumerate(entries[:MOST_SHOWN]):
        why, advice = reason(entry)
        with st.container(
            horizontal=True, vertical_alignment="center", gap="small", key=f"library_bad_{number}"
        ):
            messages.problem(f"{cards.cut(entry.path.name)} cannot be opened", why, advice)
            if not cards.is_fixed(entry):
                st.button(
                    "Delete",
                    key=f"library_delete_bad {entry.key}",
                    help="It goes to the trash for a day",
                    on_click=partial(_delete, entry.key),
                )
    if len(entries) > MOST_SHOWN:
        messages.quiet(f"{len(entries) - MOST_SHOWN} more files cannot be opened.")


def reason(entry: Entry) -> tuple[str, str]:
    """Return why a file cannot be read, and what to do about it, as sentences.

    Messages of the reader are "PATH: WHY: WHAT TO DO"; the last part may be missing.
    """
    text = plain(str(entry.error))
    head, _, rest = text.partition(": ")
    text = rest if rest and head.endswith(entry.path.name[-20:]) else text
    why, _, advice = text.partition(": ")
    return messages.sentence(why), messages.sentence(advice) if advice else ""


def _delete(key: str) -> None:
    changes.delete([key])
    state.schedule()
