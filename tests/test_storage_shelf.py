"""Folders of dictionaries: families, nearest picks, keys that are safe in links, and broken files
that stay visible.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ep import storage
from ep.storage import Shelf, shelf
from tests.fixtures.dictionaries import HOSTILE, synthetic


@pytest.fixture
def folder(tmp_path):
    for layer in (2, 4):
        for percentile in (1.0, 2.0, 8.0):
            dictionary = synthetic(
                8, 4, family="demo-tuned", title="Demo", layer=layer, percentile=percentile
            )
            place = tmp_path / "demo" / f"L{layer}"
            place.mkdir(parents=True, exist_ok=True)
            storage.save(dictionary, place / f"tuned-L{layer}-p{percentile:g}.ep.h5")
    storage.save(synthetic(8, 4, family="other", layer=2, percentile=0.5), tmp_path / "other.ep.h5")
    (tmp_path / "broken.ep.h5").write_bytes(b"nothing")
    (tmp_path / "x.ep.h5.1234.partial").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("notes")
    return tmp_path


def test_files_of_one_build_are_one_family(folder):
    found = Shelf([folder])
    assert {family.id: len(family.entries) for family in found.families} == {
        "demo-tuned": 6,
        "other": 1,
    }
    demo = next(family for family in found.families if family.id == "demo-tuned")
    assert (demo.title, demo.layers, demo.percentiles) == ("Demo", (2, 4), (1.0, 2.0, 8.0))
    assert [(e.layer, e.percentile) for e in demo.entries] == [
        (x, p) for x in (2, 4) for p in (1.0, 2.0, 8.0)
    ]
    assert all((e.size, e.width) == (8, 4) and found.family(e) is demo for e in demo.entries)


def test_a_pick_is_the_nearest_entry(folder):
    demo = next(family for family in Shelf([folder]).families if family.id == "demo-tuned")

    def picked(*wanted):
        entry = demo.pick(*wanted)
        return entry.layer, entry.percentile

    assert (
        picked(4, 2.0) == (4, 2.0) and picked(4, 100.0) == (4, 8.0) and picked(0, 0.1) == (2, 1.0)
    )
    assert (
        picked(9, 3.0) == (4, 2.0)
        and picked(2, 5.0) == (2, 8.0)
        and picked() == (2, 1.0)
        and picked(4) == (4, 1.0)
    )


def test_keys_find_their_entries(folder):
    found = Shelf([folder])
    assert (
        found.find("demo-tuned/4/2").path.name == "tuned-L4-p2.ep.h5"
        and found.find("other/2/0.5") is not None
    )
    assert found.find("demo-tuned/4/3") is None and found.find("") is None
    keys = [entry.key for entry in (*found.entries, *found.broken)]
    assert len(set(keys)) == len(keys) and all(found.find(key).key == key for key in keys)
    assert keys == [entry.key for entry in (*Shelf([folder]).entries, *found.broken)]


def test_broken_files_are_entries_with_a_reason(folder):
    (folder / "gone.ep.h5").symlink_to(folder / "nowhere")
    found = Shelf([folder, folder / "missing"])
    assert [entry.path.name for entry in found.broken] == ["broken.ep.h5"]
    broken = found.broken[0]
    assert "not an HDF5 file" in broken.error and "\n" not in broken.error and broken.size == 0
    assert found.find(broken.key) is broken and found.family(broken) is None


def test_copies_hidden_folders_and_links(folder):
    (folder / "copy.ep.h5").write_bytes((folder / "other.ep.h5").read_bytes())
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.ep.h5").write_bytes((folder / "other.ep.h5").read_bytes())
    (folder / "loop").symlink_to(folder)
    found = Shelf([folder, folder / "demo"])
    assert len(found.entries) == 8
    assert sorted(e.key.split("-")[0] for e in found.entries if e.family == "other") == [
        "other/2/0.5",
        "other/2/0.5",
    ]


def test_the_search_is_bounded(folder, monkeypatch):
    deep = folder
    for name in "abcde":
        deep = deep / name
        deep.mkdir()
    (deep / "deep.ep.h5").write_bytes(b"x")
    found = Shelf([folder])
    assert all(entry.path.name != "deep.ep.h5" for entry in found.broken) and not found.truncated
    monkeypatch.setattr(shelf, "MAX_FILES", 3)
    found = Shelf([folder])
    assert len(found.entries) + len(found.broken) == 3 and found.truncated


def test_hostile_names_are_carried_not_interpreted(tmp_path):
    for i, text in enumerate(HOSTILE):
        dictionary = synthetic(4, 3, family=text, title=text, layer=i, percentile=float(i + 1))
        storage.save(dictionary, tmp_path / f"{i} <b>:red[x] $x$\n#.ep.h5")
    found = Shelf([tmp_path])
    assert {entry.title for entry in found.entries} == set(HOSTILE) and not found.broken
    assert len({entry.key for entry in found.entries}) == len(HOSTILE)
    assert all(re.fullmatch(r"[a-z0-9._-]+/[0-9]+/[0-9.]+", entry.key) for entry in found.entries)
    assert all(".." not in entry.key.split("/") for entry in found.entries)


def test_files_that_say_nothing_of_themselves(tmp_path):
    storage.save(
        synthetic(4, 3, family=None, title=None, layer=None, percentile=None),
        tmp_path / "plain.ep.h5",
    )
    found = Shelf([tmp_path])
    assert found.entries[0].key == "plain" and found.families[0].pick(3, 2.0) is found.entries[0]
    assert found.families[0].layers == () and found.entries[0].title == "plain"


def test_headers_are_read_once_until_a_file_changes(folder, monkeypatch):
    Shelf([folder])
    reads = []
    plain = shelf.header
    monkeypatch.setattr(shelf, "header", lambda path: reads.append(path) or plain(path))
    Shelf([folder])
    assert reads == []
    storage.save(synthetic(9, 4, family="other", layer=2, percentile=0.5), folder / "other.ep.h5")
    assert Shelf([folder]).find("other/2/0.5").size == 9 and len(reads) == 1


def test_a_shelf_opens_nothing_for_long(folder):
    Shelf([folder])
    before = len(list(Path("/proc/self/fd").iterdir()))
    storage.save(synthetic(9, 4), folder / "new.ep.h5")
    entry = Shelf([folder]).find("synthetic-0/2/4")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert len(entry.open()) == 9


def test_each_of_hundreds_of_files_is_read_once(tmp_path, monkeypatch):
    content = storage.save(synthetic(8, 4), tmp_path / "0.ep.h5").read_bytes()
    for i in range(1, 300):
        (tmp_path / f"{i}.ep.h5").write_bytes(content)
    reads, plain = [], shelf.header
    monkeypatch.setattr(shelf, "header", lambda path: reads.append(path) or plain(path))
    for _ in range(2):
        assert len(Shelf([tmp_path]).entries) == 300 and len(reads) == 300
