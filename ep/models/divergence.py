"""KL divergence of a model's predictions under interventions from those of the unchanged model.

Both predict the same text token by token: the unchanged model's own continuation. The number thus
compares predictions, not two texts that diverged earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ep.errors import ModelError
from ep.models.hooks import Hooks
from ep.models.interventions import Intervention
from ep.models.loading import LanguageModel
from ep.shapes import Float64


def divergence(
    model: LanguageModel,
    prompt: Sequence[int],
    continuation: Sequence[int],
    variants: Sequence[Sequence[Intervention]],
) -> Float64[np.ndarray, "v t"]:
    """Return KL(unchanged ‖ variant) in nats at each token of the continuation.

    prompt, continuation: token ids.
    variants: the interventions of each variant.

    The result has one row per variant and one column per token; entries that are not finite are
    NaN. The divergence is exact over the whole vocabulary and computed one variant at a time.
    Raises ModelError without a prompt or a continuation, or when the two do not fit into the
    context.
    """
    import torch

    ids = [*prompt, *continuation]
    if not prompt or not continuation:
        raise ModelError(
            "there is nothing to compare: expected a prompt and a continuation of at least one "
            "token each"
        )
    if len(ids) > model.context:
        raise ModelError(
            f"prompt and continuation have {len(ids):,} tokens; {model.name} takes "
            f"{model.context:,}"
        )
    tokens = torch.tensor([ids], device=model.device)
    with model.lock, torch.inference_mode():
        unchanged = _logprobs(model, tokens, len(prompt), ())
        rows = [
            _kl(unchanged, _logprobs(model, tokens, len(prompt), variant)) for variant in variants
        ]
    return np.array(rows, np.float64).reshape(len(variants), len(continuation))


def _logprobs(
    model: LanguageModel, tokens: Any, prompt: int, variant: Sequence[Intervention]
) -> Any:
    """Return log probabilities (t, vocabulary) of the tokens after the prompt."""
    import torch

    hooks = Hooks(model, [variant], torch.ones((1, prompt), dtype=torch.bool, device=tokens.device))
    with hooks.placed(tokens.shape[1]):
        out = model.bridge.original_model(
            input_ids=tokens, use_cache=False, logits_to_keep=tokens.shape[1] - prompt + 1
        )
    # the first of these logits is at the prompt's last token; the last predicts beyond the text
    return torch.log_softmax(out.logits[0, :-1].float(), -1)


def _kl(default: Any, variant: Any) -> np.ndarray:
    """Return KL(default ‖ variant) at each position; rounding below 0 is cut off."""
    return ((default.exp() * (default - variant)).sum(-1)).clamp(min=0).double().cpu().numpy()
