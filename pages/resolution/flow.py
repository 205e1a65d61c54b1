"""The picture of a followed region: one component whose nodes can be clicked; its browser side is
`flow.js`.
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
    """Draws `ep.views.flow.picture`, `height` pixels high; a click or Enter on a node calls
    `on_pick(level, region)`.
    """

    def picked(node: str) -> None:
        level, region = node.split(":")
        on_pick(int(level), int(region))

    data = {**picture, "dark": dark, "height": height}
    _FLOW(key, data, {"picked": picked})
