"""Killed at random moments, no work loses or spoils a file, and the next run ends as if unkilled.

The build has a test of its own, `test_building_killed`.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import ep
from ep import storage
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.models import conversions
from ep.storage import maps
from ep.storage.published import convert
from ep.storage.schema import ARRAYS
from ep.storage.sidecar import ANSWERS, LABELS, beside
from tests.fixtures import gguf_files
from tests.fixtures.builds import built
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.endpoint import Seen, Server, good_reader, serving
from tests.fixtures.hub_server import HubServer
from tests.fixtures.published import library, pickled, write

ROOT = Path(__file__).resolve().parent.parent
KILLS = 3
"""Kills of each kind of work in this test."""
UMAP = """
import sys, ep
from ep.views import layouts
print(layouts.compute(ep.open(sys.argv[1]), "umap-flat"))
"""
CONVERT = "import sys, ep; ep.load(sys.argv[1])"
UNFINISHED = (".importing", ".ep-conversion", ".reading", ".upload", ".downloads", "ep-push")
HUB = HubServer()


def ep_(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ep", *arguments]


def digest(name: str) -> Callable[[Path], object]:
    return lambda folder: ep.digest(folder / name)


def edits(folder: Path) -> object:
    found = json.loads(beside(folder / "many.ep.h5", LABELS).read_text())["edits"]
    return [{name: value for name, value in edit.items() if name != "at"} for edit in found]


def pushed(folder: Path) -> object:
    files = HUB.repositories[f"ann/{folder.name}"].commits[-1][1]
    return {name: data for name, data in files.items() if name != "README.md"}


def weights(folder: Path) -> object:
    (place,) = (folder / "cache").iterdir()
    assert conversions.find(place) is not None
    return hashlib.sha256((place / "model.safetensors").read_bytes()).hexdigest()


def coordinates(folder: Path) -> object:
    path = folder / "many.ep.h5"
    return maps.load(path, ep.open(path))["umap-flat"].coordinates.tobytes()


@dataclass(frozen=True)
class Work:
    """command: made for the folder and the address of a labelling model. result: what it gives."""

    command: Callable[[str, str], list[str]]
    result: Callable[[Path], object]


WORKS = {
    "import": Work(
        lambda f, _: ep_("import", f"{f}/tiny_L2_p5/tiny_layer2.pkl", "--out", f"{f}/x.ep.h5"),
        digest("x.ep.h5"),
    ),
    "download": Work(
        lambda f, _: ep_("import", "hub:ann/data", "--out", f"{f}/x.ep.h5"), digest("x.ep.h5")
    ),
    "complete": Work(
        lambda f, _: ep_("complete", f"{f}/plain.ep.h5", "--model", f"{f}/built/models/m"),
        digest("plain.ep.h5"),
    ),
    "lens": Work(
        lambda f, _: ep_("lens", "add", f"{f}/lacks.ep.h5", "--model", f"{f}/built/models/m"),
        digest("lacks.ep.h5"),
    ),
    "label": Work(
        lambda f, url: ep_(
            *f"label {f}/many.ep.h5 --largest 8 --model reader --endpoint {url}".split()
        ),
        edits,
    ),
    "push": Work(lambda f, _: ep_("push", f"{f}/many.ep.h5", f"ann/{Path(f).name}"), pushed),
    "gguf": Work(lambda f, _: [sys.executable, "-c", CONVERT, f"{f}/tiny.Q8_0.gguf"], weights),
    "umap": Work(lambda f, _: [sys.executable, "-c", UMAP, f"{f}/many.ep.h5"], coordinates),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a dictionary of it as published and converted, and one without some lenses."""
    folder = tmp_path_factory.mktemp("made") / "made"
    folder.mkdir()
    dictionary = ep.open(built(folder / "built"))
    published = folder / "tiny_L2_p5" / "tiny_layer2.pkl"
    write(published, pickled(library(dictionary)))
    meta = {"model": "m", "layer": 1, "percentile": 8.0}
    convert(published, folder / "plain.ep.h5", meta)
    arrays = {
        name: dictionary.column(name)
        for name in ARRAYS
        if name in dictionary and not name.startswith("lens_")
    }
    info = {name: value for name, value in dictionary.info.items() if name != "first_lens"}
    ep.save(Dictionary(MemorySource(arrays), info, len(dictionary)), folder / "lacks.ep.h5")
    ep.save(synthetic(size=600, width=32, seed=4), folder / "many.ep.h5")
    gguf_files.write(gguf_files.llama(folder / "llama"), folder / "tiny.Q8_0.gguf", "Q8_0")
    HUB.add("ann/data", {"many.ep.h5": (folder / "many.ep.h5").read_bytes()})
    return folder


