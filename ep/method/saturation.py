"""Stopping rules: a budget, an upper bound of the new-region rate, and the paper's quiet batches.

The first two depend on stream indices only, so they stop at the same activation for every batch
size. The paper's rule counts batches and is kept as a separate setting (protocol 2.5, W19).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
"""Confidence level of the upper bound of the rate."""


@dataclass(frozen=True)
class StopRule:
    """When to stop streaming; a condition that is None never stops it.

    budget: number of activations.
    rate: new regions per activation; stop once the upper bound of the rate over a window is below
        it.
    window: activations in one window of the rate.
    quiet_batches: number of batches in a row without a new region.
    """

    budget: int | None = None
    rate: float | None = None
    window: int = 50_000
    quiet_batches: int | None = None

    def allowed(self, seen: int, rows: int) -> int:
        """Return how many of the next activations may be streamed before the rule is checked again.

        seen: activations streamed so far.
        rows: activations available.
        """
        if self.budget is not None:
            rows = min(rows, self.budget - seen)
        if self.rate is not None:
            rows = min(rows, self.window - seen % self.window)
        return max(0, rows)

    def reason(self, seen: int, founded_at: np.ndarray, quiet: int) -> str | None:
        """Return why to stop now, or None.

        seen: activations streamed so far.
        founded_at: (K,) stream indices of the founders, in rising order.
        quiet: batches in a row without a new region.
        """
        if self.budget is not None and seen >= self.budget:
            return "budget"
        # the rate is checked at multiples of the window only, wherever batches end
        if self.rate is not None and seen and seen % self.window == 0:
            births = len(founded_at) - int(np.searchsorted(founded_at, seen - self.window))
            if rate_upper_bound(births, self.window) < self.rate:
                return "new-region rate"
        if self.quiet_batches is not None and quiet >= self.quiet_batches:
            return "quiet batches"
        return None


def recent_rate(seen: int, founded_at: np.ndarray, window: int) -> tuple[float, float]:
    """Return the rate of new regions over the last activations, and its upper bound.

    seen: activations streamed so far, at least 1.
    founded_at: (K,) stream indices of the founders, in rising order.
    window: how many activations to look back at; all of them where there are fewer.
    """
    trials = min(seen, window)
    births = len(founded_at) - int(np.searchsorted(founded_at, seen - trials))
    return births / trials, rate_upper_bound(births, trials)


def rate_upper_bound(births: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided Clopper–Pearson upper bound of a rate.

    births: events observed.
    trials: opportunities for one; the bound is about 3/trials when none occurred.
    """
    from scipy.stats import beta

    if births >= trials:
        return 1.0
    return float(beta.ppf(confidence, births + 1, trials - births))
