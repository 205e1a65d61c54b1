"""The settings of the Prompt page, which its link contains besides the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ep.views.prompt import READOUTS
from pages.shared.links import integer, one_of, text

ReadAs = Literal["text", "chat"]
MOST_SYSTEM = 4000
"""Characters of a system message."""


@dataclass(frozen=True)
class Settings:
    """The settings of the Prompt page.

    read_as: as plain text or as a chat turn; None for the one that the dictionary was built on.
    system: the system message of a chat turn. token: the index of the token that the card shows;
    None for the most informative one. readout: one of `READOUTS`.
    """

    read_as: ReadAs | None = one_of("as", get_args(ReadAs), None)
    system: str = text("sys", longest=MOST_SYSTEM)
    token: int | None = integer("token")
    readout: str = one_of("readout", tuple(READOUTS), "Nearest")
