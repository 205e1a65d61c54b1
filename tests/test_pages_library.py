"""The Library page's own parts: what is got from the Hub, pickles from outside, and dictionaries to
complete.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import ep
from ep.errors import DictionaryFileError
from ep.models import LanguageModel
from ep.progress import Report
from ep.storage.hub import PUBLISHED, REPOSITORY, Listing, RemoteFile
from pages.library import intake, publishing
from pages.shared import jobs, loading, models, state
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import button_keys, component, go, library_view, said, well
from tests.fixtures.published import library, pickled, without_tokens
from tests.fixtures.waiting import until


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A library of the test's own."""
    monkeypatch.setenv("EP_LIBRARY", str(tmp_path))
    loading.refresh()
    yield tmp_path
    loading.refresh()


def opened(view: str = "shelf") -> AppTest:
    return library_view(go("library"), view)


def cards(app: AppTest) -> list[dict[str, Any]]:
    return component(app, "gallery")["cards"]


@pytest.mark.slow
def test_offline_the_catalogue_is_there_and_nothing_can_be_got(shelf: Path) -> None:
    app = opened("get")
    assert not app.exception
    text = said(app)
    assert "HF_HUB_OFFLINE" in text and "20,295" in text and "0.8744" in text
    assert app.button(key="library_look").disabled
    assert all(app.button(key=f"library_get {p.key}").disabled for p in PUBLISHED)


@pytest.mark.slow
def test_one_that_is_here_opens_and_shows_both_counts(shelf: Path) -> None:
    published = next(p for p in PUBLISHED if p.key == "gemma-2-2b-it/20/8")
    dictionary = without_tokens(synthetic(size=30, width=16))
    origin = {
        "repository": REPOSITORY,
        "file": published.path,
        "revision": "0" * 40,
        "sha256": "1" * 64,
    }
    dictionary.info.update(
        family="published-x", model="nobody/nothing", published=origin, layer=20, percentile=8.0
    )
    ep.save(dictionary, shelf / "x.ep.h5")
    loading.refresh()
    text = said(opened())
    assert "no token ids and no logit lens" in text and "hf download nobody/nothing" in text
    app = opened("get")
    text = said(app)
    assert "● here" in text and "0" * 40 in text
    assert "252" in text and 'ep-differs">30<' in text
    assert not app.button(key=f"library_open_pub {published.key}").disabled


@pytest.mark.slow
def test_a_card_says_what_is_unlike_the_rest_and_what_was_left_out(shelf: Path) -> None:
    measured = {"n": 5000, "first": 40, "massive": 41, "first_massive": 40, "times": 5.0}
    dictionary = synthetic(
        size=12,
        layer=20,
        family="with-sinks",
        norms=measured | {"median": 2.0, "largest": 216.0},
        largest_dimension={"dimension": 163, "directions": 0.31, "variance": 0.66},
        skip_first=1,
        left_out={"first": 80, "norm": 0},
    )
    ep.save(dictionary, shelf / "x.ep.h5")
    loading.refresh()
    app = opened()
    assert not app.exception
    text = " ".join(next(c for c in cards(app) if c["id"] == "with-sinks")["notes"])
    assert "Layer 20: 41 of 5,000 activations (0.8 %) are massive" in text
    assert "Layer 20: dimension 163 alone makes 31 % of all directions" in text
    assert "Left out of the build: the first token of every passage (80 activations)." in text


def test_sizes_are_the_hubs_once_it_was_asked() -> None:
    published = PUBLISHED[0]
    listing = Listing(REPOSITORY, "0" * 40, (RemoteFile(published.path, 5_912_000_000, None),))
    assert publishing._size(published, None) == "≈ 6 GB"
    assert publishing._size(published, listing) == "5.91 GB"
    assert publishing._size(PUBLISHED[1], listing) == "not there"


def test_a_revision_that_is_not_the_known_one_is_said() -> None:
    assert "no longer has the revision" in publishing._about(Listing(REPOSITORY, "f" * 40, ()))
    known = "0ec26618".ljust(40, "0")
    assert known in publishing._about(Listing(REPOSITORY, known, ()))


