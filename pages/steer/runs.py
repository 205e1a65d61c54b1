"""The runs of a session: kept when they are measured, listed newest first, and shown again with
their setting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time
from typing import NamedTuple

import pandas as pd
import streamlit as st

from ep.studies.steering import Continuation, Run, Setting
from ep.text import label
from pages.shared import state, tokens
from pages.steer import settings, worker
from pages.steer.regions import MODE_NAMES

MOST_KEPT = 12
_HISTORY, _SHOWN = "steer_kept", "steer_shown"


@dataclass(frozen=True)
class Past:
    """A measured run. key: of its dictionary. at: seconds since the epoch."""

    key: str
    run: Run
    at: float = field(default_factory=time)


class Shown(NamedTuple):
    """What the columns show: a setting, its texts, and whether they are measured."""

    setting: Setting
    continuations: tuple[Continuation, ...]
    is_measured: bool


def history() -> list[Past]:
    """The last runs of this session, newest first."""
    return st.session_state.setdefault(_HISTORY, [])


def settle() -> None:
    """Keeps this visitor's run once it is measured and something was written; call it when the page
    is drawn.
    """
    live = worker.current()
    run = None if live is None else live.run
    if live is None or run is None or any(past.run is run for past in history()):
        return
    if any(one.ids for one in run.continuations):
        st.session_state[_HISTORY] = [Past(live.key, run), *history()][:MOST_KEPT]


def restore(past: Past) -> None:
    """Shows a past run again, with its setting."""
    worker.drop()
    st.session_state[_SHOWN] = past
    if past.key != state.current().dictionary:
        state.open_dictionary(past.key, past.run.setting.regions[0])
    settings.put(past.run.setting)


def shown(key: str, now: Setting) -> Shown | None:
    """What the columns show of the dictionary with this key: this visitor's run, else one that was
    chosen from the history, else what somebody has made of the present setting.
    """
    live = worker.current()
    if live is not None and live.key == key:
        if live.run is not None:
            return Shown(live.setting, live.run.continuations, True)
        return Shown(live.setting, live.progress.continuations, False)
    past: Past | None = st.session_state.get(_SHOWN)
    if live is None and past is not None and past.key == key:
        return Shown(past.run.setting, past.run.continuations, True)
    run = worker.known(key, now) if live is None else None
    return None if run is None else Shown(run.setting, run.continuations, True)


def table() -> None:
    """The runs as a table, once there are two; a click shows one again."""
    runs = history()
    if len(runs) < 2:
        return
    with st.container(border=True, gap="xsmall"):
        about = "newest first; click one to see it again, with its setting"
        st.html(tokens.heading("Runs of this session", about))
        picked = st.dataframe(
            _rows(runs),
            hide_index=True,
            row_height=29,
            height=min(240, 29 * (len(runs) + 1) + 3),
            key="steer_runs",
            on_select="rerun",
            selection_mode="single-cell",
            column_config={
                "mode": st.column_config.TextColumn("Mode", width=60),
                "regions": st.column_config.TextColumn("Regions", width=70),
                "strength": st.column_config.NumberColumn("Strength", width=64, format="%.2f"),
                "prompt": st.column_config.TextColumn("Prompt", width="medium"),
                "default": st.column_config.TextColumn("Default", width="medium"),
                "steered": st.column_config.TextColumn("Steered", width="medium"),
            },
        )
    if picked.selection.cells:
        past = runs[picked.selection.cells[0][0]]
        st.session_state.pop("steer_runs", None)
        restore(past)
        state.rerun()


def _rows(runs: list[Past]) -> pd.DataFrame:
    setting = [past.run.setting for past in runs]
    texts = [[one.text.replace("\n", " ")[:200] for one in past.run.continuations] for past in runs]
    return pd.DataFrame(
        {
            "mode": [MODE_NAMES[one.mode] for one in setting],
            "regions": [", ".join(map(str, one.regions)) for one in setting],
            "strength": [one.strength for one in setting],
            "prompt": [label(one.prompt).replace("·", " ") for one in setting],
            "default": [row[0] for row in texts],
            "steered": [row[2] for row in texts],
        }
    )
