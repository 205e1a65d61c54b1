"""Builds as processes of their own: their state outlives them, they take turns on a device, and a
reader never sees half a state.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

import ep
from ep import jobs
from ep.config import BuildConfig
from ep.errors import RequestError
from ep.jobs import job as jobfile
from ep.jobs.acting import sign
from ep.jobs.command import arguments
from ep.jobs.process import Process
from ep.storage.checkpoint import NAME as STATE
from ep.watching import status
from ep.watching.status import Status
from tests.fixtures import tiny
from tests.fixtures.waiting import until

ROOT = Path(__file__).resolve().parents[1]
DEAD = Process(2**22 + 1, "1", Process.of(os.getpid()).host)  # type: ignore[union-attr]


@pytest.fixture
def own_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of jobs of the test's own; what still runs at its end is stopped."""
    monkeypatch.setenv("EP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EP_PUBLIC", raising=False)
    yield tmp_path
    for one in jobs.listed():
        if one.is_active and one.process and one.process.pid != os.getpid():
            jobs.cancel(one)


def settings(folder: Path, **more: Any) -> BuildConfig:
    values = {
        "model": str(folder / "model"),
        "text": (str(folder / "text.txt"),),
        "layers": (1,),
        "percentiles": (8.0,),
        "out": str(folder / "out"),
        "device": "cpu",
    }
    return BuildConfig(**(values | more))  # type: ignore[arg-type]


def made(name: str, config: BuildConfig, queued: float, process: Process | None) -> Path:
    """A job's folder, written by hand."""
    folder = jobfile.place() / name
    folder.mkdir(parents=True)
    status.replace_json(
        folder / jobfile.JOB, {"config": config.as_dict(), "owner": "ann", "created": queued}
    )
    status.write(folder / status.NAME, Status("running", stage="stream", done=7, total=9))
    if process is not None:
        status.replace_json(folder / jobfile.PROCESS, {**vars(process), "queued": queued})
    return folder


def test_the_command_has_the_settings_of_the_job() -> None:
    from ep.cli import parser
    from ep.commands.options import parsed_settings

    config = BuildConfig(
        "-odd model",
        ("-a.txt", "b c.jsonl"),
        (3, 1),
        "some where",
        (0.1, 12.345678901, 4),
        tokens=5,
        chat=True,
        metric="whitened",
        stop_rate=0.25,
        title="--it's",
        field_name="body",
    )
    read = parser().parse_args(["build", *arguments(config)])
    assert BuildConfig(**parsed_settings(read, BuildConfig)) == config


def test_a_process_that_died_is_noticed_and_its_state_is_kept(own_cache_folder: Path) -> None:
    config = settings(own_cache_folder)
    folder = made("one", config, 1.0, DEAD)
    config.folder.mkdir()
    (config.folder / STATE).write_bytes(b"state")
    (job,) = jobs.listed()
    assert job.status.state == "stopped" and job.status.error == jobfile.DIED
    assert (job.status.stage, job.status.done, job.has_state) == ("stream", 7, True)
    with pytest.raises(RequestError, match="does not run"):
        jobs.pause(job)
    jobs.delete(job)
    assert not folder.exists() and (config.folder / STATE).exists()
    jobs.delete(job, with_state=True)  # its folder is gone already
    assert not (config.folder / STATE).exists()
    with pytest.raises(RequestError, match="its folder was deleted"):
        jobs.opened("one")


def test_a_number_that_another_process_has_now_is_not_the_job(own_cache_folder: Path) -> None:
    own = Process.of(os.getpid())
    assert own is not None and own.is_alive
    assert not Process(own.pid, f"{own.started}0", own.host).is_alive
    made("one", settings(own_cache_folder), 1.0, own)
    assert jobs.opened("one").status.state == "running"


def test_what_is_no_job_is_not_listed(own_cache_folder: Path) -> None:
    place = jobfile.place()
    (place / "empty").mkdir(parents=True)
    (place / "odd").mkdir()
    (place / "odd" / jobfile.JOB).write_text('{"config": {"model": 3}, "owner": ')
    (place / "file").write_text("x")
    assert jobs.listed() == []
    for name in ("../cache", "", "odd", "/etc"):
        with pytest.raises(RequestError, match="is gone"):
            jobs.opened(name)


def test_the_status_is_never_seen_half_written(tmp_path: Path) -> None:
    file, stop = tmp_path / status.NAME, Event()
    rows = tuple({"layer": 1, "regions": n, "growth": [[1] * 200, [2] * 200]} for n in range(40))
    seen: list[Status | None] = []
    status.write(file, Status("running", done=0, dictionaries=rows))

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            status.write(file, Status("running", done=n, dictionaries=rows, files=(str(n),)))

    thread = Thread(target=write)
    thread.start()
    try:
        while len(seen) < 400:
            seen.append(status.read(file))
            json.loads(file.read_text())
    finally:
        stop.set()
        thread.join()
    assert None not in seen
    assert all(one.files in ((), (str(one.done),)) for one in seen if one)
    assert len({one.done for one in seen if one}) > 1
    assert [path.name for path in tmp_path.iterdir()] == [status.NAME]


