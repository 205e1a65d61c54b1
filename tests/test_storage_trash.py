"""Deleting and titling dictionaries: nothing is lost, side files follow, notes are not trusted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ep import storage
from ep.errors import RequestError, StorageError
from ep.storage import Shelf, titles, trash
from ep.storage.sidecar import LABELS, MAPS, TITLE, beside
from tests.fixtures.dictionaries import HOSTILE, synthetic


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shelf of one build in a folder of its own, with side files, and of another dictionary."""
    place = tmp_path / "lib" / "build"
    place.mkdir(parents=True)
    for p in (1.0, 2.0):
        path = storage.save(
            synthetic(8, 4, family="f", layer=2, percentile=p), place / f"{p}.ep.h5"
        )
        beside(path, LABELS).write_text(f"labels {p}")
    beside(place / "1.0.ep.h5", MAPS).write_text("maps")
    beside(place / "1.0.ep.h5", "labels.old-1.json").write_text("set aside")
    storage.save(synthetic(8, 4, family="o"), tmp_path / "lib" / "1.0.ep.other.ep.h5")
    return tmp_path / "lib"


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_what_was_deleted_comes_back_with_everything_beside_it(folder: Path) -> None:
    before, entries = content(folder), Shelf([folder]).families[-1].entries
    trashed = trash.discard([entry.path for entry in entries], folder, "the build")
    assert [entry.family for entry in Shelf([folder]).entries] == ["o"]
    assert (trashed.dictionaries, len(trashed.files)) == (2, 6) and trashed.bytes > 0
    assert not [name for name in content(folder) if name.startswith("build/")]
    (found,) = trash.listed(folder)
    assert found == trashed
    assert sorted(path.name for path in trash.restore(found)) == sorted(
        Path(name).name for name in before if name.startswith("build/")
    )
    assert content(folder) == before and trash.listed(folder) == []
    with pytest.raises(RequestError, match="no longer in the trash"):
        trash.restore(found)


def test_a_dictionary_named_after_another_stays(folder: Path) -> None:
    storage.save(synthetic(8, 4, family="x"), folder / "1.0.ep.h5")
    trashed = trash.discard([folder / "1.0.ep.h5"], folder, "x")
    assert trashed.files == ("1.0.ep.h5",) and (folder / "1.0.ep.other.ep.h5").is_file()


def test_of_a_link_the_link_is_deleted(folder: Path, tmp_path: Path) -> None:
    path = storage.save(synthetic(8, 4), tmp_path / "elsewhere.ep.h5")
    (folder / "link.ep.h5").symlink_to(path)
    trashed = trash.discard([folder / "link.ep.h5"], folder, "a link")
    assert path.is_file() and not os.path.lexists(folder / "link.ep.h5")
    trash.restore(trashed)
    assert (folder / "link.ep.h5").resolve() == path


def test_nothing_is_overwritten_by_putting_back(folder: Path) -> None:
    path = folder / "build" / "1.0.ep.h5"
    trashed = trash.discard([path], folder, "x")
    path.write_bytes(b"built again")
    before = content(folder)
    with pytest.raises(RequestError, match="exists again"):
        trash.restore(trashed)
    assert content(folder) == before


def test_a_deletion_that_fails_moves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, moved, rename = content(folder), [], Path.rename

    def fails_at_third(self: Path, target: Path) -> Path:
        moved.append(self)
        if len(moved) == 3:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_at_third)
    with pytest.raises(StorageError, match=r"cannot be moved \(Permission denied\): nothing"):
        trash.discard([folder / "build" / "1.0.ep.h5"], folder, "x")
    assert content(folder) == before
    with pytest.raises(RequestError, match="does not hold"):
        trash.discard([folder / "build" / "1.0.ep.h5"], folder / "build" / "deeper", "x")


@pytest.mark.parametrize(
    "name", ["../x.ep.h5", "/etc/x.ep.h5", "passwd", "a/../../x.ep.h5", "", "out/x.ep.h5"]
)
def test_a_note_cannot_make_files_appear_elsewhere(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / "out").symlink_to(tmp_path)
    place = folder / trash.FOLDER / "1-x"
    place.mkdir(parents=True)
    (place / "0").write_text("hostile")
    note = {"format": "ep-trash", "version": 1, "title": "x", "when": 1.0, "files": [name]}
    (place / trash.NOTE).write_text(json.dumps(note))
    assert trash.listed(folder) == []


@pytest.mark.parametrize("note", ["", "[]", "{", '{"format": "ep-trash"}', "[" * 100_000])
def test_a_note_that_cannot_be_used_is_left_alone(folder: Path, note: str) -> None:
    place = folder / trash.FOLDER / "1-x"
    place.mkdir(parents=True)
    (place / trash.NOTE).write_text(note)
    assert trash.listed(folder) == [] and trash.empty(folder) == 0 and place.is_dir()


def test_only_old_deletions_are_removed_for_good(folder: Path) -> None:
    trashed = trash.discard([folder / "build" / "1.0.ep.h5"], folder, "x")
    assert trash.empty(folder, trash.KEPT_S) == 0 and trash.listed(folder)
    size = trashed.bytes
    assert trash.empty(folder) == size > 0 and not (folder / trash.FOLDER).exists()


def test_a_title_changes_nothing_but_what_the_shelf_says(folder: Path) -> None:
    path = folder / "1.0.ep.other.ep.h5"
    before, key = storage.digest(path), Shelf([folder]).entries[0].key
    titles.write([path], "  My <b>own</b>\n title ")
    entry = Shelf([folder]).entries[0]
    assert (entry.title, entry.renamed, entry.key) == (
        "My <b>own</b> title",
        "My <b>own</b> title",
        key,
    )
    assert Shelf([folder]).find(key) == entry and storage.digest(path) == before
    assert next(f for f in Shelf([folder]).families if f.id == "o").title == "My <b>own</b> title"
    titles.write([path], " ")
    assert Shelf([folder]).entries[0].renamed is None and not beside(path, TITLE).exists()


def test_one_title_is_enough_for_its_family(folder: Path) -> None:
    titles.write([folder / "build" / "2.0.ep.h5"], "given")
    family = next(f for f in Shelf([folder]).families if f.id == "f")
    assert family.title == "given"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_title_is_one_line(folder: Path, text: str) -> None:
    path = folder / "1.0.ep.other.ep.h5"
    titles.write([path], text[: titles.LONGEST])
    found = titles.read(path)
    assert found is None or (found.isprintable() and len(found) <= titles.LONGEST)


@pytest.mark.parametrize("content", [b"", b"x", b"[]", b'{"title": 3}', b"\xff" * 9000])
def test_a_damaged_title_counts_as_absent(folder: Path, content: bytes) -> None:
    path = folder / "1.0.ep.other.ep.h5"
    beside(path, TITLE).write_bytes(content)
    assert titles.read(path) is None and Shelf([folder]).entries[0].title != ""


def test_a_title_too_long_or_not_writable_changes_none(folder: Path) -> None:
    paths = [entry.path for entry in Shelf([folder]).families[-1].entries]
    titles.write(paths, "before")
    with pytest.raises(RequestError, match="expected at most 120"):
        titles.write(paths, "x" * 121)
    blocked = beside(folder / "none" / "x.ep.h5", TITLE)
    with pytest.raises(StorageError):
        titles.write([*paths, blocked], "after")
    assert {titles.read(path) for path in paths} == {"before"}
