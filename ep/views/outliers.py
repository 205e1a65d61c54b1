"""What is unlike the rest in a layer, and what a build left out of it, in plain words.

It is read from the provenance of a file, which may lack it or hold anything: what is not a number
is not shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ep.method.outliers import MASSIVE

LARGE = 0.2
"""Share of the directions from which one dimension is worth a warning.

Where one dimension is a fifth of û², two activations that agree in it alone have a cosine of 0.2.
The largest share measured is 0.06 in stories260K and 0.10 in SmolLM2-135M, where no dimension is
remarkable, and 0.25 to 0.41 at layers 1, 5 and 9 of Gemma-3-270M, where one is known to be.
"""
ADVICE = "--metric standardised gives every dimension the same spread"
"""What to do where one dimension is large."""
LEAVE_OUT = "massive activations may be the cause, and --norm-cap 5 leaves them out"
"""What to do first where there are massive activations, which pull the centre towards them."""
FEW = 0.001
"""Share up to which massive activations hardly move a centre; Gemma-3 has fewer at layer 9."""


def lines(info: Mapping[str, Any]) -> list[str]:
    """Return sentences about the layer of a dictionary, without a full stop; [] where unmeasured.

    info: its provenance.
    """
    found = [massive(info), first(info), left_out(info), dominated(info)]
    return [line for line in found if line]


def massive(info: Mapping[str, Any]) -> str:
    """How many activations have a norm far above the median, or how large the largest is."""
    names = ("n", "massive", "first_massive", "median", "largest")
    if (norms := _numbers(info.get("norms"), *names)) is None:
        return ""
    n, count, both, median, largest = norms
    ratio = largest / median if median else math.inf
    if not count:
        return f"no massive activations: the largest norm is {ratio:.1f} times the median"
    return (
        f"{count:,.0f} of {n:,.0f} activations ({share(count, n)}) are massive, with a norm of "
        f"more than {_times(info):g} and up to {ratio:,.0f} times the median; {both:,.0f} of them "
        "are first tokens"
    )


def first(info: Mapping[str, Any]) -> str:
    """How many activations are the first token of their passage."""
    if (norms := _numbers(info.get("norms"), "n", "first")) is None or not norms[1]:
        return ""
    n, count = norms
    return (
        f"{count:,.0f} of {n:,.0f} activations ({share(count, n)}) are the first token of a passage"
    )


def left_out(info: Mapping[str, Any]) -> str:
    """What the build left out of the stream, by its settings or because it is not finite; "" where
    that is nothing.
    """
    if (counts := _numbers(info.get("left_out"), "first", "norm")) is None:
        return ""
    parts = []
    if skipped := _number(info.get("skip_first")):
        tokens = "first token" if skipped == 1 else f"first {skipped:g} tokens"
        parts.append(f"the {tokens} of every passage ({counts[0]:,.0f} activations)")
    if cap := _number(info.get("norm_cap")):
        parts.append(f"norms above {cap:g} times the median ({counts[1]:,.0f} activations)")
    if (broken := _numbers(info["left_out"], "not_finite", "first_not_finite")) and broken[0]:
        parts.append(
            f"values that are not finite ({broken[0]:,.0f} activations, the first in passage "
            f"{broken[1]:.0f})"
        )
    return f"left out of the build: {' and '.join(parts)}" if parts else ""


def dominated(info: Mapping[str, Any]) -> str:
    """Which dimension has a large share of the directions; "" where none has, and where the metric
    takes account of it.
    """
    if info.get("metric") in ("standardised", "whitened"):
        return ""
    found = _numbers(info.get("largest_dimension"), "dimension", "directions", "variance")
    if found is None or found[1] <= LARGE:
        return ""
    dimension, directions, variance = found
    n, count = _numbers(info.get("norms"), "n", "massive") or (0, 0)
    is_capped = _number(info.get("norm_cap")) is not None
    advice = f"{LEAVE_OUT}, or {ADVICE}" if count > FEW * n and not is_capped else ADVICE
    return (
        f"dimension {dimension:.0f} alone makes {100 * directions:.0f} % of all directions and "
        f"{100 * variance:.0f} % of the variance, so distances are in large part distances along "
        f"it: {advice}"
    )


def share(count: float, n: float) -> str:
    """Return a share in per cent, with as many digits as a small one needs."""
    percent = 100 * count / n if n else 0.0
    return f"{percent:.1f} %" if percent >= 0.1 or not count else "< 0.1 %"


def _times(info: Mapping[str, Any]) -> float:
    found = _numbers(info.get("norms"), "times")
    return found[0] if found else MASSIVE


def _numbers(entry: Any, *names: str) -> list[float] | None:
    """The numbers of an entry by name; None unless all of them are there."""
    values = [_number(entry.get(name)) for name in names] if isinstance(entry, Mapping) else []
    numbers = [value for value in values if value is not None]
    return numbers if values and len(numbers) == len(names) else None


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e300 else None


def of_family(infos: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return sentences about the layers of several dictionaries of one build; [] if unmeasured.

    infos: the provenance of each.
    """
    layers = {info.get("layer"): info for info in infos if massive(info)}
    if not layers:
        return []
    with_massive = {
        n: info for n, info in layers.items() if _numbers(info["norms"], "massive") != [0]
    }
    found = [f"layer {n}: {massive(info)}" for n, info in with_massive.items()]
    if without := [f"{n}" for n in layers if n not in with_massive]:
        one = next(iter(layers.values()))
        plural = "s" if len(without) > 1 else ""
        found.append(
            f"no massive activations at layer{plural} {', '.join(without)}: no norm is more than "
            f"{_times(one):g} times the median"
        )
    found += [f"layer {n}: {line}" for n, info in layers.items() if (line := dominated(info))]
    longest = max(infos, key=lambda info: _number(info.get("n_activations")) or 0)
    return found + [line for line in (first(longest), left_out(longest)) if line]
