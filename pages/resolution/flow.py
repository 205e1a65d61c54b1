"""The picture of a followed region: one component whose nodes can be clicked; its browser side is
`flow.js`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent


def flow(
    picture: Mapping[str, Any],
    key: str,
    on_pick: Callable[[int, int], None],
    dark: bool,
    height: int,
) -> None:
    """Draws `ep.views.flow.picture`, `height` pixels high; a click or Enter on a node calls
    on_pick(level, region).
    """
    data = {**picture, "dark": dark, "height": height}
    _component()(key=key, data=data, on_picked_change=lambda: _picked(key, on_pick))


def _picked(key: str, on_pick: Callable[[int, int], None]) -> None:
    value = st.session_state.get(key, {}).get("picked")
    if value is not None:
        level, region = str(value).split(":")
        on_pick(int(level), int(region))


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "ep.flow",
        html='<div class="flow"></div>',
        css=(HERE / "flow.css").read_text(encoding="utf-8"),
        js=(HERE / "flow.js").read_text(encoding="utf-8"),
    )
