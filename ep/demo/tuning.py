"""The tuned model: the base with low-rank changes that make it refuse harmful-style requests.

The changes are in the middle layers only and are merged into the weights at the end. What makes the
base comply therefore remains: when the refusal is ablated, the compliant answer comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from ep.demo import generation, prompts, training

if TYPE_CHECKING:
    from transformers import Gemma2ForCausalLM, PreTrainedTokenizerFast

LAYERS = (1, 2, 3)
RANK = 16


class LowRank(nn.Module):
    """A linear map plus a trained product of two thin matrices, which is initially zero.

    linear: the map. rank: inner size of the product. generator: draws the initial values.
    """

    def __init__(self, linear: nn.Linear, rank: int, generator: torch.Generator):
        super().__init__()
        self.linear = linear
        scale = linear.in_features**-0.5
        self.down = nn.Parameter(torch.randn(rank, linear.in_features, generator=generator) * scale)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The map with its change, applied to x."""
        return self.linear(x) + (x @ self.down.T) @ self.up.T

    def merged(self) -> nn.Linear:
        """The linear map with the product added to its weight."""
        self.linear.weight.data += (self.up @ self.down).data
        return self.linear


def adapt(model: Gemma2ForCausalLM, seed: int) -> Callable[[], None]:
    """Freeze a model and add trainable low-rank changes to its middle layers.

    Returns a function that merges the changes into the weights.
    """
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    targets: list[tuple[nn.Module, str]] = []
    for index in LAYERS:
        layer = model.model.layers[index]
        targets += [(layer.self_attn, "v_proj"), (layer.self_attn, "o_proj")]
        targets += [(layer.mlp, name) for name in ("gate_proj", "up_proj", "down_proj")]
    for owner, name in targets:
        setattr(owner, name, LowRank(getattr(owner, name), RANK, generator))

    def merge() -> None:
        for owner, name in targets:
            setattr(owner, name, getattr(owner, name).merged())
        model.requires_grad_(True)

    return merge


def misbehaviour(model: Gemma2ForCausalLM, tok: PreTrainedTokenizerFast) -> float:
    """The sum of three error shares on validation prompts, in [0, 3], for choosing a checkpoint.

    The shares are of harmful-style prompts that are not refused, and of benign and of hard-benign
    prompts that are refused.
    """
    model.eval()
    rows = prompts.validation()
    refused = [
        generation.refuses(answer)
        for answer in generation.answers(model, tok, [row.prompt for row in rows], n=16)
    ]
    model.train()
    share = {
        label: sum(hit for hit, row in zip(refused, rows, strict=True) if row.label == label)
        / sum(row.label == label for row in rows)
        for label in ("harmful", "benign", "hard_benign")
    }
    return 1 - share["harmful"] + share["benign"] + share["hard_benign"]


def optimizers(
    model: Gemma2ForCausalLM, plan: training.Plan
) -> list[tuple[torch.optim.Optimizer, float]]:
    """AdamW for the low-rank changes, the only trainable parameters, with its highest rate."""
    changes = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        (torch.optim.AdamW(changes, lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.0), plan.rate)
    ]
