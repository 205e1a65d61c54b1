"""Laws of a build on a cluster: it is the build of one process, whatever happens to the workers."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ep
from ep import caching
from ep.cli import main
from ep.cluster import RayExtractor, connecting, workers
from ep.cluster.extractor import AHEAD, _processors
from ep.cluster.worker import difference, packed, unpacked
from ep.config import BuildConfig
from ep.errors import ConfigError, EPError, FailureError, ServiceError, StorageError
from ep.models import Assembly, LanguageModel, LocalExtractor, load
from ep.models.extraction import Part
from ep.reporting import Progress
from tests.fixtures import cluster as faulty
from tests.fixtures import tiny

STORE = 80 * 2**20
"""Bytes of the cluster's object store, near the least that Ray allows."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and a text."""
    folder = tmp_path_factory.mktemp("cluster")
    tiny.gemma(folder / "model")
    (folder / "t.json").write_text(json.dumps(tiny.passages(240)))
    return folder


@pytest.fixture(scope="module")
def notes(folder: Path) -> Path:
    (folder / "notes").mkdir()
    return folder / "notes"


@pytest.fixture(scope="module")
def running(notes: Path) -> Iterator[None]:
    """A cluster of this machine, which all builds of the module use."""
    import ray

    os.environ[faulty.FOLDER] = str(notes)
    os.environ.update(connecting._QUIET)
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=STORE,
        log_to_driver=False,
        logging_level="CRITICAL",
    )
    signal.signal(signal.SIGTERM, handler)
    connecting._silence()
    yield
    ray.shutdown()
    del os.environ[faulty.FOLDER]


@pytest.fixture(autouse=True)
def clean(notes: Path) -> None:
    for path in notes.iterdir():
        path.unlink()


def settings(folder: Path, out: str, **changes: Any) -> BuildConfig:
    base: dict[str, Any] = {
        "model": str(folder / "model"),
        "text": (str(folder / "t.json"),),
        "layers": (1, 2),
        "percentiles": (4.0, 10.0),
        "out": str(folder / out),
        "batch": 16,
        "calibration": 300,
    }
    return BuildConfig(**(base | changes))


def finished(config: BuildConfig, resume: bool = False) -> Progress:
    return list(ep.build(config, resume, replace=not resume))[-1]


def digests(progress: Progress) -> list[str]:
    return [ep.digest(path) for path in progress.files]


@pytest.fixture(scope="module")
def alone(folder: Path) -> list[str]:
    """The digests of a build without a cluster."""
    return digests(finished(settings(folder, "alone")))


@pytest.fixture(scope="module")
def model(folder: Path) -> LanguageModel:
    return load(str(folder / "model"))


def parts(model: LanguageModel, count: int) -> Iterator[Part]:
    texts = iter(tiny_passages(count))
    for batch in model.tokens.batches(texts, 4, 64):
        yield from Assembly(model, batch, (1, 2)).parts()


def tiny_passages(count: int) -> list[ep.Passage]:
    return [ep.Passage(number, text) for number, text in enumerate(tiny.passages(count))]


@pytest.fixture
def extractors(folder: Path, model: LanguageModel, running: None) -> Iterator[Any]:
    """Makes extractors, and closes them."""
    made: list[RayExtractor] = []

    def make(count: int) -> RayExtractor:
        config = settings(folder, "unused", ray="local", ray_workers=count)
        made.append(RayExtractor(config, model))
        return made[-1]

    yield make
    for one in made:
        one.close()


# -- without Ray -----------------------------------------------------------------------------------


