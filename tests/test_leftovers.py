"""What a killed process left goes; what a running one, or another machine, writes stays."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ep import leftovers
from ep.models import conversions
from ep.spool import Spool
from ep.storage.hub import partials
from ep.storage.sidecar import write_bytes

DAY = leftovers.KEPT_S
KILLED = """
import os, sys
from pathlib import Path
from ep.leftovers import unfinished
folder = Path(sys.argv[1])
unfinished(folder / "a.ep.h5").write_bytes(b"half")
made = unfinished(folder / "importing")
made.mkdir()
(made / "x").write_bytes(b"half")
print("made", flush=True)
if sys.argv[2] == "die":
    os.kill(os.getpid(), 9)
sys.stdin.read()
"""


def process(folder: Path, how: str) -> subprocess.Popen[bytes]:
    """A process that left a file and a folder in progress, and was killed or is running."""
    command = [sys.executable, "-c", KILLED, str(folder), how]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert started.stdout is not None and started.stdout.readline() == b"made\n"
    return started


def aged(path: Path, seconds: float) -> Path:
    when = time.time() - seconds
    for one in [*path.rglob("*"), path] if path.is_dir() else [path]:
        os.utime(one, (when, when))
    return path


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    with process(tmp_path, "die"):
        pass
    assert len(list(tmp_path.iterdir())) == 2
    write_bytes(tmp_path / "b.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def test_what_a_running_process_writes_stays_however_old(tmp_path: Path) -> None:
    with process(tmp_path, "live") as running:
        for path in list(tmp_path.iterdir()):
            aged(path, 9 * DAY)
        leftovers.clear(tmp_path)
        assert len(list(tmp_path.iterdir())) == 2
        running.kill()
    leftovers.clear(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_number_that_another_process_has_now_protects_nothing(tmp_path: Path) -> None:
    own = leftovers.unfinished(tmp_path / "a")
    start = leftovers._start(os.getpid())
    other = own.with_name(own.name.replace(f"-{start}.", f"-{start - 1}."))
    own.touch(), other.touch()
    leftovers.clear(tmp_path)
    assert list(tmp_path.iterdir()) == [own]


def test_what_another_machine_or_an_earlier_version_writes_stays_for_a_day(tmp_path: Path) -> None:
    names = (
        ".a.ep.h5.00000000-1-1.abcdef01.tmp",
        "a.ep.h5.0123abcd.partial",
        ".a.ep.labels.json.17.0123abcd.tmp",
        ".importing-ab_12cd3",
    )
    for name in names:
        (tmp_path / name).mkdir() if "importing" in name else (tmp_path / name).touch()
    aged(tmp_path / names[3], 2 * DAY)
    (tmp_path / names[3] / "x").touch()
    leftovers.clear(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    for name in names:
        aged(tmp_path / name, DAY + 60)
    leftovers.clear(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["a.ep.h5", ".a.tmp", ".trash", ".notes.1.tmp.txt", "x.partial", ".ep-build.lock"]
)
def test_nothing_else_is_ever_removed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    aged(tmp_path / name, 99 * DAY)
    leftovers.clear(tmp_path)
    assert (tmp_path / name).exists()


def test_a_link_to_a_folder_goes_and_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").touch()
    link = tmp_path / ".a.00000000-1-1.abcdef01.tmp"
    link.symlink_to(tmp_path / "kept")
    leftovers.remove(link)
    assert not link.is_symlink() and (tmp_path / "kept" / "x").exists()


def test_names_of_every_length_have_a_name_in_progress(tmp_path: Path) -> None:
    for name in ("x" * 255, "ж" * 127, os.fsdecode(b"\xff\xfe")):
        path = leftovers.unfinished(tmp_path / name)
        path.touch()
        assert leftovers.is_in_progress(path)


def test_emptying_the_cache_leaves_a_conversion_that_is_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(conversions.VARIABLE, str(tmp_path))
    running = conversions.unfinished("a")
    dead = tmp_path / running.name.replace(f"-{os.getpid()}-", f"-{2**22 + 1}-")
    dead.mkdir()
    assert [one.directory for one in conversions.empty()] == [dead]
    assert list(tmp_path.iterdir()) == [running]
    dead.mkdir()
    second = conversions.unfinished("b")
    assert set(tmp_path.iterdir()) == {running, second}


def test_downloads_of_yesterday_go_unless_they_are_being_written(tmp_path: Path) -> None:
    old, new, busy, whole = (tmp_path / f"{digit * 16}.partial" for digit in "0123")
    whole = tmp_path / f"{'3' * 16}-x.pkl"
    other = tmp_path / "notes.txt"
    for path in (old, new, busy, whole, other):
        path.write_bytes(b"x")
    for path in (old, busy, whole, other):
        aged(path, DAY + 60)
    with busy.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        partials.clear(tmp_path, keep=(whole,))
        assert set(tmp_path.iterdir()) == {new, busy, whole, other}
        partials.clear(tmp_path, all_ages=True)
        assert list(tmp_path.iterdir()) == [busy]


def test_the_rows_of_a_killed_process_leave_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with process(tmp_path, "die"):
        pass
    spool = Spool(lambda: iter([("row 1", "text")]))
    (own,) = tmp_path.iterdir()
    assert list(spool) == list(spool) == [("row 1", "text")] and own.stat().st_mode & 0o77 == 0
    del spool
    assert not list(tmp_path.iterdir())
