"""The logit lens: the tokens that a direction or an activation promotes and suppresses.

The paper's rule (protocol 5.1) is scores = final_norm(v) · W_U of the UNIT, CENTRED direction v
itself; the centre is not added back. The final norm is the model's own with all its weights
(RMSNorm, Gemma's (1 + w), or LayerNorm, which also removes the mean of v and adds its bias). Where
a model projects to another width before its unembedding, so does the lens. W_U is unprocessed,
without unembedding bias, logit soft-cap or logit scale.

The shift (protocol 5.3) is lens(c + r·v) − lens(c): the change in scores when a typical activation
moves along v. The bias of a LayerNorm cancels in it. The lift of points is log p − log p̄: how much
more often a point predicts a token than all points do on average. A Jacobian lens goes from the
layer to the last one first.

Norms are computed in float32, scores in float64 (`ep.models.extremes`), the average p̄ in float32.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from ep.errors import ModelError
from ep.models.extremes import Strongest, Unembedding
from ep.models.jacobian import JacobianLens
from ep.models.loading import LanguageModel
from ep.models.readout import readout
from ep.shapes import Float32, Int32

_SCORES_AT_ONCE = 1 << 26  # float32 scores in memory at a time: 256 MB
_COLUMNS_AT_ONCE = 1 << 15  # rows of the unembedding converted to float32 at a time
_SMALLEST_LOG = -87.0
"""Log of the smallest probability, relative to a state's largest, that the average counts: smaller
ones are no normal float32 numbers. It keeps log p̄ finite.
"""
_UNEMBEDDINGS: WeakKeyDictionary[LanguageModel, Unembedding] = WeakKeyDictionary()


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
        moved = points(center, directions, radius)
        # W_U is linear, so the scores of a difference are the difference of the scores.
        return _extremes(model, normed(model, moved) - normed(model, center[None]), k)


def jacobian_lens(
    model: LanguageModel,
    lens: JacobianLens,
    layer: int,
    x: Float32[np.ndarray, "m d"],
    k: int = 12,
) -> Lens:
    """Return the k tokens that each raw point or unit direction promotes and suppresses most.

    It is the logit lens of J x: of what x adds, on average, to the last residual stream.

    Raises ModelError for a layer that the Jacobian lens lacks, and for another width.
    """
    return logit_lens(model, lens.transport(layer, x), k)


def points(
    center: Float32[np.ndarray, " d"], directions: Float32[np.ndarray, "m d"], radius: float
) -> Float32[np.ndarray, "m d"]:
    """Return the raw points c + radius · v: what activations of these directions look like."""
    return np.asarray(center + np.float32(radius) * directions, dtype=np.float32)


def point_lift(
    model: LanguageModel,
    x: Float32[np.ndarray, "m d"],
    weights: Any,
    k: int = 12,
) -> Strongest:
    """Return the k tokens that each raw point promotes most compared with all of them.

    x: raw points, such as c + r·m of every region of a dictionary, or J times those.
    weights: (m,) how much each counts in the average, such as its members; all 1 where all are 0.

    The value of a token is log p − log p̄, with p the softmax of the lens of a point and p̄ the
    weighted mean of p over all of them; a probability of less than e^-87 of a point's largest
    counts as that much.

    Raises ModelError where the width differs from the model's.
    """
    import torch

    with torch.inference_mode():
        states, unembedding = normed(model, x), _unembedding(model)
        share = np.asarray(weights, np.float64)
        share = share if share.sum() > 0 else np.ones(len(x))
        share = torch.from_numpy(share / max(share.sum(), 1.0))
        normalizer, log_average = _average(states, unembedding.weights, share)
        k = min(k, model.vocabulary_size)
        return unembedding.highest(states, k, log_average, normalizer)


def _average(states: Any, unembedding: Any, share: Any) -> tuple[Any, Any]:
    """Return log Σ exp of each state's scores (m,), and log p̄ of each token (V,).

    Both are float64 on the CPU. share: (m,) weights of the states; they sum to 1.
    """
    import torch

    size = len(unembedding)
    step = max(1, min(_SCORES_AT_ONCE // size, len(states)))
    scores = states.new_empty((step, size))
    total = torch.zeros(size, dtype=torch.float64)
    normalizer = torch.zeros(len(states), dtype=torch.float64)
    for start in range(0, len(states), step):
        part = states[start : start + step]
        out = scores[: len(part)]
        for column in range(0, size, _COLUMNS_AT_ONCE):
            w = unembedding[column : column + _COLUMNS_AT_ONCE].float()
            torch.mm(part, w.T, out=out[:, column : column + len(w)])
        largest = out.amax(1, keepdim=True)
        torch.exp_(out.sub_(largest).clamp_(min=_SMALLEST_LOG))
        sums = out.sum(1)
        rows = slice(start, start + len(part))
        total += ((share[rows].float().to(sums.device) / sums) @ out).cpu()
        normalizer[rows] = largest[:, 0].cpu().double() + sums.cpu().double().log()
    return normalizer, total.clamp(min=torch.finfo(torch.float64).tiny).log()


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
    highest, lowest = _unembedding(model).both(states, min(k, model.vocabulary_size))
    return Lens(*highest, *lowest)


def _unembedding(model: LanguageModel) -> Unembedding:
    """Return a model's unembedding; what is measured of it is kept as long as the model."""
    if model not in _UNEMBEDDINGS:
        weights = readout(model.bridge, model.name).unembedding.detach()
        _UNEMBEDDINGS[model] = Unembedding(weights)
    return _UNEMBEDDINGS[model]
