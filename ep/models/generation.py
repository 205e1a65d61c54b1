"""Generation of several continuations as one batch, each row under its own interventions.

All rows share a key-value cache and one forward pass per step. Decoding is greedy or sampled. The
sampling noise depends on the seed and the step alone: a row gets the same text as in a run of its
own, and rows that agree so far keep agreeing. Only this module's hooks are added, and they are
always removed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ep.errors import ConfigError, ModelError
from ep.models.chat import render
from ep.models.hooks import Hooks
from ep.models.interventions import Intervention
from ep.models.loading import LanguageModel

Ending = Literal["end", "limit", "context", "not finite", "cancelled"]
"""Why a row ended: end of turn, token limit, full context, logits not finite, or cancelled."""
MOST_TOKENS = 2048
"""Most tokens that one row may be asked to generate."""
MOST_ROWS = 256
"""Most rows of one batch."""


@dataclass(frozen=True)
class Row:
    """One continuation to generate.

    ids: the prompt's token ids, BOS included.
    interventions: what is done to the residual stream meanwhile.
    """

    ids: tuple[int, ...]
    interventions: tuple[Intervention, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    tokens: most tokens to generate, 1 to 2,048.
    temperature: 0 for greedy decoding, at most 100.
    top_p: in (0, 1]; samples from the smallest set of tokens with at least this probability.
    seed: of the noise.
    stop: whether end-of-turn tokens end a row.
    """

    tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.tokens <= MOST_TOKENS:
            raise ConfigError(f"{self.tokens} tokens were asked for: expected 1 to {MOST_TOKENS:,}")
        if not 0 <= self.temperature <= 100:
            raise ConfigError(
                f"temperature {self.temperature:g} was asked for: expected 0 (greedy) to 100"
            )
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p {self.top_p:g} was asked for: expected above 0 and at most 1")


@dataclass(frozen=True)
class Step:
    """The tokens that one step added.

    number: of the step, from 1.
    tokens: (rows,) ids, −1 for rows that have ended.
    logprob: (rows,) natural logarithms of the probabilities that the model, as changed by the row's
        interventions, gave those tokens; NaN for rows that have ended.
    """

    number: int
    tokens: np.ndarray
    logprob: np.ndarray


@dataclass
class Written:
    """A generated row.

    ids: generated tokens, without the one that ended the row.
    logprob: their log probabilities, as in `Step`.
    ending: why the row ended.
    requested: mean length of the change that the formula asks for per touched position, in units
        of the intervention's typical norm; 0 without interventions.
    moved: mean length by which the residual stream did change there, in the same units.
    touched: number of changed positions, counted once for each layer.
    """

    ids: list[int] = field(default_factory=list)
    logprob: list[float] = field(default_factory=list)
    ending: Ending = "cancelled"
    requested: float = 0.0
    moved: float = 0.0
    touched: int = 0


GREEDY = Sampling()


def generate(
    model: LanguageModel,
    rows: Sequence[Row],
    sampling: Sampling = GREEDY,
    stopped: Callable[[], bool] = lambda: False,
) -> Generator[Step | list[Written], None, None]:
    """Generate all rows together: yield each `Step` as it comes, and at last the list of `Written`.

    stopped: called before each step; once it returns True, the rows that have not ended end as
        "cancelled" with their tokens so far.

    Closing the generator ends the run: its hooks are removed and the model is free. The model's
    lock is held for one step at a time. Raises ModelError for a prompt that is empty or leaves no
    room in the context and for a layer or width that the model does not have, and ConfigError for a
    number of rows out of range.
    """
    batch = _Batch(model, rows, sampling)
    try:
        while batch.alive.any() and not stopped():
            yield batch.step()
    finally:
        batch.close()
    yield batch.written


def stop_tokens(model: LanguageModel) -> frozenset[int]:
    """Return the ids that end a turn.

    They are EOS, those of the checkpoint's generation config, and the one that closes a reply in
    the chat template.
    """
    config = getattr(model.bridge.original_model, "generation_config", None)
    configured = getattr(config, "eos_token_id", None)
    ids = {
        model.tokenizer.eos_token_id,
        *(configured if isinstance(configured, list) else [configured]),
    }
    return frozenset(int(i) for i in ids | {_closing(model)} if i is not None)


