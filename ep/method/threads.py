"""Shares of rows on threads of their own, each of which computes alone.

Numeric libraries divide every call among threads and wait for all of them at its end. A search is a
chain of many short calls, and on a machine at other work too each of those waits may take longer
than the call. Here the rows are divided once for a whole chain, and within a share every call uses
one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Lock, Thread
from typing import TypeVar

FEWEST_ROWS = 128  # a thread with fewer rows than this costs more than it saves
T = TypeVar("T")
_pools: dict[int, ThreadPoolExecutor] = {}
_creating = Lock()
_limiting = Lock()


def over_rows(work: Callable[[slice], object], n: int, threads: int) -> None:
    """Run `work` on slices that cover n rows, on up to `threads` threads.

    The compiled loops and the products of torch release Python's global interpreter lock, so the
    threads run in parallel. Within `work`, torch uses one thread if there are several slices.
    """
    threads = min(threads, n // FEWEST_ROWS)
    if threads < 2:
        work(slice(0, n))
        return
    edges = [n * i // threads for i in range(threads + 1)]
    shares = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    for share in [_pool(threads).submit(work, share) for share in shares]:
        share.result()


def alone(work: Callable[[], T]) -> T:
    """Return the result of `work`, run where torch uses one thread."""
    return _pool(1).submit(work).result()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let numpy, scipy and scikit-learn use one thread, so that equal input has equal results.

    Several threads round differently than one, and some add up in the order in which they finish.
    The setting is the process's, so one such block runs at a time.
    """
    from threadpoolctl import threadpool_limits

    with _limiting, threadpool_limits(1):
        yield


def _pool(threads: int) -> ThreadPoolExecutor:
    """Return the pool of so many worker threads, which is kept between calls."""
    with _creating:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="search")
            starter = Thread(target=_start, args=(_pools[threads], threads))
            starter.start()
            starter.join()
        return _pools[threads]


def _start(pool: ThreadPoolExecutor, threads: int) -> None:
    """Start the workers of a pool; runs in a thread of its own.

    The number of threads of torch is a setting of each thread, which a new thread takes from
    whichever set it last. It is put back, so that the threads of others find what they expect.
    """
    import torch

    default, met = torch.get_num_threads(), Barrier(threads)

    def begin() -> None:
        torch.get_num_threads()  # a thread adopts the setting when it first asks: now, not later
        torch.set_num_threads(1)
        met.wait()  # so that every worker runs this once

    for worker in [pool.submit(begin) for _ in range(threads)]:
        worker.result()
    torch.set_num_threads(default)
