"""The gallery of the Library: what a card says, search, order, and changes that can be undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from ep.errors import RequestError
from ep.storage import Family, edits, save, trash
from ep.storage.labels import Labels
from ep.storage.sidecar import LABELS, TITLE, beside
from ep.views import layouts, palette, thumbnail
from pages.library import cards, changes, finding, problems
from pages.library.thumbnails import Thumbnails
from pages.shared import loading, state
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import APP, component, go, said
from tests.fixtures.waiting import until


@pytest.fixture
def shelf(own_shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundled dictionary of a tiny model, a build of a real one, and a file that is damaged."""
    demo, library = own_shelf / "demo", own_shelf / "library"
    (demo / "models" / "base").mkdir(parents=True)
    library.mkdir()
    monkeypatch.setattr(loading, "DEMO", demo)
    monkeypatch.setattr(loading, "LIBRARY", library)
    tiny = {"model": "./models/base", "tokenizer_hash": "abc"}
    save(synthetic(30, 16, family="demo", title="Demo", **tiny), demo / "demo.ep.h5")
    for p in (1.0, 2.0):
        corpus = {"name": "books.txt", "digest": "x"}
        about = {"model": "some/Real-1B", "corpus": corpus, "created": "2026-03-04T05:06:07+00:00"}
        made = synthetic(
            int(60 / p), 16, family="mine", title="Mine", layer=7, percentile=p, **about
        )
        made.info["complete"] = p != 2.0
        save(made, library / f"mine-{p:g}.ep.h5")
    (library / "bad.ep.h5").write_bytes(b"nothing")
    loading.refresh()
    st.session_state.clear()
    return library


def family(name: str) -> Family:
    return next(found for found in loading.shelf().families if found.id == name)


def card(name: str) -> dict[str, Any]:
    found = family(name)
    return cards.card(found, found.entries[0].key, False, "")


def drawn(app: AppTest) -> list[str]:
    return [card["id"] for card in component(app, "gallery")["cards"]]


def test_a_card_says_what_a_family_is(shelf: Path) -> None:
    mine = card("mine")
    assert mine["title"] == "Mine" and mine["kind"] == cards.REAL and mine["locked"] == ""
    assert mine["about"].startswith("some/Real-1B · books.txt · ")
    assert mine["facts"][1:] == ["built 4 Mar 2026", "2 files"] and mine["facts"][0].endswith("kB")
    assert mine["warning"] == "incomplete: 1 of them stopped early"
    assert mine["percentiles"] == ["1", "2"] and [row["layer"] for row in mine["rows"]] == ["7"]
    assert [cell["k"] for cell in mine["rows"][0]["cells"]] == ["60", "30"]
    assert [cell["stopped"] for cell in mine["rows"][0]["cells"]] == [False, True]
    demo = card("demo")
    assert demo["kind"] == cards.TINY and demo["locked"] == cards.BUNDLED
    assert demo["facts"][-2:] == ["complete", "bundled, read-only"]


def test_a_copy_of_a_demo_dictionary_is_still_of_the_tiny_model(shelf: Path) -> None:
    copy = synthetic(30, 16, family="copy", model="./models/base", tokenizer_hash="abc")
    save(copy, shelf / "copy.ep.h5")
    save(synthetic(30, 16, family="silent", model=None), shelf / "silent.ep.h5")
    loading.refresh()
    assert card("copy")["kind"] == cards.TINY and card("copy")["locked"] == ""
    assert card("silent")["kind"] == cards.UNKNOWN


