"""Which two dictionaries are compared, and how.

A is the open dictionary; B is the one chosen, else the one that says most beside A.
"""

from __future__ import annotations

from dataclasses import dataclass

from ep.method.dictionary import Basis, Dictionary
from ep.storage import Entry
from pages.compare.settings import Settings
from pages.shared import loading, messages, state


@dataclass(frozen=True)
class Comparison:
    """Two dictionaries on the shelf, by their keys, and how their regions are compared.

    centre: one of `ep.studies.matching.CENTRES`. cutoff: the cosine from which a pair persists.
    """

    a: str
    b: str
    basis: Basis
    centre: str
    cutoff: float

    @property
    def keys(self) -> tuple[str, str]:
        """The keys of A and of B."""
        return self.a, self.b

    @property
    def dictionaries(self) -> tuple[Dictionary, Dictionary]:
        """A and B."""
        return loading.dictionary(self.a), loading.dictionary(self.b)

    @property
    def has_one_width(self) -> bool:
        """Whether directions of A and of B can be compared at all."""
        first, second = self.dictionaries
        return first.width == second.width

    @property
    def files(self) -> str:
        """A name for the two files as they are now, for keys of results."""
        return " ".join(map(loading.fingerprint, self.keys))

    @property
    def stamp(self) -> str:
        """A name for what a matching depends on, for keys of results."""
        return f"{self.files} {self.basis} {self.centre}"


def chosen(a: str) -> Comparison | None:
    """The comparison of A that link and session ask for; None when there is nothing to compare
    with.

    A note is drawn where the second dictionary that was asked for is not on the shelf.
    """
    now = state.settings(Settings)
    if loading.find(now.b) is None:
        if now.b:
            now = state.keep(Settings, b="")
            messages.note(
                "The dictionary this link compares with is not on the shelf: another one was "
                "chosen."
            )
        other = default(a)
        if other is None:
            return None
        return Comparison(a, other.key, now.basis, now.centre, now.cutoff)
    return Comparison(a, now.b, now.basis, now.centre, now.cutoff)


def default(a: str) -> Entry | None:
    """What A is compared with until somebody chooses: the sibling of another model, else the
    nearest setting.
    """
    here = loading.find(a)
    others = [entry for entry in loading.entries() if entry.key != a]
    if here is None or not others:
        return None

    def far(entry: Entry) -> tuple[bool, ...]:
        names = ("model_name", "layer", "percentile", "positions")
        other_model, *same = (entry.info.get(name) != here.info.get(name) for name in names)
        folder = entry.path.parent != here.path.parent
        return (
            entry.width != here.width,
            *same,
            not other_model,
            entry.family == here.family,
            folder,
        )

    return min(others, key=far)
