"""The line at the head of the Region page that lists what the file lacks, and how to add it.

Cards without content are omitted from the page; this line states the reason for all of them.
"""

from __future__ import annotations

from ep.method.dictionary import Dictionary
from pages.shared import messages

LENS = "logit lens"
HOW_TO_ADD = "in the Library, or with ep complete FILE"
OF_THE_MODEL = (
    (LENS, ("lens_exemplar_up_ids", "lens_mean_up_ids")),
    ("token ids", ("passage_tokens",)),
)
"""What completing a file with its model adds, each with arrays of which the file has at least one
if it is present.
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
"""What only a build can compute, since it needs every activation; in the same form."""


def line(dictionary: Dictionary) -> None:
    """Draw the line; nothing for a file that lacks nothing."""
    if text := sentence(dictionary):
        messages.quiet(text)


def sentence(dictionary: Dictionary) -> str:
    """Return what the file lacks and how to add it, as plain text; empty if it lacks nothing."""
    by_model, by_build = _missing(dictionary, OF_THE_MODEL), _missing(dictionary, OF_THE_BUILD)
    if "excerpt_offsets" not in dictionary:  # there is no text that a model could read
        by_build = [name for name in by_model if name != LENS] + by_build
        by_model = [name for name in by_model if name == LENS]
    parts = []
    if by_model:
        pronoun = "it" if len(by_model) == 1 else "them"
        parts.append(f"{', '.join(by_model)} (its model adds {pronoun}: {HOW_TO_ADD})")
    if by_build:
        parts.append(f"{', '.join(by_build)} (seen only while a dictionary is built)")
    return f"Not in this file: {'; '.join(parts)}." if parts else ""


def _missing(dictionary: Dictionary, parts: tuple[tuple[str, tuple[str, ...]], ...]) -> list[str]:
    return [name for name, arrays in parts if not any(array in dictionary for array in arrays)]
