"""What a demanding visitor brings: equal titles, files without tokens, published labels, doubts,
links to nowhere.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.storage import edits, save
from ep.storage.labels import Labels
from ep.storage.schema import ARRAYS
from ep.views.excerpts import aligned
from pages.region.lacking import sentence
from pages.region.passages import _unconfirmed
from pages.shared import loading
from pages.shared.tokens import aligned as printed
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import Visit, said
from tests.fixtures.published import without_tokens


@pytest.fixture(autouse=True)
def shelf(own_shelf: Path) -> Path:
    """Two families of one title and one of neither tokens nor lens, with labels its author
    published.
    """
    for name in ("one", "other"):
        save(synthetic(30, 16, seed=5, family=name, title="Twin"), own_shelf / f"{name}.ep.h5")
    told = [[3, "<b>the author's</b> words"], [99, "no such region"], [4, 5], "nonsense", [5, " "]]
    plain = without_tokens(
        synthetic(30, 16, seed=6, family="plain", title="Plain", published_labels=told)
    )
    save(plain, own_shelf / "plain.ep.h5")
    return own_shelf


def test_families_of_one_title_have_options_of_their_own_and_stay_open(visit: Visit) -> None:
    app = visit(d="other/2/4")
    options = app.sidebar.selectbox(key="frame_family").options
    assert len(set(options)) == len(options) and "Twin · other" in options and "Plain" in options
    app.selectbox(key="atlas_least").set_value(5).run()
    assert app.sidebar.selectbox(key="frame_family").value == "other"
    assert "5" in app.query_params["least"] and "other/2/4" in app.query_params["d"]
    again = visit(d="other/2/4", least="5")
    assert again.selectbox(key="atlas_least").value == 5
    assert visit(d="other/2/4", least="7").selectbox(key="atlas_least").value == 1


@pytest.mark.parametrize("page", ["", "region", "between", "resolution"])
def test_a_region_without_tokens_has_a_name_everywhere(visit: Visit, page: str) -> None:
    text = said(visit(page, d="plain/2/4", r="3"))
    assert "▯" not in text and "&lt;b&gt;the\u2002author" in text and "<b>the" not in text
    assert "most common tokens" not in text


def test_published_labels_stand_below_those_of_people_and_above_the_computed(shelf: Path) -> None:
    labels = loading.labels("plain/2/4")
    assert labels.best(3) == "<b>the author's</b> words" and labels.sources()[3] == "published"
    assert labels.texts(automatic=False) == {3: labels.best(3)}
    assert [label.source for label in labels.of(3)] == ["published", "automatic"]
    mine = labels.after(edits.label(3, "mine"), edits.label(4, "by a model", "model:m@h"))
    assert [label.source for label in mine.of(3)] == ["hand", "published", "automatic"]
    assert mine.texts(automatic=False) == {3: "mine", 4: "by a model"}
    taken = labels.after(edits.label(3, labels.best(3), "published", locked=True))
    assert [label.source for label in taken.of(3)] == ["published", "automatic"]
    assert Labels.open(shelf / "one.ep.h5").texts() == {}


def test_excerpts_the_model_does_not_confirm_are_marked_and_counted() -> None:
    made = synthetic(10, 16, seed=7)
    arrays = {name: made.column(name) for name in ARRAYS if name in made}
    arrays["vocabulary_pieces"] = made.column("vocabulary_pieces")
    arrays["excerpt_agrees"] = (np.arange(len(arrays["excerpt_passage"])) % 2).astype(np.uint8)
    region = Dictionary(MemorySource(arrays), made.info, 10).region(0)
    rows = [aligned(excerpt) for excerpt in region.excerpts]
    doubts = sum(row.agrees is False for row in rows)
    assert 0 < doubts < len(rows) and printed(rows, "#000000").count("Not confirmed") == doubts
    assert f"{doubts} of {len(rows)} excerpts" in _unconfirmed(region)
    assert not _unconfirmed(made.region(0)) and "Not confirmed" not in printed(
        map(aligned, made.excerpts(0)), "#000000"
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_very_few_regions_are_shown_flat_and_the_sphere_says_why(
    shelf: Path, visit: Visit, size: int
) -> None:
    save(synthetic(size, 8, seed=size, family="few"), shelf / "few.ep.h5")
    loading.refresh()
    for page in ("", "region", "between", "resolution"):
        text = said(visit(page, d="few/2/4"))
        assert "nan" not in text.lower().split()
        if not page:
            assert "A sphere needs at least 4 regions" in text and "The flat map is shown" in text


def test_lists_have_their_place_on_the_atlas(visit: Visit) -> None:
    assert "No lists yet" in said(visit(d="one/2/4"))


def test_a_link_to_a_dictionary_that_is_not_here_says_so(visit: Visit) -> None:
    assert "is on the shelf. Another one is shown" in said(visit(d="nowhere/1/2"))
    assert "is a published dictionary that is not here yet" in said(visit(d="hub:gemma-2-2b/12/10"))


def test_a_published_file_says_once_what_it_lacks_and_shows_no_empty_card(visit: Visit) -> None:
    app = visit("region", d="plain/2/4", r="3")
    text = said(app)
    assert (
        text.count("Not in this file: logit lens, token ids (its model adds them: in the Library")
        == 1
    )
    assert (
        "founding passages, Voronoi members" in text
        and "(seen only while a dictionary is built)" in text
    )
    assert not [
        line for line in ("This file holds no", "does not hold", "does not say") if line in text
    ]
    for heading in ("Founded by", "Distance to the exemplar", "Next tokens"):
        assert heading not in text
    around = [
        control.options for control in app.get("button_group") if "Farthest" in control.options
    ]
    assert "Stability" in text and around == [["Nearest regions", "Farthest"]]


def test_a_file_with_everything_lacks_nothing(visit: Visit) -> None:
    text = said(visit("region", d="one/2/4", r="3"))
    assert "Not in this file" not in text and "Founded by" in text and "Next tokens" in text


def test_without_texts_the_model_adds_the_lens_alone() -> None:
    full = synthetic(30, 16)
    kept = {
        name: full.source.read(name)
        for name in ("center", "exemplars", "mean_directions", "count_arrival")
    }
    text = sentence(Dictionary(MemorySource(kept), full.info, 30))
    assert (
        text.startswith("Not in this file: logit lens (its model adds it: ")
        and "; token ids, excerpts" in text
    )
    assert sentence(full) == ""


def test_a_region_of_which_only_the_number_is_known_is_not_called_by_it_twice(
    own_shelf: Path, visit: Visit
) -> None:
    full = synthetic(30, 16, family="geometry")
    kept = (
        "center",
        "exemplars",
        "mean_directions",
        "count_arrival",
        "neighbourhood",
        "nearest_ids",
        "map_pca",
    )
    arrays = {name: full.source.read(name) for name in (*kept, "nearest_distances")}
    info = {name: value for name, value in full.info.items() if name != "group_names"}
    save(Dictionary(MemorySource(arrays), info, 30), own_shelf / "geometry.ep.h5")
    app = visit(d="geometry/2/4", r="3")
    assert (
        "region 3<" not in said(app)
        and "group of region" in said(app)
        and "ep-three" not in said(app)
    )
    region = said(visit("region", d="geometry/2/4", r="3"))
    assert "nothing but its number is known" in region and "tokens that set it apart" not in region


def test_members_that_end_their_passages_have_no_next_token_and_are_not_said_to_be_gone(
    own_shelf: Path, visit: Visit
) -> None:
    full = synthetic(30, 16, family="last")
    arrays = {
        name: full.source.read(name) for name in (*ARRAYS, "vocabulary_pieces") if name in full
    }
    arrays["next_ids"], arrays["next_counts"] = (
        np.full((30, 10), -1, np.int32),
        np.zeros((30, 10), np.uint32),
    )
    save(Dictionary(MemorySource(arrays), full.info, 30), own_shelf / "last.ep.h5")
    assert full.region(3).count_voronoi > 0
    text = said(visit("region", d="last/2/4", r="3"))
    assert (
        "None of its members has a token after it." in text
        and "nearest to this exemplar any more" not in text
    )
