"""When a stream has told enough: budgets, a bounded new-region rate, and the paper's quiet batches.

The first two look only at stream positions, so they stop at the same activation whatever the batch
size; the paper's rule counts batches and is kept under its own name (protocol 2.5, W19).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class StopRule:
    """Stop at `budget` activations, when the rate bound falls below `rate`, or after
    `quiet_batches`; None is never.
    """

    budget: int | None = None
    rate: float | None = None
    window: int = 50_000
    quiet_batches: int | None = None

    def allowed(self, seen: int, rows: int) -> int:
        """How many of the next `rows` activations may be streamed before the rule must look
        again.
        """
        if self.budget is not None:
            rows = min(rows, self.budget - seen)
        if self.rate is not None:
            rows = min(rows, self.window - seen % self.window)
        return max(0, rows)

    def reason(self, seen: int, founded_at: np.ndarray, quiet: int) -> str | None:
        """Why to stop now, or None. founded_at: (K,) stream indices of exemplars, ascending; quiet:
        quiet batches.
        """
        if self.budget is not None and seen >= self.budget:
            return "budget"
        if self.rate is not None and seen and seen % self.window == 0:
            births = len(founded_at) - int(np.searchsorted(founded_at, seen - self.window))
            if rate_upper_bound(births, self.window) < self.rate:
                return "new-region rate"
        if self.quiet_batches is not None and quiet >= self.quiet_batches:
            return "quiet batches"
        return None


def rate_upper_bound(births: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """One-sided Clopper–Pearson upper bound of a rate, given `births` in `trials`; 3/trials or so
    when none is seen.
    """
    from scipy.stats import beta

    if births >= trials:
        return 1.0
    return float(beta.ppf(confidence, births + 1, trials - births))
