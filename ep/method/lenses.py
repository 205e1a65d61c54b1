"""The kinds of logit lens that a dictionary stores of its regions, and what each computes.

A lens reads a vector in the words of the model's output. The kinds differ in the vector (exemplar,
mean direction, a typical activation of the region) and in the way to the output. Notation: v is the
exemplar, m the mean direction, c the centre, r the typical norm, p the softmax of a lens, p̄ its
mean over all regions weighted by their members, and J the Jacobian lens of the layer.

The arrays of a kind are `lens_<name>_<end>_ids` and `_values`; see `docs/format.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

UP, DOWN = "up", "down"
"""The ends of a lens: the tokens it promotes, and those it suppresses."""


@dataclass(frozen=True)
class LensKind:
    """One kind of lens.

    name: the part of the arrays' names that is its own.
    title: its name on a screen, short.
    formula: what is computed, in plain text.
    about: one sentence that says how to read it.
    control: the kind that differs from it in one step only, and which it should beat for that step
        to mean anything; empty for the paper's rule, where the steps begin.
    ends: which ends are stored.
    """

    name: str
    title: str
    formula: str
    about: str
    control: str = ""
    ends: tuple[str, ...] = (UP,)

    @property
    def stored(self) -> tuple[str, ...]:
        """The names of its stored lists of tokens, such as "exemplar_up"."""
        return tuple(f"{self.name}_{end}" for end in self.ends)

    @property
    def is_jacobian(self) -> bool:
        """Whether it needs a fitted Jacobian lens."""
        return self.name.startswith("jacobian_")


_KINDS = (
    LensKind(
        "exemplar",
        "exemplar",
        "unembed(final_norm(v))",
        "The paper's rule: final norm and unembedding of the unit exemplar itself.",
        ends=(UP, DOWN),
    ),
    LensKind(
        "mean",
        "mean direction",
        "unembed(final_norm(m))",
        "The same of the unit mean direction, which two builds agree on more often.",
        "exemplar",
        (UP, DOWN),
    ),
    LensKind(
        "exemplar_shift",
        "shift",
        "lens(c + r·v) − lens(c)",
        "What a step of the typical length r from the centre along the exemplar adds to the "
        "scores.",
        "exemplar",
        (UP, DOWN),
    ),
    LensKind(
        "point_lift",
        "lift",
        "log p(c + r·m) − log p̄",
        "What a typical activation of the region predicts more often than the dictionary does on "
        "average.",
        "mean",
    ),
    LensKind(
        "jacobian_mean",
        "J-lens, mean",
        "unembed(final_norm(J m))",
        "What the unit mean direction comes to say in later tokens, by the Jacobian lens.",
        "mean",
    ),
    LensKind(
        "jacobian_point",
        "J-lens",
        "unembed(final_norm(J (c + r·m)))",
        "What a typical activation of the region comes to say in later tokens, by the Jacobian "
        "lens.",
        "jacobian_mean",
    ),
    LensKind(
        "jacobian_lift",
        "J-lens, lift",
        "log p(J (c + r·m)) − log p̄",
        "What a typical activation of the region comes to say in later tokens more often than the "
        "dictionary does on average, by the Jacobian lens.",
        "point_lift",
    ),
)

LENSES: Mapping[str, LensKind] = MappingProxyType({kind.name: kind for kind in _KINDS})
"""Every kind of lens by name, in the order in which they are stored and listed."""
STORED: tuple[str, ...] = tuple(name for kind in _KINDS for name in kind.stored)
"""The names of all stored lists of tokens, such as "exemplar_up" and "exemplar_down"."""
PAPER = "exemplar_up"
"""The paper's rule, which is shown first where nothing better is known."""


def kind_of(stored: str) -> LensKind:
    """Return the kind of a stored list such as "exemplar_up"; KeyError for unknown names."""
    if stored not in STORED:
        raise KeyError(f"lens {stored!r} is unknown: use one of {', '.join(STORED)}")
    return LENSES[stored.rpartition("_")[0]]
