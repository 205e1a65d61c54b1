"""Page logic without a browser: the selection and its URL, swaps of dictionary, and calm boxes
instead of errors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.models.pairing import named_in
from ep.storage import save
from ep.views import colorings
from ep.views.search import Hits
from ep.views.tables import opening_region
from pages.atlas.settings import Settings
from pages.atlas.table import brush_text, listed_ids
from pages.shared import jobs, loading, models, state
from pages.shared.links import codec
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import APP, Visit, said, url
from tests.fixtures.waiting import until


@pytest.fixture(autouse=True)
def library(own_shelf: Path) -> Path:
    """A shelf of its own: one family of two layers and two percentiles, a hostile file, a tiny one,
    a damaged one.
    """
    common = {"family": "fam", "title": "A family"}
    save(synthetic(200, 16, seed=1, layer=4, percentile=4.0, **common), own_shelf / "a.ep.h5")
    save(synthetic(300, 16, seed=2, layer=4, percentile=1.0, **common), own_shelf / "b.ep.h5")
    save(synthetic(60, 16, seed=3, layer=2, percentile=4.0, **common), own_shelf / "c.ep.h5")
    save(synthetic(60, 16, hostile=True, family="hostile"), own_shelf / "h.ep.h5")
    save(synthetic(3, 16, family="tiny"), own_shelf / "t.ep.h5")
    (own_shelf / "x.ep.h5").write_bytes(b"not a dictionary")
    return own_shelf


def views(app: AppTest) -> list[dict[str, Any]]:
    """What each map of the page was told."""
    told = (
        json.loads(e.proto.json)
        for e in app.get("bidi_component")
        if e.proto.component_name == "ep.map"
    )
    return list(told)


def data(app: AppTest) -> dict[str, Any]:
    return views(app)[0]


def dictionary(library: Path, key: str) -> Dictionary:
    return loading.dictionary(key)


def test_the_app_lands_on_a_drawn_atlas_and_says_so_in_the_url(visit: Visit, library: Path) -> None:
    app = visit()
    assert not app.exception
    found = url(app)
    assert found["d"] == "fam/4/1"  # of the family, the one with the most telling map
    assert int(found["r"]) == opening_region(dictionary(library, "fam/4/1"))
    assert f"Region {found['r']}" in said(app)


def test_a_link_restores_dictionary_region_and_colouring(visit: Visit) -> None:
    app = visit(d="fam/2/4", r="17", c="coherence")
    assert url(app) == {"d": "fam/2/4", "r": "17", "c": "coherence"}
    assert "Region 17" in said(app) and "60 regions of layer 2" in said(app)


@pytest.mark.parametrize(
    "query",
    [
        {"d": "no such thing"},
        {"d": "<script>alert(1)</script>"},
        {"d": "../../etc/passwd"},
        {"d": "fam/4/4", "r": "200"},
        {"d": "fam/4/4", "r": "-1"},
        {"d": "fam/4/4", "r": "²"},
        {"d": "fam/4/4", "r": "9" * 400},
        {"d": "fam/4/4", "r": "<b>3</b>"},
        {"d": "fam/4/4", "b": "4000"},
    ],
)
def test_a_wrong_link_is_said_calmly_and_the_page_stands(
    visit: Visit, query: dict[str, str]
) -> None:
    app = visit(**query)
    assert not app.exception and not app.error
    assert "ep-note" in said(app) and "Region " in said(app)
    assert "<script>" not in said(app) and "<b>3</b>" not in said(app)
    assert url(app)["r"].isdigit()
    again = app.run()
    assert "ep-note" not in said(again)  # said once


def test_an_unknown_colouring_is_the_neighbourhood(visit: Visit) -> None:
    assert "c" not in url(visit(c="rainbow"))


def test_navigation_drops_the_url_and_the_selection_stays(visit: Visit) -> None:
    app = visit(d="fam/4/4", r="33")
    app.query_params.clear()
    app.query_params["x"] = "a link that says nothing of ours"
    app.run()
    assert url(app) == {"d": "fam/4/4", "r": "33"}


def test_another_percentile_keeps_the_nearest_region(visit: Visit, library: Path) -> None:
    app = visit(d="fam/4/4", r="33")
    app.select_slider(key="frame_percentile").set_value(1.0).run()
    old, new = dictionary(library, "fam/4/4"), dictionary(library, "fam/4/1")
    nearest = int(np.argmax(new.exemplars @ old.exemplars[33]))
    assert url(app) == {"d": "fam/4/1", "r": str(nearest)}
    assert f"became region {nearest} here" in said(app)


def test_another_layer_is_another_space(visit: Visit, library: Path) -> None:
    app = visit(d="fam/4/1", r="33")
    app.select_slider(key="frame_layer").set_value(2).run()
    assert url(app) == {"d": "fam/2/4", "r": str(opening_region(dictionary(library, "fam/2/4")))}


def test_choosing_a_family_opens_it(visit: Visit) -> None:
    app = visit(d="fam/4/4", r="33")
    app.selectbox(key="frame_family").set_value("hostile").run()
    assert url(app)["d"] == "hostile/2/4" and not app.exception


def test_colour_and_search_change_nothing_else(visit: Visit) -> None:
    app = visit(d="fam/4/4", r="33", find="cat")
    assert " by " in said(app) or "No region has" in said(app)
    app.selectbox(key="atlas_coloring").set_value("stability").run()
    assert url(app) == {"d": "fam/4/4", "r": "33", "find": "cat", "c": "stability"}
    app = visit(d="fam/4/4", r="33", find="zzz :red[x] <b>")
    assert (
        "No region has" in said(app)
        and "<b> <" not in said(app)
        and "zzz :red[x] &lt;b&gt;" in said(app)
    )


def test_an_id_in_the_search_leads_to_its_region(visit: Visit) -> None:
    app = visit(d="fam/4/4", r="33", find="#17")
    app.button(key="atlas_go").click().run()
    assert url(app)["r"] == "17" and "Region 17" in said(app)
    for wrong in ("200", "²", "9" * 400):
        assert not [b for b in visit(d="fam/4/4", r="33", find=wrong).button if b.key == "atlas_go"]


@pytest.mark.parametrize("layout", ["pca-flat", "umap-flat", "umap-sphere", "nonsense"])
def test_a_layout_in_a_link_is_drawn_or_stood_in_for(visit: Visit, layout: str) -> None:
    app = visit(d="fam/4/4", r="33", layout=layout)
    assert ("stands in" in said(app)) == layout.startswith("umap")
    assert "Neighbours, distances and membership" in data(app)["note"]
    assert data(app)["note"].startswith("PCA, 2" if "flat" in layout else "PCA, 3")


def test_layout_controls_write_the_url(visit: Visit) -> None:
    app = visit(d="fam/4/4", r="33")
    app.button_group(key="atlas_kind").set_value("flat").run()
    assert url(app)["layout"] == "pca-flat"
    app.selectbox(key="atlas_two").set_value("pca-sphere").run()
    assert url(app)["two"] == "pca-sphere" and len(views(app)) == 2
    app.selectbox(key="atlas_two").set_value("one map").run()
    assert "two" not in url(app) and len(views(app)) == 1


def test_every_colouring_can_be_chosen(visit: Visit) -> None:
    app = visit(d="fam/4/4", r="33")
    for name in app.selectbox(key="atlas_coloring").options:
        assert name.startswith("Colour: ")
    for column in colorings.columns(dictionary(Path(), "fam/4/4")):
        app = visit(d="fam/4/4", r="33", c=column.name)
        assert data(app)["coloring"] == column.title
        assert bool(data(app)["legend"]) == (column.kind == "category")


def test_brushed_regions_are_what_the_table_lists(visit: Visit, library: Path) -> None:
    found = dictionary(library, "fam/4/4")
    brushed = [5, 17, 99]
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params.update({"d": "fam/4/4", "r": "33"})
    app.session_state["atlas_brush"] = ("fam/4/4", brushed)
    app.run()
    assert sorted(app.session_state["atlas_listed"].tolist()) == brushed == data(app)["brushed"]
    assert brush_text(found, np.array(brushed)) in said(app)
    app.button(key="atlas_clear").click().run()
    assert len(app.session_state["atlas_listed"]) == 200 and data(app)["brushed"] == []


def test_brush_text_counts_regions_and_members(library: Path) -> None:
    found = dictionary(library, "fam/4/4")
    everything = brush_text(found, np.arange(200))
    assert everything == "200 regions brushed, 100.0 % of Voronoi members"
    assert brush_text(found, np.array([3])).startswith("1 region brushed, ")


def test_search_brush_and_size_narrow_the_table_together(library: Path) -> None:
    found = dictionary(library, "fam/4/4")
    count = found.column("count_voronoi")
    hits = Hits(np.array([9, 4, 150, 7]), np.zeros(4, np.int64))
    brushed = np.array([4, 7, 9, 11])
    least = int(np.sort(count[[4, 7, 9]])[1])
    ids = listed_ids(found, 33, hits, brushed, least)
    assert ids.tolist() == [k for k in (9, 4, 7) if count[k] >= least]
    assert listed_ids(found, 33, None, np.array([], np.int64), 1)[0] == 33
    assert 33 not in listed_ids(found, 33, None, brushed, 1)


def test_a_list_is_made_of_the_brushed_regions(visit: Visit, library: Path) -> None:
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params.update({"d": "fam/4/4", "r": "33"})
    app.session_state["atlas_brush"] = ("fam/4/4", [5, 17])
    app.run()
    app.text_input(key="atlas_list").set_value("Mine <b>").run()
    assert loading.labels("fam/4/4").lists["Mine <b>"].regions == (5, 17)
    assert "Mine <b>" not in said(app) and not app.exception


def test_hostile_text_reaches_the_page_escaped_only(visit: Visit) -> None:
    for region in ("0", "11", "40"):
        text = said(visit(d="hostile/2/4", r=region))
        for bad in ("<img", "<style", "<script", "</script", "\0", "\u202e"):
            assert bad not in text


def test_three_regions_have_a_table_and_a_flat_map(visit: Visit) -> None:
    app = visit(d="tiny/2/4")
    assert not app.exception and "at least 4 regions" in said(app) and len(app.dataframe) == 1
    assert "The flat map is shown" in said(app) and data(app)["note"].startswith("PCA, 2")
    assert "at least 16 regions" in said(visit(d="tiny/2/4", layout="umap-flat"))


@pytest.mark.slow
def test_umap_is_computed_beside_the_page_and_kept(visit: Visit, library: Path) -> None:
    app = visit(d="fam/2/4", layout="umap-flat")
    app.button(key="atlas_compute umap-flat").click().run()
    work = f"umap umap-flat {loading.fingerprint('fam/2/4')}"
    job = jobs.board().get(work)
    until(lambda: job.state != "running")
    assert job.state == "done"
    assert (library / "c.ep.maps.h5").exists()
    app.run()
    assert "stands in" not in said(app)
    assert data(app)["note"].startswith(
        "UMAP, 15 neighbours, minimum distance 0.1; trustworthiness"
    )


def test_an_empty_shelf_is_a_calm_page(visit: Visit, library: Path) -> None:
    for file in library.glob("*.ep.h5"):
        file.unlink()
    app = visit()
    assert not app.exception and "No dictionary is open" in said(app) and "d" not in url(app)


def test_a_file_damaged_while_open_is_said(visit: Visit, library: Path) -> None:
    (library / "b.ep.h5").write_bytes(b"gone wrong")
    app = visit(d="fam/4/4")
    assert not app.exception
    app.query_params["d"] = "fam/4/1"
    (library / "b.ep.h5").unlink()
    app.run()
    assert not app.exception and "ep-h" in said(app)


def test_the_unexpected_is_a_calm_box_and_a_line_in_the_log(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("ep.views.tables.group_names", broken)
    app = visit(well=False)
    assert "secret" not in said(app)
    assert "secret detail" in caplog.text


def test_what_is_shared_between_visitors_is_one_object(library: Path) -> None:
    assert loading.dictionary("fam/4/4") is loading.dictionary("fam/4/4")
    assert loading.search_index("fam/4/4") is loading.search_index("fam/4/4")


def test_a_rebuilt_file_is_opened_again(library: Path) -> None:
    before = loading.fingerprint("fam/4/4")
    save(synthetic(90, 16, seed=9, layer=4, percentile=4.0, family="fam"), library / "a.ep.h5")
    loading.refresh()
    assert loading.fingerprint("fam/4/4") != before and len(loading.dictionary("fam/4/4")) == 90


def test_a_model_is_looked_for_beside_its_dictionary_first(library: Path) -> None:
    (library / "models" / "m").mkdir(parents=True)
    (library / "models" / "m" / "config.json").write_text("{}")
    file = library / "a.ep.h5"
    assert named_in({"model": "models/m"}, file) == str((library / "models" / "m").resolve())
    assert named_in({"model": "some/name"}, file) == "some/name"
    found = dictionary(library, "fam/4/4")
    found.info["model"] = "some/name"
    assert models.state(found) == models.NOT_NEEDED


def test_a_long_prompt_stays_out_of_the_url() -> None:
    short, long = (
        state._selection_query(state.Selection("d", 1, prompt="x" * n)) for n in (10, 5000)
    )
    assert short["q"] == "x" * 10 and "q" not in long


def test_a_dictionary_of_exemplars_alone_is_shown(visit: Visit, library: Path) -> None:
    full = synthetic(40, 16, family="bare")
    kept = ("center", "exemplars", "mean_directions", "count_arrival", "coherence")
    save(
        Dictionary(MemorySource({n: full.source.read(n) for n in kept}), full.info, 40),
        library / "bare.ep.h5",
    )
    app = visit(d="bare/2/4")
    # computed on the fly
    assert not app.exception and data(app)["note"].startswith("PCA, 3 of 16 directions: keeps")


def test_settings_of_a_page_live_in_the_url_beside_the_selection(visit: Visit) -> None:
    strangers = {"xss": "<img src=x>", "A1": "no", "x": "no", "basis": "exemplar"}
    app = visit(d="fam/4/4", r="7", layout="pca-flat", least="5", **strangers)
    assert url(app) == {"d": "fam/4/4", "r": "7", "layout": "pca-flat", "least": "5"}
    assert codec(Settings).parse({"layout": "pca-flat"}).layout == "pca-flat"
    assert url(visit(d="fam/4/4", r="7", layout="flat")) == {"d": "fam/4/4", "r": "7"}
    app.switch_page("pages/region/page.py").run()
    assert url(app) == {"d": "fam/4/4", "r": "7"}  # what the Atlas keeps is in its own link only
    app.switch_page("pages/atlas/page.py").run()
    assert url(app) == {"d": "fam/4/4", "r": "7", "layout": "pca-flat", "least": "5"}


def hidden(**query: str) -> AppTest:
    """A visit to /atlas, which is no page of the navigation."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params.update(query)
    app._page_hash = calc_hash("atlas")
    return app.run()


def test_the_hidden_page_atlas_leads_there_with_all_that_is_in_its_link() -> None:
    app = hidden(d="fam/4/4", r="7", layout="pca-flat", c="coherence")
    assert not app.exception and "Region 7" in said(app)
    assert data(app)["note"].startswith("PCA, 2") and data(app)["coloring"] == "Coherence"
    assert url(app) == {"d": "fam/4/4", "r": "7", "layout": "pca-flat", "c": "coherence"}
    app = hidden(d="nobody/has/this", layout="pca-flat")
    assert said(app).count("is on the shelf. Another one is shown") == 1
    assert url(app)["d"] == "fam/4/1" and url(app)["layout"] == "pca-flat"
