"""The picture of a followed region: one component with clickable nodes.

Its code in the browser is `flow.js`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pages.shared.components import Component

_FLOW = Component.beside(__file__, "flow", '<div class="flow"></div>')


def flow_figure(
    picture: Mapping[str, Any],
    key: str,
    on_pick: Callable[[int, int], None],
    dark: bool,
    height: int,
) -> None:
    """Draw `ep.views.flow.picture`.

    on_pick: called with the level and the region of a node that was clicked or entered.
    height: in pixels.
    """

    def picked(node: str) -> None:
        level, region = node.split(":")
        on_pick(int(level), int(region))

    data = {**picture, "dark": dark, "height": height}
    _FLOW(key, data, {"picked": picked})
