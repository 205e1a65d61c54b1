"""The Region, Prompt and Library pages as a visitor finds them: whole, with parts missing, with
wrong input.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ep.method.dictionary import Dictionary, MemorySource
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import said, shelved, show

ROOT = Path(__file__).resolve().parents[1]
VITAL = ("center", "exemplars", "mean_directions", "count_arrival")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.gemma(tmp_path_factory.mktemp("models") / "gemma")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[dict[str, str]]:
    """A shelf of its own: a family of two layers with its model, and dictionaries with something
    wrong or missing.
    """
    folder = tmp_path_factory.mktemp("shelf")
    made = {
        "first": synthetic(60, 32, model=str(model), layer=1, family="whole", title="whole"),
        "second": synthetic(
            60, 32, seed=1, model=str(model), layer=2, family="whole", title="whole"
        ),
        "narrow": synthetic(20, 16, model=str(model), family="narrow", title="narrow"),
        "foreign": synthetic(20, 16, model="nobody/has-this", family="foreign", title="foreign"),
        "hostile": synthetic(30, 16, hostile=True, family="hostile"),
        "bare": _bare(),
        "deserted": _deserted(),
    }
    (folder / "broken.ep.h5").write_bytes(b"nothing")
    with shelved(folder, made) as found:
        yield found


def _bare() -> Dictionary:
    whole = synthetic(20, 16)
    arrays = {name: whole.source.read(name) for name in VITAL}
    return Dictionary(MemorySource(arrays), whole.info | {"family": "bare", "title": "bare"}, 20)


def _deserted() -> Dictionary:
    """Region 0 lost every member to its neighbours."""
    whole = synthetic(20, 16, seed=3, family="deserted", title="deserted")
    arrays = {name: array.copy() for name, array in whole.source._arrays.items()}  # type: ignore[attr-defined]
    gone = int(arrays["excerpt_offsets"][1])
    for name in ("excerpt_passage", "excerpt_position", "excerpt_distance", "excerpt_band"):
        arrays[name] = arrays[name][gone:]
    arrays["excerpt_offsets"] = arrays["excerpt_offsets"] - gone
    arrays["excerpt_offsets"][0] = 0
    arrays["count_voronoi"][1] += arrays["count_voronoi"][0]
    for name in ("distance_histogram", "position_histogram"):
        arrays[name][1] += arrays[name][0]
    for name in (
        "count_voronoi",
        "distance_histogram",
        "position_histogram",
        "token_counts",
        "next_counts",
    ):
        arrays[name][0] = 0
    for name in ("token_ids", "next_ids"):
        arrays[name][0] = -1
    for name in ("mean_distance", "max_distance"):
        arrays[name][0] = 0
    return Dictionary(MemorySource(arrays), whole.info, 20)


def test_a_region_shows_both_counts_its_lens_its_event_and_its_passages(
    keys: dict[str, str],
) -> None:
    page = said(show("region", keys["first"], r="3"))
    for text in (
        "Region 3",
        "members, Voronoi",
        "at arrival",
        "exemplar ↑",
        "mean ↓",
        "Founded by",
        "activation ",
    ):
        assert text in page
    for band in ("Near", "Spread", "Far"):
        assert f"<b>{band}</b>" in page
    assert page.count("ep-mark") > 10


def test_previous_next_and_the_id_walk_and_are_kept_in_the_link(keys: dict[str, str]) -> None:
    at = show("region", keys["first"], r="3")
    at.button(key="region_next").click().run()
    assert "Region 4" in said(at) and at.query_params["r"] == "4"
    at.button(key="region_previous").click().run()
    assert "Region 3" in said(at)
    at.text_input(key="region_id").set_value("59").run()
    assert "Region 59" in said(at)
    assert at.button(key="region_next").disabled


@pytest.mark.parametrize("wrong", ["60", "-1", "two", "9" * 30, "<b>1</b>"])
def test_an_id_that_does_not_exist_is_said_and_nothing_moves(
    keys: dict[str, str], wrong: str
) -> None:
    at = show("region", keys["first"], r="3")
    at.text_input(key="region_id").set_value(wrong).run()
    page = said(at)
    assert "Region 3" in page and "ep-note" in page and "<b>1</b>" not in page


def test_the_shift_lens_is_the_other_choice(keys: dict[str, str]) -> None:
    at = show("region", keys["first"], r="3")
    assert "shift ↑" not in said(at)
    at.get("button_group")[0].set_value("Shift").run()
    assert "shift ↑" in said(at)


def test_a_bare_dictionary_says_what_its_file_does_not_hold(keys: dict[str, str]) -> None:
    page = said(show("region", keys["bare"], r="0"))
    line = page[page.index("Not in this file:") :].split("<")[0]
    for text in (
        "logit lens (its model adds it",
        "neighbours",
        "excerpts",
        "distances",
        "token counts",
    ):
        assert text in line
    assert "Something went wrong" not in page


def test_a_region_without_voronoi_members_explains_itself(keys: dict[str, str]) -> None:
    page = said(show("region", keys["deserted"], r="0"))
    assert "No activation is nearest to this exemplar any more" in page
    assert "Something went wrong" not in page
    assert "Founded by" in page


def test_a_prompt_is_read_at_every_layer_of_the_family(keys: dict[str, str]) -> None:
    at = show("prompt", keys["first"], q="The cat sat on the mat.")
    page = said(at)
    for text in (
        "Distance to the nearest exemplar",
        "Path through the layers",
        "Regions in this text",
        "margin to 2nd",
    ):
        assert text in page
    for readout in ("Top 5", "Within θ", "Otsu"):
        at.get("button_group")[0].set_value(readout).run()
        assert not at.exception and f"{readout}:" in said(at)


def test_without_a_prompt_an_example_is_shown_under_the_open_editor(keys: dict[str, str]) -> None:
    at = show("prompt", keys["first"])
    assert at.text_area[0].value
    assert "Regions in this text" in said(at)
    at.text_area[0].set_value("Two plus three is five.")
    next(button for button in at.button if button.label == "Read").click().run()
    assert at.query_params["q"] == "Two plus three is five."
    assert not at.text_area


def test_a_chat_turn_shows_its_template(keys: dict[str, str]) -> None:
    at = show("prompt", keys["first"])
    at.get("button_group")[0].set_value("Chat turn").run()
    at.text_area[0].set_value("Hello")
    next(button for button in at.button if button.label == "Read").click().run()
    assert not at.exception and "Regions in this text" in said(at)


@pytest.mark.parametrize("text", ["", "   \n"])
def test_empty_text_is_said(keys: dict[str, str], text: str) -> None:
    at = show("prompt", keys["first"])
    at.text_area[0].set_value(text)
    next(button for button in at.button if button.label == "Read").click().run()
    assert "There is no text to read" in said(at)


@pytest.mark.parametrize(
    "text", ["a\0b", "word " * 3000, "<img src=x onerror=alert(1)> $x$ \u202e", "🙂" * 5]
)
def test_odd_text_is_read_or_cut_and_said(keys: dict[str, str], text: str) -> None:
    at = show("prompt", keys["first"])
    at.text_area[0].set_value(text)
    next(button for button in at.button if button.label == "Read").click().run()
    page = said(at)
    assert not at.exception and "Regions in this text" in page and "<img" not in page
    assert ("was cut after" in page) == (len(text) > 5000)


@pytest.mark.parametrize(
    ("key", "why"),
    [("narrow", "32 dimensions, this dictionary has 16"), ("foreign", "nobody/has-this")],
)
def test_a_model_that_does_not_fit_is_a_calm_box_with_a_way_out(
    keys: dict[str, str], key: str, why: str
) -> None:
    at = show("prompt", keys[key], q="Hello there")
    page = said(at)
    assert "cannot be read here" in page and why in page
    assert {"Edit the text", "Choose another dictionary"} <= {button.label for button in at.button}


def test_the_library_lists_families_and_what_is_broken(keys: dict[str, str]) -> None:
    at = show("library", keys["first"])
    page = said(at)
    for text in (
        "whole",
        "narrow",
        "bare",
        "1, 2",
        "cannot be opened",
        "broken.ep.h5",
        "not an HDF5 file",
    ):
        assert text in page
    assert "python -m ep build" in at.code[0].value


def test_hostile_names_are_text_in_the_library(keys: dict[str, str]) -> None:
    page = said(show("library", keys["hostile"]))
    assert "<img" not in page and "<script" not in page and "&lt;img" in page


def test_a_path_that_leads_nowhere_is_one_line(keys: dict[str, str]) -> None:
    at = show("library", keys["first"])
    at.text_input(key="library_path").set_value("/nowhere/x.ep.h5")
    next(button for button in at.button if button.label == "Open the file").click().run()
    assert not at.exception and "There is no file at" in said(at)