@pytest.mark.parametrize("key", ["gemma-2-2b/12/1", "published-gemma-2-2b/12/1"])
def test_a_link_to_a_published_one_says_where_to_get_it(key: str, shelf: Path) -> None:
    assert "get it in the Library" in state._unknown(key)
    assert "get it in the Library" not in state._unknown("gemma-2-2b/12/99")


def test_a_pickle_is_read_under_a_free_name_and_a_foreign_one_is_refused(tmp_path: Path) -> None:
    data = pickled(library(synthetic(size=12, width=8)))
    folder = tmp_path / "library"
    assert intake.is_pickle(" 'x.PKL' ") and not intake.is_pickle("x.ep.h5")
    made = [
        intake.read_pickle(
            intake.store_pickle("../gemma-x_layer3.pkl", io.BytesIO(data), folder),
            "a",
            folder,
            lambda said, share: None,
        )
        for _ in range(2)
    ]
    assert len(set(made)) == 2 and all(len(ep.open(path)) == 12 for path in made)
    assert all(ep.open(path).info["title"].startswith("gemma-x") for path in made)
    kept = intake.store_pickle("bad.pkl", io.BytesIO(b"\x80\x05garbage"), folder)
    with pytest.raises(DictionaryFileError, match=r"bad\.pkl") as caught:
        intake.read_pickle(kept, "bad.pkl", folder, lambda said, share: None)
    assert str(tmp_path) not in str(caught.value)
    intake.remove_pickle(kept)
    assert sorted(folder.glob("*.ep.h5")) == sorted(made) and not kept.parent.exists()


@pytest.mark.slow
def test_what_a_stopped_download_left_can_be_removed(shelf: Path) -> None:
    (shelf / ".downloads").mkdir()
    (shelf / ".downloads" / "x.partial").write_bytes(bytes(3_000_000))
    app = opened("tidy")
    assert "Unfinished or kept downloads" in said(app) and "3 MB" in said(app)
    app.button(key="library_remove").click().run()
    assert not (shelf / ".downloads").exists() and "3 MB" not in said(app)


def borders(block: Any, inside: int = 0) -> list[int]:
    """How many boxes lie around each box of a page."""
    proto = getattr(block, "proto", None)
    is_box = proto is not None and hasattr(proto, "flex_container") and proto.flex_container.border
    children = getattr(block, "children", {}).values()
    own = [inside] if is_box else []
    return own + [depth for child in children for depth in borders(child, inside + bool(is_box))]


@pytest.mark.slow
def test_progress_inside_a_card_has_no_box_of_its_own(shelf: Path) -> None:
    may_end = Event()
    key = publishing._job(PUBLISHED[0])
    try:
        app = opened("get")
        visitor = app.session_state["visitor"]
        jobs.board().start(key, "Getting one", lambda job: may_end.wait(60), visitor)
        app.run()
        assert app.button(key=f"job_cancel {key}")
        assert (found := borders(app.main)) and max(found) == 0
    finally:
        may_end.set()


# -- work beside the page --------------------------------------------------------------------------


def read(app: AppTest, path: Path | str) -> AppTest:
    """Opens a file by its path."""
    library_view(app, "add")
    app.text_input(key="library_path").set_value(str(path))
    return next(button for button in app.button if button.label == "Open the file").click().run()


@pytest.fixture
def pickle(shelf: Path) -> Path:
    """A published file, outside the library."""
    path = shelf / "elsewhere" / "gemma-x_layer3.pkl"
    path.parent.mkdir()
    path.write_bytes(pickled(library(synthetic(size=12, width=8))))
    return path


@pytest.mark.slow
def test_a_pickle_that_was_read_is_opened_where_its_visitor_waits(pickle: Path) -> None:
    app = go("library")
    assert not jobs.board().keys(app.session_state["visitor"])
    read(app, pickle)
    until(lambda: not jobs.is_running(f"read {pickle}"))
    app.run()
    assert "<h1>Atlas</h1><p>12 regions of layer 3." in well(app)
    assert len(loading.dictionary(app.session_state["state_selection"].dictionary)) == 12
    assert "is read and on the shelf" not in said(app)