TURN = """
import os, sys, time
from pathlib import Path
from ep.jobs.acting import sign
from ep.jobs.job import opened
from ep.jobs import turn
turn.LOOK_EVERY_S = 0.01
name, log = sys.argv[1:]
folder = Path(os.environ["EP_CACHE"]) / "jobs" / name
sign(folder, os.getpid(), float(name))
with turn.turn(opened(name), lambda ahead: None):
    for what in ("in", "out"):
        with open(log, "a") as file:
            file.write(f"{what} {name}\\n")
        time.sleep(0.05)
    if name == "2":
        os.kill(os.getpid(), 9)
"""


def test_two_jobs_on_one_device_never_run_at_once_and_go_in_order(own_cache_folder: Path) -> None:
    """The lock is the system's: the second one dies while it holds the device, and the rest go on.

    Every other file says that the first is at work, so that the others wait even before its turn.
    """
    log, names = own_cache_folder / "log", ["1", "2", "3", "4"]
    config = settings(own_cache_folder)
    processes = []
    for name in names:
        folder = made(name, config, float(name), None)
        status.write(folder / status.NAME, Status("queued"))
        run = [sys.executable, "-c", TURN, name, str(log)]
        processes.append(
            subprocess.Popen(run, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        )
        sign(folder, processes[-1].pid, float(name))
    for process in processes:
        process.wait(120)
    expected = [f"{what} {name}" for name in names for what in ("in", "out")]
    assert log.read_text().split("\n")[:-1] == expected


def test_a_public_server_starts_nothing(
    own_cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EP_PUBLIC", "1")
    with pytest.raises(RequestError, match="public"):
        jobs.start(settings(own_cache_folder), "ann")
    made("one", settings(own_cache_folder), 1.0, DEAD)
    with pytest.raises(RequestError, match="public"):
        jobs.resume(jobs.opened("one"))
    assert len(jobs.listed()) == 1


def test_a_build_that_is_refused_says_why(own_cache_folder: Path) -> None:
    job = jobs.start(settings(own_cache_folder), "ann")
    until(lambda: not jobs.opened(job.id).is_active, every=0.1)
    job = jobs.opened(job.id)
    assert job.status.state == "failed" and "text.txt" in job.status.error
    assert "Traceback" not in job.log() and job.owner == "ann"


def text_and_model(folder: Path) -> None:
    tiny.gemma(folder / "model")
    (folder / "text.txt").write_text("\n".join(tiny.passages(1200)))


@pytest.mark.slow
def test_a_job_is_paused_killed_resumed_and_ends_as_a_build_without_all_that(
    own_cache_folder: Path,
) -> None:
    folder = own_cache_folder
    text_and_model(folder)
    config = settings(folder, calibration=500, batch=4, context=16, percentiles=(4.0, 8.0))
    job = jobs.start(config, "ann")
    until(lambda: bool(jobs.opened(job.id).status.newest), every=0.02)
    jobs.pause(jobs.opened(job.id))
    until(lambda: not jobs.opened(job.id).is_active, every=0.02)
    paused = jobs.opened(job.id)
    assert paused.status.state == "stopped" and paused.has_state, paused.log()
    assert len(paused.status.dictionaries) == 2 and paused.status.newest and paused.picture
    for path in config.folder.glob("*.ep.h5"):
        assert ep.open(path).info["complete"] is False
    state = (config.folder / STATE).read_bytes()

    resumed = jobs.resume(paused)
    with pytest.raises(RequestError, match="runs already"):
        jobs.resume(resumed)
    with pytest.raises(RequestError, match="still runs"):
        jobs.delete(resumed)
    until(lambda: jobs.opened(job.id).status.state == "running", every=0.02)
    process = jobs.opened(job.id).process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not jobs.opened(job.id).is_active, every=0.02)
    killed = jobs.opened(job.id)
    assert killed.status.error == jobfile.DIED
    assert killed.has_state and (config.folder / STATE).read_bytes()[:4] == state[:4]

    jobs.resume(killed)
    until(lambda: not jobs.opened(job.id).is_active, every=0.05)
    done = jobs.opened(job.id)
    assert done.status.state == "done", done.log()
    plain = BuildConfig(**(config.as_dict() | {"out": str(folder / "plain")}))
    files = list(ep.build(plain))[-1].files
    assert [Path(name).name for name in done.status.files] == [path.name for path in files]
    for path in files:
        assert ep.digest(ep.open(path)) == ep.digest(ep.open(config.folder / path.name))


@pytest.mark.slow
def test_a_job_whose_folder_is_deleted_stops_and_keeps_its_state(own_cache_folder: Path) -> None:
    import shutil

    folder = own_cache_folder
    text_and_model(folder)
    config = settings(folder, calibration=500, batch=1, context=16)
    job = jobs.start(config, "ann")
    until(lambda: jobs.opened(job.id).status.done > 0, every=0.02)
    until(lambda: jobs.opened(job.id).status.stage in ("stream", "assign"), every=0.02)
    process = jobs.opened(job.id).process
    assert process is not None
    shutil.rmtree(job.folder)
    assert jobs.listed() == []
    until(lambda: not process.is_alive, every=0.05)
    assert (config.folder / STATE).exists() or list(config.folder.glob("*.ep.h5"))
