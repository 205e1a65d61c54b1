"""What a dictionary stores about one region: numbers, lens tokens and excerpts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

BANDS = ("near", "spread", "far")
"""The bands of excerpts, by the number stored in `excerpt_band`."""
SCALARS = (
    "count_arrival",
    "count_voronoi",
    "coherence",
    "mean_distance",
    "max_distance",
    "distance_sum",
    "distance_square_sum",
    "founded_at",
    "founder_passage",
    "founder_position",
    "founder_token",
    "neighbourhood",
    "exemplar_mean_cosine",
    "rival_seen",
    "contested",
    "survived",
)
"""The arrays with one value per region that `Region.columns` contains."""


@dataclass(frozen=True)
class Excerpt:
    """One passage with one marked position.

    passage: number of the passage.
    position: index of the marked token in the model's input, including the beginning-of-sequence
        token.
    pieces: the passage's tokens as text, in order; "".join(pieces) is the passage. In a file
        without token ids (a published dictionary that no model has completed yet) it is the whole
        text in one piece.
    distance: of the activation at that token to the exemplar, in [0, 2] for a cosine.
    band: "near", "spread", "far", or "founder" for the activation that founded the region.
    is_plain: True where the passage is stored without tokens.
    agrees: whether the model that completed a published file found the activation at that distance;
        None where no model checked it.
    content: the first and one past the last piece of what the passage says inside a chat template;
        None unless the marked token belongs to that template, as in dictionaries of the last token
        of prompts.
    """

    passage: int
    position: int
    pieces: tuple[str, ...]
    distance: float
    band: str
    is_plain: bool = False
    agrees: bool | None = None
    content: tuple[int, int] | None = None

    @property
    def marked(self) -> int | None:
        """The index of the marked token within `pieces`; None where there are no tokens."""
        return None if self.is_plain else self.position

    @property
    def token(self) -> str:
        """The text of the marked token; empty where there are no tokens."""
        return "" if self.is_plain else self.pieces[self.position]


class TokenScore(NamedTuple):
    """The text of a token and a value: a logit, a count or a share."""

    token: str
    value: float


@dataclass(frozen=True)
class Region:
    """Everything stored about one region; definitions and units are in `docs/format.md`.

    id: the region's id, its row in all arrays.
    columns: its entries in the stored arrays among `SCALARS`, by name.
    lens: (token, value) pairs of each stored lens, strongest first, by name; the lens to show first
        comes first, the others in the order of `ep.method.lenses.STORED`.
    tokens: the most frequent tokens of the members, with counts.
    next_tokens: the most frequent tokens after them, with counts.
    nearest: (region id, distance) of the nearest other exemplars, closest first.
    founder: the excerpt of the activation that founded it; None where it is not stored.
    excerpts: the stored excerpts; see `Dictionary.excerpts`.
    rivals: (region id, members) pairs, most frequent first.
    coarser: (region id in the next coarser dictionary, members) pairs, most members first.
    """

    id: int
    columns: Mapping[str, Any]
    lens: Mapping[str, tuple[TokenScore, ...]]
    tokens: tuple[TokenScore, ...]
    next_tokens: tuple[TokenScore, ...]
    nearest: tuple[tuple[int, float], ...]
    founder: Excerpt | None
    excerpts: tuple[Excerpt, ...]
    rivals: tuple[tuple[int, int], ...] = ()
    coarser: tuple[tuple[int, int], ...] = ()

    @property
    def count_arrival(self) -> int:
        """Number of arrival members."""
        return int(self.columns["count_arrival"])

    @property
    def count_voronoi(self) -> int:
        """Number of Voronoi members."""
        return int(self.columns["count_voronoi"])

    @property
    def coherence(self) -> float:
        """‖Σû‖/N over the arrival members, in [0, 1]."""
        return float(self.columns["coherence"])
