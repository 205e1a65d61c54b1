"""Between and the Region page's newer cards as a visitor finds them: whole, alone, parts missing,
wrong input.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.studies import between as study
from pages.between import neighbourhood
from pages.shared import loading
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import shelved, show, well
from tests.fixtures.published import without_tokens

VITAL = ("center", "exemplars", "mean_directions", "count_arrival")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A family of three percentiles with its model, and dictionaries alone, tiny, bare and
    hostile.
    """
    folder = tmp_path_factory.mktemp("shelf")
    model = str(tiny.gemma(tmp_path_factory.mktemp("models") / "gemma"))
    common = {"family": "ladder", "title": "ladder", "layer": 1, "model": model}
    whole = synthetic(20, 16)
    bare = Dictionary(
        MemorySource({n: whole.source.read(n) for n in VITAL}),
        whole.info | {"family": "bare", "title": "bare"},
        20,
    )
    made = {
        "p8": synthetic(24, 32, seed=1, percentile=8.0, **common),
        "p4": synthetic(60, 32, seed=1, percentile=4.0, **common),
        "p1": synthetic(150, 32, seed=1, percentile=1.0, **common),
        "alone": synthetic(120, 16, seed=2, family="alone", title="alone"),
        "tiny": synthetic(2, 8, seed=3, family="tiny", title="tiny"),
        "hostile": synthetic(60, 16, seed=4, hostile=True, family="hostile"),
        "bare": bare,
        "published": without_tokens(
            synthetic(60, 16, seed=5, family="published", title="published")
        ),
    }
    with shelved(folder, made) as found:
        yield found


def test_the_first_picture_needs_no_click(keys: dict[str, str]) -> None:
    page = well(show("between", keys["p4"], r="3"))
    assert "B was found" in page and "how it was carried there" in page and "Region " in page
    assert "members · cosine with A" in page


def test_the_ladder_is_the_familys_from_coarse_to_fine(keys: dict[str, str]) -> None:
    assert list(loading.ladder(keys["p4"])) == [keys["p8"], keys["p4"], keys["p1"]]
    assert list(loading.ladder(keys["alone"])) == [keys["alone"]]


def test_a_link_restores_anchors_basis_view_and_k(keys: dict[str, str]) -> None:
    at = show(
        "between",
        keys["p4"],
        r="3",
        b="9",
        basis="exemplar",
        between="path",
        neighbours="7",
        way="length",
    )
    page = well(at)
    assert "B was found" not in page and "Neighbour lists: computed once" in page
    assert at.slider[0].value == 7
    for name, value in {
        "r": "3",
        "b": "9",
        "basis": "exemplar",
        "between": "path",
        "neighbours": "7",
    }.items():
        assert at.query_params[name] == value


@pytest.mark.parametrize(
    "wrong",
    [{"basis": "x"}, {"between": "<b>"}, {"neighbours": "99", "between": "path"}, {"b": "3"}],
)
def test_what_makes_no_sense_in_a_link_is_passed_over(
    keys: dict[str, str], wrong: dict[str, str]
) -> None:
    well(show("between", keys["p4"], r="3", **wrong))


def test_exchanging_the_anchors_exchanges_them_in_the_link(keys: dict[str, str]) -> None:
    at = show("between", keys["p4"], r="3", b="9")
    at.button(key="anchors_swap").click().run()
    assert (at.query_params["r"], at.query_params["b"]) == ("9", "3")
    well(at)


def test_a_region_looked_at_becomes_an_anchor_or_is_opened(keys: dict[str, str]) -> None:
    at = show("between", keys["p4"], r="3", b="9")
    at.button(key="between_make_B").click().run()
    well(at)
    assert at.query_params["r"] == "3" and at.query_params["b"] != "9"


@pytest.mark.parametrize("key", ["alone", "hostile", "bare", "published"])
@pytest.mark.parametrize("kind", ["lens", "path"])
def test_a_dictionary_without_siblings_or_text_is_drawn(
    keys: dict[str, str], key: str, kind: str
) -> None:
    page = well(show("between", keys[key], r="3", between=kind))
    assert (
        "no siblings at other percentiles" in page and "<img" not in page and "<script" not in page
    )


