"""Language models: loading, tokens, activations, the logit lens, interventions and generation.

Code that runs a model lies in this package. torch and transformers are imported inside functions,
so importing the package is cheap.
"""

from ep.models.activations import Harvest, harvest, read
from ep.models.lens import Lens, jacobian_lens, logit_lens, point_lift, points, shift_lens
from ep.models.loading import LanguageModel, load
from ep.models.pairing import check_fits, model_of, other_weights
from ep.models.tokens import Prompt, TokenBatch, Tokens

__all__ = [
    "Harvest",
    "LanguageModel",
    "Lens",
    "Prompt",
    "TokenBatch",
    "Tokens",
    "check_fits",
    "harvest",
    "jacobian_lens",
    "load",
    "logit_lens",
    "model_of",
    "other_weights",
    "point_lift",
    "points",
    "read",
    "shift_lens",
]
