"""The runs of a session: kept when they are measured, listed newest first, and shown again with
their setting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time

import pandas as pd
import streamlit as st

from ep.text import label
from ep.views.continuations import Column
from ep.views.steering import Setting
from pages.shared import state, tokens
from pages.steer import settings, worker
from pages.steer.regions import MODES

MOST_KEPT = 12
_KEPT, _SHOWN = "steer_kept", "steer_shown"


@dataclass(frozen=True)
class Kept:
    """A measured run. name: its dictionary's key. at: seconds since the epoch."""

    name: str
    setting: Setting
    columns: tuple[Column, ...]
    at: float = field(default_factory=time)


def kept() -> list[Kept]:
    """The last runs of this session, newest first."""
    return st.session_state.setdefault(_KEPT, [])


def settle() -> None:
    """Keeps this visitor's run once it is measured and something was written; call it when the page
    is drawn.
    """
    live = worker.current()
    if live is None or not live.measured or any(one.columns is live.columns for one in kept()):
        return
    if any(column.ids for column in live.columns):
        st.session_state[_KEPT] = [Kept(live.name, live.setting, live.columns), *kept()][:MOST_KEPT]


def restore(run: Kept) -> None:
    """Shows a kept run again, with its setting."""
    worker.drop()
    st.session_state[_SHOWN] = run
    if run.name != state.current().dictionary:
        state.open_dictionary(run.name, run.setting.regions[0])
    settings.keep(run.setting, ran=True)


def shown(name: str) -> tuple[Setting, tuple[Column, ...], bool] | None:
    """What the columns show of the dictionary with this key: (setting, columns, whether they are
    measured).
    """
    live = worker.current()
    if live is not None:
        return (live.setting, live.columns, live.measured) if live.name == name else None
    run: Kept | None = st.session_state.get(_SHOWN)
    return None if run is None or run.name != name else (run.setting, run.columns, True)


def table() -> None:
    """The runs as a table, once there are two; a click shows one again."""
    runs = kept()
    if len(runs) < 2:
        return
    with st.container(border=True, gap="xsmall"):
        st.html(
            tokens.heading(
                "Runs of this session", "newest first; click one to see it again, with its setting"
            )
        )
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
        run = runs[picked.selection.cells[0][0]]
        st.session_state.pop("steer_runs", None)
        restore(run)
        state.rerun()


def _rows(runs: list[Kept]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "mode": [MODES[run.setting.mode] for run in runs],
            "regions": [", ".join(map(str, run.setting.regions)) for run in runs],
            "strength": [run.setting.strength for run in runs],
            "prompt": [label(run.setting.prompt).replace("·", " ") for run in runs],
            **{
                name: [run.columns[i].text.replace("\n", " ")[:200] for run in runs]
                for i, name in ((0, "default"), (2, "steered"))
            },
        }
    )
