"""Colourings: every region has a colour, a legend counts each region once, and a ramp runs the way
the number does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.storage import save
from ep.storage.labels import Labels
from ep.views import colorings, palette
from ep.views.measures import NUMBERS, kind, script
from tests.fixtures.dictionaries import synthetic

PLAIN = synthetic(size=400, width=24, seed=3)
ODD = {
    "hostile": synthetic(size=60, width=16, seed=2, hostile=True),
    "two": synthetic(size=2, width=8, seed=1),
    "bare": Dictionary(
        MemorySource({n: PLAIN.column(n) for n in ("center", "exemplars", "mean_directions")}),
        PLAIN.info,
        400,
    ),
}


def luminance(rows: np.ndarray) -> np.ndarray:
    return rows @ np.array([0.2126, 0.7152, 0.0722])


def test_every_name_in_a_link_is_one_column_of_a_full_dictionary() -> None:
    assert [c.name for c in colorings.columns(PLAIN)] == [
        n for n in colorings.NAMES if n not in ("labels", "lists")
    ]
    assert len({c.title for c in colorings.columns(PLAIN)}) == len(colorings.columns(PLAIN))


@pytest.mark.parametrize("dictionary", [PLAIN, *ODD.values()], ids=["plain", *ODD])
def test_a_colouring_covers_every_region_and_is_explained_once(dictionary: Dictionary) -> None:
    assert colorings.columns(dictionary)[0].name == "neighbourhood"
    for column in colorings.columns(dictionary):
        found = colorings.coloring(dictionary, column.name)
        assert found.name == column.name and found.title == column.title
        assert found.light.shape == found.dark.shape == (len(dictionary), 3)
        assert found.light.dtype == found.dark.dtype == np.uint8
        assert bool(found.legend) != (found.ramp is not None)
        assert bool(found.legend) == (column.kind == "category")


@pytest.mark.parametrize("dictionary", [PLAIN, *ODD.values()], ids=["plain", *ODD])
def test_legend_counts_add_up_and_each_region_has_the_colour_of_its_line(
    dictionary: Dictionary,
) -> None:
    for column in colorings.columns(dictionary):
        found = colorings.coloring(dictionary, column.name)
        if not found.legend:
            continue
        assert len(found.legend) <= colorings.MOST_VALUES
        assert sum(line.regions for line in found.legend) == len(dictionary)
        assert np.bincount(found.entry, minlength=len(found.legend)).tolist() == [
            line.regions for line in found.legend
        ]
        if column.name != "neighbourhood":  # whose cells differ a little in lightness
            assert (
                found.light == palette.rgb([line.color for line in found.legend])[found.entry]
            ).all()
            # "other" and "none" are grey
            assert len({line.color for line in found.legend}) >= len(found.legend) - 1


@pytest.mark.parametrize("name", [n for n in NUMBERS if NUMBERS[n].middle is None])
def test_a_ramp_runs_the_way_the_number_does(name: str) -> None:
    found, values = colorings.coloring(PLAIN, name), NUMBERS[name].values(PLAIN)
    there = np.isfinite(values)
    order = np.argsort(values[there], kind="stable")
    assert (np.diff(luminance(found.light[there][order])) <= 1).all()  # more is darker by day
    assert (np.diff(luminance(found.dark[there][order])) >= -1).all()  # and lighter by night
    assert found.ramp.missing == int((~there).sum())
    assert (found.light[~there] == palette.rgb([palette.OTHER])).all()


def test_the_ends_of_a_ramp_say_what_lies_beyond() -> None:
    values = NUMBERS["coherence"].values(PLAIN)
    low, high = np.percentile(values, colorings.CLIP)
    ramp = colorings.coloring(PLAIN, "coherence").ramp
    beyond = ("≤ " if (values < low).any() else "", "≥ " if (values > high).any() else "")
    assert (ramp.low, ramp.high) == (f"{beyond[0]}{low:.2f}", f"{beyond[1]}{high:.2f}") and any(
        beyond
    )
    assert ramp.clipped.startswith(f"{int(((values < low) | (values > high)).sum()):,} regions")


def test_a_number_with_a_middle_has_the_neutral_colour_there() -> None:
    found, values = colorings.coloring(PLAIN, "moved"), NUMBERS["moved"].values(PLAIN)
    steps = palette.rgb(palette.diverging())
    middle = (steps[4].astype(float) + steps[5]) / 2
    at = int(np.nanargmin(np.abs(values)))
    assert values[at] == 0 and np.abs(found.light[at] - middle).max() <= 1
    gained, lost = (
        found.light[values > np.nanmax(values) / 4],
        found.light[values < np.nanmin(values) / 4],
    )
    # blue above, orange below
    assert (gained[:, 2] > gained[:, 0]).all() and (lost[:, 0] > lost[:, 2]).all()


def test_a_constant_column_and_an_unknown_name_still_colour_the_map() -> None:
    arrays = {
        n: PLAIN.column(n) for n in ("center", "exemplars", "mean_directions", "neighbourhood")
    }
    arrays["coherence"] = np.full(400, 0.5, np.float32)
    flat = Dictionary(MemorySource(arrays), PLAIN.info, 400)
    found = colorings.coloring(flat, "coherence")
    assert len(np.unique(found.light, axis=0)) == 1 and (found.ramp.low, found.ramp.high) == (
        "0.50",
        "0.50",
    )
    for name in ("rainbow", "stability", "", "<b>"):
        assert colorings.coloring(flat, name).name == "neighbourhood"


def test_many_values_become_seven_and_other() -> None:
    founders = [f"{w}" for w in np.random.default_rng(0).integers(0, 30, 400)]
    found = colorings._category("x", "X", founders, "none")
    assert len(found.legend) == 8 and found.legend[-1].name == "other (23)"
    counts = [line.regions for line in found.legend[:-1]]
    assert counts == sorted(counts, reverse=True) and sum(counts) + found.legend[-1].regions == 400


def test_labels_and_lists_colour_the_map_once_they_exist(tmp_path: Path) -> None:
    from ep.storage.edits import label, put

    path = save(PLAIN, tmp_path / "d.ep.h5")
    labels = Labels.open(path)
    assert "lists" not in {c.name for c in colorings.columns(PLAIN, labels)}
    labels = labels.save(
        label(3, "cats"), label(5, "dogs", source="model:m@host"), put("mine", [1, 2, 3])
    )
    legend = {
        line.name: line.regions for line in colorings.coloring(PLAIN, "labels", labels).legend
    }
    assert legend == {"by hand": 1, "m": 1, "no label": 398}
    legend = {line.name: line.regions for line in colorings.coloring(PLAIN, "lists", labels).legend}
    assert legend == {"mine": 3, "in no list": 397}


@pytest.mark.parametrize(
    ("token", "is_kind", "is_script"),
    [
        (" cat", "word", "Latin"),
        (" Cat", "Capitalised word", "Latin"),
        ("ing", "inside a word", "Latin"),
        (" 12", "number", "no letter"),
        ("...", "punctuation", "no letter"),
        ("\n\n", "whitespace", "no letter"),
        ("<bos>", "special", "Latin"),
        ("+", "symbol", "no letter"),
        (" мир", "word", "Cyrillic"),
        ("世", "inside a word", "Han"),
        ("", "no token", "no letter"),
    ],
)
def test_tokens_are_told_apart_by_their_characters(
    token: str, is_kind: str, is_script: str
) -> None:
    assert (kind(token), script(token)) == (is_kind, is_script)
