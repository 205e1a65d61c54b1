"""What the Prompt page keeps in its link, besides the text itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ep.views.prompt import READOUTS
from pages.shared.links import one_of, text, whole

ReadAs = Literal["text", "chat"]
MOST_SYSTEM = 4000
"""Characters of a system message."""


@dataclass(frozen=True)
class Settings:
    """read_as: a plain text or a chat turn; None until it is chosen: what the dictionary was built
    on. system: the system message of a chat turn. token: the index of the one the card is about;
    None for the one that says most. readout: one of `READOUTS`.
    """

    read_as: ReadAs | None = one_of("as", get_args(ReadAs), None)
    system: str = text("sys", longest=MOST_SYSTEM)
    token: int | None = whole("token")
    readout: str = one_of("readout", tuple(READOUTS), "Nearest")