def test_hundreds_of_copies_are_one_card_that_is_not_endless(shelf: Path) -> None:
    content = (shelf / "mine-1.ep.h5").read_bytes()
    for i in range(80):
        (shelf / f"copy-{i:02}.ep.h5").write_bytes(content)
    loading.refresh()
    found = family("mine")
    last = found.entries[-1].key
    made = cards.card(found, last, False, None)
    shown = [cell["key"] for row in made["rows"] for cell in row["cells"]]
    assert len(shown) == cards.MOST_CELLS and last in shown and made["more"] == 82 - len(shown)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["demo", "mine"]),
        ("MINE", ["mine"]),
        ("real books", ["mine"]),
        ("layer 7", ["mine"]),
        ("p2 mine-2.ep", ["mine"]),
        ("real demo", []),
        ("weather", ["mine"]),
        ("real weather", ["mine"]),
    ],
)
def test_every_word_of_a_search_is_somewhere(shelf: Path, query: str, found: list[str]) -> None:
    Labels.open(shelf / "mine-1.ep.h5").save(edits.label(3, "Talk of the weather"))
    assert [f.id for f in finding.found(loading.shelf().families, query)] == found


@pytest.mark.parametrize(
    ("order", "first"),
    [("newest", "mine"), ("name", "demo"), ("size", "mine"), ("k", "mine"), ("layer", "demo")],
)
def test_the_orders(shelf: Path, order: str, first: str) -> None:
    assert finding.ordered(loading.shelf().families, order)[0].id == first
    assert set(finding.ORDERS) == {"newest", "name", "size", "k", "layer"}


def test_a_link_restores_search_and_order(shelf: Path) -> None:
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params["find"] = "demo"
    app.run().switch_page("pages/library/page.py")
    app.query_params["find"], app.query_params["sort"] = "mine", "name"
    assert drawn(app.run()) == ["mine"] and app.selectbox(key="library_order").value == "name"
    app.query_params["find"] = "nothing has this"
    assert "Nothing on the shelf has" in said(app.run())


def test_a_damaged_file_is_a_problem_with_its_reason_and_advice(shelf: Path) -> None:
    (entry,) = loading.shelf().broken
    why, advice = problems.reason(entry)
    assert why == "This is not an HDF5 file." and advice.startswith("Expected an .ep.h5 dictionary")
    app = go("library")
    text = said(app)
    assert (
        'role="alert"' in text and "bad.ep.h5 cannot be opened" in text and str(shelf) not in text
    )
    app.button(key=f"library_delete_bad {entry.key}").click().run()
    assert not (shelf / "bad.ep.h5").exists() and 'role="alert"' not in said(app)
    assert "Deleted bad.ep.h5" in said(app)
    next(b for b in app.button if b.label == "Undo").click().run()
    assert (shelf / "bad.ep.h5").read_bytes() == b"nothing" and 'role="alert"' in said(app)


def test_without_own_dictionaries_the_page_says_what_to_do_first(shelf: Path) -> None:
    app = go("library")
    assert "Now your own" not in said(app) and not app.code
    for path in shelf.glob("*.ep.h5"):
        path.unlink()
    loading.refresh()
    app = go("library")
    assert "Now your own" in said(app) and "python -m ep build" in app.code[0].value
    assert str(shelf) in app.code[0].value
    app.button(key="library_to_get").click().run()
    assert "Published dictionaries" in said(app)


def test_deleting_and_undoing_keep_labels_titles_and_links(shelf: Path) -> None:
    path = shelf / "mine-1.ep.h5"
    Labels.open(path).save(edits.label(3, "mine"))
    changes.rename("mine", "<b>New</b>")
    assert loading.title("mine") == "<b>New</b>" and loading.find("mine/7/1") is not None
    before = {file.name: file.read_bytes() for file in shelf.iterdir()}
    assert {beside(path, LABELS).name, beside(path, TITLE).name} <= set(before)
    state.update_selection(dictionary="mine/7/1", region=0)
    changes.delete(["mine/7/1", "mine/7/2"])
    assert [f.id for f in loading.shelf().families] == ["demo"]
    assert state.current().dictionary == "demo/2/4", "the one that was open is gone"
    assert changes.take_problem() is None
    (undo,) = changes.deleted()
    assert undo.title == "<b>New</b>" and trash.listed(shelf) == [undo]
    changes.restore(undo)
    assert changes.deleted() == [] and changes.take_problem() is None
    assert {file.name: file.read_bytes() for file in shelf.iterdir()} == before


