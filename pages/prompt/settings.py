"""The settings of the Prompt page, which its link contains besides the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ep.models.lens_grid import LensName
from ep.views.prompt import READOUTS
from pages.shared.links import integer, one_of, text

ReadAs = Literal["text", "chat"]
View = Literal["regions", "layers"]
VIEWS: dict[View, str] = {"regions": "Regions", "layers": "Every layer"}
"""The names of the views on screen."""
MOST_SYSTEM = 4000
"""Characters of a system message."""


@dataclass(frozen=True)
class Settings:
    """The settings of the Prompt page.

    read_as: as plain text or as a chat turn; None for the one that the dictionary was built on.
    system: the system message of a chat turn. token: the index of the token that the card shows;
    None for the most informative one. readout: one of `READOUTS`. view: the regions of the tokens,
    or the grid of layers. lens: the lens of the grid. layer: that of its chosen cell; None for the
    dictionary's. pin: the id of the token whose rank the grid shows.
    """

    read_as: ReadAs | None = one_of("as", get_args(ReadAs), None)
    system: str = text("sys", longest=MOST_SYSTEM)
    token: int | None = integer("token")
    readout: str = one_of("readout", tuple(READOUTS), "Nearest")
    view: View = one_of("view", get_args(View), "regions")
    lens: LensName = one_of("lens", get_args(LensName), "jacobian")
    layer: int | None = integer("layer")
    pin: int | None = integer("pin")
