"""Laws of the shared work: every row once, one thread of torch within, and no trace outside."""

from __future__ import annotations

from threading import Thread

import pytest
import torch

from ep.method.threads import FEWEST_ROWS, alone, over_rows


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("n", [0, 1, FEWEST_ROWS, 5 * FEWEST_ROWS + 7])
def test_every_row_is_in_one_share(n, threads):
    seen = torch.zeros(n, dtype=torch.int64)

    def work(part: slice) -> None:
        seen[part] += 1

    over_rows(work, n, threads)
    assert (seen == 1).all()


def test_within_a_share_torch_uses_one_thread_and_elsewhere_as_many_as_before():
    def of_a_new_thread() -> int:
        found: list[int] = []
        thread = Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        return found[0]

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        within: list[int] = []
        over_rows(lambda part: within.append(torch.get_num_threads()), 8 * FEWEST_ROWS, 4)
        assert within == [1] * 4
        assert alone(torch.get_num_threads) == 1
        assert torch.get_num_threads() == 3
        assert of_a_new_thread() == 3
    finally:
        torch.set_num_threads(before)


def test_an_error_in_a_share_reaches_the_caller():
    def work(part: slice) -> None:
        if part.start:
            raise ValueError("in the second share")

    with pytest.raises(ValueError, match="second share"):
        over_rows(work, 4 * FEWEST_ROWS, 2)
