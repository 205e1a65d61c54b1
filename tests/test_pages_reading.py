"""The Region, Prompt and Library pages as a visitor finds them: whole, with parts missing, with
wrong input.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from ep.method.dictionary import Dictionary
from ep.method.lenses import LENSES
from ep.method.source import MemorySource
from pages.shared import estimates, jobs, loading, models, reading
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import component, library_view, said, shelved, show, well

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
        "retrained": synthetic(
            60,
            32,
            model=str(model),
            layer=1,
            family="retrained",
            title="retrained",
            weights="0" * 64,
        ),
        "scored": synthetic(
            30,
            16,
            family="scored",
            first_lens="mean_up",
            lens_scores={"lenses": {"mean_up": {"own": 0.13, "other": 0.04, "n": 20}}},
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
        "unembed(final_norm(v))",
        "promotes",
        "suppresses",
        "another’s",
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


def test_every_stored_lens_can_be_chosen_and_a_link_carries_it(keys: dict[str, str]) -> None:
    at = show("region", keys["first"], r="3")
    assert LENSES["exemplar_shift"].formula not in said(at)
    at.selectbox(key="region_lens").set_value("exemplar_shift").run()
    assert LENSES["exemplar_shift"].formula in said(at)
    assert at.query_params["lens"] == "exemplar_shift"
    for name in loading.dictionary(keys["first"]).lenses:
        page = said(show("region", keys["first"], r="3", lens=name.rpartition("_")[0]))
        assert html.escape(LENSES[name.rpartition("_")[0]].formula) in page
    page = said(show("region", keys["first"], r="3", lens="<b>"))
    assert LENSES["exemplar"].formula in page


def test_a_lens_stands_beside_its_score_or_the_lens_of_another_region(
    keys: dict[str, str],
) -> None:
    page = said(show("region", keys["first"], r="3"))
    assert "the same lens of region" in page and "score" not in page
    page = said(show("region", keys["scored"], r="3"))
    assert "0.130" in page and "0.040" in page and "the same lens of region" not in page
    assert LENSES["mean"].formula in page


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


def forget_what_was_read() -> None:
    """The server as it is before anybody has read anything."""
    models.models.clear()
    reading.readings.clear()
    estimates.rates.clear()


def read(at: AppTest) -> AppTest:
    """Clicks the editor's own button."""
    return next(button for button in at.button if button.label == "Read").click().run()


def test_a_prompt_is_read_at_every_layer_of_the_family(keys: dict[str, str]) -> None:
    forget_what_was_read()
    at = read(show("prompt", keys["first"], q="The cat sat on the mat."))
    page = said(at)
    for text in (
        "Distance to the nearest exemplar",
        "Path through the layers",
        "Regions in this text",
        "margin to 2nd",
    ):
        assert text in page
    for readout in ("Top 5", "Within θ", "Otsu"):
        at.get("button_group")[1].set_value(readout).run()
        assert not at.exception and f"{readout}:" in said(at)


def test_a_visit_reads_nothing_and_the_editors_button_does(keys: dict[str, str]) -> None:
    forget_what_was_read()
    text = "The cat sat on the mat."
    at = show("prompt", keys["first"], q=text)
    page = said(at)
    assert at.text_area[0].value == text and "Regions in this text" not in page
    assert "The model is loaded first. It takes " in page
    assert models.state(loading.dictionary(keys["first"])) == models.NOT_NEEDED
    assert not len(reading.readings()) and not jobs.board().jobs()
    assert "Regions in this text" in said(read(at)) and not at.text_area
    other = show("prompt", keys["first"], q=text)
    assert "Regions in this text" in said(other) and not other.text_area


def test_without_a_prompt_an_example_is_shown_under_the_open_editor(keys: dict[str, str]) -> None:
    forget_what_was_read()
    at = show("prompt", keys["first"])
    example = at.text_area[0].value
    assert example and "Regions in this text" not in said(at)
    read(at)
    assert at.query_params["q"] == example and "Regions in this text" in said(at)
    at = show("prompt", keys["first"])
    assert at.text_area[0].value == example
    assert "Regions in this text" in said(at)
    at.text_area[0].set_value("Two plus three is five.")
    read(at)
    assert at.query_params["q"] == "Two plus three is five."
    assert not at.text_area and "Regions in this text" in said(at)


def test_a_chat_turn_shows_its_template(keys: dict[str, str]) -> None:
    at = show("prompt", keys["first"])
    at.get("button_group")[0].set_value("Chat turn").run()
    at.text_area[0].set_value("Hello")
    read(at)
    assert not at.exception and "Regions in this text" in said(at)
    assert at.query_params["as"] == "chat"


@pytest.mark.parametrize("text", ["", "   \n"])
def test_empty_text_is_said(keys: dict[str, str], text: str) -> None:
    at = show("prompt", keys["first"])
    at.text_area[0].set_value(text)
    read(at)
    assert "There is no text to read" in said(at)


