"""Long work beside the pages: one job a key, cancelled between two steps, its error a sentence, its
outcome kept.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic, sleep

import pytest
from streamlit.testing.v1 import AppTest

from ep.errors import ServiceError
from pages.shared.jobs import Board, Job

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def board() -> Board:
    return Board()


def until(true: Callable[[], bool]) -> None:
    deadline = monotonic() + 10
    while not true():
        assert monotonic() < deadline
        sleep(0.005)


def test_the_result_waits_to_be_seen(board: Board) -> None:
    job = board.start("k", "Work", lambda job: job.report("half", 0.5) or 7)
    until(lambda: job.state == "done")
    assert (job.result, job.said, job.share) == (7, "half", 0.5)
    assert board.get("k") is job
    board.forget("k")
    assert board.get("k") is None


def test_two_who_ask_share_one_job(board: Board) -> None:
    go = Event()
    first = board.start("k", "Work", lambda job: go.wait(10))
    assert board.start("k", "Work", lambda job: pytest.fail("started twice")) is first
    board.forget("k")
    assert board.get("k") is first, "a running job cannot be forgotten"
    go.set()
    until(lambda: first.state == "done")
    assert board.start("k", "Work", lambda job: None) is not first


def test_cancel_takes_hold_at_the_next_step(board: Board) -> None:
    steps = []

    def work(job: Job) -> None:
        while True:
            steps.append(1)
            job.report("working", 7.0)
            sleep(0.001)

    job = board.start("k", "Work", work)
    until(lambda: len(steps) > 3)
    assert job.share == 1.0
    job.cancel()
    until(lambda: job.state == "cancelled")
    done = len(steps)
    sleep(0.02)
    assert len(steps) == done and not job.cancelling


def test_failures_become_sentences_and_surprises_stay_in_the_log(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    def expected(job: Job) -> None:
        raise ServiceError("the hub does not answer: try again")

    def surprise(job: Job) -> None:
        raise ZeroDivisionError("secret detail")

    job = board.start("a", "Work", expected)
    until(lambda: job.state == "failed")
    assert job.error == "The hub does not answer: try again."
    job = board.start("b", "Work", surprise)
    until(lambda: job.state == "failed")
    assert "secret" not in job.error and "secret detail" in caplog.text


def test_jobs_are_stopped_before_the_interpreter_ends(tmp_path: Path) -> None:
    """A thread that is frozen inside a library at the end can hang it; a job hears of the end
    instead.
    """
    code = f"""
import time
from pathlib import Path
from pages.shared.jobs import Board, Cancelled

def work(job):
    while True:
        try:
            job.report("on and on")
        except Cancelled:
            Path({str(tmp_path / "heard")!r}).write_text("yes")
            raise
        time.sleep(0.05)

Board().start("a", "Work", work)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, (tmp_path / "heard").read_text()) == (0, "yes"), done.stderr


def _too_quick() -> None:
    """A page that looks for what a job made, finds nothing, and draws the job, which is done by
    then.
    """
    from time import sleep

    import streamlit as st

    from pages.shared import jobs

    jobs.page_begins()
    made = (job := jobs.get("quick")) is not None and job.state == "done"
    if job is None:
        job = jobs.start("quick", "Work", lambda job: 7)
        while job.state == "running":
            sleep(0.01)
    jobs.watch("quick")
    st.text("there" if made else "not there")


def test_what_is_done_while_a_page_is_drawn_is_on_it() -> None:
    at = AppTest.from_function(_too_quick, default_timeout=20).run()
    assert [text.value for text in at.text] == ["there"] and not at.exception
    assert [text.value for text in at.run().text] == ["there"]
