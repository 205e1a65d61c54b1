"""Steering runs behind the page: stopped, abandoned, two at once; each leaves what it has and a
model that is free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from threading import Event, Thread
from time import monotonic, sleep

import pytest

import ep
from ep.studies.steering import Continuation, Setting
from pages.shared import jobs, loading
from pages.steer import worker
from tests.fixtures.steering import LONG, alone, model_of, shelf
from tests.fixtures.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The shelf of `tests.fixtures.steering`."""
    yield from shelf(tmp_path_factory)


def run_of(key: str, setting: Setting) -> tuple[worker.LiveRun, jobs.Job, Thread]:
    """A run outside any page, on a thread of its own."""
    dictionary, model = loading.dictionary(key), model_of(key)
    live, job = worker.LiveRun(key, setting, ""), jobs.Job("Steering", "me")
    steps = ep.steer(dictionary, model, setting, stopped=lambda: live.stopping)
    work = partial(worker._write, live, steps, model, "a run", "me")
    return live, job, Thread(target=job.run, args=(work,))


def texts(live: worker.LiveRun) -> tuple[Continuation, ...]:
    return live.run.continuations if live.run else live.progress.continuations


def test_a_run_nobody_looks_at_ends_and_frees_the_model(keys: dict[str, str]) -> None:
    live, job, thread = run_of(keys["own"], LONG)
    live.seen = monotonic() - 2 * worker.GONE_AFTER_S
    thread.start()
    thread.join(60)
    assert job.state == "cancelled" and live.run is None
    assert model_of(keys["own"]).turns.length == 0


def test_stop_works_while_waiting_and_while_writing(keys: dict[str, str]) -> None:
    model, hold = model_of(keys["own"]), Event()

    def holds() -> None:
        with model.turns.take("other"):
            hold.wait(60)

    other = Thread(target=holds)
    other.start()
    until(lambda: model.turns.length == 1)
    live, job, thread = run_of(keys["own"], LONG)
    thread.start()
    until(lambda: live.ahead == 1)
    live.stopping = True
    thread.join(60)
    assert job.state == "cancelled" and texts(live)[0].ids == () and model.turns.length == 1
    hold.set()
    other.join(60)
    live, job, thread = run_of(keys["own"], LONG)
    thread.start()
    until(lambda: len(texts(live)[0].ids) > 2)
    live.stopping = True
    thread.join(60)
    assert job.state == "done" and live.run is not None and model.turns.length == 0
    whole = alone(keys["own"], LONG)
    for column, full in zip(texts(live), whole, strict=True):
        n = len(column.ids)
        assert 2 < n < 200 and column.ids == full.ids[:n] and column.ending == "cancelled"
        assert (
            column.regions == full.regions[:n]
            and len(column.distances) == n
            and column.behaves is not None
        )
    steered, control = texts(live)[2:]
    assert (
        steered.moved == pytest.approx(LONG.strength, rel=1e-3) == control.moved
        and steered.touched > 0
    )
    assert steered.kl > 0 and control.kl > 0
    live, job, thread = run_of(keys["own"], LONG)
    thread.start()
    until(lambda: len(texts(live)[0].ids) > 2)
    job.cancel()  # asked twice: what was written stays, nothing is measured
    thread.join(60)
    assert job.state == "cancelled" and live.run is None and len(texts(live)[0].ids) > 2
    assert model.turns.length == 0


def test_two_at_once_get_what_each_gets_alone(keys: dict[str, str]) -> None:
    settings = [LONG, replace(LONG, mode="ablate", regions=(5, 6), seed=9)]
    expected = [alone(keys["own"], setting) for setting in settings]
    runs = [run_of(keys["own"], setting) for setting in settings]
    for *_, thread in runs:
        thread.start()
    while any(thread.is_alive() for *_, thread in runs):
        for live, *_ in runs:
            live.look()
        sleep(0.05)
    assert [texts(live) for live, *_ in runs] == expected
