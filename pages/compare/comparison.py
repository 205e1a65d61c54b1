"""Which two dictionaries are compared, and how.

A is the open dictionary. B is the one the visitor chose, else the most informative one beside A.
"""

from __future__ import annotations

from dataclasses import dataclass

from ep.method.dictionary import Basis, Dictionary
from ep.storage import Entry
from pages.compare.settings import Settings
from pages.shared import loading, messages, state


@dataclass(frozen=True)
class Comparison:
    """Two dictionaries of the shelf, and how their regions are compared.

    a, b: their keys.
    basis: the directions compared, "exemplar" or "mean".
    centre: one of `ep.studies.matching.CENTRES`.
    cutoff: cosine from which a pair counts as persisted.
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
        """Whether A and B have the same width, so that their directions can be compared."""
        first, second = self.dictionaries
        return first.width == second.width

    @property
    def files(self) -> str:
        """Both files in their present state, as text for the keys of results."""
        return " ".join(map(loading.fingerprint, self.keys))

    @property
    def stamp(self) -> str:
        """Everything that a matching depends on, as text for the keys of results."""
        return f"{self.files} {self.basis} {self.centre}"


def current(a: str) -> Comparison | None:
    """Return the comparison of A that the settings describe; None where there is no other
    dictionary.

    If the chosen B is not on the shelf, draw a note and take the default instead.
    """
    settings = state.settings(Settings)
    if loading.find(settings.b) is None:
        if settings.b:
            settings = state.update_settings(Settings, b="")
            messages.note(
                "The dictionary this link compares with is not on the shelf: another one was "
                "chosen."
            )
        entry = default_b(a)
        if entry is None:
            return None
        return Comparison(a, entry.key, settings.basis, settings.centre, settings.cutoff)
    return Comparison(a, settings.b, settings.basis, settings.centre, settings.cutoff)


def default_b(a: str) -> Entry | None:
    """Return the dictionary with which A is compared until the visitor chooses one.

    A sibling of another model comes first, else the one with the most similar settings. None where
    the shelf holds no other.
    """
    entry_a = loading.find(a)
    others = [entry for entry in loading.entries() if entry.key != a]
    if entry_a is None or not others:
        return None

    def difference(entry: Entry) -> tuple[bool, ...]:
        names = ("model_name", "layer", "percentile", "positions", "metric")
        other_model, *same = (entry.info.get(name) != entry_a.info.get(name) for name in names)
        other_folder = entry.path.parent != entry_a.path.parent
        return (
            entry.width != entry_a.width,
            *same,
            not other_model,
            entry.family == entry_a.family,
            other_folder,
        )

    return min(others, key=difference)
