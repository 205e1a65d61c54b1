"""The runs of a session: stored once they are measured, listed, and shown again."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time
from typing import NamedTuple

import pandas as pd
import streamlit as st

from ep.studies.steering import Continuation, Run, Setting
from ep.text import label
from ep.views.glossary import define
from pages.shared import state, tokens
from pages.steer import settings, worker
from pages.steer.regions import MODE_NAMES

MOST_RUNS = 12
_HISTORY, _SHOWN = "steer_kept", "steer_shown"


@dataclass(frozen=True)
class PastRun:
    """A measured run.

    key: of its dictionary.
    at: when it was kept, in seconds since the epoch.
    """

    key: str
    run: Run
    at: float = field(default_factory=time)


class RunView(NamedTuple):
    """What the columns show: a setting, its texts, and whether they are measured."""

    setting: Setting
    continuations: tuple[Continuation, ...]
    is_measured: bool


def history() -> list[PastRun]:
    """Return the last runs of this session, newest first."""
    return st.session_state.setdefault(_HISTORY, [])


def keep_finished() -> None:
    """Keep this visitor's run once it is measured and has text. Call it when the page is drawn."""
    live = worker.current()
    run = None if live is None else live.run
    if live is None or run is None or any(past.run is run for past in history()):
        return
    if any(one.ids for one in run.continuations):
        st.session_state[_HISTORY] = [PastRun(live.key, run), *history()][:MOST_RUNS]


def restore(past: PastRun) -> None:
    """Show a past run again, with its setting."""
    worker.drop()
    st.session_state[_SHOWN] = past
    if past.key != state.current().dictionary:
        state.open_dictionary(past.key, past.run.setting.regions[0])
    settings.put(past.run.setting)


def view(key: str, setting: Setting) -> RunView | None:
    """Return what the columns show of the dictionary with this key; None for nothing.

    This is the visitor's own run, else one selected from the history, else a run of this setting
    that another visitor made.
    """
    live = worker.current()
    if live is not None and live.key == key:
        if live.run is not None:
            return RunView(live.setting, live.run.continuations, True)
        return RunView(live.setting, live.progress.continuations, False)
    past: PastRun | None = st.session_state.get(_SHOWN)
    if live is None and past is not None and past.key == key:
        return RunView(past.run.setting, past.run.continuations, True)
    run = worker.finished(key, setting) if live is None else None
    return None if run is None else RunView(run.setting, run.continuations, True)


def draw_history() -> None:
    """Draw the runs as a table once there are two; a click shows one again."""
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
                "regions": st.column_config.TextColumn("Regions", width=70, help=define("region")),
                "strength": st.column_config.NumberColumn(
                    "Strength", width=64, format="%.2f", help=define("strength")
                ),
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


def _rows(runs: list[PastRun]) -> pd.DataFrame:
    run_settings = [past.run.setting for past in runs]
    texts = [[one.text.replace("\n", " ")[:200] for one in past.run.continuations] for past in runs]
    return pd.DataFrame(
        {
            "mode": [MODE_NAMES[one.mode] for one in run_settings],
            "regions": [", ".join(map(str, one.regions)) for one in run_settings],
            "strength": [one.strength for one in run_settings],
            "prompt": [label(one.prompt).replace("·", " ") for one in run_settings],
            "default": [row[0] for row in texts],
            "steered": [row[2] for row in texts],
        }
    )
