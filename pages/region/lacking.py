"""What a file does not hold of its regions, in one line at the head of the Region page, and what
adds it.

Cards that would have nothing to show are left out; this line stands for all of them.
"""

from __future__ import annotations

from ep.method.dictionary import Dictionary
from pages.shared import messages

LENS = "logit lens"
WAY = "in the Library, or with ep complete FILE"
OF_THE_MODEL = (
    (LENS, ("lens_exemplar_up_ids", "lens_mean_up_ids")),
    ("token ids", ("passage_tokens",)),
)
"""What reading a file's texts with its model adds, and the arrays of which one shows that it is
there.
"""
OF_THE_BUILD = (
    ("excerpts", ("excerpt_offsets",)),
    ("founding passages", ("founder_passage",)),
    ("Voronoi members", ("count_voronoi",)),
    ("distances", ("distance_histogram",)),
    ("positions", ("position_histogram",)),
    ("token counts", ("token_counts",)),
    ("next tokens", ("next_counts",)),
    ("second choices", ("rival_ids",)),
    ("neighbours", ("nearest_ids",)),
    ("arrival counts", ("count_arrival",)),
)
"""What only a build sees, since it needs every activation."""


def line(dictionary: Dictionary) -> None:
    """Draws the line; nothing for a file that holds everything."""
    if text := sentence(dictionary):
        messages.quiet(text)


def sentence(dictionary: Dictionary) -> str:
    """What the file lacks and how it is got, as plain text; empty where nothing is missing."""
    added, seen = _missing(dictionary, OF_THE_MODEL), _missing(dictionary, OF_THE_BUILD)
    if "excerpt_offsets" not in dictionary:  # no text that a model could read
        seen = [name for name in added if name != LENS] + seen
        added = [name for name in added if name == LENS]
    parts = []
    if added:
        parts.append(
            f"{', '.join(added)} (its model adds {'it' if len(added) == 1 else 'them'}: {WAY})"
        )
    if seen:
        parts.append(f"{', '.join(seen)} (seen only while a dictionary is built)")
    return f"Not in this file: {'; '.join(parts)}." if parts else ""


def _missing(dictionary: Dictionary, parts: tuple[tuple[str, tuple[str, ...]], ...]) -> list[str]:
    return [name for name, arrays in parts if not any(array in dictionary for array in arrays)]
