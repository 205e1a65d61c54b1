"""Colourings of the map: one colour per region, on a ramp for numbers, by legend for categories.

`columns` lists what a dictionary can be coloured by. `coloring` gives the colours, for a light and
a dark page, with their legend or ramp. Numbers are clipped at their 2nd and 98th percentiles, so
that a few outliers do not flatten the rest; the labels of the ends then begin with "≤" and "≥".
Colours come from `palette`, values from `measures`. This module depends neither on Streamlit nor
on a layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ep.method.dictionary import Dictionary
from ep.shapes import Float64, Int64, UInt8
from ep.views import palette, tables
from ep.views.measures import CATEGORIES, NUMBERS, Number

if TYPE_CHECKING:
    from ep.storage.labels import Labels

MOST_VALUES = 8
"""A category with more values shows the seven most frequent; the rest are "other"."""
CLIP = (2.0, 98.0)
"""Percentiles of the values at which a ramp ends."""
NEIGHBOURHOOD = "neighbourhood"
NAMES = (NEIGHBOURHOOD, *NUMBERS, *CATEGORIES)
"""Every colouring, by the name it has in a link."""


class Column(NamedTuple):
    """Something the map can be coloured by. name: in links. title: on screen."""

    name: str
    title: str
    kind: Literal["number", "category"]


class Entry(NamedTuple):
    """One line of a legend.

    color: as "#rrggbb".
    name: what has that colour; untrusted text, which must be escaped where it is shown.
    regions: number of regions with that colour.
    """

    color: str
    name: str
    regions: int


@dataclass(frozen=True)
class Ramp:
    """The scale of a numeric colouring.

    name: the quantity, with its unit.
    low, high: the values at the ends, as text; with "≤" or "≥" where values lie beyond.
    light, dark: the colours of the steps from low to high, "#rrggbb", for either kind of page.
    clipped: a sentence on the values beyond the ends; empty if there are none.
    missing: number of regions without a value, drawn grey.
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
    """A colour for each of K regions, and the legend or the ramp that explains the colours.

    name: in links. title: on screen.
    light, dark: (K, 3) uint8 colours on a light and on a dark page.
    legend: lines of the legend; empty for numbers.
    ramp: scale of the numbers; None for categories.
    entry: (K,) index of each region's line in the legend; None for numbers.
    """

    name: str
    title: str
    light: UInt8[np.ndarray, "K 3"]
    dark: UInt8[np.ndarray, "K 3"]
    legend: tuple[Entry, ...] = ()
    ramp: Ramp | None = None
    entry: Int64[np.ndarray, " K"] | None = None


def columns(dictionary: Dictionary, labels: Labels | None = None) -> list[Column]:
    """The colourings available for this dictionary, neighbourhoods first.

    A column whose arrays the file does not have is left out. labels: adds colourings by label
    source and by list.
    """
    available = [Column(NEIGHBOURHOOD, "Neighbourhood", "category")]
    available += [
        Column(n, number.title, "number")
        for n, number in NUMBERS.items()
        if number.fits(dictionary)
    ]
    available += [
        Column(n, c.title, "category") for n, c in CATEGORIES.items() if c.fits(dictionary, labels)
    ]
    return available


def coloring(dictionary: Dictionary, name: str, labels: Labels | None = None) -> Coloring:
    """Colour all regions by the column `name`, or by neighbourhood if there is no such column.

    labels: the dictionary's labels, needed for colourings by label source and by list.
    """
    available = {column.name for column in columns(dictionary, labels)}
    if name in NUMBERS and name in available:
        return _number(dictionary, name, NUMBERS[name])
    if name in CATEGORIES and name in available:
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
    is_known = np.isfinite(values)
    shown = np.log1p(values) if number.is_log else values
    low, high = _ends(shown[is_known], number.middle)
    below, above = shown[is_known] < low, shown[is_known] > high
    n_clipped = int((below | above).sum())
    about = f"{n_clipped:,} regions beyond the ends have the colour of the end" if n_clipped else ""
    ramp_colors = (palette.sequential(), palette.sequential(True))
    if number.middle is not None:
        ramp_colors = (palette.diverging(), palette.diverging(True))
    ends = [number.text(float(np.expm1(v)) if number.is_log else float(v)) for v in (low, high)]
    ramp = Ramp(
        number.about.format(distance=dictionary.distance_name),
        ("≤ " if below.any() else "") + ends[0],
        ("≥ " if above.any() else "") + ends[1],
        *ramp_colors,
        about,
        int((~is_known).sum()),
    )
    share = np.clip((shown - low) / max(high - low, 1e-12), 0, 1)
    light, dark = (palette.on_ramp(share, steps) for steps in ramp_colors)
    return Coloring(name, number.title, light, dark, ramp=ramp)


def _ends(values: Float64[np.ndarray, " n"], middle: float | None) -> tuple[float, float]:
    """The values at the two ends of a ramp: the percentiles of `CLIP`.

    middle: the value at the middle of the ramp, from which both ends are then equally far; None for
    a ramp without a natural middle.
    """
    if not len(values):
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(values, CLIP))
    if middle is None:
        return low, high
    reach = max(high - middle, middle - low) or 1.0
    return middle - reach, middle + reach


def _category(name: str, title: str, values: Sequence[str], grey: str) -> Coloring:
    """Give each value its own colour, the most frequent value first.

    The value `grey` (which stands for "none") and the remaining values ("other") are grey. The most
    frequent value gets the palest colour, so that it recedes.
    """
    names, value_index, count = np.unique(
        np.asarray(values, object).astype(str), return_inverse=True, return_counts=True
    )
    order = sorted(range(len(names)), key=lambda i: (names[i] == grey, -count[i], names[i]))
    colored = [i for i in order if names[i] != grey]
    # The grey value takes one line of the legend, and "other" takes one where values are left over.
    room = MOST_VALUES - (len(colored) < len(order))
    shown = colored if len(colored) <= room else colored[: room - 1]
    rest = [i for i in colored if i not in shown]
    # With one or two values nothing has to recede, so the palest colour is left out.
    colors = palette.GROUP_COLORS if len(shown) > 2 else palette.GROUP_COLORS[1:]
    legend = [Entry(colors[n], str(names[i]), int(count[i])) for n, i in enumerate(shown)]
    line_of = np.zeros(len(names), np.int64)  # index of each distinct value's line in the legend
    line_of[shown] = np.arange(len(shown))
    for several, text in (
        (rest, f"other ({len(rest)})"),
        ([i for i in order if names[i] == grey], grey),
    ):
        if several:
            line_of[several] = len(legend)
            legend.append(Entry(palette.OTHER, text, int(count[several].sum())))
    line = line_of[value_index]
    cells = palette.rgb([entry.color for entry in legend])[line]
    return Coloring(name, title, cells, cells, tuple(legend), entry=line)
