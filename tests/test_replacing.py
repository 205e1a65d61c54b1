"""Labels and the file that they belong to are replaced together, whenever the process is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ep
from ep.errors import StorageError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.storage import edits, replacing
from ep.storage.labels import Labels
from ep.storage.sidecar import LABELS, beside
from tests.fixtures.dictionaries import synthetic

ROOT = Path(__file__).resolve().parent.parent
KILLED = """
import os, sys
import ep
from ep.storage import labelfile, replacing
from pathlib import Path

name, when = sys.argv[3:]
place = labelfile if name == "write" else replacing
whole, calls = getattr(place, name), []

def killed(*arguments):
    calls.append(1)
    if when == "before":
        os._exit(9)
    whole(*arguments)
    os._exit(9)

setattr(place, name, killed)
replacing.save_over(ep.open(sys.argv[1]), Path(sys.argv[2]))
"""


def first(whole: Dictionary, size: int) -> Dictionary:
    """The dictionary of a build that was stopped when it had so many regions."""
    names = ("exemplars", "mean_directions", "count_arrival", "coherence")
    arrays = {name: whole.column(name)[:size] for name in names if name in whole}
    arrays["center"] = whole.column("center")
    return Dictionary(MemorySource(arrays), {"title": "part", "threshold": whole.threshold}, size)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A part with a label, and beside it the whole and a dictionary of other regions."""
    whole = first(synthetic(20, 8), 20)
    ep.save(first(whole, 12), tmp_path / "d.ep.h5")
    ep.save(whole, tmp_path / "whole.ep.h5")
    ep.save(first(synthetic(20, 8, seed=5), 20), tmp_path / "other.ep.h5")
    Labels.open(tmp_path / "d.ep.h5").save(edits.label(3, "by hand"))
    return tmp_path


def kill(place: Path, name: str, function: str, when: str) -> None:
    """Kill a process while it replaces the part: before or after it calls a function."""
    arguments = [str(place / name), str(place / "d.ep.h5"), function, when]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, timeout=120)
    assert done.returncode == 9


def labelled(place: Path) -> str:
    found = Labels.open(place / "d.ep.h5")
    assert found.problem == ""
    return found.best(3)


def aside(place: Path) -> list[Path]:
    return list(place.glob("*.labels.old-*"))


@pytest.mark.slow
@pytest.mark.parametrize("function", ["write", "save"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_leaves_the_labels_with_the_file_that_is_there(
    place: Path, function: str, when: str
) -> None:
    kill(place, "whole.ep.h5", function, when)
    assert len(ep.open(place / "d.ep.h5")) == (20 if (function, when) == ("save", "after") else 12)
    assert labelled(place) == "by hand"
    assert replacing.save_over(ep.open(place / "whole.ep.h5"), place / "d.ep.h5") is None
    assert labelled(place) == "by hand" and not aside(place)
    Labels.open(place / "d.ep.h5").save(edits.label(3, "again"))
    assert labelled(place) == "again"
    assert '"before"' not in beside(place / "d.ep.h5", LABELS).read_text()


@pytest.mark.slow
def test_labels_of_other_regions_are_set_aside_by_the_next_save(place: Path) -> None:
    kill(place, "other.ep.h5", "save", "after")
    assert "belongs to another dictionary" in Labels.open(place / "d.ep.h5").problem
    moved = replacing.save_over(ep.open(place / "other.ep.h5"), place / "d.ep.h5")
    assert [moved] == aside(place) and "by hand" in aside(place)[0].read_text()
    assert Labels.open(place / "d.ep.h5").problem == ""


def test_a_save_that_fails_leaves_the_labels_as_they_were(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = beside(place / "d.ep.h5", LABELS)
    before = labels.read_bytes()

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(replacing, "save", full)
    with pytest.raises(StorageError, match="full"):
        replacing.save_over(ep.open(place / "whole.ep.h5"), place / "d.ep.h5")
    assert labels.read_bytes() == before and labelled(place) == "by hand"


def test_labels_go_on_in_a_file_that_continues_theirs(place: Path) -> None:
    whole = ep.open(place / "whole.ep.h5")
    assert replacing.save_over(whole, place / "d.ep.h5") is None
    assert labelled(place) == "by hand" and not aside(place)
    np.testing.assert_array_equal(ep.open(place / "d.ep.h5").exemplars, whole.exemplars)
    moved = replacing.save_over(ep.open(place / "other.ep.h5"), place / "d.ep.h5")
    assert [moved] == aside(place) and labelled(place) == ""
