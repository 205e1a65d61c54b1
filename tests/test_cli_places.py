"""Where commands write: full, read-only and missing places, other encodings, files in use. Every
failure is one line, and nothing is lost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

import ep
from ep.cli import main
from ep.errors import DictionaryFileError, StorageError
from ep.storage import sidecar
from tests.fixtures.commands import ROOT, refused
from tests.fixtures.dictionaries import synthetic

EXPORTS = (
    ["--to", "csv"],
    ["--to", "parquet"],
    ["--to", "json"],
    ["--to", "html"],
    ["--to", "saelens"],
    ["--to", "neuronpedia"],
    ["--to", "gguf", "--region", "3"],
)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "d.ep.h5"
    ep.save(synthetic(size=60, width=256, layer=1, percentile=2.0), path)
    return str(path)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, with its bytes."""
    return subprocess.run(
        [sys.executable, "-m", "ep", *arguments],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1"} | environment,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("options", ["ro", "size=8k"])
def test_a_read_only_or_full_disk_is_one_line(file: str, tmp_path: Path, options: str) -> None:
    """On a real file system of that kind, for every export, the label command and match."""
    place = tmp_path / "place"
    place.mkdir()
    commands = [["export", file, *more, "--out", str(place / "x")] for more in EXPORTS]
    commands += [["match", file, file, "--report", str(place / "x.csv")]]
    code = (
        "import json, sys; from ep.cli import main\n"
        "for arguments in json.loads(sys.argv[1]): print(main(arguments), file=sys.stderr)"
    )
    mount = f"mount -t tmpfs -o {options} tmpfs {place} || exit 77; "
    mount += f"dd if=/dev/zero of={place}/filler bs=4k count=99 2> /dev/null; exec "
    inner = [sys.executable, "-c", code, json.dumps(commands)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount + '"$@"', "sh", *inner],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine does not let tests mount a disk")
    lines = done.stderr.strip().splitlines()
    assert lines[1::2] == ["1"] * len(commands), done.stderr
    assert all("cannot be written: " in line for line in lines[::2])


class ReadOnly(type(Path())):
    """A path on a disk that refuses every change, the deletion of what is not there included."""

    def open(self, *_: object, **__: object) -> object:
        raise OSError(30, "Read-only file system", str(self))

    def unlink(self, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system", str(self))


def test_cleaning_up_never_hides_why_a_write_failed(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"x\.csv cannot be written: Read-only"):
        sidecar.write_bytes(ReadOnly(tmp_path / "x.csv"), b"1")


def test_an_export_beside_labels_that_cannot_be_used_says_so(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sidecar.beside(file, sidecar.LABELS).write_text("{}")
    for more in (["--to", "csv"], ["--to", "html"], ["--to", "neuronpedia"]):
        assert main(["export", file, *more, "--out", str(tmp_path / "x")]) == 0
        assert "d.ep.labels.json cannot be used" in capsys.readouterr().err


def test_no_export_takes_the_place_of_a_dictionary(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path(file).read_bytes()
    commands = [["export", file, *more, "--out", file] for more in EXPORTS]
    commands += [["match", file, file, "--report", file]]
    commands += [["behaviour", file, "--prompts", "none.csv", "--report", file]]
    for arguments in commands:
        assert "name of a dictionary" in refused(capsys, 2, *arguments)
    assert Path(file).read_bytes() == before


def test_a_report_that_cannot_be_written_is_refused_before_the_study(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "none" / "x.html")
    arguments = ("behaviour", file, "--prompts", "none.csv", "--report", nowhere)
    assert "there is no folder" in refused(capsys, 2, *arguments)


def test_a_pipe_gets_the_bytes_themselves(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        sidecar.write_bytes(pipe, b"a table")
        assert reader.communicate()[0] == b"a table"
    assert pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_stdout_is_one_line(file: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ep", "regions", file],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.decode().strip() == "ep: No space left on device"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp866", "utf-8"])
@pytest.mark.parametrize("command", ["info", "regions", "region", "label", "export"])
def test_any_encoding_takes_any_text(tmp_path: Path, encoding: str, command: str) -> None:
    """ASCII gets escapes, any other encoding UTF-8: nothing is lost and nothing raises."""
    dictionary = synthetic(size=30, width=16, layer=1, percentile=2.0)
    dictionary.info["title"] = "θ · 東 🦜"
    file = str(ep.save(dictionary, tmp_path / "東 🦜.ep.h5"))
    more = {"region": ["3"], "export": ["--to", "csv", "--out", str(tmp_path / "θ 東.csv")]}
    arguments = [command, file, *more.get(command, [])]
    done = run(*arguments, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    expected = run(*arguments, PYTHONIOENCODING="utf-8").stdout.decode()
    assert not expected.isascii()
    written = "ascii" if encoding == "ascii" else "utf-8"
    assert done.stdout == expected.encode(written, "backslashreplace")


def test_a_file_open_for_writing_elsewhere_is_not_called_damaged(file: str) -> None:
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); input()"
    before = Path(file).read_bytes()
    for libver in ("latest", "earliest"):
        with h5py.File(file, "w", libver=libver):
            pass  # an empty file, as at the start of a write
        for content in (None, before):
            if content is not None:
                Path(file).write_bytes(content)
            with subprocess.Popen(
                [sys.executable, "-c", code, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as writer:
                assert writer.stdout is not None
                writer.stdout.readline()
                with pytest.raises(DictionaryFileError, match="open for writing") as caught:
                    ep.open(file)
                assert "build" not in str(caught.value)
                writer.communicate(b"\n")
    Path(file).write_bytes(before)
    assert len(ep.open(file)) == 60