def test_anchors_with_nothing_in_common_are_said_to_be_and_nearer_ones_offered(
    keys: dict[str, str],
) -> None:
    vectors = loading.dictionary(keys["p4"]).mean_directions
    b = int(np.argmin(vectors @ vectors[3]))
    at = show("between", keys["p4"], r="3", b=str(b))
    assert "A and B have too little in common" in well(at)
    nearer = study.alike(vectors, 3)
    assert nearer and b not in nearer
    again = show("between", keys["p4"], r="3", b=str(nearer[0]))
    assert "too little in common" not in well(again)


def test_two_regions_have_nothing_between(keys: dict[str, str]) -> None:
    assert "Nothing can lie between" in well(show("between", keys["tiny"], r="0"))


def test_the_carrying_is_said_with_its_cosine() -> None:
    assert neighbourhood.counterpart_text(None) == ""
    assert neighbourhood.counterpart_text(study.Counterpart(3, 1.0, True)) == "same exemplar"
    assert (
        neighbourhood.counterpart_text(study.Counterpart(3, 0.4567, False)) == "nearest, cos 0.46"
    )


# -- the Region page -------------------------------------------------------------------------------


def group(at: AppTest, option: str) -> AppTest:
    """Chooses an option of the segmented control that has it."""
    control = next(c for c in at.get("button_group") if option in c.options)
    return control.set_value(option).run()


def test_who_comes_second_is_shown_with_its_interval(keys: dict[str, str]) -> None:
    at = group(show("region", keys["p1"], r="3"), "Comes second")
    page = well(at)
    assert (
        "Where its Voronoi members would go" in page
        and "95 % interval" in page
        and "members examined" in page
    )


def test_farthest_regions_are_the_farthest(keys: dict[str, str]) -> None:
    from pages.region.surroundings import farthest

    dictionary = synthetic(60, 16)
    distance = 1 - dictionary.exemplars.astype(np.float64) @ dictionary.exemplars[7]
    assert [k for k, _ in farthest(dictionary, 7)] == np.argsort(-distance)[:8].tolist()
    assert farthest(synthetic(1, 8), 0) == []
    assert "they point apart" in well(group(show("region", keys["p1"], r="3"), "Farthest"))


def test_a_bare_file_says_what_it_cannot_tell(keys: dict[str, str]) -> None:
    at = show("region", keys["bare"], r="0")
    page = well(at)
    assert "Not in this file: " in page and "second choices" in page and "Stability" not in page
    assert not any("Comes second" in control.options for control in at.get("button_group"))


def test_excerpts_without_tokens_are_whole_and_said_to_be(keys: dict[str, str]) -> None:
    page = well(show("region", keys["published"], r="3"))
    assert (
        "Published without token ids" in page
        and "Not in this file: logit lens, token ids (its model adds" in page
    )
    assert 'class="ep-tok ep-mark"' not in page


def test_stability_names_its_sources(keys: dict[str, str]) -> None:
    page = well(show("region", keys["p1"], r="3"))
    for text in (
        "D = log10(N·c²)",
        "percentile here",
        "n = 1,200 regions",
        "Published for gemma-2-2b",
    ):
        assert text in page


def read(at: AppTest, text: str) -> str:
    at.text_area(key="region_trial_text").set_value(text)
    next(button for button in at.button if button.label == "Read").click().run()
    return well(at)


def test_a_text_of_ones_own_is_read_against_the_region(keys: dict[str, str]) -> None:
    at = show("region", keys["p1"], r="3")
    page = read(at, "The cat sat on the mat.")
    assert (
        "tokens fall in this region" in page
        and "Closest token" in page
        and "to this exemplar" in page
    )
    at.button(key="region_next").click().run()
    assert "tokens fall in this region" in well(at)  # the reading stays while one walks on


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [("p1", " ", "no text to read"), ("alone", "Hello", "cannot be read here")],
)
def test_a_text_that_cannot_be_read_is_said(
    keys: dict[str, str], key: str, text: str, said: str
) -> None:
    assert said in read(show("region", keys[key], r="3"), text)


def test_distances_to_one_exemplar_agree_with_the_reading(keys: dict[str, str]) -> None:
    from ep.views.prompt import reading
    from pages.region.trial import distances

    dictionary = synthetic(40, 16)
    x = dictionary.exemplars[[5, 9, 5]] * 3 + dictionary.center
    outside = np.array([False, False, True])
    shown = reading(dictionary, ("a", "b", "c"), x, outside, np.zeros(3, bool))
    found = distances(dictionary, 5, shown)
    assert found[0] == pytest.approx(0, abs=1e-6) and np.isnan(found[2])
    assert found[1] == pytest.approx(float(dictionary.distances(x)[1, 5]), abs=1e-6)
