"""The stored study of the tuned sibling: refusal, the region that carries it, and its ablation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ep.demo import behaviour
from ep.demo.real.dictionaries import LAYERS, final, tuned
from ep.studies.behaviour import BEHAVING_SHARE

CHOSEN_P = 8.0
"""Percentile of the dictionary of last tokens on which the region is tried."""


def study(out: Path) -> behaviour.Study:
    """Return what is tried. out: data/real."""
    last, whole = final(out), tuned(out)
    layer = last.layers[0]
    return behaviour.Study(
        choice="choice",
        held_out=("held_out",),
        benign=(),
        chosen=last.file_name(layer, CHOSEN_P),
        others=(
            *(last.file_name(layer, p) for p in last.percentiles if p != CHOSEN_P),
            *(whole.file_name(max(LAYERS), p) for p in whole.percentiles),
        ),
        percentile=CHOSEN_P,
        seeds=4,
        shares=(BEHAVING_SHARE,),
        basis="mean",
        fewer=40,
    )


def make(out: Path, say: Callable[[str], None]) -> None:
    """Run the study and write behaviour.json. out: data/real. say: takes a line of progress."""
    behaviour.make(out, say, study(out))
