"""A killed build loses nothing: resumed, it ends with the files of one that was never stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ep
from ep import caching
from ep.storage.checkpoint import NAME
from tests.fixtures import tiny

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


def run(arguments: list[str], threads: int = 1) -> subprocess.Popen[bytes]:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)}
    return subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def digests(folder: Path) -> list[str]:
    return [ep.digest(path) for path in sorted(folder.glob("*.ep.h5"))]


@pytest.mark.slow
def test_killed_at_random_moments_it_resumes_to_the_same_digests(folder: Path) -> None:
    begun = time.monotonic()
    assert run(command(folder, "whole")).wait() == 0
    took = time.monotonic() - begun
    whole = digests(folder / "whole")
    assert len(whole) == 4
    moments = random.Random(0)
    for kill in range(KILLS):
        out = folder / f"cut{kill}"
        process = run(command(folder, out.name))
        try:
            process.wait(moments.uniform(0.2, 1.0) * took)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        again = run(command(folder, out.name, "--resume"))
        assert again.wait() == 0, again.stderr and again.stderr.read().decode()
        assert digests(out) == whole
        names = {path.name for path in out.iterdir()}
        assert NAME not in names and caching.HIDDEN not in names
        assert not [name for name in names if name.endswith(".partial")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_the_state_and_says_how_to_go_on(folder: Path, number: int) -> None:
    out = folder / f"signal{number}"
    process = run(command(folder, out.name))
    assert process.stderr is not None
    seen = b""
    while b"calibrate:" not in seen:
        seen += process.stderr.read(16)
    process.send_signal(number)
    said = process.communicate()[1].decode()
    assert process.returncode == 128 + number, said
    assert "--resume" in said and "Traceback" not in said
    assert (out / NAME).exists()


@pytest.mark.slow
def test_a_second_signal_stops_at_once_and_leaves_the_last_state(folder: Path) -> None:
    process = run(command(folder, "twice"))
    assert process.stderr is not None
    seen = b""
    while b"stream:" not in seen:
        seen += process.stderr.read(16)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert (folder / "twice" / NAME).exists()
    assert run(command(folder, "twice", "--resume")).wait() == 0
    assert run(command(folder, "plain")).wait() == 0
    assert digests(folder / "twice") == digests(folder / "plain")


@pytest.mark.slow
def test_neither_threads_nor_the_depth_of_the_folder_change_the_digests(folder: Path) -> None:
    assert run(command(folder, "one")).wait() == 0
    process = run(command(folder, "a/b/c"), threads=2)
    assert process.wait() == 0
    assert digests(folder / "a" / "b" / "c") == digests(folder / "one")
