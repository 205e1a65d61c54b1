"""A killed build loses nothing: resumed, it ends with the files of one that was never stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import ep
from ep import caching
from ep.storage.checkpoint import NAME
from tests.fixtures import tiny
from tests.fixtures.waiting import until

ROOT = Path(__file__).resolve().parent.parent
KILLS = 4
"""Kills in this test; with 20 it takes minutes."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and a text of which a build takes a few seconds."""
    folder = tmp_path_factory.mktemp("killed")
    tiny.gemma(folder / "model")
    texts = [f"the {w} sat on mat {i} by the old moon" for i in range(900) for w in ("cat", "bird")]
    (folder / "t.json").write_text(json.dumps(texts))
    return folder


def command(folder: Path, out: str, *more: str) -> list[str]:
    build = [sys.executable, "-m", "ep", "build", str(folder / "model")]
    build += ["--text", str(folder / "t.json"), "--layer", "1", "--layer", "2"]
    build += ["--percentile", "2", "--percentile", "8", "--calibration", "4000"]
    return [*build, "--batch", "16", "--out", str(folder / out), *more]


def environment(threads: int = 1) -> dict[str, str]:
    return os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)}


def run(arguments: list[str], threads: int = 1) -> None:
    """Run a build to its end."""
    done = subprocess.run(arguments, cwd=ROOT, env=environment(threads), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@contextmanager
def started(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running build that writes what it says to a file; it is killed if the test leaves it."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            arguments, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=file
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def digests(folder: Path) -> list[str]:
    return [ep.digest(path) for path in sorted(folder.glob("*.ep.h5"))]


@pytest.mark.slow
def test_killed_at_random_moments_it_resumes_to_the_same_digests(folder: Path) -> None:
    begun = time.monotonic()
    run(command(folder, "whole"))
    took = time.monotonic() - begun
    whole = digests(folder / "whole")
    assert len(whole) == 4
    moments = random.Random(0)
    for kill in range(KILLS):
        out = folder / f"cut{kill}"
        with (
            started(command(folder, out.name), folder / "log") as process,
            suppress(subprocess.TimeoutExpired),
        ):
            process.wait(moments.uniform(0.2, 1.0) * took)
        run(command(folder, out.name, "--resume"))
        assert digests(out) == whole
        names = {path.name for path in out.iterdir()}
        assert NAME not in names and caching.HIDDEN not in names
        assert not [name for name in names if name.endswith(".partial")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_the_state_and_says_how_to_go_on(folder: Path, number: int) -> None:
    out = folder / f"signal{number}"
    log = folder / f"log{number}"
    with started(command(folder, out.name), log) as process:
        until(lambda: b"calibrate:" in log.read_bytes())
        process.send_signal(number)
        process.wait()
    said = log.read_text()
    assert process.returncode == 128 + number, said
    assert "--resume" in said and "Traceback" not in said
    assert (out / NAME).exists()


@pytest.mark.slow
def test_a_second_signal_stops_at_once_and_leaves_the_last_state(folder: Path) -> None:
    log = folder / "log-twice"
    with started(command(folder, "twice"), log) as process:
        until(lambda: b"stream:" in log.read_bytes())
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        process.wait()
    assert process.returncode in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert (folder / "twice" / NAME).exists()
    run(command(folder, "twice", "--resume"))
    run(command(folder, "plain"))
    assert digests(folder / "twice") == digests(folder / "plain")


@pytest.mark.slow
def test_neither_threads_nor_the_depth_of_the_folder_change_the_digests(folder: Path) -> None:
    run(command(folder, "one"))
    run(command(folder, "a/b/c"), threads=2)
    assert digests(folder / "a" / "b" / "c") == digests(folder / "one")
