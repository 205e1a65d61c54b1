"""Results that workers finish in any order, given on in the order in which they were begun."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")
R = TypeVar("R")
_T = TypeVar("_T", contravariant=True)
_R = TypeVar("_R", covariant=True)


@runtime_checkable
class Pool(Protocol[_T, _R]):
    """What works on numbered items."""

    def has_room(self) -> bool:
        """Return whether another item can be taken now."""
        ...

    def submit(self, number: int, item: _T) -> None:
        """Take an item; its result comes under its number."""
        ...

    def finished(self) -> Mapping[int, _R]:
        """Wait for a while, and return what has been finished since the last call."""
        ...


def in_order(items: Iterable[T], pool: Pool[T, R], ahead: int) -> Iterator[tuple[T, R]]:
    """Yield every item with its result, in the order of the items.

    ahead: items that may be begun and not yet given on. It bounds what waits for a slow one: no
        item is read from `items` beyond it.
    """
    source = enumerate(items)
    begun: dict[int, T] = {}
    done: dict[int, R] = {}
    due = 0
    is_more = True
    while True:
        while is_more and len(begun) < ahead and pool.has_room():
            number, item = next(source, (-1, None))
            if item is None:
                is_more = False
            else:
                begun[number] = item
                pool.submit(number, item)
        if not begun and not is_more:
            return
        if due not in done:
            done.update(pool.finished())
        if due in done:
            yield begun.pop(due), done.pop(due)
            due += 1
