"""Division of prompts into those that a region is chosen on and those that it is tried on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ep.errors import RequestError
from ep.studies.prompts import Prompts

HELD_SHARE = 0.3
"""Share of the labelled prompts to hold back where no held-out prompts are given."""


@dataclass(frozen=True)
class HeldOut:
    """Prompts to choose a region on, and prompts to try it on.

    choice: the prompts of the choice.
    target: held-out prompts that should show the behaviour.
    benign: held-out prompts that should not.
    dropped: number of prompts that were given as held-out but are also among those of the choice.
    split: whether the held-out prompts were taken from those of the choice.
    """

    choice: Prompts
    target: tuple[str, ...]
    benign: tuple[str, ...]
    dropped: int = 0
    split: bool = False


def hold_out(
    prompts: Prompts, held_out: Prompts | None = None, benign: Prompts | None = None, seed: int = 0
) -> HeldOut:
    """Divide prompts into those of the choice and held-out ones.

    prompts: those of the choice.
    held_out: prompts labelled no become benign ones, all others targets.
    benign: all become benign ones, whatever their label.
    seed: of the split.

    Without `held_out` and `benign`, 30 % of the labelled prompts of each kind are held back.
    Raises RequestError when no target is left.
    """
    if held_out is None and benign is None:
        choice, held = _split(prompts, seed)
        return HeldOut(choice, held.where(True).texts, held.where(False).texts, split=True)
    extra, extra_benign = held_out or Prompts((), ()), benign or Prompts((), ())
    held, held_benign = extra.without(prompts.texts), extra_benign.without(prompts.texts)
    negatives = [
        text for text, label in zip(held.texts, held.labels, strict=True) if label is False
    ]
    target = tuple(
        text for text, label in zip(held.texts, held.labels, strict=True) if label is not False
    )
    dropped = len(extra) + len(extra_benign) - len(held) - len(held_benign)
    if not target:
        why = (
            f"all {dropped:,} were also used for the choice" if dropped else "none is labelled yes"
        )
        raise RequestError(
            f"no held-out prompt is left ({why}): give prompts that were not used for the choice"
        )
    return HeldOut(prompts, target, tuple(dict.fromkeys([*negatives, *held_benign.texts])), dropped)


def _split(prompts: Prompts, seed: int) -> tuple[Prompts, Prompts]:
    """Return (prompts of the choice, prompts held back), both with labels yes and no."""
    rng, held = np.random.default_rng(seed), set[int]()
    for label in (True, False):
        rows = [i for i, own in enumerate(prompts.labels) if own is label]
        if len(rows) < 2:
            raise RequestError(
                "there are no held-out prompts: give some, or label the prompts yes and no"
            )
        held |= set(rng.permutation(rows)[: max(1, round(HELD_SHARE * len(rows)))].tolist())

    def part(rows: Sequence[int]) -> Prompts:
        return Prompts(
            tuple(prompts.texts[i] for i in rows), tuple(prompts.labels[i] for i in rows)
        )

    return part([i for i in range(len(prompts)) if i not in held]), part(sorted(held))
