"""Language models: loading, tokens, activations, the logit lens, interventions and generation.

Code that runs a model lies in this package. torch and transformers are imported inside functions,
so importing the package is cheap.
"""

from ep.models.activations import Assembly, Harvest, harvest, read
from ep.models.extraction import LocalExtractor
from ep.models.jacobian import JacobianLens
from ep.models.jacobian_fit import fit_lens
from ep.models.jacobian_store import find as find_lens
from ep.models.lens import Lens, jacobian_lens, logit_lens, point_lift, points, shift_lens
from ep.models.loading import LanguageModel, load
from ep.models.pairing import base_of, check_fits, model_of, other_weights
from ep.models.tokens import Prompt, TokenBatch, Tokens

__all__ = [
    "Assembly",
    "Harvest",
    "JacobianLens",
    "LanguageModel",
    "Lens",
    "LocalExtractor",
    "Prompt",
    "TokenBatch",
    "Tokens",
    "base_of",
    "check_fits",
    "find_lens",
    "fit_lens",
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
