"""The flow diagram of a region across dictionaries, as data: columns of nodes joined by ribbons.

The columns go from the coarsest dictionary to the finest. All values are plain and are drawn in the
browser. Nodes are given in order only; the drawing places them. This module does not depend on
Streamlit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ep.method.dictionary import Dictionary
from ep.studies.names import name, one_line, short
from ep.studies.resolution import OTHERS, REST, Flow, Level, Node
from ep.views.palette import OTHER, region_color

KNOWN = {
    "counted": "counted while building",
    "estimated": "estimated: each finer region counted whole where its exemplar falls",
}
"""How the member counts of a level are known, in words."""
LONGEST_NAME = 14


def picture(
    flow: Flow, ladder: Sequence[Dictionary], called: Callable[[int, int], str] | None = None
) -> dict[str, Any]:
    """The diagram as {"columns": […], "links": […]}, of plain values.

    flow: the followed region, see `ep.studies.resolution.follow`.
    ladder: the dictionaries of its levels, from coarse to fine.
    called: gives the name of (level, region) where labels of people are known; by default it is the
        name by the file alone.

    A column has a title, a description and its nodes from top to bottom. A node's id is its level
    and region, such as "2:117", and links refer to it. A `share` is of the followed region's
    members, so that the shares of a column add up to 1.
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
    """A number of members as text; an estimate (not exact) is marked with "≈" or "<"."""
    if exact or members == 0:
        return f"{members:,.0f}"
    return f"≈ {members:,.0f}" if members >= 1 else "< 1"


def percent(share: float) -> str:
    """A share as a percentage, such as "12 %", "1.2 %" or "< 0.1 %"."""
    if share >= 0.1 or share == 0:
        return f"{100 * share:.0f} %"
    return f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %"


def node_name(
    dictionary: Dictionary, node: Node, called: Callable[[int, int], str] | None = None
) -> str:
    """The name of a node as one line of plain text of at most 14 characters.

    called: as in `picture`. The nodes that stand for merged or unrecorded regions say so.
    """
    if node.region == OTHERS:
        return f"{node.merged:,} other{'s' if node.merged > 1 else ''}"
    if node.region == REST:
        return "not recorded"
    return short(_whole_name(dictionary, node, called), LONGEST_NAME)


def _whole_name(
    dictionary: Dictionary, node: Node, called: Callable[[int, int], str] | None
) -> str:
    """The whole name of a node that is a region."""
    return called(node.level, node.region) if called else name(dictionary, node.region)


def _node(
    flow: Flow,
    level: Level,
    dictionary: Dictionary,
    node: Node,
    called: Callable[[int, int], str] | None,
) -> dict[str, Any]:
    is_region = node.region >= 0
    exact = level.known == "counted"
    lines = [
        f"{amount(node.members, exact)} of its {flow.members:,} members, {percent(node.share)}"
    ]
    if is_region:
        lines.append(one_line(_whole_name(dictionary, node, called)))
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
        "region": node.region if is_region else None,
        "name": node_name(dictionary, node, called),
        "color": region_color(dictionary, node.region) if is_region else OTHER,
        "share": node.share,
        "followed": node.level == flow.origin and node.region == flow.region,
        "carried": is_region and node.region == level.carried,
        "quiet": not is_region,
        "about": lines,
    }


def _order(flow: Flow) -> dict[Node, tuple[int, float, int]]:
    """Sort keys of the nodes within their columns.

    Columns are ordered one after the other, away from the column of the followed region. A node is
    placed by the mean height of the nodes it is linked to in the column before, which keeps
    crossings of ribbons few. Merged and unrecorded regions come last.
    """
    height: dict[tuple[int, int], float] = {}
    order: dict[Node, tuple[int, float, int]] = {}
    levels = sorted(range(len(flow.levels)), key=lambda i: abs(i - flow.origin))
    for i in levels:
        # The neighbouring column that is ordered already: coarser (-1), finer (1) or none (0).
        towards = 0 if i == flow.origin else (-1 if i > flow.origin else 1)
        for node in flow.levels[i].nodes:
            rank = {OTHERS: 1, REST: 2}.get(node.region, 0)
            order[node] = (rank, _mean_height(flow, node, towards, height), -round(node.members))
        start = 0.0
        for node in sorted(flow.levels[i].nodes, key=order.__getitem__):
            height[i, node.region] = start + node.share / 2  # of the node's middle, from the top
            start += node.share
    return order


def _mean_height(
    flow: Flow, node: Node, towards: int, height: dict[tuple[int, int], float]
) -> float:
    """Mean height of the nodes that `node` is linked to in the neighbouring column, by members.

    towards: which neighbouring column, see `_order`. It is 1, the foot, where there is no link.
    """
    if towards == 0:
        return 0.0
    parts = []
    for link in flow.links:
        if towards < 0 and (link.level + 1, link.finer) == (node.level, node.region):
            parts.append((height[link.level, link.coarser], link.count))
        elif towards > 0 and (link.level, link.coarser) == (node.level, node.region):
            parts.append((height[link.level + 1, link.finer], link.count))
    total = sum(count for _, count in parts)
    return sum(middle * count for middle, count in parts) / total if total else 1.0
