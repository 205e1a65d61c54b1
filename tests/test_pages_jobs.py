"""Long work beside the pages: one job a key, cancelled between two steps, its error a sentence, its
outcome kept.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from threading import Event
from time import sleep

import pytest
from streamlit.testing.v1 import AppTest

from ep.errors import ServiceError
from ep.models.turns import Turns
from pages.shared import jobs
from pages.shared.jobs import MAX_ENDED, MAX_RESULTS, Board, Job
from tests.fixtures.pages import said
from tests.fixtures.waiting import until

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def board() -> Board:
    return Board()


def test_the_result_is_kept_under_its_key_for_everyone(board: Board) -> None:
    job = board.start("k", "Work", lambda job: job.report("half", 0.5) or 7, "ann")
    until(lambda: job.state == "done")
    assert (job.result, job.activity, job.share) == (7, "half", 0.5)
    assert board.get("k") is job and board.results.get("k") == 7


def test_two_who_ask_share_one_job_and_it_ends_with_the_last(board: Board) -> None:
    go = Event()

    def work(job: Job) -> int:
        while not go.is_set():
            job.report("working")
            sleep(0.001)
        return 7

    first = board.start("k", "Work", work, "ann")
    assert board.start("k", "Work", lambda job: pytest.fail("started twice"), "bob") is first
    board.leave("k", "eve")
    board.leave("k", "ann")
    assert not first.cancelling and set(first.waiting) == {"bob"}, "bob still waits for it"
    board.leave("k", "bob")
    until(lambda: first.state == "cancelled")
    assert set(first.waiting) == {"bob"}, "the last one sees that it stopped"
    board.leave("k", "bob")
    assert board.get("k") is None
    go.set()
    again = board.start("k", "Work", work, "ann")
    until(lambda: again.state == "done")
    assert board.results.get("k") == 7


def test_nothing_grows_for_ever(board: Board) -> None:
    done = [board.start(f"k{n}", "Work", lambda job: 1, "ann") for n in range(3 * MAX_ENDED)]
    until(lambda: all(job.state == "done" for job in done))
    board.start("last", "Work", lambda job: 1, "ann")
    assert len(board.jobs()) <= MAX_ENDED + 1
    assert len(board.results) <= MAX_RESULTS


def test_cancel_takes_hold_at_the_next_step(board: Board) -> None:
    steps = []

    def work(job: Job) -> None:
        while True:
            steps.append(1)
            job.report("working", 7.0)
            sleep(0.001)

    job = board.start("k", "Work", work, "ann")
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

    job = board.start("a", "Work", expected, "ann")
    until(lambda: job.state == "failed")
    assert job.error == "The hub does not answer: try again."
    job = board.start("b", "Work", surprise, "ann")
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

Board().start("a", "Work", work, "ann")
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

    jobs.run_callbacks()
    made = jobs.result("quick")
    if made is None and jobs.own_job("quick") is None:
        job = jobs.start("quick", "Work", lambda job: 7, lambda result: st.text(f"then {result}"))
        while job.state == "running":
            sleep(0.01)
    jobs.watch("quick")
    st.text("there" if made else "not there")


def test_what_is_done_while_a_page_is_drawn_is_on_it_and_is_followed_once() -> None:
    jobs.board.clear()
    at = AppTest.from_function(_too_quick, default_timeout=20).run()
    assert [text.value for text in at.text] == ["then 7", "there"] and not at.exception
    assert [text.value for text in at.run().text] == ["there"]


def _asks(seconds: float) -> None:
    """A page whose work takes so long, by the estimate, and fails or succeeds as it is told."""
    import streamlit as st

    from ep.errors import ServiceError
    from pages.shared import frame, jobs

    def work(job: jobs.Job) -> int:
        while not WORLD["go"]:
            job.report("counting")
        if WORLD["fails"]:
            raise ServiceError("the counter is broken: mend it")
        return 7

    from tests.test_pages_jobs import WORLD

    jobs.run_callbacks()
    with frame.error_boundary():
        found = jobs.result_or_offer("counted", "Counting", work, seconds=seconds, button="Count")
        st.text(f"counted {found}" if found else "not counted")


WORLD = {"go": False, "fails": False}


def page(seconds: float) -> AppTest:
    return AppTest.from_function(_asks, default_timeout=20, args=(seconds,)).run()


def texts(at: AppTest) -> str:
    return " ".join([said(at), *(text.value for text in at.text)])


def buttons(at: AppTest) -> set[str]:
    return {button.label for button in at.button}


def test_long_work_is_offered_and_belongs_to_whoever_starts_it() -> None:
    jobs.board.clear()
    WORLD.update(go=False, fails=True)
    ann, bob = page(120.0), page(120.0)
    assert buttons(ann) == {"Count"} and "It takes about 2 min." in texts(ann)
    assert not jobs.is_running("counted"), "looking starts nothing"
    ann.button[0].click().run()
    bob.run()
    assert buttons(ann) == {"Cancel"} and jobs.is_running("counted")
    assert buttons(bob) == {"Count"} and "for somebody else" in texts(bob)
    WORLD["go"] = True
    until(lambda: not jobs.is_running("counted"))
    ann.run()
    bob.run()
    assert "The counter is broken" in texts(ann) and buttons(ann) == {"Close"}
    assert "broken" not in texts(bob) and buttons(bob) == {"Count"}
    ann.button[0].click().run()
    assert buttons(ann) == {"Count"}
    WORLD["fails"] = False
    bob.button[0].click().run()
    until(lambda: not jobs.is_running("counted"))
    for at in (ann, bob, page(120.0)):
        at.run()
        assert "counted 7" in texts(at) and not buttons(at), "the result serves everyone"


def test_short_work_is_done_at_once() -> None:
    jobs.board.clear()
    WORLD.update(go=True, fails=False)
    assert "counted 7" in texts(page(0.5))
    jobs.board.clear()
    WORLD.update(fails=True)
    assert "The counter is broken" in texts(page(0.5))


def test_a_visitor_is_one_person_in_the_models_queue_on_all_pages() -> None:
    """Ann uses three pages at once; Bob's one run comes after no more than one of hers."""
    turns, order, hold = Turns(), [], Event()

    class Model:
        def __init__(self) -> None:
            self.turns = turns

    def work(name: str, job: Job) -> None:
        with jobs.model_turn(job, Model()):  # type: ignore[arg-type]
            order.append(name)
            hold.wait(10)

    board = Board()
    asked = [("steer", "ann"), ("sweep", "ann"), ("behaviour", "ann"), ("steer of bob", "bob")]
    for n, (name, who) in enumerate(asked, 1):
        board.start(name, name, partial(work, name), who)
        until(lambda n=n: turns.length == n)
    hold.set()
    until(lambda: turns.length == 0)
    assert order == ["steer", "steer of bob", "sweep", "behaviour"]
