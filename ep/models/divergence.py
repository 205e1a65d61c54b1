"""How far interventions move the model's predictions: KL divergence to the unchanged model, token
by token.

Both are asked about the same text, the unchanged model's own continuation, so that the number
compares predictions and not two texts that parted long ago. Knows no dictionary and no screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from ep.errors import ModelError
from ep.models.hooks import Hooks
from ep.models.interventions import Intervention
from ep.models.loading import LanguageModel


def divergence(
    model: LanguageModel,
    prompt: Sequence[int],
    continuation: Sequence[int],
    variants: Sequence[Sequence[Intervention]],
) -> Float64[np.ndarray, "v t"]:
    """KL(unchanged ‖ variant) in nats at each token of the continuation, one row per variant; NaN
    where not finite.

    Exact over the whole vocabulary, one variant at a time. ModelError without a prompt or a
    continuation, or when both do not fit the context.
    """
    import torch

    ids = [*prompt, *continuation]
    if not prompt or not continuation:
        raise ModelError(
            "there is nothing to compare: a prompt and a continuation of one token or more are "
            "needed"
        )
    if len(ids) > model.context:
        raise ModelError(
            f"prompt and continuation have {len(ids):,} tokens; {model.name} takes "
            f"{model.context:,}"
        )
    tokens = torch.tensor([ids], device=model.device)
    with model.lock, torch.inference_mode():
        default = _logprobs(model, tokens, len(prompt), ())
        rows = [
            _kl(default, _logprobs(model, tokens, len(prompt), variant)) for variant in variants
        ]
    return np.array(rows, np.float64).reshape(len(variants), len(continuation))


def _logprobs(
    model: LanguageModel, tokens: Any, prompt: int, variant: Sequence[Intervention]
) -> Any:
    """Log probabilities (t, vocabulary) of what follows each position from the prompt's last on."""
    import torch

    hooks = Hooks(model, [variant], torch.ones((1, prompt), dtype=torch.bool, device=tokens.device))
    with hooks.placed(tokens.shape[1]):
        out = model.bridge.original_model(
            input_ids=tokens, use_cache=False, logits_to_keep=tokens.shape[1] - prompt + 1
        )
    return torch.log_softmax(out.logits[0, :-1].float(), -1)


def _kl(default: Any, variant: Any) -> np.ndarray:
    return ((default.exp() * (default - variant)).sum(-1)).clamp(min=0).double().cpu().numpy()
