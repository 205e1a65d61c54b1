"""Interventions: what is done to the residual stream at a hook, as plain linear algebra with its
formulas and sources.

With x the stream after a block, c a reference point, v₁ … vₘ unit directions, u = Σv / ‖Σv‖ their
push (v itself for one), Q (d, m) an orthonormal basis of their span, r the layer's typical norm and
α the strength:

    add      x + α·r·u                            steer (protocol 8.10), the sign kept
    ablate   x − α·QQᵀ(x − c)                     project out about c (protocol 8.9)
    swap     x − α·QQᵀ(x − c) + α·QQᵀ(t − c)      put a target point t back (Appendix A3)
    clamp    x − QQᵀ(x − c) + α·r·u               set the part in the span to α·r·u

Several directions are pushed along u, not each by α·r: the step stays α·r long however many there
are, so that a strength and its random control mean the same for one region as for five, and their
order does not matter. A clamp holds the stream where an add would push it from c. (Setting each
coordinate vᵢ·(x − c) to α·r instead takes steps without bound as two directions come to oppose each
other.) What an ablation does depends on c: it parks the stream at c along the span. Knows no model
and no tokens: rows in, rows out, with how far each was to move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float32, Float64

from ep.errors import ConfigError
from ep.method.dictionary import Basis, Dictionary

Mode = Literal["ablate", "add", "swap", "clamp"]
"""What is done along the directions; the formulas stand above."""
MODES: tuple[Mode, ...] = get_args(Mode)
PUSHING: tuple[Mode, ...] = ("add", "clamp")
"""Modes whose strength is a length along the push, in typical norms; that of the others is the
share of what lies in the span that is projected out.
"""
Scope = Literal["all", "prompt", "generated", "last"]
"""Where it acts: every position, those of the prompt, those written after it, or the prompt's last,
whose output is the first token written.
"""
SCOPES: tuple[Scope, ...] = get_args(Scope)
STRONGEST = 1e6
"""Beyond this many typical norms nothing but overflow is left."""
DEPENDENT = 1e-4
"""A direction with less than this outside the span of the ones before it adds nothing to the
span.
"""


@dataclass(frozen=True, eq=False)
class Intervention:
    """One change of the residual stream.

    directions: (m, d) float32 unit rows. layers: the blocks after which it acts. reference: (d,)
    the point c. norm: r > 0, the length one unit of strength stands for. strength: α; for ablate
    and swap the share that is projected out, 1 all of it. target: (d,) the point t of a swap.

    ConfigError for anything that contradicts itself.
    """

    mode: Mode
    directions: Float32[np.ndarray, "m d"]
    layers: tuple[int, ...]
    reference: Float32[np.ndarray, " d"]
    norm: float
    strength: float = 1.0
    target: Float32[np.ndarray, " d"] | None = None
    scope: Scope = "all"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f"mode {self.mode!r} is unknown: use one of {', '.join(MODES)}")
        if self.scope not in SCOPES:
            raise ConfigError(f"scope {self.scope!r} is unknown: use one of {', '.join(SCOPES)}")
        if not len(self.directions) or not self.layers:
            raise ConfigError("an intervention needs at least one direction and one layer")
        if (self.mode == "swap") != (self.target is not None):
            raise ConfigError("a swap needs a target point, and nothing else takes one")
        if not abs(self.strength) <= STRONGEST:
            raise ConfigError(
                f"strength {self.strength:g} was asked for: expected between −{STRONGEST:g} and "
                f"{STRONGEST:g}"
            )
        if not (np.isfinite(self.norm) and self.norm > 0):
            raise ConfigError(f"the typical norm is {self.norm}: expected a positive number")
        points = [self.directions, self.reference] + ([] if self.target is None else [self.target])
        if any(not np.isfinite(point).all() for point in points):
            raise ConfigError("a direction or point of the intervention is not finite")
        if self.mode in PUSHING and np.linalg.norm(self._sum) < DEPENDENT:
            raise ConfigError("the directions cancel each other out: leave one of the regions out")

    @property
    def _sum(self) -> Float64[np.ndarray, " d"]:
        return self.directions.astype(np.float64).sum(axis=0)

    @property
    def push(self) -> Float32[np.ndarray, " d"]:
        """u, the unit direction between all directions: of equal weight, whatever their order."""
        return (self._sum / np.linalg.norm(self._sum)).astype(np.float32)

    @property
    def span(self) -> Float32[np.ndarray, "m d"]:
        """Orthonormal rows of the directions' span; fewer than the directions where these are
        dependent.

        For a single direction it is that direction itself, its sign kept.
        """
        kept: list[np.ndarray] = []
        for row in self.directions.astype(np.float64):
            for _ in range(2):  # twice is enough for orthogonality to the last bit
                for other in kept:
                    row = row - (row @ other) * other
            if (length := np.linalg.norm(row)) > DEPENDENT:
                kept.append(row / length)
        return np.array(kept, np.float32)


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
    """An intervention along the directions of one or several regions, at the dictionary's layer
    unless told otherwise.

    regions: one named twice counts once. reference: "centre" (the dictionary's c), "origin", or a
    region's id: its mean point. target: the region whose mean point
    a swap puts back. UnknownRegion, ConfigError.
    """
    ids = list(dict.fromkeys(dictionary.check(region) for region in regions))
    if mode == "swap" and target is None:
        raise ConfigError("a swap needs a region whose mean value is put back")
    if layers is None and dictionary.layer is None:
        raise ConfigError("the dictionary does not say which layer it is of: name the layers")
    return Intervention(
        mode=mode,
        directions=np.array(dictionary.basis(basis)[ids], np.float32).reshape(len(ids), -1),
        layers=tuple(layers) if layers is not None else (int(dictionary.layer or 0),),
        reference=_point(dictionary, reference),
        norm=dictionary.typical_norm,
        strength=strength,
        target=mean_point(dictionary, target) if mode == "swap" and target is not None else None,
        scope=scope,
    )


def random_control(like: Intervention, seed: int = 0) -> Intervention:
    """The same intervention along a random direction (a random span of the same size), seeded: the
    control.

    Orthogonal to the original's span, so that none of the effect is left in it; nothing is when d ≤
    m.
    """
    span = like.span.astype(np.float64)
    rows = np.random.default_rng(seed).standard_normal(span.shape)
    rows = rows - (rows @ span.T) @ span
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if (lengths < DEPENDENT).any():
        raise ConfigError(
            f"{len(span)} directions fill a space of {span.shape[1]} dimensions: no control is left"
        )
    return replace(like, directions=(rows / lengths).astype(np.float32))


def mean_point(dictionary: Dictionary, region: int) -> Float32[np.ndarray, " d"]:
    """Where a region's members lie on average, c + r·‖Σû‖/N·m: its mean direction, at the typical
    norm r.

    Files store unit sums, not raw ones, so every member counts as if it lay at distance r from the
    centre.
    """
    k = dictionary.check(region)
    coherence = float(dictionary.row("coherence", k)) if "coherence" in dictionary else 1.0
    step = (
        dictionary.typical_norm
        * coherence
        * dictionary.row("mean_directions", k).astype(np.float64)
    )
    return (dictionary.center + step).astype(np.float32)


def _point(dictionary: Dictionary, reference: str | int) -> Float32[np.ndarray, " d"]:
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
    """An intervention as tensors on a device: `apply` is what the hook calls. float32 inside, cast
    back.
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
        self.at_reference = self.span @ tensor(intervention.reference)
        self.at_target = (
            None if intervention.target is None else self.span @ tensor(intervention.target)
        )
        self.pushed: Any = None
        if self.mode in PUSHING:
            self.pushed = self.strength * self.norm * (self.span @ tensor(intervention.push))

    def step(self, x: Any) -> Any:
        """The change asked for at each row of x (..., d), as coordinates (..., m) in the span.

        Their length is that of the change, whatever is left of it once the stream's dtype has
        rounded it.
        """
        if self.mode == "add":
            return self.pushed.expand(*x.shape[:-1], -1)
        coordinates = x.float() @ self.span.T - self.at_reference
        if self.mode == "clamp":
            return self.pushed - coordinates
        if self.at_target is not None:
            return self.strength * (self.at_target - self.at_reference - coordinates)
        return -self.strength * coordinates

    def apply(self, x: Any) -> Any:
        """x (..., d) changed, in x's dtype."""
        return self.moved(x, self.step(x))

    def moved(self, x: Any, step: Any) -> Any:
        """x (..., d) moved by the step, in x's dtype."""
        return (x.float() + step @ self.span).to(x.dtype)