def test_where_it_runs_decides_nothing(folder: Path) -> None:
    here, there = settings(folder, "o"), settings(folder, "o", ray="auto", ray_workers=3)
    assert here.deciding() == there.deciding()
    with pytest.raises(ConfigError, match="ray_workers is 2, but ray is not given"):
        settings(folder, "o", ray_workers=2)
    with pytest.raises(ConfigError, match="ray_workers is 0"):
        settings(folder, "o", ray="auto", ray_workers=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_activations_travel_in_the_bits_of_the_model(dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    if dtype == "bfloat16":
        x = (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    elif dtype == "float16":
        x = x.astype(np.float16).astype(np.float32)
    sent = packed({3: x}, dtype)
    assert sent[3][1].itemsize == (4 if dtype == "float32" else 2)
    assert unpacked(sent)[3].tobytes() == x.tobytes()


def test_the_first_difference_of_two_copies_is_named() -> None:
    ours = {"version of ep": "1", "weights": "abc"}
    assert difference(ours, dict(ours)) == ""
    assert difference(ours, {"version of ep": "1"}) == "weights unknown instead of abc"


def test_workers_share_the_processors_of_their_machines() -> None:
    assert _processors(2, [8, 8]) == 8
    assert _processors(3, [8, 8]) == 4
    assert _processors(3, [8, 4]) == 4
    assert _processors(12, [8, 4]) == 1


@pytest.mark.parametrize("address", ["nowhere", "ray://h:10001", "h:0", "h:99999", "h:1 x", ""])
def test_what_is_no_address_is_refused_before_any_work(folder: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="expected HOST:PORT"):
        finished(settings(folder, "nowhere", ray=address))


def test_an_address_that_does_not_answer_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    build = ["build", str(folder / "model"), "--text", str(folder / "t.json"), "--layer", "1"]
    build += ["--out", str(folder / "none"), "--ray"]
    assert main([*build, address]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"no Ray cluster answers at {address}" in said
    monkeypatch.setattr(connecting, "TRIAL_S", 3.0)
    with socket.socket() as other:  # it takes connections, and says nothing
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert main([*build, f"127.0.0.1:{other.getsockname()[1]}"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no answer within 3 s" in said
    assert not list((folder / "none").glob("*"))


# -- with Ray --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_workers_gives_the_digests_of_one_process(
    folder: Path, alone: list[str], running: None, count: int
) -> None:
    config = settings(folder, f"on{count}", ray="local", ray_workers=count)
    assert digests(finished(config)) == alone
    assert {path.name for path in config.folder.iterdir()} == {
        config.file_name(layer, p) for layer in (1, 2) for p in (4.0, 10.0)
    }


@pytest.mark.slow
def test_workers_run_the_model_as_the_build_says_and_close_with_it(
    folder: Path, alone: list[str], running: None
) -> None:
    config = settings(folder, "plain", ray="local", ray_workers=2, extractor="transformers")
    done = finished(config)
    assert digests(done) == alone
    assert {ep.open(path).info["extractor"] for path in done.files} == {"transformers"}


@pytest.mark.slow
def test_a_build_that_fails_to_open_ends_its_workers(
    folder: Path, running: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    made: list[RayExtractor] = []

    class Kept(RayExtractor):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    def fails(*_: Any, **__: Any) -> None:
        raise StorageError("no room")

    monkeypatch.setattr("ep.opening.RayExtractor", Kept)
    monkeypatch.setattr("ep.building.Ladder", fails)
    with pytest.raises(StorageError, match="no room"):
        finished(settings(folder, "fails", ray="local", ray_workers=2))
    assert [one.workers.copies for one in made] == [[]] and ray.is_initialized()


@pytest.mark.slow
def test_any_arrival_order_gives_the_same_activations(
    model: LanguageModel, extractors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "Worker", faulty.Uneven)
    extractor, read, given_on = extractors(3), 0, 0

    def counted() -> Iterator[Part]:
        nonlocal read
        for part in parts(model, 120):
            read += 1
            assert read - given_on <= AHEAD * 3
            yield part

    local = LocalExtractor(model).extract(parts(model, 120))
    for (part, values), (expected, same) in zip(extractor.extract(counted()), local, strict=True):
        given_on += 1
        assert part.ids.tobytes() == expected.ids.tobytes()
        assert {layer: x.tobytes() for layer, x in values.items()} == {
            layer: x.tobytes() for layer, x in same.items()
        }
    assert given_on == read > 20
    assert extractor.workers.most_in_flight <= workers.IN_FLIGHT


@pytest.mark.slow
def test_a_part_asked_for_within_a_pass_and_a_pass_that_is_left(
    model: LanguageModel, extractors: Any
) -> None:
    extractor = extractors(2)
    first = extractor.extract(parts(model, 60))
    part, values = next(first)
    [(_, again)] = extractor.extract([part])
    assert again[1].tobytes() == values[1].tobytes()
    first.close()
    assert len(list(extractor.extract(parts(model, 60)))) == len(list(parts(model, 60)))
    stored = [replace(part, layers=()), part, replace(part, layers=())]
    assert [sorted(found) for _, found in extractor.extract(stored)] == [[], [1, 2], []]


@pytest.mark.slow
def test_what_travels_is_freed(model: LanguageModel, extractors: Any) -> None:
    extractor = extractors(2)
    rows = np.arange(1)
    ids = np.tile(np.arange(5, 205), (40, 1))
    everywhere = np.ones(ids.shape, bool)
    part = Part(np.resize(rows, 40), ids, everywhere, everywhere, (0, 1, 2))
    sent = 0
    for _, values in extractor.extract(part for _ in range(50)):
        sent += sum(x.nbytes for x in values.values())
    assert sent > 1.5 * STORE


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(
    folder: Path,
    alone: list[str],
    running: None,
    notes: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "Worker", faulty.Noted)
    killed = []
    for progress in ep.build(settings(folder, "killed", ray="local", ray_workers=2)):
        here = sorted(notes.glob("process-*"))
        if progress.stage == "calibrate" and progress.done and not killed:
            killed.append(int(here[0].name.removeprefix("process-")))
            os.kill(killed[0], signal.SIGKILL)
    assert digests(progress) == alone
    assert killed and len(list(notes.glob("process-*"))) == 3


@pytest.mark.slow
def test_a_worker_that_dies_of_a_part_once_changes_nothing(
    model: LanguageModel, extractors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "Worker", faulty.Mortal)
    extractor = extractors(1)
    expected = list(LocalExtractor(model).extract(parts(model, 40)))
    found = list(extractor.extract(parts(model, 40)))
    assert [x[2].tobytes() for _, x in found] == [x[2].tobytes() for _, x in expected]
    assert extractor.workers.replaced == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("worker", "error", "words"),
    [
        (faulty.Poisoned, FailureError, "on 3 workers in turn .its worker was lost"),
        (faulty.Refusing, FailureError, "on 3 workers in turn .out of memory in two lines"),
        (faulty.Older, ConfigError, "another version: version of ep 0.0.9 instead of"),
        (faulty.Rounding, ConfigError, "activations of one text 0123456789ab instead of"),
    ],
)
def test_what_cannot_go_on_is_one_line(
    folder: Path,
    running: None,
    monkeypatch: pytest.MonkeyPatch,
    worker: type,
    error: type[EPError],
    words: str,
) -> None:
    monkeypatch.setattr(workers, "Worker", worker)
    with pytest.raises(error, match=words) as raised:
        finished(settings(folder, worker.__name__, ray="local", ray_workers=1))
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_more_workers_than_there_is_room_for(folder: Path, running: None) -> None:
    with pytest.raises(ConfigError, match="ray_workers is 5: the cluster has 4 CPUs"):
        finished(settings(folder, "many", ray="local", ray_workers=5))
    import ray

    @ray.remote(num_cpus=4)
    class Other:
        def here(self) -> int:
            return 1

    other = Other.remote()
    assert ray.get(other.here.remote()) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "PLACE_S", 1.0)
        with pytest.raises(ServiceError, match="no room for a worker"):
            finished(settings(folder, "full", ray="local", ray_workers=1))
    ray.kill(other)


@pytest.mark.slow
def test_a_build_stopped_on_a_cluster_goes_on_without_it_and_back(
    folder: Path, alone: list[str], running: None
) -> None:
    on = settings(folder, "moved", ray="local", ray_workers=2)
    for config, stage in ((on, "calibrate"), (settings(folder, "moved"), "stream"), (on, "stream")):
        steps = ep.build(config, resume=True)
        for progress in steps:
            if progress.stage == stage and progress.done:
                break
        steps.close()
    assert (on.folder / caching.HIDDEN).exists()
    assert digests(finished(on, resume=True)) == alone


@pytest.mark.slow
def test_the_command_writes_nothing_of_ray_s(
    folder: Path, alone: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """It starts a cluster of its own, in a process of its own."""
    import subprocess
    import sys

    build = [sys.executable, "-m", "ep", "build", str(folder / "model")]
    build += ["--text", str(folder / "t.json"), "--layer", "1", "--layer", "2", "--batch", "16"]
    build += ["--percentile", "4", "--percentile", "10", "--calibration", "300"]
    build += ["--out", str(folder / "cli"), "--ray", "local", "--ray-workers", "2"]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    paths = done.stdout.splitlines()
    assert [ep.digest(path) for path in paths] == alone
    assert all(line.startswith("ep: ") for line in done.stderr.splitlines()), done.stderr
