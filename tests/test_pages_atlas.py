"""The Atlas as a stranger's link finds it: nothing that takes long begins by itself, and one
visitor does not see another's work.
"""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ep.errors import ServiceError
from ep.storage import save
from ep.views import layouts
from pages.atlas import drawing
from pages.shared import estimates, jobs, loading, models, reading
from pages.shared.jobs import Job
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import button_keys, said, show, url, well
from tests.fixtures.waiting import until

KEY, TEXT = "read/2/4", "Could you tell me how the cat sat on the mat?"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.gemma(tmp_path_factory.mktemp("models") / "gemma")


@pytest.fixture(autouse=True)
def shelf(own_shelf: Path, model: Path) -> Path:
    """One dictionary with its model, which nobody has loaded yet."""
    common = {"model": str(model), "layer": 2, "threshold": 1.2}
    made = synthetic(60, 32, family="read", **common)
    del made.info["tokenizer_hash"]
    save(made, own_shelf / "read.ep.h5")
    save(synthetic(30, 32, family="other", **common), own_shelf / "other.ep.h5")
    return own_shelf


def told(app: AppTest) -> dict[str, Any]:
    """What the map was told."""
    components = app.get("bidi_component")
    views = [c.proto.json for c in components if c.proto.component_name == "ep.map"]
    return dict(json.loads(views[0]))


def nothing_was_started() -> bool:
    is_needed = models.state(loading.dictionary(KEY)) != models.NOT_NEEDED
    return not (is_needed or len(reading.readings()) or jobs.board().jobs())


@pytest.mark.parametrize("wild", ["9" * 5000, "007", "-1", "1e9", "<b>", "", "١٢", "\0"])
def test_a_hostile_link_is_a_calm_page_and_keeps_nothing_of_it(wild: str) -> None:
    names = ("layout", "two", "route", "c", "by", "least")
    app = show("atlas", KEY, r="3", **dict.fromkeys(names, wild))
    assert "Region 3" in well(app) and not set(names) & set(app.query_params)
    assert (told(app)["note"], nothing_was_started()) == (told(show("atlas", KEY))["note"], True)


def test_a_query_too_long_for_a_link_is_looked_for_and_stays_out_of_it() -> None:
    app = show("atlas", KEY, find="9" * 5000)
    assert "No region has" in well(app) and not [
        key for key in button_keys(app) if key == "atlas_go"
    ]
    assert len(url(app)["find"]) == 1500
    assert "atlas_go" in button_keys(show("atlas", KEY, find="region 007"))
    assert "atlas_go" not in button_keys(show("atlas", KEY, find="60"))


# -- what the model reads --------------------------------------------------------------------------


def test_a_link_to_a_search_by_meaning_reads_nothing_until_it_is_clicked() -> None:
    app = show("atlas", KEY, find=TEXT, by="meaning")
    page = well(app)
    assert "The model is loaded first. It takes " in page and "by meaning" not in page
    assert {"atlas_meaning", "atlas_words"} <= set(button_keys(app)) and nothing_was_started()
    assert len(app.session_state["atlas_listed"]) == 60
    app.button(key="atlas_meaning").click().run()
    assert "regions by meaning: within θ" in well(app)
    assert '<span class="ep-k">near: <mark>' in well(app)
    assert models.is_ready(loading.dictionary(KEY)) and button_keys(app).count("atlas_meaning") == 0
    assert "regions by meaning: within θ" in well(show("atlas", KEY, find=TEXT, by="meaning"))
    app.button(key="atlas_words").click().run()
    assert "by" not in app.query_params and ("No region has" in said(app) or " by " in said(app))


def test_a_search_by_meaning_is_a_click_away_from_words_nobody_has() -> None:
    app = show("atlas", KEY, find=TEXT)
    assert "atlas_meaning" in button_keys(app) and nothing_was_started()
    app.button(key="atlas_meaning").click().run()
    assert models.is_ready(loading.dictionary(KEY)) and url(app)["by"] == "meaning"
    assert "The model is loaded first" not in well(app)


def test_without_its_model_a_text_is_still_looked_for_by_its_words(shelf: Path) -> None:
    save(synthetic(30, 16, model="nobody/has-this", family="far"), shelf / "far.ep.h5")
    loading.refresh()
    app = show("atlas", "far/2/4", find=TEXT, by="meaning")
    assert "cannot be read here" not in well(app)
    app.button(key="atlas_meaning").click().run()
    assert "only its words can be looked for" in said(app) and "atlas_words" in button_keys(app)
    app = show("atlas", "other/2/4", find=TEXT, by="meaning")
    app.button(key="atlas_meaning").click().run()
    assert "another tokenizer" in said(app) and "atlas_words" in button_keys(app)