@pytest.mark.parametrize(
    "text", ["a\0b", "word " * 3000, "<img src=x onerror=alert(1)> $x$ \u202e", "🙂" * 5]
)
def test_odd_text_is_read_or_cut_and_said(keys: dict[str, str], text: str) -> None:
    at = show("prompt", keys["first"])
    at.text_area[0].set_value(text)
    read(at)
    page = said(at)
    assert not at.exception and "Regions in this text" in page and "<img" not in page
    assert ("was cut after" in page) == (len(text) > 5000)


@pytest.mark.parametrize(
    ("token", "shown"), [("3", 3), ("0003", 3), ("9999", None), ("9" * 5000, None), ("-1", None)]
)
def test_a_link_names_a_token_only_where_the_text_has_it(
    keys: dict[str, str], token: str, shown: int | None
) -> None:
    text = "The cat sat on the mat."
    usual = token_shown(opened(keys["first"], q=text))
    hostile = {"readout": "<b>", "sys": "x" * 5000, "as": "x"}
    page = well(opened(keys["first"], q=text, token=token, **hostile))
    assert f"<b>Token {usual if shown is None else shown}</b>" in page and "<b>:" not in page


def opened(key: str, **link: str) -> AppTest:
    """The Prompt page with its text read, by a click where it was not known."""
    at = show("prompt", key, **link)
    return read(at) if at.text_area else at


def token_shown(at: AppTest) -> int:
    match = re.search(r"<b>Token (\d+)</b>", well(at))
    assert match is not None
    return int(match[1])


def test_a_link_carries_the_pages_own_settings_and_no_others(keys: dict[str, str]) -> None:
    foreign = {"sa": "one", "sb": "two", "basis": "exemplar", "between": "path"}
    at = opened(keys["first"], q="Hello there", token="2", readout="Otsu", **foreign)
    assert at.query_params["token"] == "2" and at.query_params["readout"] == "Otsu"
    assert not set(foreign) & set(at.query_params)


def test_a_refused_chat_turn_can_be_read_as_plain_text(keys: dict[str, str]) -> None:
    """The model's template takes no system message."""
    at = opened(keys["first"], q="Hello there", sys="Be kind.", **{"as": "chat"})
    assert "This text cannot be read here" in said(at)
    at.button(key="prompt_refused_text").click().run()
    assert "Regions in this text" in well(at) and at.query_params["as"] == "text"


def test_a_model_with_other_weights_is_said_and_one_without_record_is_not(
    keys: dict[str, str],
) -> None:
    text = "The cat sat on the mat."
    page = well(opened(keys["retrained"], q=text))
    assert "he weights of gemma are not those of" in page and "Regions in this text" in page
    assert "weights" not in well(opened(keys["first"], q=text))


@pytest.mark.parametrize(
    ("key", "why"),
    [("narrow", "32 dimensions, this dictionary has 16"), ("foreign", "nobody/has-this")],
)
def test_a_model_that_does_not_fit_is_a_calm_box_with_a_way_out(
    keys: dict[str, str], key: str, why: str
) -> None:
    forget_what_was_read()
    at = show("prompt", keys[key], q="Hello there")
    assert "cannot be read here" not in said(at) and at.text_area[0].value == "Hello there"
    page = said(read(at))
    assert "cannot be read here" in page and why in page
    assert {"Edit the text", "Choose another dictionary"} <= {button.label for button in at.button}


def test_the_library_lists_families_and_what_is_broken(keys: dict[str, str]) -> None:
    at = show("library", keys["first"])
    page = said(at)
    for text in ("cannot be opened", "broken.ep.h5", "not an HDF5 file", "ep-problem"):
        assert text in page
    cards = {card["title"]: card for card in component(at, "gallery")["cards"]}
    assert {"whole", "narrow", "bare"} <= set(cards)
    assert [row["layer"] for row in cards["whole"]["rows"]] == ["1", "2"]
    assert "python -m ep build" in library_view(at, "add").code[0].value


def test_hostile_names_are_text_in_the_library(keys: dict[str, str]) -> None:
    at = show("library", keys["hostile"])
    page = said(at)
    assert "<img" not in page and "<script" not in page
    # the gallery draws its data with textContent alone, see tests/browser/test_hostile.py
    assert any("<img" in card["title"] for card in component(at, "gallery")["cards"])


def test_a_path_that_leads_nowhere_is_one_line(keys: dict[str, str]) -> None:
    at = library_view(show("library", keys["first"]), "add")
    at.text_input(key="library_path").set_value("/nowhere/x.ep.h5")
    next(button for button in at.button if button.label == "Open the file").click().run()
    assert not at.exception and "There is no file at" in said(at)
