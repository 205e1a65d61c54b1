"""The grid of layers and positions of one prompt: what its cells show, and its table.

The cells show the most probable token, or the rank of a pinned one. Everything is made from the
arrays of `ep.models.lens_grid`. This module depends neither on a model nor on Streamlit.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ep.models.lens_grid import LensGrid
from ep.shapes import Float, Int
from ep.text import label
from ep.views.export import table as made_table

TITLES = {"jacobian": "J-lens", "logit": "Logit lens"}
"""The names of the lenses on screen."""
STEPS = 10
"""Steps of the colour of a cell."""


def shares(
    grid: LensGrid, ranks: Int[np.ndarray, "layers t"] | None = None
) -> Float[np.ndarray, "layers t"]:
    """The strength of each cell's colour, in [0, 1].

    It is the probability of the cell's token; with `ranks`, 1 for rank 1 and 0 for the last rank of
    the vocabulary, on a logarithmic scale.
    """
    if ranks is None:
        return grid.probabilities[:, :, 0]
    last = np.log(max(2, grid.vocabulary_size))
    return np.clip(1 - np.log(ranks) / last, 0, 1).astype(np.float32)


def steps(share: Float[np.ndarray, "layers t"]) -> Int[np.ndarray, "layers t"]:
    """The step of each cell's colour, 0 to `STEPS` - 1."""
    return np.minimum((np.nan_to_num(share) * STEPS).astype(np.int64), STEPS - 1)


def rank_text(rank: int) -> str:
    """A rank in at most four characters: "7", "812", "4.1k", "49k"."""
    if rank < 1000:
        return str(rank)
    return f"{rank / 1000:.1f}k" if rank < 9950 else f"{round(rank / 1000)}k"


def table(
    grid: LensGrid, ranks: Int[np.ndarray, "layers t"] | None = None, token: str | None = None
) -> pa.Table:
    """One row per layer and position, the first layer first.

    Columns: layer, lens, position, token, tokens and probabilities (the most probable first); with
    ranks also pinned, the text of the pinned token, and rank.
    """
    n_layers, t, k = grid.ids.shape
    offsets = pa.array(np.arange(n_layers * t + 1) * k, pa.int32())
    texts = pa.array([grid.pieces[i] for i in grid.ids.ravel().tolist()], pa.string())
    columns: dict[str, object] = {
        "layer": np.repeat(np.arange(n_layers), t),
        "lens": [name for name in grid.lenses for _ in range(t)],
        "position": np.tile(np.arange(t), n_layers),
        "token": list(grid.tokens) * n_layers,
        "tokens": pa.ListArray.from_arrays(offsets, texts),
        "probabilities": pa.ListArray.from_arrays(offsets, pa.array(grid.probabilities.ravel())),
    }
    if ranks is not None:
        columns["pinned"] = [token] * (n_layers * t)
        columns["rank"] = ranks.ravel()
    return made_table(columns)


def about(grid: LensGrid) -> str:
    """A sentence on which lens reads which layers."""
    own = [str(layer) for layer, name in enumerate(grid.lenses) if name == "jacobian"]
    if not own:
        return "Logit lens: the final norm and unembedding of the raw residual stream."
    prompts = "" if not grid.n_prompts else f", fitted on {grid.n_prompts:,} prompts"
    if len(own) == len(grid.lenses):
        return f"J-lens at every layer{prompts}."
    layers = f"layers {', '.join(own)}" if len(own) > 1 else f"layer {own[0]}"
    if len(own) > 6:
        layers = f"{len(own)} of {len(grid.lenses)} layers"
    return f"J-lens at {layers}{prompts}; the other rows, paler, are the logit lens."


def cell_texts(grid: LensGrid, ranks: Int[np.ndarray, "layers t"] | None = None) -> list[list[str]]:
    """The text of each cell, layer by layer: its token on one line, or a rank."""
    if ranks is not None:
        return [[rank_text(rank) for rank in row] for row in ranks.tolist()]
    labels = {token: label(text) for token, text in grid.pieces.items()}
    return [[labels[token] for token in row] for row in grid.ids[:, :, 0].tolist()]
