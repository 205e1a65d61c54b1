"""Laws of the order: whatever workers finish first, results come in the order of the stream."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from time import sleep

from hypothesis import given, settings
from hypothesis import strategies as st

from ep.cluster.ordering import in_order


class Shuffled:
    """Finishes what it has in a random order, one or several at a time, and sometimes nothing."""

    def __init__(self, room: int, seed: int) -> None:
        self.room, self.most = room, 0
        self.held: dict[int, int] = {}
        self.random = random.Random(seed)

    def has_room(self) -> bool:
        return len(self.held) < self.room

    def submit(self, number: int, item: int) -> None:
        assert self.has_room()
        self.held[number] = item
        self.most = max(self.most, len(self.held))

    def finished(self) -> dict[int, int]:
        count = self.random.randint(0, len(self.held))
        chosen = self.random.sample(sorted(self.held), count)
        return {number: self.held.pop(number) ** 2 for number in chosen}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 20), st.integers(0, 10**6))
def test_any_arrival_order_gives_the_order_of_the_items(
    count: int, room: int, ahead: int, seed: int
) -> None:
    pool, begun = Shuffled(room, seed), 0

    def items() -> Iterator[int]:
        nonlocal begun
        for item in range(1, count + 1):
            begun += 1
            yield item

    given_on = 0
    for item, result in in_order(items(), pool, ahead):
        assert begun - given_on <= ahead
        given_on += 1
        assert item == given_on and result == item**2
    assert given_on == count and pool.most <= min(room, ahead)


class Threads:
    """Real futures, of which later ones are done first."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.executor = executor
        self.futures: dict[Future[int], int] = {}

    def has_room(self) -> bool:
        return len(self.futures) < 4

    def submit(self, number: int, item: int) -> None:
        def slowly() -> int:
            sleep(0.002 * (4 - number % 4))
            return -item

        self.futures[self.executor.submit(slowly)] = number

    def finished(self) -> dict[int, int]:
        done, _ = wait(self.futures, timeout=1, return_when=FIRST_COMPLETED)
        return {self.futures.pop(future): future.result() for future in done}


def test_futures_that_overtake_each_other() -> None:
    with ThreadPoolExecutor(4) as executor:
        found = list(in_order(range(40), Threads(executor), 8))
    assert found == [(item, -item) for item in range(40)]
