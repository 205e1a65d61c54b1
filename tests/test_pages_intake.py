"""Files from outside: checked before they are kept, named by us, and nothing half-written left."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import ep
from ep.errors import DictionaryFileError, StorageError
from pages.library import intake
from tests.fixtures.dictionaries import HOSTILE, synthetic


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "made.ep.h5"
    path.parent.mkdir()
    ep.save(synthetic(size=12, width=8), path)
    return path


@pytest.mark.parametrize(
    "name", [*HOSTILE, "", ".h5", "a.ep.h5", "../../x.h5", "C:\\windows\\y.EP.H5", "-rf"]
)
def test_a_safe_name_is_one_plain_file_name(name: str) -> None:
    safe = intake.safe_name(name)
    assert safe.endswith(".ep.h5")
    assert Path(safe).name == safe
    assert not safe.startswith((".", "-"))
    assert all(c.isascii() and (c.isalnum() or c in "._-") for c in safe)
    assert len(safe) < 100


def test_an_upload_is_kept_whole_and_never_overwrites(file: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    paths = [
        intake.upload("../<b>made</b>.ep.h5", io.BytesIO(file.read_bytes()), library)
        for _ in range(3)
    ]
    assert len(set(paths)) == 3
    assert all(path.parent == library and path.read_bytes() == file.read_bytes() for path in paths)
    assert sorted(library.iterdir()) == sorted(paths)


@pytest.mark.parametrize("content", [b"", b"not a dictionary", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_dictionary_is_refused_by_its_own_name_and_leaves_nothing(
    content: bytes, tmp_path: Path
) -> None:
    with pytest.raises(DictionaryFileError, match=r"odd name\.h5") as caught:
        intake.upload("odd name.h5", io.BytesIO(content), tmp_path)
    assert ".partial" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_refused(file: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    with pytest.raises(DictionaryFileError):
        intake.upload("cut.ep.h5", io.BytesIO(file.read_bytes()[:-2000]), library)
    assert list(library.iterdir()) == []


def test_a_path_is_linked_and_the_file_stays_where_it_is(file: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    kept = intake.link(f" '{file}' ", library)
    assert kept.is_symlink() and kept.resolve() == file.resolve()
    assert len(ep.open(kept)) == 12
    assert intake.link(str(file), file.parent) == file.resolve()


@pytest.mark.parametrize("given", ["/nowhere/x.ep.h5", "", ".", "\0", "~nobody-here/x", "x" * 5000])
def test_a_path_without_a_file_is_one_clear_line(given: str, tmp_path: Path) -> None:
    with pytest.raises(DictionaryFileError, match="there is no file") as caught:
        intake.link(given, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_library_that_cannot_be_written_is_said(file: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        intake.upload("a.ep.h5", io.BytesIO(file.read_bytes()), blocked)
