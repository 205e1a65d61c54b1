"""Activations from plain transformers, with forward hooks on the blocks.

A second copy of the model is loaded as transformers defines it, with the bridge's settings, and
shares the bridge's weights wherever they are equal, so that it takes little memory of its own. A
pass ends behind the deepest layer. No object of TransformerLens takes part in it, which spares the
calls of its hook points.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ep.models import loading
from ep.models.adapters import read as read_adapter
from ep.models.extraction import Part, Residuals
from ep.models.loading import LanguageModel
from ep.models.merging import check_fits, merged
from ep.models.reports import log_captured, short_errors
from ep.models.source import files_of

_WRAPPED = "._original_component"
"""What the bridge adds to the names of weights, once for each module around them."""


class _Cut(Exception):
    """Ends a forward pass behind the deepest layer that is wanted."""


class PlainRunner:
    """Runs parts through a plain copy of a model, see `ep.models.extraction.Runner`.

    model: the model to copy. Raises ModelError as `ep.load`.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._device, self._options = model.device, model.forward_options
        self._lock = model.lock
        self.plain: Any = copy_of(model)
        self._blocks = self.plain.get_submodule(
            model.bridge.adapter.component_mapping["blocks"].name
        )

    def run(self, part: Part) -> Residuals:
        """Return the residuals of a part, up to its deepest layer."""
        import torch

        tokens, attention, kept = (
            torch.from_numpy(array).to(self._device) for array in (part.ids, part.mask, part.keep)
        )
        captured: dict[int, Any] = {}
        handles = []
        with self._lock, torch.inference_mode():
            try:
                for layer in part.layers:
                    hook = _hook(captured, layer, kept, is_deepest=layer == max(part.layers))
                    handles.append(self._blocks[layer].register_forward_hook(hook))
                self.plain(tokens, attention_mask=attention.long(), **self._options)
            except _Cut:
                pass
            finally:
                for handle in handles:
                    handle.remove()
            return {layer: captured[layer].float().cpu().numpy() for layer in part.layers}

    def close(self) -> None:
        """Forget the copy."""
        self.plain = self._blocks = None


def _hook(
    captured: dict[int, Any], layer: int, kept: Any, is_deepest: bool
) -> Callable[[Any, Any, Any], None]:
    """Return a forward hook that stores the kept positions of one layer in `captured`."""

    def capture(_module: Any, _inputs: Any, output: Any) -> None:
        residual = output[0] if isinstance(output, tuple) else output
        captured[layer] = residual[kept]
        if is_deepest:
            raise _Cut

    return capture


def copy_of(model: LanguageModel) -> Any:
    """Return the transformers model that a bridge was made of, unwrapped, on the same device.

    Its weights are those of the bridge where they are equal. Raises ModelError as `ep.load`.
    """
    directory, wrapped = files_of(model.name, model.revision), model.bridge.original_model
    config = copy.deepcopy(wrapped.config)
    with loading.LOCK, short_errors(model.title), log_captured():
        if model.adapter:
            lora = read_adapter(model.adapter.folder)
            tensors = check_fits(lora, config, model.name)
            plain = merged(lora, tensors, directory, "cpu", model.dtype, model.name)
        else:
            plain = type(wrapped).from_pretrained(
                directory,
                config=config,
                dtype=model.dtype,
                attn_implementation=getattr(wrapped.config, "_attn_implementation", None),
            )
    _share(plain, wrapped)
    plain.to(model.device).eval()
    for parameter in plain.parameters():
        parameter.requires_grad_(False)
    return plain


def _share(plain: Any, wrapped: Any) -> None:
    """Let a copy use the weights of a wrapped model where both have equal ones of a name."""
    import torch

    theirs = {
        name.replace(_WRAPPED, ""): parameter
        for name, parameter in wrapped.named_parameters(remove_duplicate=False)
    }
    for name, own in plain.named_parameters():
        other = theirs.get(name)
        if other is None or (own.shape, own.dtype) != (other.shape, other.dtype):
            continue
        if torch.equal(own.data.to(other.device), other.data):
            own.data = other.data