def test_a_link_to_a_prompts_path_reads_nothing_until_it_is_clicked() -> None:
    app = show("atlas", KEY, q=TEXT, route="on")
    assert "The model is loaded first. It takes " in well(app) and told(app)["path"] == []
    assert app.text_input(key="atlas_prompt").value == TEXT and nothing_was_started()
    next(button for button in app.button if button.label == "Read this text").click().run()
    assert "tokens in " in well(app)
    path, names = told(app)["path"], told(app)["path_labels"]
    assert len(path) == len(names) > 5 and path[0] == -1 and max(path) < 60
    assert told(show("atlas", KEY, q=TEXT, route="on"))["path"] == path  # known by now, to everyone


def test_who_switches_the_path_on_or_types_a_text_has_it_read() -> None:
    app = show("atlas", KEY, q=TEXT)
    app.toggle(key="atlas_route").set_value(True).run()
    assert len(told(app)["path"]) > 5 and url(app)["route"] == "on"
    app.text_input(key="atlas_prompt").set_value(" A dog ").run()
    assert 1 < len(told(app)["path"]) < 6 and url(app)["q"] == "A dog"
    app.text_input(key="atlas_prompt").set_value(" ").run()
    assert well(app) and told(app)["path"] == []
    app.toggle(key="atlas_route").set_value(False).run()
    assert "route" not in app.query_params


# -- what a map keeps ------------------------------------------------------------------------------


def test_a_large_map_is_measured_when_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "matrix_products", lambda multiply_adds: 100.0)
    app = show("atlas", KEY)
    assert "trustworthiness" not in told(app)["note"] and nothing_was_started()
    assert "is not measured yet. It takes about 2 min." in said(app)
    assert not layouts.is_measured(loading.dictionary(KEY), "pca-sphere")
    label = "Measure how well neighbours are kept"
    next(button for button in app.button if button.label == label).click().run()
    until(lambda: layouts.is_measured(loading.dictionary(KEY), "pca-sphere"))
    until(lambda: not jobs.is_running(next(iter(jobs.board().keys(app.session_state["visitor"])))))
    for visitor in (app.run(), show("atlas", KEY)):
        assert "; trustworthiness " in told(visitor)["note"]
        assert label not in [button.label for button in visitor.button]


def test_a_small_map_is_measured_while_it_is_drawn() -> None:
    assert "; trustworthiness " in told(show("atlas", KEY))["note"]
    small, large = synthetic(60, 8), synthetic(600, 64)
    assert drawing._seconds(small) < drawing._seconds(large)


# -- UMAP ------------------------------------------------------------------------------------------


def umap_key() -> str:
    return f"umap umap-flat {loading.fingerprint(KEY)}"


def test_what_there_is_to_say_of_a_umap_is_said_once_to_who_asked_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    why = "This map is kept until the explorer ends: the disk is full."
    monkeypatch.setattr(layouts, "compute", lambda *_: why)
    app = show("atlas", KEY, layout="umap-flat")
    assert nothing_was_started()
    app.button(key="atlas_compute umap-flat").click().run()
    until(lambda: not jobs.is_running(umap_key()))
    other = show("atlas", KEY, layout="umap-flat")
    assert why not in said(other)
    assert [why in said(app), why in said(app.run())] in ([True, False], [False, True])
    assert why not in said(app.run())


def test_a_stranger_sees_neither_cancel_nor_failure_of_a_umap() -> None:
    go = Event()

    def work(job: Job) -> str:
        go.wait(60)
        raise ServiceError("nothing came of it")

    job = jobs.board().start(umap_key(), "UMAP", work, "somebody")
    try:
        app = show("atlas", KEY, layout="umap-flat")
        assert "atlas_compute umap-flat" in button_keys(app) and "stands in" in well(app)
        assert not [key for key in button_keys(app) if key.startswith("job_")]
    finally:
        go.set()
    until(lambda: job.state == "failed")
    app.run()
    assert "nothing came of it" not in said(app)
    assert not [key for key in button_keys(app) if key.startswith("job_")]
