"""The chat template around stored passages, told from their text alone.

A file stores the tokens of a passage but not which of them the chat template added. All passages of
a dictionary share the template's first and last tokens, and the template marks where it begins and
ends with special tokens or line breaks, so both can be recognised without the model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

SPECIAL = re.compile(r"[<\[]\S{1,60}[>\]]")
"""What a special token looks like: <end_of_turn>, <|im_end|>, </s>, [/INST]."""


def template_edges(passages: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Return how many first and how many last pieces of every passage belong to the template.

    passages: several passages of one dictionary, as pieces of text.

    The first pieces count up to the last special token or line break that all passages share, and
    the last pieces from the first special token on that all share. Both are 0 for passages without
    such tokens, and where no two passages differ.
    """
    if len({tuple(passage) for passage in passages}) < 2:
        return 0, 0
    head, tail = _shared(passages), _shared([passage[::-1] for passage in passages])
    ends = [i + 1 for i, piece in enumerate(head) if "\n" in piece or _is_special(piece)]
    starts = [i + 1 for i, piece in enumerate(tail) if _is_special(piece)]
    return max(ends, default=0), max(starts, default=0)


def _shared(passages: Sequence[Sequence[str]]) -> list[str]:
    """Return the longest common beginning of all passages."""
    beginning: list[str] = []
    for pieces in zip(*passages, strict=False):
        if len(set(pieces)) > 1:
            break
        beginning.append(pieces[0])
    return beginning


def _is_special(piece: str) -> bool:
    return SPECIAL.fullmatch(piece.strip()) is not None