def _closing(model: LanguageModel) -> int | None:
    """Return the special token with which the chat template closes a reply, or None."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    try:
        text, contents = render(model.tokenizer, turns, False)
    except ModelError:
        return None
    after = model.tokenizer(text[contents[-1].stop :], add_special_tokens=False, verbose=False)[
        "input_ids"
    ]
    first = next((i for i in after if model.tokens.piece(i).strip()), None)
    return first if first in model.tokenizer.all_special_ids else None


class _Batch:
    """The state of a running batch: its tensors, its cache, and what each row has so far."""

    def __init__(self, model: LanguageModel, rows: Sequence[Row], sampling: Sampling) -> None:
        import torch

        _check(model, rows)
        self.model, self.sampling = model, sampling
        self.stops = stop_tokens(model) if sampling.stop else frozenset()
        # Prompts are padded on the left, so the next token of every row goes in the same column.
        longest = max(len(row.ids) for row in rows)
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        self.mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, longest - len(row.ids) :] = torch.tensor(row.ids)
            self.mask[number, longest - len(row.ids) :] = 1
        self.next, self.mask = ids.to(model.device), self.mask.to(model.device)
        self.room = model.context - np.array([len(row.ids) for row in rows])
        self.written = [Written() for _ in rows]
        self.alive = np.ones(len(rows), bool)
        self.cache: Any = None
        self.number = 0
        self.hooks = Hooks(model, [row.interventions for row in rows], self.mask.bool())

    def step(self) -> Step:
        """Run one forward pass and choose a token for every row that has not ended."""
        import torch

        with self.model.lock, torch.inference_mode(), ExitStack() as hooked:
            hooked.enter_context(self.hooks.placed(self.next.shape[1]))
            # positions count real tokens only, so padding does not shift the others
            positions = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -self.next.shape[1] :]
            out = self.model.bridge.original_model(
                input_ids=self.next,
                attention_mask=self.mask,
                position_ids=positions,
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            )
            self.cache = out.past_key_values
            logits = out.logits[:, -1].float()
            tokens, logprob = self._choose(logits)
        self._take(tokens, logprob, torch.isfinite(logits).all(-1).cpu().numpy())
        # Ended rows stay in the batch and are fed id 0; what follows there is never read.
        self.next = torch.from_numpy(np.maximum(tokens, 0)[:, None]).to(self.model.device)
        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], 1)
        self.number += 1
        return Step(self.number, tokens, logprob)

    def _choose(self, logits: Any) -> tuple[np.ndarray, np.ndarray]:
        """Choose a token for every row.

        Returns the ids (rows,) and their log probabilities (rows,) under the changed model.
        """
        import torch

        sampling, logprobs = self.sampling, torch.log_softmax(torch.nan_to_num(logits), -1)
        # Greedy decoding takes the argmax of the log probabilities, and sampling adds noise first.
        # What is reported is always the log probability at temperature 1.
        scores = logprobs
        if sampling.temperature > 0:
            scores = torch.log_softmax(torch.nan_to_num(logits) / sampling.temperature, -1)
            if sampling.top_p < 1:
                scores = _nucleus(scores, sampling.top_p)
            scores = scores + self._noise(scores.shape[-1]).to(scores.device)
        chosen = scores.argmax(-1)
        chosen_logprob = logprobs.gather(-1, chosen[:, None])[:, 0]
        return chosen.cpu().numpy(), chosen_logprob.double().cpu().numpy()

    def _noise(self, size: int) -> Any:
        """Return the Gumbel noise (size,) of this step, the same for every row.

        The argmax of log probabilities plus Gumbel noise is a sample from them. Drawn on the CPU in
        float64, it is the same on every device.
        """
        import torch

        source = torch.Generator().manual_seed(
            (self.sampling.seed * 1_000_003 + self.number) % 2**63
        )
        uniform = torch.rand(size, generator=source, dtype=torch.float64).clamp(1e-300, 1 - 1e-16)
        return -torch.log(-torch.log(uniform))

    def _take(self, tokens: np.ndarray, logprob: np.ndarray, finite: np.ndarray) -> None:
        """Record what each row generated and which rows end; ended rows get −1 and NaN."""
        for number, row in enumerate(self.written):
            if not self.alive[number]:
                tokens[number], logprob[number] = -1, np.nan
                continue
            ending: Ending | None = None
            if not finite[number]:
                ending = "not finite"
            elif int(tokens[number]) in self.stops:
                ending = "end"
            else:
                row.ids.append(int(tokens[number]))
                row.logprob.append(float(logprob[number]))
                if len(row.ids) >= min(self.sampling.tokens, self.room[number]):
                    ending = "limit" if len(row.ids) >= self.sampling.tokens else "context"
            if ending is not None:
                row.ending, self.alive[number] = ending, False
                if ending in ("end", "not finite"):
                    tokens[number], logprob[number] = -1, np.nan

    def close(self) -> None:
        """Drop the cache and average what the interventions did."""
        self.cache = None
        for row, (requested, moved, touched) in zip(self.written, self.hooks.sums(), strict=True):
            each = max(1, touched)
            row.requested, row.moved, row.touched = requested / each, moved / each, touched


def _nucleus(logprobs: Any, top_p: float) -> Any:
    """Set log probabilities outside the smallest set of mass top_p to −inf."""
    import torch

    ordered, order = logprobs.sort(-1, descending=True)
    # the mass before a token, not with it: the token that reaches top_p stays in
    before = ordered.exp().cumsum(-1) - ordered.exp()
    dropped = torch.zeros_like(before, dtype=torch.bool).scatter_(-1, order, before >= top_p)
    return logprobs.masked_fill(dropped, float("-inf"))


def _check(model: LanguageModel, rows: Sequence[Row]) -> None:
    """Raise an error for rows that cannot be run, before any of them is."""
    if not 1 <= len(rows) <= MOST_ROWS:
        raise ConfigError(f"{len(rows)} rows were asked for: expected 1 to {MOST_ROWS}")
    _check_cache(model)
    for row in rows:
        if not row.ids:
            raise ModelError("the prompt has no tokens: give at least one character of text")
        if len(row.ids) >= model.context:
            raise ModelError(
                f"the prompt has {len(row.ids):,} tokens and {model.name} has a context of "
                f"{model.context:,}: shorten the prompt to leave room for an answer"
            )
        model.check_ids(row.ids)
        for one in row.interventions:
            model.check_layers(one.layers)
            if one.directions.shape[1] != model.width:
                raise ModelError(
                    f"the direction has {one.directions.shape[1]:,} dimensions and {model.name} "
                    f"has {model.width:,}: it belongs to another model"
                )


def _check_cache(model: LanguageModel) -> None:
    """Raise ModelError unless the model's forward pass takes a key-value cache.

    State-space and recurrent models keep a state of another kind.
    """
    plain = model.bridge.original_model
    if "past_key_values" not in inspect.signature(plain.forward).parameters:
        raise ModelError(
            f"{model.name} is a {type(plain).__name__}, which has no key-value cache: its "
            "dictionaries can be built and read, and its prompts cannot be continued or steered"
        )
