"""Interventions on the residual stream at a hook, as plain linear algebra.

In the formulas, x is the stream after a block and c a reference point. v₁ … vₘ are unit directions,
u = Σv / ‖Σv‖ is their push (v itself for one direction), and Q (d, m) an orthonormal basis of their
span. r is the layer's typical norm and α the strength.

    add      x + α·r·u                            steer (protocol 8.10); α keeps its sign
    ablate   x − α·QQᵀ(x − c)                     project out about c (protocol 8.9)
    swap     x − α·QQᵀ(x − c) + α·QQᵀ(t − c)      put a target point t in its place (Appendix A3)
    clamp    x − QQᵀ(x − c) + α·r·u               set the part in the span to α·r·u

An ablation or a swap may be turned elsewhere: its step along Q is then made along other orthonormal
directions R instead, x − α·RQᵀ(x − c). It is as long at every position, and a control for length.

Several directions are pushed together along u, not each by α·r. The step then has length α·r for
any number of directions, so a strength and its random control mean the same for one region as for
five, and the order of the directions does not matter. A clamp puts the stream where an add would
push it from c. (Setting each coordinate vᵢ·(x − c) to α·r instead would take steps without bound as
two directions come to oppose each other.) The effect of an ablation depends on c, because it leaves
the stream at c along the span.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from ep.errors import ConfigError
from ep.method.dictionary import Basis, Dictionary
from ep.shapes import Float32, Float64

Mode = Literal["ablate", "add", "swap", "clamp"]
"""What is done along the directions; the module docstring has the formulas."""
MODES: tuple[Mode, ...] = get_args(Mode)
PUSHING: tuple[Mode, ...] = ("add", "clamp")
"""Modes whose strength is a length along the push, in typical norms.

The strength of the other modes is the share of the part in the span that is projected out.
"""
REMOVING: tuple[Mode, ...] = ("ablate", "swap")
"""Modes that project the span out; a swap then puts another region's mean in."""
Scope = Literal["all", "prompt", "generated", "last"]
"""The positions that are changed.

"all" is every position, "prompt" those of the prompt, "generated" those after it, and "last" the
last one of the prompt, whose output is the first generated token.
"""
SCOPES: tuple[Scope, ...] = get_args(Scope)
STRONGEST = 1e6
"""Largest absolute strength; far beyond it the stream overflows."""
DEPENDENT = 1e-4
"""Smallest length of the part of a unit direction outside the span of those before it.

A direction with less than that adds nothing to the span.
"""