def copied(made: Path, folder: Path) -> Path:
    shutil.copytree(made, folder)
    (folder / "tmp").mkdir()
    return folder


def started(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(folder / "tmp"),
        "EP_CACHE": str(folder / "cache"),
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0" if "hub:" in str(command) or "push" in command else "1",
        "HF_ENDPOINT": HUB.endpoint,
    }
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finished(command: list[str], folder: Path) -> None:
    with started(command, folder) as process:
        said = process.communicate(timeout=300)[1].decode()
    assert process.returncode == 0, said


def check_whole(folder: Path) -> None:
    """Every file that does not say that it is unfinished opens, all the way."""
    for path in folder.rglob("*.ep.h5"):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            storage.check(path)
    for path in folder.glob("*.ep.labels.json"):
        json.loads(path.read_bytes())


def unfinished(folder: Path) -> list[str]:
    paths = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    ends = (".tmp", ".partial", ".incomplete", ".lock", "answers.jsonl")
    return [
        path
        for path in paths
        if (path.endswith(ends) and not path.startswith("hf"))
        or Path(path).name.startswith(UNFINISHED)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", WORKS)
def test_killed_work_spoils_nothing_and_ends_as_if_unkilled(
    made: Path, tmp_path: Path, kind: str
) -> None:
    work, moments = WORKS[kind], random.Random(kind)

    def slow_reader(handler: object, seen: Seen, n: int) -> None:
        time.sleep(0.05)
        good_reader(handler, seen, n)  # type: ignore[arg-type]

    with HUB.running(), serving(slow_reader) as server:
        HUB.behaviour.slow = 0.02
        whole = copied(made, tmp_path / "whole")
        begun = time.monotonic()
        finished(work.command(str(whole), server.url), whole)
        took, asked = time.monotonic() - begun, len(server.seen)
        cut = copied(made, tmp_path / "cut")
        for number in range(KILLS):
            after = moments.uniform(0.4, 1.0) * took
            kill(work.command(str(cut), server.url), cut, after if number else None)
            check_whole(cut)
            if is_labelled(cut, asked, server):
                break  # it was too late; once more would be another labelling
        else:
            finished(work.command(str(cut), server.url), cut)
        assert work.result(cut) == work.result(whole)
        check_whole(cut)
        assert unfinished(cut) == []
        check_asked(server, asked)


def is_labelled(folder: Path, asked: int, server: Server) -> bool:
    """Whether a labelling ended by itself, so that the next one would ask anew."""
    answers = beside(folder / "many.ep.h5", ANSWERS)
    return 0 < 2 * asked <= len(server.seen) and not answers.exists()


def kill(command: list[str], folder: Path, after: float | None) -> None:
    """Kill a process after so many seconds, or with None as soon as it has begun a file."""
    with started(command, folder) as process:
        try:
            while after is None and not unfinished(folder) and process.poll() is None:
                time.sleep(0.002)
            process.communicate(timeout=after or 0.002)
        except subprocess.TimeoutExpired:
            process.kill()


def check_asked(server: Server, asked: int) -> None:
    """Of what was answered, only what was on its way when a run was killed is asked again."""
    assert len(server.seen) <= 2 * asked + KILLS
