"""The competition for the places of excerpts, as a compiled loop; see ep.method.excerpts.

One event after the other enters its slot or does not. The places that result are those of any other
order and any division into batches: a slot holds the best event of each of its best contexts, and
an event that was refused or driven out had as many better contexts before it as there are places.
"""

from __future__ import annotations

from typing import no_type_check

from numba import njit

from ep.method.excerpts import EMPTY


@njit(cache=True, nogil=True)
@no_type_check
def enter(stored, start, end, event):
    """Let one event enter a slot, places start … end − 1 of a region's row, if it is good enough.

    stored: (PLACES,) records; within a slot they lie in order of key and index, empty ones last.
    event: a record.
    """
    # the place of the same context, or the last one, is given up
    given_up = end - 1
    for place in range(start, end):
        if stored[place].key == EMPTY:
            break
        if stored[place].fold == event.fold:
            given_up = place
            break
    last = stored[given_up]
    if last.key < event.key or (last.key == event.key and last.index <= event.index):
        return
    place = given_up
    while place > start:
        before = stored[place - 1]
        if before.key < event.key or (before.key == event.key and before.index < event.index):
            break
        stored[place] = before
        place -= 1
    stored[place] = event


@njit(cache=True, nogil=True)
@no_type_check
def select(stored, worst, region, slot, events, starts):
    """Let events compete for the places of their regions and slots, in place.

    stored: (K, PLACES) records. worst: (K, SLOTS) the key in the last place of each slot.
    region, slot: (n,). events: (n,) records. starts: (SLOTS + 1,) first places of the slots.
    """
    for i in range(len(events)):
        r, s = region[i], slot[i]
        if events[i].key <= worst[r, s]:
            enter(stored[r], starts[s], starts[s + 1], events[i])
            worst[r, s] = stored[r, starts[s + 1] - 1].key