@dataclass(frozen=True, eq=False)
class Intervention:
    """One change of the residual stream.

    mode: see the module docstring.
    directions: (m, d) float32 unit rows.
    layers: the blocks after which it acts.
    reference: (d,) the point c.
    norm: r > 0, the length of one unit of strength.
    strength: α; for ablate and swap the share that is projected out, where 1 is all of it.
    target: (d,) the point t of a swap; None for the other modes.
    scope: the positions it acts on.
    along: (k, d) orthonormal rows R along which the step of an ablation or a swap is made instead
        of along the span; one for each dimension of it.

    Raises ConfigError for values that contradict each other or are out of range.
    """

    mode: Mode
    directions: Float32[np.ndarray, "m d"]
    layers: tuple[int, ...]
    reference: Float32[np.ndarray, " d"]
    norm: float
    strength: float = 1.0
    target: Float32[np.ndarray, " d"] | None = None
    scope: Scope = "all"
    along: Float32[np.ndarray, "k d"] | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f"mode {self.mode!r} is unknown: use one of {', '.join(MODES)}")
        if self.scope not in SCOPES:
            raise ConfigError(f"scope {self.scope!r} is unknown: use one of {', '.join(SCOPES)}")
        if not len(self.directions) or not self.layers:
            raise ConfigError("an intervention needs at least one direction and one layer")
        if (self.mode == "swap") != (self.target is not None):
            raise ConfigError("a swap needs a target point, and nothing else takes one")
        if not abs(self.strength) <= STRONGEST:  # true for NaN too
            raise ConfigError(
                f"strength {self.strength:g} was asked for: expected between −{STRONGEST:g} and "
                f"{STRONGEST:g}"
            )
        if not (np.isfinite(self.norm) and self.norm > 0):
            raise ConfigError(f"the typical norm is {self.norm}: expected a positive number")
        if self.along is not None and (
            self.mode not in REMOVING or self.along.shape != self.span.shape
        ):
            raise ConfigError(
                "only an ablation or a swap is turned elsewhere, along as many directions as it has"
            )
        points = [self.directions, self.reference] + ([] if self.target is None else [self.target])
        if any(not np.isfinite(point).all() for point in points):
            raise ConfigError("a direction or point of the intervention is not finite")
        if self.mode in PUSHING and np.linalg.norm(self._sum) < DEPENDENT:
            raise ConfigError("the directions cancel each other out: leave one of the regions out")

    @property
    def _sum(self) -> Float64[np.ndarray, " d"]:
        """Σv, in float64."""
        return self.directions.astype(np.float64).sum(axis=0)

    @property
    def push(self) -> Float32[np.ndarray, " d"]:
        """u, the unit direction of the sum, in which all directions weigh the same."""
        return (self._sum / np.linalg.norm(self._sum)).astype(np.float32)

    @property
    def span(self) -> Float32[np.ndarray, "m d"]:
        """Orthonormal rows that span the directions; fewer than these where they are dependent.

        For a single direction it is that direction itself, with its sign.
        """
        basis: list[np.ndarray] = []
        for row in self.directions.astype(np.float64):
            for _ in range(2):  # Gram–Schmidt, twice: orthogonal up to rounding
                for earlier in basis:
                    row = row - (row @ earlier) * earlier
            if (length := np.linalg.norm(row)) > DEPENDENT:
                basis.append(row / length)
        return np.array(basis, np.float32)


def of_regions(
    dictionary: Dictionary,
    mode: Mode,
    regions: Sequence[int],
    strength: float = 1.0,
    *,
    basis: Basis = "exemplar",
    layers: Sequence[int] | None = None,
    reference: str | int = "centre",
    target: int | None = None,
    scope: Scope = "all",
) -> Intervention:
    """Return an intervention along the directions of one or several regions.

    regions: ids; a region named twice counts once.
    layers: where it acts; by default at the dictionary's layer.
    reference: "centre" (the dictionary's c), "origin", or the id of a region, which stands for its
        mean point.
    target: the region whose mean point is t in a swap.

    Raises UnknownRegion and ConfigError.
    """
    ids = list(dict.fromkeys(dictionary.check(region) for region in regions))
    if mode == "swap" and target is None:
        raise ConfigError("a swap needs a region whose mean value is put back")
    if layers is None and dictionary.layer is None:
        raise ConfigError("the dictionary does not state its layer: give the layers")
    return Intervention(
        mode=mode,
        directions=np.array(dictionary.raw_basis(basis, ids), np.float32).reshape(len(ids), -1),
        layers=tuple(layers) if layers is not None else (int(dictionary.layer or 0),),
        reference=_point(dictionary, reference),
        norm=dictionary.typical_norm,
        strength=strength,
        target=mean_point(dictionary, target) if mode == "swap" and target is not None else None,
        scope=scope,
    )


def random_control(like: Intervention, seed: int = 0) -> Intervention:
    """Return the same intervention along a random span of the same size, as a control.

    The span is drawn by seed, orthogonal to the original's, so that it contains none of the effect.
    Raises ConfigError where there is no room for it (d ≤ m, or close to it).
    """
    return replace(like, directions=_elsewhere(like, seed))


def turned(like: Intervention, seed: int = 0) -> Intervention:
    """Return an ablation or a swap whose every step is made along a random span instead.

    It moves the stream as far as the original at every position, which `random_control` does not:
    there is less of the stream along random directions. Drawn as there.
    """
    rows = np.linalg.qr(_elsewhere(like, seed).T.astype(np.float64))[0].T
    return replace(like, along=np.ascontiguousarray(rows, np.float32))


