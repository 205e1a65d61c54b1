"""Another seed of the two dictionaries that the Compare page opens with, as nulls for its verdicts.

The nulls show how much changes if only the order of the same text does. Of these dictionaries only
what matching needs is stored, directions and counts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ep import reseeding
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.storage import open as open_file
from ep.storage import save

OF = ("base-L4-p2", "tuned-L4-p2")
STORED = ("center", "exemplars", "mean_directions", "count_voronoi", "count_arrival")


def make(folder: Path, say: Callable[[str], None]) -> None:
    """Build both dictionaries with the next seed, where `ep.reseeding` looks for them.

    folder: data/demo. say: takes a line of progress.
    """
    for name in OF:
        dictionary = open_file(folder / "dictionaries" / "all-tokens" / f"{name}.ep.h5")
        *_, done = reseeding.rebuild(reseeding.settings(dictionary, folder))
        (path,) = done.files
        other = slim(open_file(path))
        save(other, path)
        say(f"{name}, seed {other.info['seed']}: {len(other):,} regions")


def slim(dictionary: Dictionary) -> Dictionary:
    """A copy of a dictionary in memory with the arrays of `STORED` only."""
    arrays = {name: dictionary.source.read(name) for name in STORED if name in dictionary}
    return Dictionary(MemorySource(arrays), dictionary.info, len(dictionary))