def test_what_is_bundled_is_not_changed_and_that_is_said(shelf: Path) -> None:
    for change in (
        lambda: changes.rename("demo", "x"),
        lambda: changes.delete(["demo/2/4"]),
        lambda: changes.delete(["demo/2/4", "mine/7/1"]),
    ):
        change()
        problem = changes.take_problem()
        assert problem is not None and "bundled with the explorer" in problem[1]
    assert loading.title("demo") == "Demo" and loading.find("mine/7/1") is not None
    changes.delete(["nowhere"])
    assert "not on the shelf any more" in (changes.take_problem() or ("", ""))[1]


def test_deletions_older_than_a_day_are_removed(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes.delete(["mine/7/1"])
    changes.expire()
    assert trash.listed(shelf)
    now = trash.time.time()
    monkeypatch.setattr(trash.time, "time", lambda: now + trash.KEPT_S + 1)
    changes.expire()
    assert not (shelf / trash.FOLDER).exists() and changes.deleted() == []


def test_the_trash_is_listed_and_emptied(shelf: Path) -> None:
    changes.delete(["mine/7/1"])
    app = go("library")
    app.button_group(key="library_view").set_value("tidy").run()
    assert "Mine" in said(app) and "deleted" in said(app)
    app.button(key="library_empty_trash").click().run()
    assert "It is empty" in said(app) and not (shelf / trash.FOLDER).exists()


# -- pictures --------------------------------------------------------------------------------------


def test_every_pixel_is_the_cell_of_the_nearest_site() -> None:
    rng = np.random.default_rng(0)
    sites = rng.standard_normal((9, 3))
    sites /= np.linalg.norm(sites, axis=1, keepdims=True)
    colors = np.array([[20 * k, 255 - 20 * k, 10 * k] for k in range(9)], np.uint8)
    size = 40
    made = thumbnail.draw(sites, colors, size)
    turned = sites @ thumbnail._turn().T
    for row, column in rng.integers(0, size, (200, 2)):
        x, y = (column + 0.5) * 2 / size - 1, 1 - (row + 0.5) * 2 / size
        if x * x + y * y >= 1:
            assert made[row, column, 3] == 0
            continue
        point = np.array([x, y, np.sqrt(1 - x * x - y * y)])
        near = int(np.argmax(turned @ point))
        lit = thumbnail._lit(colors[[near]].astype(float), point[None])[0]
        assert np.abs(made[row, column, :3] - np.clip(lit, 0, 255)).max() <= 1


def test_a_picture_is_of_the_dictionarys_own_cells_and_colours(shelf: Path) -> None:
    dictionary = loading.dictionary("mine/7/1")
    made = thumbnail.picture(dictionary, 64)
    again = thumbnail.draw(
        thumbnail.sphere.on_sphere(layouts.coordinates(dictionary, "pca-sphere")),
        palette.map_colors(dictionary),
        64,
    )
    assert made.shape == (64, 64, 4) and np.array_equal(made, again)
    with pytest.raises(RequestError, match="at least 4 regions"):
        thumbnail.picture(synthetic(3, 8))


def test_a_picture_is_drawn_once_until_its_file_changes(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pages.library import thumbnails

    made: list[str] = []
    plain = thumbnails.data_url
    monkeypatch.setattr(
        thumbnails, "data_url", lambda entry: made.append(entry.key) or plain(entry)
    )
    save(synthetic(3, 8, family="few"), shelf / "few.ep.h5")
    loading.refresh()
    pictures = Thumbnails()
    entries = loading.entries()
    assert {pictures.get(entry) for entry in entries} == {""}
    for _ in range(2):
        pictures.request(entries)
        until(lambda: not pictures.request(entries))
    assert sorted(made) == sorted(entry.key for entry in entries)
    urls = {entry.key: pictures.get(entry) for entry in entries}
    assert urls.pop("few/2/4") is None and all(
        url.startswith("data:image/webp;base64,") for url in urls.values()
    )
    save(synthetic(50, 16, seed=9, family="few"), shelf / "few.ep.h5")
    loading.refresh()
    pictures.request(loading.entries())
    until(lambda: not pictures.request(loading.entries()))
    assert len(made) == len(entries) + 1