@pytest.mark.slow
def test_elsewhere_a_sentence_says_that_a_pickle_was_read(pickle: Path) -> None:
    app, stranger = go("library"), go("library")
    read(app, pickle)
    until(lambda: not jobs.is_running(f"read {pickle}"))
    app.switch_page("pages/region/page.py").run()
    assert "gemma-x_layer3.pkl is read and on the shelf. Open it in the Library." in well(app)
    assert "is read and on the shelf" not in said(app.run())
    app.switch_page("pages/library/page.py").run()
    titles = [card["title"] for card in cards(library_view(app, "shelf"))]
    assert "<h1>Library</h1>" in well(app) and any("gemma-x" in title for title in titles)
    assert "is read and on the shelf" not in said(stranger.run())
    assert any("gemma-x" in card["title"] for card in cards(stranger))


@pytest.mark.parametrize(
    "path", ["/nowhere/x.pkl", "~nobody-here/x.pkl", "\0.pkl", "x" * 5000 + ".pkl"]
)
def test_a_path_to_no_pickle_is_one_line_and_starts_nothing(shelf: Path, path: str) -> None:
    app = read(go("library"), path)
    assert "There is no file at" in well(app)
    assert not jobs.board().keys(app.session_state["visitor"])


def test_a_failure_and_a_cancel_are_for_who_asked(pickle: Path) -> None:
    pickle.write_bytes(b"\x80\x05garbage")
    app, stranger = go("library"), go("library")
    read(app, pickle)
    until(lambda: not jobs.is_running(f"read {pickle}"))
    assert f"job_close read {pickle}" in button_keys(app.run()) and "gemma-x_layer3.pkl" in well(
        app
    )
    assert not [key for key in button_keys(stranger.run()) if key.startswith("job_")]
    app.button(key=f"job_close read {pickle}").click().run()
    assert not [key for key in button_keys(app) if key.startswith("job_")]


def test_a_strangers_download_can_be_joined_and_not_cancelled(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, published = Event(), PUBLISHED[0]
    monkeypatch.setattr(publishing, "offline", lambda: False)
    key = publishing._job(published)
    job = jobs.board().start(key, "Getting one", lambda job: may_end.wait(60), "somebody")
    try:
        app = opened("get")
        assert not [name for name in button_keys(app) if name.startswith("job_")]
        assert not app.button(key=f"library_get {published.key}").disabled
        app.button(key=f"library_get {published.key}").click().run()
        assert jobs.board().get(key) is job and f"job_cancel {key}" in button_keys(app)
        assert app.button(key=f"library_get {published.key}").disabled
        app.button(key=f"job_cancel {key}").click().run()
        assert not job.cancelling, "somebody else still waits for it"
    finally:
        may_end.set()
    until(lambda: job.state == "done")


def test_what_was_downloaded_is_said_once_to_who_asked(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = PUBLISHED[0]
    monkeypatch.setattr(publishing, "offline", lambda: False)
    monkeypatch.setattr(publishing, "import_published", lambda *_, **__: shelf / "x.ep.h5")
    app, stranger = opened("get"), opened("get")
    app.button(key=f"library_get {published.key}").click().run()
    until(lambda: not jobs.is_running(publishing._job(published)))
    assert "downloaded, checked" not in said(stranger.run())
    texts = [said(app), said(app.run()), said(app.run())]
    assert sum("downloaded, checked and on the shelf" in text for text in texts) == 1


@pytest.mark.slow
def test_completing_loads_the_model_beside_the_page(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(tiny.gemma(tmp_path / "gemma"))
    dictionary = without_tokens(synthetic(size=12, width=32, model=model, family="bare"))
    dictionary.info["published"] = {"repository": "x/y", "file": "z.pkl"}
    path = ep.save(dictionary, shelf / "bare.ep.h5")
    loading.refresh()
    read_by: list[str] = []

    def complete(target: Path, model: LanguageModel, report: Report) -> Path:
        read_by.append(model.name)
        return target

    monkeypatch.setattr("ep.completing.complete", complete)
    key = next(entry.key for entry in loading.entries() if entry.path == path)
    app, stranger = go("library"), go("library")
    assert models.state(loading.dictionary(key)) == models.NOT_NEEDED
    app.button(key=f"library_complete {key}").click().run()
    until(lambda: not jobs.is_running(f"complete {key}"))
    texts = [said(app), said(app.run()), said(app.run())]
    assert sum("The model has completed it" in text for text in texts) == 1
    assert read_by == [model] and models.is_ready(loading.dictionary(key))
    assert "The model has completed it" not in said(stranger.run())
