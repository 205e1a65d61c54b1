"""Turns at a model: one at a time, fair, freed by failure; and runs beside each other equal runs
one after another.
"""

from __future__ import annotations

from pathlib import Path
from threading import Barrier, Event, Thread

import numpy as np
import pytest

import ep
from ep.errors import RequestError
from ep.models.generation import Row, Sampling, generate
from ep.models.interventions import of_regions
from ep.models.turns import Turns
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.waiting import until


def queue(turns: Turns, visitors: str) -> list[str]:
    """The order in which runs that all wait behind one are let in."""
    order: list[str] = []
    hold, threads = Event(), []

    def run(visitor: str) -> None:
        with turns.take(visitor):
            order.append(visitor)

    def first() -> None:
        with turns.take("first"):
            hold.wait(20)

    for target, arguments in [(first, ()), *((run, (visitor,)) for visitor in visitors)]:
        threads.append(Thread(target=target, args=arguments))
        threads[-1].start()
        until(lambda: turns.length == len(threads))
    hold.set()
    for thread in threads:
        thread.join(20)
    assert turns.length == 0
    return order


def test_one_visitor_is_served_in_order() -> None:
    assert queue(Turns(), "abcd") == list("abcd")


def test_a_burst_delays_others_by_one_run_at_most() -> None:
    assert queue(Turns(), "aaabbc") == list("abcaba")


def test_the_place_in_the_queue_is_told_and_a_given_up_place_is_free() -> None:
    turns, told, go = Turns(), [], Event()

    class Stop(Exception):
        pass

    def waits(stop_at: int | None) -> None:
        def report(ahead: int) -> None:
            told.append(ahead)
            if len(told) == stop_at:
                raise Stop

        with turns.take("b", report):
            pass

    def holds() -> None:
        with turns.take("a"):
            go.wait(20)

    thread = Thread(target=holds)
    thread.start()
    until(lambda: turns.length == 1)
    with pytest.raises(Stop):
        waits(1)
    assert told == [1] and turns.length == 1
    go.set()
    waits(None)
    thread.join(20)


def test_a_run_that_fails_frees_the_model() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.take("a"):
        raise ZeroDivisionError
    with turns.take("b"):
        assert turns.length == 1
    assert turns.length == 0


def test_one_visitor_cannot_fill_the_queue() -> None:
    turns = Turns()
    with turns.take("a"):
        threads = [
            Thread(target=lambda: turns.take("a").__enter__(), daemon=True) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        until(lambda: turns.length == 4)
        with pytest.raises(RequestError, match="4 runs"), turns.take("a"):
            pass


def test_visitors_at_once_get_what_they_would_get_alone(tmp_path: Path) -> None:
    model = ep.load(str(tiny.gemma(tmp_path / "m")))
    dictionary = synthetic(30, 32, seed=3, layer=2, typical_norm=4.0)
    ids = tuple(model.encode_prompt("The cat sat on the mat").ids)
    asked = [
        [Row(ids), Row(ids, (of_regions(dictionary, kind, [k], 2.0, target=1),))]
        for k, kind in enumerate(("add", "ablate", "swap", "clamp", "add", "ablate"))
    ]

    def run(rows: list[Row]) -> list[tuple[list[int], float]]:
        *_, last = generate(model, rows, Sampling(25, stop=False))
        return [(row.ids, row.moved) for row in last]

    alone = [run(rows) for rows in asked]
    found: list[object] = [None] * len(asked)
    start = Barrier(len(asked))

    def visit(number: int) -> None:
        start.wait()
        found[number] = run(asked[number])

    threads = [Thread(target=visit, args=(number,)) for number in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert found == alone
    assert not np.allclose([rows[1][1] for rows in alone], 0)