def _elsewhere(like: Intervention, seed: int) -> Float32[np.ndarray, "m d"]:
    """Return random unit rows orthogonal to the span of an intervention, as many as it has."""
    span = like.span.astype(np.float64)
    rows = np.random.default_rng(seed).standard_normal(span.shape)
    # a normal sample minus its part in the span is uniform over the directions orthogonal to it
    rows = rows - (rows @ span.T) @ span
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if (lengths < DEPENDENT).any():
        raise ConfigError(
            f"{len(span)} directions fill a space of {span.shape[1]} dimensions: no control is left"
        )
    return np.asarray(rows / lengths, np.float32)


def mean_point(dictionary: Dictionary, region: int) -> Float32[np.ndarray, " d"]:
    """Return the mean position of a region's members, c + r·‖Σû‖/N·m with mean direction m.

    It is an estimate: files store sums of unit vectors, so every member counts as if it lay at the
    typical norm r from the centre. In another metric, r is the typical length in its space, and the
    step is taken back to the activations, A⁻¹(r·‖Σû‖/N·m). Where the metric keeps lengths, files
    store the mean point itself, and it is no estimate.
    """
    k = dictionary.check(region)
    if dictionary.law.extra:
        point = dictionary.basis_rows("mean")[k].astype(np.float64)
        step = dictionary.typical_norm * point[-1] * point[:-1]
        return (dictionary.center + step).astype(np.float32)
    coherence = float(dictionary.row("coherence", k)) if "coherence" in dictionary else 1.0
    mean = dictionary.row("mean_directions", k).astype(np.float64)
    step = dictionary.metric.displaced(dictionary.metric_norm * coherence * mean[None])[0]
    return (dictionary.center + step).astype(np.float32)


def _point(dictionary: Dictionary, reference: str | int) -> Float32[np.ndarray, " d"]:
    """Return the reference point c that a name or a region id stands for."""
    if reference == "centre":
        return np.array(dictionary.center, np.float32)
    if reference == "origin":
        return np.zeros(dictionary.width, np.float32)
    if isinstance(reference, str):
        raise ConfigError(
            f"reference {reference!r} is unknown: use 'centre', 'origin' or a region's id"
        )
    return mean_point(dictionary, reference)


class Applied:
    """An intervention as tensors on a device.

    It computes in float32 and returns the dtype of the stream.
    """

    def __init__(self, intervention: Intervention, device: Any) -> None:
        import torch

        def tensor(array: np.ndarray) -> Any:
            return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device)

        self.mode, self.scope, self.layers = (
            intervention.mode,
            intervention.scope,
            intervention.layers,
        )
        self.strength, self.norm = intervention.strength, intervention.norm
        self.span = tensor(intervention.span)
        self.along = self.span if intervention.along is None else tensor(intervention.along)
        # coordinates in the span, (m,): of c, of t, and of the push α·r·u
        self.at_reference = self.span @ tensor(intervention.reference)
        self.at_target = (
            None if intervention.target is None else self.span @ tensor(intervention.target)
        )
        self.pushed: Any = None
        if self.mode in PUSHING:
            self.pushed = self.strength * self.norm * (self.span @ tensor(intervention.push))

    def step(self, x: Any) -> Any:
        """Return the change that the formula asks for at each row of x (..., d).

        It is given as coordinates (..., m) in the span, whose length is that of the change.
        Rounding to the dtype of the stream may leave less of it.
        """
        if self.mode == "add":
            return self.pushed.expand(*x.shape[:-1], -1)
        # (x − c) in the span; c's coordinates are subtracted after projecting, which saves a copy
        coordinates = x.float() @ self.span.T - self.at_reference
        if self.mode == "clamp":
            return self.pushed - coordinates
        if self.at_target is not None:
            return self.strength * (self.at_target - self.at_reference - coordinates)
        return -self.strength * coordinates

    def apply(self, x: Any) -> Any:
        """Return x (..., d) after the intervention, in its dtype."""
        return self.moved(x, self.step(x))

    def moved(self, x: Any, step: Any) -> Any:
        """Return x (..., d) moved by a step (..., m), in its dtype."""
        return (x.float() + step @ self.along).to(x.dtype)
