"""Sampling of many answers at once from a causal language model on a CPU.

On two cores `generate` of transformers spends most of its time on sorting the whole vocabulary for
every token, and on repeating keys and values for each head of a group. Here the nucleus is looked
for among the most likely tokens alone, the heads of a group are read together, and a batch that is
mostly done shrinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_LIKELY = 64
"""Tokens among which the nucleus is looked for: at temperature 0.8 they hold nearly all of it."""
GROUPED = "ep-grouped"
"""What transformers calls the attention of `grouped`."""
SHRINK = 0.5
"""Share of a batch that is still being written below which the finished rows are removed."""


@dataclass(frozen=True)
class Sampler:
    """How answers are drawn.

    temperature: logits are divided by it; 0 takes the most likely token.
    top_p: share of the probability, in (0, 1], that the nucleus holds.
    longest: new tokens of an answer at most.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    longest: int = 192


def answers(
    model: Any, prompts: Sequence[Sequence[int]], stop: int, seed: int, sampler: Sampler
) -> list[list[int]]:
    """Return the token ids of one answer to each prompt, without the token that ends it.

    model: a causal language model of transformers.
    prompts: token ids of one batch; shorter ones are padded on the left and masked.
    stop: the token that ends an answer.
    seed: of the batch, so that a batch is the same whatever came before it.
    """
    import torch

    _use_grouped(model)
    generator = torch.Generator().manual_seed(seed)
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), stop)
    mask = torch.zeros((len(prompts), width + sampler.longest), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    written: list[list[int]] = [[] for _ in prompts]
    rows = torch.arange(len(prompts))  # which prompt each row of the batch belongs to
    running = torch.ones(len(prompts), dtype=torch.bool)
    cache = _cache(model)
    with torch.inference_mode():
        for step in range(sampler.longest):
            length = width + step
            seen = mask[rows, :length]
            places = (seen.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            logits = model(
                input_ids=ids,
                attention_mask=seen,
                position_ids=places,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            drawn = _drawn(logits.float(), sampler, generator)
            running &= drawn != stop
            for row in running.nonzero()[:, 0].tolist():
                written[int(rows[row])].append(int(drawn[row]))
            if not running.any():
                break
            if running.float().mean() < SHRINK:
                kept = running.nonzero()[:, 0]
                cache.batch_select_indices(kept)
                rows, drawn, running = rows[kept], drawn[kept], running[kept]
            ids = drawn[:, None]
    return written


def grouped(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **others: Any
) -> Any:
    """Return the attention of one new token (n, 1, heads, width), and None, as transformers asks.

    query: (n, heads, 1, width). key, value: (n, groups, length, width). attention_mask: (n, 1, 1,
    length), False for what is not seen, or None. Several new tokens are left to transformers.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    n, heads, new, width = query.shape
    if new > 1:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **others)
    together = query.view(n, key.shape[1], heads // key.shape[1], width)
    scores = (together @ key.transpose(-1, -2)).float() * width**-0.5
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, float("-inf"))
    return (scores.softmax(-1).to(value.dtype) @ value).view(n, 1, heads, width), None


def _use_grouped(model: Any) -> None:
    """Let a model of transformers attend by `grouped`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(GROUPED, grouped)
    AttentionMaskInterface.register(GROUPED, sdpa_mask)
    model.set_attn_implementation(GROUPED)


def _cache(model: Any) -> Any:
    """Return an empty cache of keys and values."""
    from transformers import DynamicCache

    return DynamicCache(config=model.config)


def _drawn(logits: Any, sampler: Sampler, generator: Any) -> Any:
    """Return one token id for each row of logits (n, vocabulary)."""
    import torch

    best, ids = logits.topk(MOST_LIKELY, dim=-1)
    if sampler.temperature == 0:
        return ids[:, 0]
    shares = (best / sampler.temperature).softmax(-1)
    before = shares.cumsum(-1) - shares
    shares = shares.masked_fill(before >= sampler.top_p, 0.0)
    return ids.gather(1, torch.multinomial(shares, 1, generator=generator))[:, 0]
