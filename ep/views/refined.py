"""What a refinement did to a dictionary, in lines of text and rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ep.studies.refinement import FIGURES
from ep.text import one_line

RULES = {
    "prune_below": "D below {:g}",
    "prune_weakest": "the weakest {:.0%} by D",
    "prune_survival": "found again in less than {:.0%} of the seeds",
    "merge": "exemplars within {:g} θ merged",
    "merge_within": "exemplars within {:g} merged",
    "reanchor": "each exemplar replaced by the member nearest to its region's mean",
}
"""The rules in words, by name."""
_WHEN = ("before", "after", "control")


def lines(info: Mapping[str, Any]) -> list[str]:
    """Return what `ep info` says of a refined dictionary, and of its survival; nothing otherwise.

    info: the provenance, which may come from anywhere: what is not as expected is left out.
    """
    found = []
    refined = info.get("refined")
    if isinstance(refined, Mapping):
        origin = str(refined.get("origin") or "")[:16]
        name = one_line(str(refined.get("origin_file") or "a dictionary"), 80)
        found.append(f"refined from {name} (digest {origin}): {'; '.join(_rules(refined))}")
        found.append(
            f"members {refined.get('members')}; read: {refined.get('read')}; "
            f"merged {refined.get('merged')}, left out {refined.get('left_out_regions')}, "
            f"re-anchored {refined.get('reanchored')}"
        )
        found += [
            f"{what}: {' -> '.join(f'{when} {text}' for when, text in cells.items())}"
            for what, cells in table(info)
        ]
        if missing := _missing(refined):
            found.append(f"left out, as they need the model or every activation: {missing}")
    survival = info.get("survival")
    if isinstance(survival, Mapping):
        found.append(
            f"survival: found again among {survival.get('n')} other seeds "
            f"(cosine at least {survival.get('cutoff')})"
        )
    return found


def _missing(refined: Mapping[str, Any]) -> str:
    """Return what the refinement left out, in a few words."""
    listed = refined.get("missing")
    names = [str(name) for name in listed] if isinstance(listed, list) else []
    kinds = {name.removesuffix("_ids") for name in names if name.startswith("lens_")}
    words = [f"{len([k for k in kinds if not k.endswith('_values')])} lenses"] if kinds else []
    words += ["rivals"] if "rival_ids" in names else []
    words += ["distances of members"] if "distance_histogram" in names else []
    return ", ".join(words)


def _rules(refined: Mapping[str, Any]) -> list[str]:
    """Return the rules in words."""
    rules = refined.get("rules")
    if not isinstance(rules, Mapping):
        return []
    named = [
        text.format(value)
        for name, text in RULES.items()
        if isinstance(value := rules.get(name), int | float) and value
    ]
    if rules.get("orphans"):
        named.append("members of removed regions left out")
    if rules.get("flag"):
        named.append("named regions flagged, not removed")
    return named or ["survival counted"]


def table(info: Mapping[str, Any]) -> list[tuple[str, dict[str, str]]]:
    """Return (what, {"before": text, "after": text, "control": text}) of each figure."""
    refined = info.get("refined")
    figures = refined.get("figures") if isinstance(refined, Mapping) else None
    if not isinstance(figures, Mapping):
        return []
    rows = [("regions", {when: _count(figures.get(when), "regions") for when in _WHEN})]
    rows += [
        (what, {when: _value(figures.get(when), name) for when in _WHEN})
        for name, what in FIGURES.items()
    ]
    shown = [(what, {w: text for w, text in cells.items() if text}) for what, cells in rows]
    return [(what, cells) for what, cells in shown if cells]


def _count(of: Any, name: str) -> str:
    value = of.get(name) if isinstance(of, Mapping) else None
    return f"{value:,}" if isinstance(value, int) else ""


def _value(of: Any, name: str) -> str:
    """Return a value with its interval, such as 0.62 (0.60 to 0.64)."""
    value = of.get(name) if isinstance(of, Mapping) else None
    if not isinstance(value, list) or len(value) != 3:
        return ""
    if not all(isinstance(part, int | float) for part in value):
        return ""
    return "{:.3f} ({:.3f} to {:.3f})".format(*value)
