"""A server for everybody changes nothing that visitors share, and reaches into no network; on any
server, strangers do not make it load a model or ask an address unseen.
"""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from streamlit.testing.v1 import AppTest

import ep
from ep.cli import parser
from ep.errors import RequestError
from ep.models.endpoint import Endpoint
from ep.public import PUBLIC
from pages.library import changes
from pages.shared import estimates, jobs, loading, models
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import Visit, said

ASKED = [{"role": "user", "content": "?"}]


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PUBLIC, "1")
    monkeypatch.delenv("EP_ENDPOINTS", raising=False)


def uploads(app: AppTest) -> int:
    return len(app.get("file_uploader"))


# -- a server for everybody ------------------------------------------------------------------------


def test_the_command_says_that_it_serves_everybody() -> None:
    assert parser().parse_args(["app", "--public"]).public
    assert not parser().parse_args(["app"]).public


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize("page", ["library", "region", "compare", "behaviour"])
def test_no_page_takes_a_file_a_path_or_an_address(visit: Visit, page: str) -> None:
    app = visit(page)
    assert not uploads(app)
    labels = [box.label for box in app.text_input]
    assert not any(word in label for label in labels for word in ("Path", "Address", "Key"))


@pytest.mark.usefixtures("public")
def test_the_library_only_lists(visit: Visit) -> None:
    app = visit("library", v="add")
    assert not [one for one in app.button_group if one.key == "library_view"]
    text = said(app)
    assert "Upload a file" not in text and "Build one" not in text and "Now your own" not in text
    key = loading.entries()[0].key
    with pytest.raises(RequestError, match="public"):
        changes._check([entry for entry in loading.entries() if entry.key == key])


@pytest.mark.usefixtures("public")
def test_a_label_stays_with_the_visitor_who_gave_it(visit: Visit, own_shelf: Path) -> None:
    ep.save(synthetic(size=40, width=16), own_shelf / "d.ep.h5")
    loading.refresh()
    before = sorted(path.name for path in own_shelf.iterdir())
    app = visit("region", r="3")
    box = next(one for one in app.text_input if str(one.key).startswith("labelling_name"))
    box.set_value("my own name").run()
    assert "my own name" in [one.value for one in app.text_input]
    assert sorted(path.name for path in own_shelf.iterdir()) == before
    assert "my own name" not in [one.value for one in visit("region", r="3").text_input]


@pytest.mark.usefixtures("public")
def test_no_endpoint_is_asked_but_those_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="allowed hosts: none"):
        Endpoint("https://example.org/v1", "m")
    monkeypatch.setenv("EP_ENDPOINTS", "example.org")
    assert Endpoint("https://example.org/v1", "m").host == "example.org"
    with pytest.raises(RequestError, match="not allowed"):
        Endpoint("http://localhost/v1", "m")


@pytest.mark.usefixtures("public")
def test_a_visitor_has_two_pieces_of_work_at_a_time() -> None:
    stop, board = Event(), jobs.Board()

    def work(job: jobs.Job) -> bool:
        return stop.wait(10)

    started = [board.start(f"job {n}", "work", work, "somebody") for n in range(3)]
    other = board.start("another", "work", work, "somebody else")
    assert [job.state for job in (*started, other)] == ["running", "running", "failed", "running"]
    assert "public" in started[2].error
    stop.set()


# -- any server ------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1"])
def test_an_address_inside_is_asked_only_when_it_was_confirmed(host: str) -> None:
    endpoint = Endpoint(f"http://{host}:9/v1", "m", tries=1, inside=False)
    with pytest.raises(RequestError, match="confirm"):
        endpoint.ask(ASKED)


def test_a_host_that_the_operator_lists_may_be_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EP_ENDPOINTS", "localhost")
    with pytest.raises(ep.errors.ServiceError, match="cannot be reached"):
        Endpoint("http://localhost:9/v1", "m", tries=1, inside=False).ask(ASKED)


def test_the_forms_for_endpoints_ask_for_the_confirmation(visit: Visit) -> None:
    app = visit("region")
    (box,) = [one for one in app.checkbox if "this machine" in one.label]
    assert box.value is False


def test_the_model_that_a_foreign_file_names_is_shown_and_not_loaded(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file names a folder as its model, and calls it by the name of another."""
    foreign = synthetic(size=40, width=16, model="/srv/unknown/model", model_name="gpt2")
    ep.save(foreign, tmp_path / "foreign.ep.h5")
    monkeypatch.setenv("EP_LIBRARY", str(tmp_path))
    loading.refresh()
    key = next(entry.key for entry in loading.entries() if entry.path.parent == tmp_path)
    app = visit("", d=key)
    assert "/srv/unknown/model" in said(app)
    opened = loading.dictionary(key)
    assert not models.is_ready(opened)
    assert estimates.loading_model(opened) > jobs.AT_ONCE_S  # so a click is asked for first
    loading.refresh()
