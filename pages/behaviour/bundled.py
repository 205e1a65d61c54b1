"""The requests that come with the explorer, each for the dictionaries of one of its demos."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import streamlit as st

from ep.demo.behaviour import TINY
from ep.studies.held_out import HeldOut, hold_out
from ep.studies.prompts import Prompts, read_prompts
from ep.views.snippets_behaviour import Files
from pages.behaviour.settings import PromptSet
from pages.shared import loading


class Bundled(NamedTuple):
    """Requests that come with the explorer, for the dictionaries of one of its demos.

    name: for people, as it is on the button.
    about: what there is, in a sentence.
    choice, held_out, benign: names of the files, without their ending.
    """

    name: str
    about: str
    choice: str
    held_out: tuple[str, ...]
    benign: tuple[str, ...] = ()


BUNDLED: dict[PromptSet, Bundled] = {
    "demo": Bundled(
        "the tiny demo's requests",
        "500 requests to choose a region on, 100 with new words and 100 in new forms to try it "
        "on, 100 benign.",
        TINY.choice,
        TINY.held_out,
        TINY.benign,
    ),
    "real": Bundled(
        "the real demo's requests",
        "240 requests, harmful and harmless, to choose a region on, and 138 of other acts and "
        "templates to try it on.",
        "choice",
        ("held_out",),
    ),
}


def bundled_with(key: str) -> PromptSet | None:
    """Return the bundled prompts that belong to a dictionary: those of the demo it is part of."""
    entry = loading.find(key)
    if entry is None:
        return None
    sets: tuple[PromptSet, ...] = ("demo", "real")
    return next((one for one in sets if entry.path.is_relative_to(folder_of(one))), None)


def offered(key: str) -> list[PromptSet]:
    """Return the bundled prompts to offer for a dictionary: those that belong to it alone, or all
    that are installed for one that has none.
    """
    belonging = bundled_with(key)
    if belonging is not None:
        return [belonging]
    return [which for which in BUNDLED if folder_of(which) in loading.folders()]


def folder_of(which: PromptSet) -> Path:
    """Return the folder of the demo that prompts belong to."""
    return loading.REAL if which == "real" else loading.DEMO


def files_of(which: PromptSet) -> Files:
    """Return the files of bundled prompts as the code that the page shows names them."""
    bundled, folder = BUNDLED[which], "real" if which == "real" else "demo"

    def paths(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"data/{folder}/prompts/{name}.csv" for name in names)

    return Files(paths((bundled.choice,))[0], paths(bundled.held_out), paths(bundled.benign))


@st.cache_resource(show_spinner=False, max_entries=4)
def read_bundled(folder: str, which: PromptSet) -> HeldOut:
    """Return bundled prompts, split as their files are.

    folder: of their demo, which is part of the key of the cache.
    """

    def read(names: tuple[str, ...]) -> Prompts:
        prompts = Prompts((), ())
        for name in names:
            prompts = prompts + read_prompts(Path(folder) / "prompts" / f"{name}.csv")
        return prompts

    bundled = BUNDLED[which]
    benign = read(bundled.benign) if bundled.benign else None
    return hold_out(read((bundled.choice,)), read(bundled.held_out), benign)
