"""What a lens reads at every layer and position of one prompt, and where one token ranks there.

Two lenses read the raw residual stream h after a block, its centre included:

    logit lens      unembed(final_norm(h))
    Jacobian lens   unembed(final_norm(J h)),  see `jacobian`

`unembed` is here the whole of the model's own head: after W_U its bias, its scale and its soft-cap,
where it has them, so that probabilities are the model's own and the logit lens of the last layer
gives its prediction of the next token. Scale and soft-cap change no order of tokens.

One forward pass serves all layers. Each layer is then scored in slices of the vocabulary: the
memory is that of the residual streams and of one slice, and no logits are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ep.errors import ModelError
from ep.models.activations import read
from ep.models.chat import Message
from ep.models.jacobian import JacobianLens
from ep.models.lens import normed
from ep.models.loading import LanguageModel
from ep.models.readout import head, readout
from ep.progress import Report, silent
from ep.shapes import Bool, Float32, Int32
from ep.text import split_text

LensName = Literal["jacobian", "logit"]
LONGEST = 256
"""Positions of a prompt that are read at most."""
_COLUMNS_AT_ONCE = 1 << 15  # rows of the unembedding scored at a time


@dataclass(frozen=True, eq=False)
class LensGrid:
    """The k most probable tokens at L layers and t positions of one prompt."""

    tokens: tuple[str, ...]
    """The texts of the prompt's t tokens."""
    prompt_ids: tuple[int, ...]
    """Their ids."""
    outside: Bool[np.ndarray, " t"]
    """True at the beginning-of-sequence token."""
    lenses: tuple[LensName, ...]
    """The lens of each layer, 0 to L - 1: the Jacobian one where the lens given has that layer."""
    ids: Int32[np.ndarray, "layers t k"]
    """The k most probable tokens, the first the most probable."""
    probabilities: Float32[np.ndarray, "layers t k"]
    """Their probabilities, of all tokens of the vocabulary."""
    pieces: dict[int, str]
    """The text of every token in `ids`."""
    vocabulary_size: int
    n_prompts: int | None
    """Prompts that the Jacobian lens was fitted on; None without one."""
    n_left_out: int
    """Tokens of the prompt after the t that were read."""


def lens_grid(
    model: LanguageModel,
    prompt: str | Sequence[Message],
    lens: JacobianLens | None = None,
    k: int = 5,
    longest: int = LONGEST,
    report: Report = silent,
) -> LensGrid:
    """Return what is read at every layer and position of a text or of chat messages.

    lens: reads the layers that it has; the logit lens reads the others, or all for None.
    longest: positions read at most, from the start. report: called after every layer.

    Raises the errors of `read`, and ModelError for a lens of another width.
    """
    import torch

    encoded = model.encode_prompt(prompt)
    ids = encoded.ids[:longest]
    found, shares = [], []
    with torch.inference_mode():
        for layer, states in _states(model, ids, lens):
            best, probability = _top(model, states, min(k, model.vocabulary_size))
            found.append(best.numpy().astype(np.int32))
            shares.append(probability.numpy())
            report(f"reading layer {layer}", (layer + 1) / model.n_layers)
    top = np.stack(found)
    return LensGrid(
        tokens=split_text([model.tokens.piece(token) for token in ids]),
        prompt_ids=tuple(ids),
        outside=np.asarray(model.tokens.bos_only(ids), bool),
        lenses=lenses_of(model, lens),
        ids=top,
        probabilities=np.stack(shares),
        pieces={token: piece(model, token) for token in np.unique(top).tolist()},
        vocabulary_size=model.vocabulary_size,
        n_prompts=None if lens is None else lens.n_prompts,
        n_left_out=len(encoded.ids) - len(ids),
    )


def token_ranks(
    model: LanguageModel,
    ids: Sequence[int],
    token: int,
    lens: JacobianLens | None = None,
    report: Report = silent,
) -> Int32[np.ndarray, "layers t"]:
    """Return the rank of one token at every layer and position; 1 is the most probable token.

    ids: the prompt's, as in `LensGrid.prompt_ids`. token: its id. lens: as in `lens_grid`.

    Raises the errors of `lens_grid`, and ModelError for an id outside the vocabulary.
    """
    import torch

    if not 0 <= token < model.vocabulary_size:
        raise ModelError(
            f"token {token} does not exist: {model.name} has ids 0 to {model.vocabulary_size - 1}"
        )
    ranks = []
    with torch.inference_mode():
        for layer, states in _states(model, ids, lens):
            ranks.append(_rank(model, states, token).cpu().numpy().astype(np.int32))
            report(f"ranking at layer {layer}", (layer + 1) / model.n_layers)
    return np.stack(ranks)


