"""Passages that go through a model together, and what runs them: the interface `Extractor`.

An extractor is given parts in the order of the stream. In one process that is `LocalExtractor`,
whose `Runner` runs a part through one copy of the model: TransformerLens' bridge (here), plain
transformers (`plain.py`) or vLLM (`vllm_states.py`); `runners.py` chooses.

A batch is divided into parts of passages of similar length, so that there is little padding and
memory stays bounded. The division depends on the batch alone: the part that a passage is in decides
the last bits of its activations, so a part that was read before is read in the same company again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ep.models.loading import LanguageModel
from ep.models.memory import Halving
from ep.shapes import Bool, Float32, Int64

# The paper's batch: 128 passages of BOS and 128 tokens.
_TOKENS_PER_FORWARD = 16_512
# Eight such passages: measurements show that intermediate values then fit the processor's cache.
_TOKENS_PER_FORWARD_CPU = 1_032
# The length above which attention, whose cost grows with its square, outweighs the other layers.
_LONG = 1_024

Residuals = dict[int, Float32[np.ndarray, "n d"]]
"""Activations (n, d) at the positions that a part keeps, row by row, by layer."""


@dataclass(frozen=True, eq=False)
class Part:
    """Passages of one batch that go through the model together.

    rows: (m,) their indices in the batch, in rising order.
    ids, mask, keep: (m, t) token ids, real tokens, and positions whose activations are wanted.
    layers: the layers that are wanted; without any, the model does not run.
    """

    rows: Int64[np.ndarray, " m"]
    ids: Int64[np.ndarray, "m t"]
    mask: Bool[np.ndarray, "m t"]
    keep: Bool[np.ndarray, "m t"]
    layers: tuple[int, ...]


@runtime_checkable
class Extractor(Protocol):
    """Runs parts through a model. All extractors give the same activations, bit for bit."""

    def extract(self, parts: Iterable[Part]) -> Iterator[tuple[Part, Residuals]]:
        """Yield each part with its residuals, in the order given; may read some parts ahead."""
        ...

    def close(self) -> None:
        """Give back what runs the model elsewhere."""
        ...


@runtime_checkable
class Runner(Protocol):
    """Runs one part through one copy of a model."""

    def run(self, part: Part) -> Residuals:
        """Return the residuals of a part that wants at least one layer."""
        ...

    def close(self) -> None:
        """Give back the memory and files of the copy; the bridge's own is not its to give."""
        ...


class BridgeRunner:
    """Runs parts through the bridge of a model; it takes no memory of its own."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    def run(self, part: Part) -> Residuals:
        """Return the residuals of a part, see `residuals`."""
        return residuals(self.model, part)

    def close(self) -> None:
        """Nothing was taken."""


class LocalExtractor:
    """Runs parts one after another in this process; what does not fit in memory, in halves.

    runner: what runs them; by default the bridge.
    """

    def __init__(self, model: LanguageModel, runner: Runner | None = None) -> None:
        self.runner, self._halving = runner or BridgeRunner(model), Halving()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the caller should know of the runs so far, a sentence each."""
        return self._halving.notes

    def extract(self, parts: Iterable[Part]) -> Iterator[tuple[Part, Residuals]]:
        """Yield each part with its residuals, see `Extractor`."""
        for part in parts:
            yield part, self._halving.run(part, self.runner.run) if part.layers else {}

    def close(self) -> None:
        """Give back what the runner took."""
        self.runner.close()


def divided(
    ids: Int64[np.ndarray, "b t"],
    mask: Bool[np.ndarray, "b t"],
    keep: Bool[np.ndarray, "b t"],
    layers: Sequence[int],
    device: str,
) -> Iterator[Part]:
    """Divide the rows of a batch into parts: 16,512 tokens each at most, 1,032 on a CPU."""
    lengths = mask.sum(axis=1)
    budget = _TOKENS_PER_FORWARD_CPU if device == "cpu" else _TOKENS_PER_FORWARD
    for rows in _grouped(lengths, budget):
        width = int(lengths[rows].max())
        yield Part(rows, ids[rows, :width], mask[rows, :width], keep[rows, :width], tuple(layers))


def _grouped(lengths: Int64[np.ndarray, " b"], budget: int) -> Iterator[Int64[np.ndarray, " m"]]:
    """Split rows into forward passes of bounded cost, with little padding."""
    rest = np.argsort(lengths, kind="stable")
    while len(rest):
        # cost[i] is that of a pass over the first i + 1 rows. Rows are sorted by length, so each is
        # padded to the last. The cost of attention grows with the square of the length.
        cost = np.arange(1, len(rest) + 1) * lengths[rest] * np.maximum(lengths[rest], _LONG)
        count = max(1, int(np.searchsorted(cost, budget * _LONG, side="right")))
        yield np.sort(rest[:count])
        rest = rest[count:]


def residuals(model: LanguageModel, part: Part) -> Residuals:
    """Run one part through the model, up to its deepest layer, and return its residuals."""
    import torch

    tokens, attention, kept = (
        torch.from_numpy(array).to(model.device) for array in (part.ids, part.mask, part.keep)
    )
    captured: dict[int, Any] = {}
    handles = []
    with model.lock, torch.inference_mode():
        try:
            for layer in part.layers:
                hook = _hook(captured, layer, kept, is_deepest=layer == max(part.layers))
                handles.append(model.hook_point(layer).register_forward_hook(hook))
            model.bridge(
                tokens, return_type=None, attention_mask=attention.long(), **model.forward_options
            )
        finally:
            for handle in handles:
                handle.remove()
        return {layer: captured[layer].float().cpu().numpy() for layer in part.layers}


def _hook(
    captured: dict[int, Any], layer: int, kept: Any, is_deepest: bool
) -> Callable[[Any, Any, Any], None]:
    """Return a forward hook that stores the kept positions of one layer in `captured`."""
    from transformer_lens.model_bridge.exceptions import StopAtLayerException

    def capture(_module: Any, _inputs: Any, residual: Any) -> None:
        captured[layer] = residual[kept]
        if is_deepest:
            # the bridge catches this, so the rest of the model does not run
            raise StopAtLayerException(residual)

    return capture
