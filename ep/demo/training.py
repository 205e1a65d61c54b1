"""Training of the demo models: the base from scratch, and the tuned copy.

The numbers of steps and threads and all seeds are fixed, and nothing depends on time, so that the
same machine gives the same weights. Every document of the stream is used once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch

from ep.demo import chats, tokenizer
from ep.demo.optim import CappedCrossEntropy, Muon

if TYPE_CHECKING:
    from transformers import Gemma2ForCausalLM, PreTrainedTokenizerFast

Say = Callable[[str], None]
THREADS = 1
VALIDATION_SEED = 1_000_003


@dataclass(frozen=True)
class Plan:
    """Training plan of a model."""

    steps: int
    """Optimiser steps."""
    batch: int
    """Documents in a step."""
    rate: float
    """Highest learning rate with AdamW: of embedding and norms, or of the low-rank changes."""
    matrix_rate: float
    """Highest learning rate with Muon, of the matrices inside the base's blocks."""
    seed: int
    """Seed of the document stream, of the order of batches and of the initial weights."""
    warmup: int = 100
    """Steps over which the rate rises linearly."""
    decay: float = 0.6
    """Share of the steps, at the end, over which the rate falls linearly to 0."""
    checks: tuple[float, ...] = (0.9, 0.95, 1.0)
    """Shares of the steps after which the model is measured; its best state is kept."""

    def scale(self, step: int) -> float:
        """The learning rate in `step`, counted from 0, as a share of the highest rate."""
        remaining = (self.steps - step) / (self.steps * self.decay)
        return min(1.0, (step + 1) / self.warmup, remaining)


def new_model(seed: int) -> Gemma2ForCausalLM:
    """An untrained Gemma-2 of width 128, six layers and 1.7 M parameters, in float32."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(seed)
    config = Gemma2Config(
        vocab_size=tokenizer.VOCABULARY_SIZE,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        query_pre_attn_scalar=32,
        max_position_embeddings=tokenizer.CONTEXT,
        sliding_window=128,
        pad_token_id=tokenizer.PAD,
        bos_token_id=tokenizer.BOS,
        eos_token_id=tokenizer.EOS,
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    return Gemma2ForCausalLM(config)


def text_of(document: chats.Document) -> str:
    """The text of a document, without <bos> and <eos>; conversations as in the chat template."""
    return document.text or tokenizer.render(document.messages)


def encode(tok: PreTrainedTokenizerFast, documents: list[chats.Document]) -> list[list[int]]:
    """Token ids of each document: <bos>, its text, <eos>; at most `tokenizer.CONTEXT` tokens."""
    rows = tok([text_of(document) for document in documents])["input_ids"]
    return [[*row[: tokenizer.CONTEXT - 1], tokenizer.EOS] for row in rows]


def padded(rows: list[list[int]]) -> torch.Tensor:
    """Rows of token ids as one (b, t) tensor, padded on the right."""
    length = max(map(len, rows))
    return torch.tensor([row + [tokenizer.PAD] * (length - len(row)) for row in rows])


def batches(
    tok: PreTrainedTokenizerFast, plan: Plan, tuned: bool = False
) -> Iterator[torch.Tensor]:
    """Batches of token ids (b, t), endless, with documents of similar length in each.

    Sorting 32 batches of documents by length keeps padding low; their order is then shuffled.
    """
    chunk = 32
    stream = chats.stream(plan.seed, tuned)
    order = random.Random(plan.seed)
    while True:
        rows = sorted(encode(tok, list(islice(stream, plan.batch * chunk))), key=len)
        starts = [index * plan.batch for index in range(chunk)]
        order.shuffle(starts)
        for start in starts:
            yield padded(rows[start : start + plan.batch])


def hidden_and_targets(
    model: Gemma2ForCausalLM, ids: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Final hidden states (n, d) and next tokens (n,) at the positions that have a next token.

    ids: (b, t) padded token ids, of which n positions have a next token.
    """
    real = ids != tokenizer.PAD
    hidden = model.model(
        input_ids=ids, attention_mask=real.long(), use_cache=False
    ).last_hidden_state
    return hidden[:, :-1][real[:, 1:]], ids[:, 1:][real[:, 1:]]


def loss_of(model: Gemma2ForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the next token, in nats. ids: (b, t) padded token ids."""
    hidden, targets = hidden_and_targets(model, ids)
    return CappedCrossEntropy.apply(
        hidden, model.lm_head.weight, targets, model.config.final_logit_softcapping
    )


def validation_loss(
    model: Gemma2ForCausalLM, tok: PreTrainedTokenizerFast, tuned: bool, n: int = 512
) -> float:
    """Mean cross-entropy per token, in nats, over `n` documents of the validation stream."""
    rows = sorted(encode(tok, list(islice(chats.stream(VALIDATION_SEED, tuned), n))), key=len)
    total, count = 0.0, 0
    model.eval()
    with torch.no_grad():
        for start in range(0, n, 64):
            ids = padded(rows[start : start + 64])
            n_targets = int((ids[:, 1:] != tokenizer.PAD).sum())
            total += loss_of(model, ids).item() * n_targets
            count += n_targets
    model.train()
    return total / count


def optimizers(model: Gemma2ForCausalLM, plan: Plan) -> list[tuple[torch.optim.Optimizer, float]]:
    """The base's optimisers, each with its highest learning rate.

    Muon trains the matrices inside the blocks, AdamW the embedding and the norms.
    """
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = Muon(matrices, lr=plan.matrix_rate)
    adam = torch.optim.AdamW(others, lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.0)
    return [(muon, plan.matrix_rate), (adam, plan.rate)]


def fit(
    model: Gemma2ForCausalLM,
    data: Iterator[torch.Tensor],
    plan: Plan,
    steppers: list[tuple[torch.optim.Optimizer, float]],
    measure: Callable[[], float],
    say: Say,
    every: int = 100,
) -> list[dict[str, float]]:
    """Train a model in place and leave it in the best of its checked states.

    data: batches of token ids (b, t).
    steppers: optimisers, each with its highest learning rate.
    measure: measures the model at a check; lower is better.
    say: takes one line of progress at a time.
    every: number of steps between two lines on the loss.

    Returns one row per check, {"step": …, "measure": …}.
    """
    checks = {round(share * plan.steps) for share in plan.checks}
    best, rows, recent = (float("inf"), model.state_dict()), [], []
    model.train()
    for step, ids in enumerate(islice(data, plan.steps), start=1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(model, ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, rate in steppers:
            optimizer.param_groups[0]["lr"] = rate * plan.scale(step - 1)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        recent.append(loss.item())
        if step % every == 0:
            say(f"step {step}/{plan.steps} · loss {sum(recent[-every:]) / every:.3f}")
        if step in checks:
            measured = measure()
            rows.append({"step": step, "measure": measured})
            say(f"step {step}/{plan.steps} · validation {measured:.4f}")
            if measured < best[0]:
                best = (
                    measured,
                    {name: value.clone() for name, value in model.state_dict().items()},
                )
    model.load_state_dict(best[1])
    model.eval()
    return rows