def lenses_of(model: LanguageModel, lens: JacobianLens | None) -> tuple[LensName, ...]:
    """Return which lens reads each layer of the model."""
    own = set() if lens is None else set(lens.layers)
    return tuple("jacobian" if layer in own else "logit" for layer in range(model.n_layers))


def token_of(model: LanguageModel, text: str) -> int | None:
    """Return the token that somebody who types `text` means; None for no text.

    It is the text after a space, as words stand in a text, where that is one token; else the text
    itself; else the first token of the text.
    """
    if not text:
        return None
    spaced, plain = (_ids(model, written) for written in (f" {text.lstrip(' ')}", text))
    choice = spaced if len(spaced) == 1 else plain
    return choice[0] if choice else None


def variants(model: LanguageModel, token: int) -> tuple[int, ...]:
    """Return a token and the one that differs from it by a space in front, if there is one."""
    text = piece(model, token)
    other = _ids(model, text[1:] if text.startswith(" ") else f" {text}")
    is_other = len(other) == 1 and other[0] != token and piece(model, other[0]).strip()
    return (token, other[0]) if is_other else (token,)


def piece(model: LanguageModel, token: int) -> str:
    """Return the text of a token; what is not UTF-8 becomes U+FFFD."""
    return model.tokens.piece(token).decode("utf-8", "replace")


def _ids(model: LanguageModel, text: str) -> list[int]:
    """Return the token ids of a text without BOS."""
    ids = model.tokens.encode(text)
    return ids[1:] if ids and ids[0] == model.tokens.bos else ids


def _states(
    model: LanguageModel, ids: Sequence[int], lens: JacobianLens | None
) -> Iterator[tuple[int, Any]]:
    """Yield every layer with the normed states (t, ·) that its lens unembeds."""
    if lens is not None and lens.width != model.width:
        raise ModelError(
            f"the Jacobian lens has width {lens.width}, {model.name} has {model.width}: it was "
            "fitted on another model; fit one with `ep lens fit`"
        )
    x = read(model, ids, range(model.n_layers))
    for layer, name in enumerate(lenses_of(model, lens)):
        rows = x.pop(layer)
        if name == "jacobian" and lens is not None:
            rows = lens.transport(layer, rows)
        yield layer, normed(model, rows)


def _scores(model: LanguageModel, states: Any, first: int = 0) -> Iterator[tuple[int, Any]]:
    """Yield (start, logits (t, columns)) of slices of the vocabulary.

    first: an id in the slice that comes first; the others follow in order.
    """
    import torch

    unembedding = readout(model.bridge, model.name).unembedding
    own = head(model.bridge)
    starts = list(range(0, len(unembedding), _COLUMNS_AT_ONCE))
    starts.insert(0, starts.pop(first // _COLUMNS_AT_ONCE))
    for start in starts:
        rows = slice(start, start + _COLUMNS_AT_ONCE)
        scores = states @ unembedding[rows].float().T
        if own.bias is not None:
            scores = scores + own.bias[rows].float()
        scores = scores * own.scale
        if own.softcap is not None:
            scores = own.softcap * torch.tanh(scores / own.softcap)
        yield start, scores


def _top(model: LanguageModel, states: Any, k: int) -> tuple[Any, Any]:
    """Return (ids, probabilities), both (t, k), of the most probable tokens of each row."""
    import torch

    values, ids = states.new_empty((len(states), 0)), states.new_empty((len(states), 0)).long()
    total = torch.full((len(states),), -torch.inf, dtype=torch.float64)
    for start, scores in _scores(model, states):
        total = torch.logaddexp(total, torch.logsumexp(scores, 1).cpu().double())
        new_values, new_ids = torch.topk(scores, min(k, scores.shape[1]), dim=1)
        values, ids = torch.cat([values, new_values], 1), torch.cat([ids, new_ids + start], 1)
        values, index = torch.topk(values, min(k, values.shape[1]), dim=1)
        ids = torch.gather(ids, 1, index)
    return ids.cpu(), torch.exp(values.cpu() - total[:, None]).float()


def _rank(model: LanguageModel, states: Any, token: int) -> Any:
    """Return the rank (t,) of a token in each row: 1 and the number of tokens that score higher."""
    own, above = None, 1
    for start, scores in _scores(model, states, first=token):
        if own is None:
            own = scores[:, token - start : token - start + 1].clone()
        above = above + (scores > own).sum(1)
    return above
