"""The logit lens: the tokens that a direction promotes and suppresses.

The paper's rule (protocol 5.1) is scores = final_norm(v) · W_U of the UNIT, CENTRED direction v
itself; the centre is not added back. The final norm is the model's own with all its weights
(RMSNorm, Gemma's (1 + w), or LayerNorm, which also removes the mean of v and adds its bias). Where
a model projects to another width before its unembedding, so does the lens. W_U is unprocessed,
without unembedding bias, logit soft-cap or logit scale.

The alternative (protocol 5.3) is the shift lens(c + r·v) − lens(c): the change in scores when a
typical activation moves along v. The bias of a LayerNorm cancels in it. Everything is computed in
float32.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from ep.errors import ModelError
from ep.models.loading import LanguageModel
from ep.models.readout import readout
from ep.shapes import Float32, Int32

_SCORES_AT_ONCE = 1 << 26  # float32 scores in memory at a time: 256 MB
_COLUMNS_AT_ONCE = 1 << 15  # rows of the unembedding converted to float32 at a time


class Lens(NamedTuple):
    """The most promoted and the most suppressed tokens of m directions.

    up_ids, up_values: (m, k) tokens with the highest scores, highest first.
    down_ids, down_values: (m, k) tokens with the lowest scores, lowest first.
    """

    up_ids: Int32[np.ndarray, "m k"]
    up_values: Float32[np.ndarray, "m k"]
    down_ids: Int32[np.ndarray, "m k"]
    down_values: Float32[np.ndarray, "m k"]


def logit_lens(model: LanguageModel, directions: Float32[np.ndarray, "m d"], k: int = 12) -> Lens:
    """Return the k tokens that each unit centred direction promotes and suppresses most.

    Raises ModelError where the width of the directions differs from the model's.
    """
    import torch

    with torch.inference_mode():
        return _extremes(model, normed(model, directions), k)


def shift_lens(
    model: LanguageModel,
    center: Float32[np.ndarray, " d"],
    directions: Float32[np.ndarray, "m d"],
    radius: float,
    k: int = 12,
) -> Lens:
    """Return the k tokens whose scores rise and fall most from the centre c to c + radius · v.

    radius: length of the move in the activations' own units, the build's typical ‖x − c‖.

    Raises ModelError where the width differs from the model's.
    """
    import torch

    with torch.inference_mode():
        moved = np.asarray(center + np.float32(radius) * directions, dtype=np.float32)
        # W_U is linear, so the scores of a difference are the difference of the scores.
        return _extremes(model, normed(model, moved) - normed(model, center[None]), k)


def normed(model: LanguageModel, x: Float32[np.ndarray, "m d"]) -> Any:
    """Apply the model's final norm and projection, where it has them, to each row in float32."""
    import torch

    if x.shape[1] != model.width:
        raise ModelError(
            f"directions of width {x.shape[1]} do not fit {model.name}, whose width is "
            f"{model.width}"
        )
    rows = torch.tensor(np.asarray(x), dtype=torch.float32, device=model.device)
    norm, projection, _ = readout(model.bridge, model.name)
    for module in (norm, projection):
        if module is not None:
            rows = copy.deepcopy(module).float()(rows)
    return rows


def _extremes(model: LanguageModel, states: Any, k: int) -> Lens:
    """Return the k highest and lowest scores of states (m, ·) · W_U, in bounded memory."""
    import torch

    unembedding = readout(model.bridge, model.name).unembedding
    k = min(k, model.vocabulary_size)
    rows_at_once = max(1, _SCORES_AT_ONCE // min(_COLUMNS_AT_ONCE, model.vocabulary_size))
    parts = [_part_extremes(part, unembedding, k) for part in torch.split(states, rows_at_once)]
    columns = (torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))
    up_values, up_ids, down_values, down_ids = columns
    return Lens(up_ids.astype(np.int32), up_values, down_ids.astype(np.int32), down_values)


def _part_extremes(states: Any, unembedding: Any, k: int) -> tuple[Any, Any, Any, Any]:
    """Return (values, ids) of the highest scores, then of the lowest.

    The vocabulary is scored in slices; the best k so far are merged with those of each slice.
    """
    import torch

    nothing = states.new_empty((len(states), 0))
    best = {largest: (nothing, nothing.long()) for largest in (True, False)}
    for start in range(0, len(unembedding), _COLUMNS_AT_ONCE):
        scores = states @ unembedding[start : start + _COLUMNS_AT_ONCE].float().T
        for largest, (values, ids) in best.items():
            new_values, new_ids = torch.topk(
                scores, min(k, scores.shape[1]), dim=1, largest=largest
            )
            values, ids = torch.cat([values, new_values], 1), torch.cat([ids, new_ids + start], 1)
            values, index = torch.topk(values, min(k, values.shape[1]), dim=1, largest=largest)
            best[largest] = values, torch.gather(ids, 1, index)
    return (*best[True], *best[False])
