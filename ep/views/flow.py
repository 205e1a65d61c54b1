"""A followed region as a picture's data: columns of nodes and the ribbons between them, coarse to
fine.

Plain values for a drawing in the browser: text arrives there as segments and becomes `textContent`.
Places are given as an order only; whoever draws knows the width. It knows no screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ep.method.dictionary import Dictionary
from ep.studies.resolution import OTHERS, REST, Flow, Level, Node
from ep.text import label
from ep.views.palette import OTHER, region_color
from ep.views.tables import name

KNOWN = {
    "counted": "counted while building",
    "estimated": "estimated: each finer region whole where its exemplar falls",
}
LONGEST_NAME = 14


def picture(
    flow: Flow, ladder: Sequence[Dictionary], called: Callable[[int, int], str] | None = None
) -> dict[str, Any]:
    """The data of the drawing: columns (title, about, nodes in order from the top) and links by
    node id.

    called: names a region (level, region) of a file that knows no token of it; by default its
    number does. A node's id is its level and region, "2:117"; `share` is of the followed members,
    so a column adds up to 1.
    """
    order = _order(flow)
    columns = [
        {
            "title": f"p = {level.percentile:g}",
            "about": f"{len(dictionary):,} regions",
            "nodes": [
                _node(flow, level, dictionary, node, called)
                for node in sorted(level.nodes, key=order.__getitem__)
            ],
        }
        for level, dictionary in zip(flow.levels, ladder, strict=True)
    ]
    total = max(1, flow.members)
    links = [
        {
            "from": f"{link.level}:{link.coarser}",
            "to": f"{link.level + 1}:{link.finer}",
            "share": link.count / total,
            "exact": link.exact,
            "about": amount(link.count, link.exact),
        }
        for link in flow.links
    ]
    return {"columns": columns, "links": links}


def amount(members: float, exact: bool) -> str:
    """A number of members: whole where it was counted, rounded and marked where it was not."""
    if exact or members == 0:
        return f"{members:,.0f}"
    return f"≈ {members:,.0f}" if members >= 1 else "< 1"


def percent(share: float) -> str:
    """A share of the followed members, to a sensible digit."""
    if share >= 0.1 or share == 0:
        return f"{100 * share:.0f} %"
    return f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %"


def node_name(
    dictionary: Dictionary, node: Node, called: Callable[[int, int], str] | None = None
) -> str:
    """What stands beside a node, as plain one-line text: its lens token, or what stands behind
    it.
    """
    if node.region == OTHERS:
        return f"{node.merged:,} other{'s' if node.merged > 1 else ''}"
    if node.region == REST:
        return "not recorded"
    token = name(dictionary, node.region)
    text = label(token)
    if not token:
        text = called(node.level, node.region) if called else f"region {node.region}"
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


def _node(
    flow: Flow,
    level: Level,
    dictionary: Dictionary,
    node: Node,
    called: Callable[[int, int], str] | None,
) -> dict[str, Any]:
    own = node.region >= 0
    exact = level.known == "counted"
    lines = [
        f"{amount(node.members, exact)} of its {flow.members:,} members, {percent(node.share)}"
    ]
    if own:
        lines.append(f"region {node.region} has {node.total:,} members in all")
        if node.region == level.carried:
            lines.append(
                "has the same exemplar"
                if level.same
                else f"its exemplar lies here, cosine {level.cosine:.2f}"
            )
    elif node.region == REST:
        lines.append("beyond the four largest homes a file records of a region")
    lines.append(KNOWN[level.known])
    return {
        "id": f"{node.level}:{node.region}",
        "region": node.region if own else None,
        "name": node_name(dictionary, node, called),
        "color": region_color(dictionary, node.region) if own else OTHER,
        "share": node.share,
        "followed": node.level == flow.origin and node.region == flow.region,
        "carried": own and node.region == level.carried,
        "quiet": not own,
        "about": lines,
    }


def _order(flow: Flow) -> dict[Node, tuple[int, float, int]]:
    """Where each node stands in its column: level by level away from the origin, at its neighbours'
    mean height.
    """
    height: dict[tuple[int, int], float] = {}
    order: dict[Node, tuple[int, float, int]] = {}
    levels = sorted(range(len(flow.levels)), key=lambda i: abs(i - flow.origin))
    for i in levels:
        towards = 0 if i == flow.origin else (-1 if i > flow.origin else 1)
        for node in flow.levels[i].nodes:
            last = {OTHERS: 1, REST: 2}.get(node.region, 0)
            order[node] = (last, _mean_height(flow, node, towards, height), -round(node.members))
        below = 0.0
        for node in sorted(flow.levels[i].nodes, key=order.__getitem__):
            height[i, node.region] = below + node.share / 2
            below += node.share
    return order


def _mean_height(
    flow: Flow, node: Node, towards: int, height: dict[tuple[int, int], float]
) -> float:
    if towards == 0:
        return 0.0
    parts = []
    for link in flow.links:
        if towards < 0 and (link.level + 1, link.finer) == (node.level, node.region):
            parts.append((height[link.level, link.coarser], link.count))
        elif towards > 0 and (link.level, link.coarser) == (node.level, node.region):
            parts.append((height[link.level + 1, link.finer], link.count))
    total = sum(count for _, count in parts)
    return sum(at * count for at, count in parts) / total if total else 1.0
