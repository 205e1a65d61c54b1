"""The Region page and its visitors: ids from strangers, ways to other pages, and a model that
labels for one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from ep.storage import save
from pages.region import surroundings
from pages.shared import jobs, loading, models, reading
from pages.shared.chips import Chip
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.endpoint import Behaviour, fails, good_reader, serving
from tests.fixtures.pages import Visit, button_keys, said, show, well
from tests.fixtures.waiting import until

KEY = "one/2/4"


@pytest.fixture(autouse=True)
def shelf(own_shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dictionary with its model, which nobody has loaded yet."""
    model = str(tiny.gemma(tmp_path_factory.mktemp("models") / "gemma"))
    save(synthetic(60, 32, model=model, layer=2, family="one"), own_shelf / "one.ep.h5")
    return own_shelf


# -- ids and ways ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wild", ["9" * 5000, "-1", "1e9", "<b>", "60", "١٢", "\0"])
def test_a_link_to_a_region_that_is_not_there_is_a_calm_page(wild: str) -> None:
    app = show("region", KEY, r=wild, b=wild)
    page = well(app)
    assert page.count("does not exist: this dictionary has regions 0 to 59") == 2
    assert "<b>'" not in page and app.query_params["r"].isdigit() and "b" not in app.query_params


def test_an_id_may_be_written_with_leading_zeros_and_commas() -> None:
    app = show("region", KEY, r="0007")
    assert "Region 7" in well(app) and app.query_params["r"] == "7"
    for text, region in (("0012", 12), (" 1,3 ", 13), ("9" * 5000, 13), ("", 13)):
        app.text_input(key="region_id").set_value(text).run()
        assert f"Region {region}" in well(app) and app.query_params["r"] == str(region)
        assert app.text_input(key="region_id").value == str(region)
        assert ("ep-note" in said(app)) == (text in ("9" * 5000, ""))


def test_a_link_holds_the_selection_and_nothing_else() -> None:
    app = show("region", KEY, r="3", layout="pca-flat", basis="exemplar", x="<u>")
    assert set(app.query_params) == {"d", "r"} and "<u>" not in well(app)


@pytest.fixture
def clickable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chips around a region as buttons, which a test can click."""

    def chips(items: Sequence[Chip], key: str, on_pick: Callable[[int], None]) -> None:
        for chip in items:
            st.button(chip.token, key=f"{key} {chip.id}", on_click=on_pick, args=(chip.id,))

    monkeypatch.setattr(surroundings, "chips", chips)


@pytest.mark.usefixtures("clickable")
def test_a_neighbour_is_a_click_away_and_so_is_what_lies_between(visit: Visit) -> None:
    nearest = loading.dictionary(KEY).region(3).nearest[0][0]
    app = visit("region", d=KEY, r="3")
    app.button(key=f"region_between_chips {nearest}").click().run()
    assert "What lies between two regions" in well(app)
    assert (app.query_params["r"], app.query_params["b"]) == ("3", str(nearest))
    app = visit("region", d=KEY, r="3")
    app.button(key=f"region_nearest {nearest}").click().run()
    assert f"<h1>Region {nearest}</h1>" in well(app)


# -- a text of one's own ---------------------------------------------------------------------------


def test_the_model_is_loaded_when_a_text_is_read_and_not_before() -> None:
    app = show("region", KEY, r="3", q="The cat sat on the mat.")
    assert well(app) and models.state(loading.dictionary(KEY)) == models.NOT_NEEDED
    assert not len(reading.readings()) and not jobs.board().jobs()
    app.text_area(key="region_trial_text").set_value("The cat sat on the mat.")
    next(button for button in app.button if button.label == "Read").click().run()
    assert "tokens fall in this region" in well(app)
    assert models.is_ready(loading.dictionary(KEY)) and "ready on" in said(app)
    assert len(reading.readings()) == 1


# -- a model that labels ---------------------------------------------------------------------------


def ask(app: AppTest, url: str) -> AppTest:
    """Has the model at this address label the region on screen."""
    for label, text in (("Address", url), ("Model", "reader")):
        next(box for box in app.text_input if box.label == label).set_value(text)
    next(box for box in app.checkbox if "this machine" in box.label).check()
    return next(button for button in app.button if button.label == "Label").click().run()


def at_work() -> bool:
    return any(job.state == "running" for job in jobs.board().jobs())


def patient(go: Event, then: Behaviour) -> Behaviour:
    """Answers once it may."""

    def behave(*request: object) -> None:
        go.wait(60)
        then(*request)  # type: ignore[arg-type]

    return behave


@pytest.mark.slow
def test_labels_come_for_everyone_and_the_work_is_seen_by_who_asked() -> None:
    go = Event()
    with serving(patient(go, good_reader)) as server:
        app, other = show("region", KEY, r="20"), show("region", KEY, r="20")
        assert not server.seen and not jobs.board().jobs()
        ask(app, server.url)
        assert any(key.startswith("job_cancel") for key in button_keys(app)), said(app)[-2000:]
        other.run()
        assert not any(key.startswith("job_") for key in button_keys(other)) and well(other)
        go.set()
        until(lambda: not at_work())
        app.run()
        other.run()
    assert "1 region labelled" in well(app) and "1 region labelled" not in well(other)
    for visitor in (app, other):
        assert "· reader@127.0.0.1" in said(visitor)
    app.button(key="endpoint_close").click().run()
    assert "1 region labelled" not in well(app)


@pytest.mark.slow
def test_a_failure_is_for_who_asked_and_both_may_ask_at_once() -> None:
    with serving(fails(401, "no such key")) as server:
        app, other = show("region", KEY, r="20"), show("region", KEY, r="21")
        ask(app, server.url)
        until(lambda: not at_work())
        assert "job_close" in " ".join(button_keys(app.run())) and well(app.run())
        assert not any(key.startswith("job_") for key in button_keys(other.run()))
    with serving(good_reader) as server:
        ask(other, server.url)
        until(lambda: not at_work())
        assert "1 region labelled" in well(other.run())
    assert [loading.labels(KEY).stored(k) != () for k in (20, 21)] == [False, True]


def test_a_second_wish_of_the_same_visitor_waits() -> None:
    go = Event()
    with serving(patient(go, good_reader)) as server:
        app = ask(show("region", KEY, r="20"), server.url)
        assert "is labelling regions of this dictionary already" in said(ask(app, server.url))
        assert len(jobs.board().jobs()) == 1
        go.set()
        until(lambda: not at_work())


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "nonsense"])
def test_an_address_that_cannot_be_is_a_sentence(url: str) -> None:
    app = ask(show("region", KEY, r="20"), url)
    assert "ep-note" in well(app) and not jobs.board().jobs()
