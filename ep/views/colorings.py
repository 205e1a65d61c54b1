"""Colourings of the map: one colour per region for any column, a number on a ramp or a category
with a legend.

`columns` lists what a dictionary can be coloured by, `coloring` gives the colours, light and dark,
and what they mean. Numbers are clipped at their 2nd and 98th percentile, so that a few odd regions
do not flatten the rest; the ends then say "≤" and "≥". Colours come from `palette`. What is counted
and read from a dictionary is in `measures`. Knows no screen and no layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from ep.method.dictionary import Dictionary
from ep.views import palette, tables
from ep.views.measures import CATEGORIES, NUMBERS, Number

if TYPE_CHECKING:
    from ep.storage.labels import Labels

MOST_VALUES = 8
"""A category with more values shows the seven most frequent; the rest are "other"."""
CLIP = (2.0, 98.0)
NEIGHBOURHOOD = "neighbourhood"
NAMES = (NEIGHBOURHOOD, *NUMBERS, *CATEGORIES)
"""Every colouring there is, by the name it has in a link."""


class Column(NamedTuple):
    """What the map can be coloured by. name: in links; title: on screen."""

    name: str
    title: str
    kind: Literal["number", "category"]


class Entry(NamedTuple):
    """One line of a legend: "#rrggbb", what has that colour (plain text, maybe hostile), and how
    many regions.
    """

    color: str
    name: str
    regions: int


@dataclass(frozen=True)
class Ramp:
    """The scale of a numeric colouring.

    name: what is shown, with its unit. low, high: the values at the ends, as text; "≤", "≥" where
    more lies beyond.
    light, dark: the steps, "#rrggbb", from low to high. clipped: a sentence on what lies beyond;
    empty if nothing.
    missing: regions without a value, drawn grey.
    """

    name: str
    low: str
    high: str
    light: tuple[str, ...] = palette.SEQUENTIAL_LIGHT
    dark: tuple[str, ...] = palette.SEQUENTIAL_DARK
    clipped: str = ""
    missing: int = 0


@dataclass(frozen=True, eq=False)
class Coloring:
    """A colour for each of K regions, on a light and on a dark page, and either a legend or a ramp
    that explains them.

    entry: (K,) the line of the legend each region belongs to; None for a ramp.
    """

    name: str
    title: str
    light: UInt8[np.ndarray, "K 3"]
    dark: UInt8[np.ndarray, "K 3"]
    legend: tuple[Entry, ...] = ()
    ramp: Ramp | None = None
    entry: Int64[np.ndarray, " K"] | None = None


def columns(dictionary: Dictionary, labels: Labels | None = None) -> list[Column]:
    """What this dictionary can be coloured by, neighbourhoods first; what its file lacks is left
    out.
    """
    found = [Column(NEIGHBOURHOOD, "Neighbourhood", "category")]
    found += [
        Column(n, number.title, "number")
        for n, number in NUMBERS.items()
        if number.fits(dictionary)
    ]
    found += [
        Column(n, c.title, "category") for n, c in CATEGORIES.items() if c.fits(dictionary, labels)
    ]
    return found


def coloring(dictionary: Dictionary, name: str, labels: Labels | None = None) -> Coloring:
    """The colours of all regions by the column called `name`; by neighbourhood when there is no
    such column here.
    """
    known = {column.name for column in columns(dictionary, labels)}
    if name in NUMBERS and name in known:
        return _number(dictionary, name, NUMBERS[name])
    if name in CATEGORIES and name in known:
        category = CATEGORIES[name]
        return _category(name, category.title, category.values(dictionary, labels), category.grey)
    return _neighbourhood(dictionary)


def _neighbourhood(dictionary: Dictionary) -> Coloring:
    colors, names = palette.group_colors(dictionary), tables.group_names(dictionary)
    size = len(dictionary)
    group = (
        dictionary.column(NEIGHBOURHOOD)
        if NEIGHBOURHOOD in dictionary
        else np.zeros(size, np.uint8)
    )
    count = np.bincount(group, minlength=len(names))
    legend = tuple(Entry(c, text, int(n)) for c, text, n in zip(colors, names, count, strict=True))
    cells = palette.map_colors(dictionary)
    return Coloring(
        NEIGHBOURHOOD, "Neighbourhood", cells, cells, legend, entry=group.astype(np.int64)
    )


def _number(dictionary: Dictionary, name: str, number: Number) -> Coloring:
    values = np.asarray(number.values(dictionary), np.float64)
    there = np.isfinite(values)
    shown = np.log1p(values) if number.is_log else values
    low, high = _ends(shown[there], number.middle)
    clipped = (shown[there] < low) | (shown[there] > high)
    lower, upper = bool((shown[there] < low).any()), bool((shown[there] > high).any())
    about = (
        f"{int(clipped.sum()):,} regions beyond the ends have the colour of the end"
        if clipped.any()
        else ""
    )
    ramp_colors = (palette.sequential(), palette.sequential(True))
    if number.middle is not None:
        ramp_colors = (palette.diverging(), palette.diverging(True))
    ends = [number.text(float(np.expm1(v)) if number.is_log else float(v)) for v in (low, high)]
    ramp = Ramp(
        number.about,
        ("≤ " if lower else "") + ends[0],
        ("≥ " if upper else "") + ends[1],
        *ramp_colors,
        about,
        int((~there).sum()),
    )
    share = np.clip((shown - low) / max(high - low, 1e-12), 0, 1)
    light, dark = (_on_ramp(share, steps) for steps in ramp_colors)
    return Coloring(name, number.title, light, dark, ramp=ramp)


def _ends(values: Float64[np.ndarray, " n"], middle: float | None) -> tuple[float, float]:
    """The values at the two ends of a ramp: percentiles, as far on either side of a natural
    middle.
    """
    if not len(values):
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(values, CLIP))
    if middle is None:
        return low, high
    reach = max(high - middle, middle - low) or 1.0
    return middle - reach, middle + reach


def _on_ramp(share: Float64[np.ndarray, " K"], colors: Sequence[str]) -> UInt8[np.ndarray, "K 3"]:
    """Colours between the steps of a ramp; NaN is grey."""
    steps = palette.rgb(colors).astype(np.float64)
    at = np.nan_to_num(share) * (len(steps) - 1)
    mixed = np.stack([np.interp(at, np.arange(len(steps)), steps[:, j]) for j in range(3)], 1)
    return np.where(np.isnan(share)[:, None], palette.rgb([palette.OTHER]), mixed.round()).astype(
        np.uint8
    )


def _category(name: str, title: str, values: Sequence[str], grey: str) -> Coloring:
    """Each value its own colour, the most frequent first; `grey` (the plain "no" of a question) and
    "other" are grey.

    The palest colour goes to the most frequent value, so that it recedes.
    """
    names, entry, count = np.unique(
        np.asarray(values, object).astype(str), return_inverse=True, return_counts=True
    )
    order = sorted(range(len(names)), key=lambda i: (names[i] == grey, -count[i], names[i]))
    colored = [i for i in order if names[i] != grey]
    room = MOST_VALUES - (len(colored) < len(order))
    kept = colored if len(colored) <= room else colored[: room - 1]
    rest = [i for i in colored if i not in kept]
    colors = palette.GROUP_COLORS if len(kept) > 2 else palette.GROUP_COLORS[1:]
    legend = [Entry(colors[n], str(names[i]), int(count[i])) for n, i in enumerate(kept)]
    place = np.zeros(len(names), np.int64)
    place[kept] = np.arange(len(kept))
    for several, text in (
        (rest, f"other ({len(rest)})"),
        ([i for i in order if names[i] == grey], grey),
    ):
        if several:
            place[several] = len(legend)
            legend.append(Entry(palette.OTHER, text, int(count[several].sum())))
    at = place[entry]
    cells = palette.rgb([line.color for line in legend])[at]
    return Coloring(name, title, cells, cells, tuple(legend), entry=at)
