"""A disk that fills up while writing: one error, the earlier file whole, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

import ep
from ep.storage.answers import kept
from ep.storage.sink import Sink
from tests.fixtures.commands import ran
from tests.fixtures.dictionaries import synthetic

FILLS_UP = """
import resource, sys
import ep
from pathlib import Path
from ep.errors import StorageError
from tests.fixtures.dictionaries import synthetic
target = Path({target!r})
other, hard = synthetic(size=30, width=8, seed=2), resource.getrlimit(resource.RLIMIT_FSIZE)[1]
refused = 0
for limit in range(0, {size}, {size} // 60):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        ep.save(other, target)
        break
    except StorageError as error:
        assert "\\n" not in str(error) and "beyond the size" in str(error), error
        refused += 1
    assert list(target.parent.iterdir()) == [target]
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(refused)
"""


def test_whenever_the_disk_is_full_the_earlier_file_stays_and_nothing_crashes(
    tmp_path: Path,
) -> None:
    ep.save(synthetic(size=30, width=8, seed=2), tmp_path / "size.ep.h5")
    size = (tmp_path / "size.ep.h5").stat().st_size
    (tmp_path / "a").mkdir()
    target = tmp_path / "a" / "d.ep.h5"
    ep.save(synthetic(size=20, width=8), target)
    before = ep.digest(target)
    assert int(ran(FILLS_UP.format(target=str(target), size=size))) >= 60
    assert ep.digest(target) == before


def test_a_sink_gives_back_what_was_written_and_raises_its_first_error_when_asked(
    tmp_path: Path,
) -> None:
    with Sink(tmp_path / "x") as sink:
        assert sink.write(b"abcdef") == 6 and sink.seek(2) == 2
        found = bytearray(6)
        assert sink.readinto(found) == 6 and bytes(found) == b"cdef\0\0"
        sink.truncate(4)
        assert sink.seek(0, 2) == 4
        sink.check()
    assert (tmp_path / "x").read_bytes() == b"abcd"
    with pytest.raises(FileExistsError):
        Sink(tmp_path / "x")


def test_answers_on_a_full_disk_are_one_error(tmp_path: Path) -> None:
    code = """
import resource
from ep.errors import StorageError
from ep.storage.answers import kept
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    with kept({path!r}, "s") as answers:
        answers.asking(lambda _: "an answer")([])
except StorageError as error:
    print(error)
"""
    said = ran(code.format(path=str(tmp_path / "d.ep.h5")))
    assert "d.ep.answers.jsonl cannot be written" in said
    assert not list(tmp_path.iterdir())
    with kept(tmp_path / "d.ep.h5", "s") as answers:
        assert answers.asking(lambda _: "asked")([]) == "asked"
