"""Laws of stopping: bounds bound, and the place of the stop does not depend on the batch."""

from __future__ import annotations

import numpy as np
import pytest

from ep.method.saturation import StopRule, rate_upper_bound


@pytest.mark.parametrize("births", [0, 1, 7, 50])
def test_the_upper_bound_is_missed_as_rarely_as_it_says(births: int) -> None:
    bound = rate_upper_bound(births, 1000)
    assert births / 1000 < bound
    draws = np.random.default_rng(0).binomial(1000, bound, 20_000)
    assert np.mean(draws <= births) == pytest.approx(0.05, abs=0.01)


def test_a_quiet_window_bounds_the_rate_by_three_over_n() -> None:
    assert rate_upper_bound(0, 10_000) == pytest.approx(3 / 10_000, rel=0.01)


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_budget_and_rate_stop_at_the_same_activation_for_any_batch(batch: int) -> None:
    founded = np.array([0, 3, 40, 41, 130])
    stops = set()
    for rule in (StopRule(budget=333), StopRule(rate=0.04, window=100)):
        seen = 0
        reason = None
        while reason is None and seen < 1000:
            left = batch
            while left and reason is None:
                rows = rule.allowed(seen, left)
                seen, left = seen + rows, left - rows
                reason = rule.reason(seen, founded[founded < seen], 0)
        stops.add((reason, seen))
    assert stops == {("budget", 333), ("new-region rate", 300)}


def test_the_papers_rule_goes_by_its_own_name() -> None:
    rule = StopRule(quiet_batches=2)
    assert rule.reason(10, np.array([0]), 1) is None
    assert rule.reason(10, np.array([0]), 2) == "quiet batches"
