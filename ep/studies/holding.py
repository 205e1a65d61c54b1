"""Prompts parted in two: those a region is chosen on, and those it is tried on.

What chose is never evaluated on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ep.errors import RequestError
from ep.studies.prompts import Prompts

HELD_SHARE = 0.3
"""Share of the labelled prompts that is held back where no held-out prompts are given."""


@dataclass(frozen=True)
class Held:
    """Prompts to choose a region on, and those to try it on.

    target: prompts that should show the behaviour; benign: those that should not. dropped: given as
    held-out, but also among the prompts of the choice. split: whether they were taken from the
    prompts of the choice themselves.
    """

    choice: Prompts
    target: tuple[str, ...]
    benign: tuple[str, ...]
    dropped: int = 0
    split: bool = False


def hold(
    prompts: Prompts, held_out: Prompts | None = None, benign: Prompts | None = None, seed: int = 0
) -> Held:
    """Parts the prompts. held_out: those labelled no are benign, all others targets; benign: all
    are benign.

    Without either, 30 % of the labelled prompts of each kind are held back, drawn by seed.
    RequestError when nothing to try is left.
    """
    if held_out is None and benign is None:
        choice, back = _split(prompts, seed)
        return Held(choice, back.where(True).texts, back.where(False).texts, split=True)
    given, quiet = held_out or Prompts((), ()), benign or Prompts((), ())
    kept, calm = given.without(prompts.texts), quiet.without(prompts.texts)
    no = [text for text, said in zip(kept.texts, kept.labels, strict=True) if said is False]
    target = tuple(
        text for text, said in zip(kept.texts, kept.labels, strict=True) if said is not False
    )
    dropped = len(given) + len(quiet) - len(kept) - len(calm)
    if not target:
        why = (
            f"all {dropped:,} were also used for the choice" if dropped else "none is labelled yes"
        )
        raise RequestError(
            f"no held-out prompt is left ({why}): give prompts that were not used for the choice"
        )
    return Held(prompts, target, tuple(dict.fromkeys([*no, *calm.texts])), dropped)


def _split(prompts: Prompts, seed: int) -> tuple[Prompts, Prompts]:
    """(kept, held back), both with prompts labelled yes and no."""
    rng, back = np.random.default_rng(seed), set[int]()
    for label in (True, False):
        rows = [i for i, said in enumerate(prompts.labels) if said is label]
        if len(rows) < 2:
            raise RequestError(
                "there are no held-out prompts: give some, or label the prompts yes and no"
            )
        back |= set(rng.permutation(rows)[: max(1, round(HELD_SHARE * len(rows)))].tolist())

    def part(rows: Sequence[int]) -> Prompts:
        return Prompts(
            tuple(prompts.texts[i] for i in rows), tuple(prompts.labels[i] for i in rows)
        )

    return part([i for i in range(len(prompts)) if i not in back]), part(sorted(back))
