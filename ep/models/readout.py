"""What lies between a model's last block and its logits: norm, projection and unembedding."""

from __future__ import annotations

from typing import Any, NamedTuple

from ep.errors import ModelError


class Readout(NamedTuple):
    """The modules that turn a residual stream of width d into logits, in this order."""

    norm: Any
    """The final norm, or None."""
    projection: Any
    """A linear map to another width, as OPT-350M has, or None."""
    unembedding: Any
    """W_U as a tensor (vocabulary, width after the projection)."""


class Head(NamedTuple):
    """What a model does to the scores states · W_U to get its logits, in this order."""

    bias: Any
    """A bias (vocabulary,) that is added, or None."""
    scale: float
    """A factor."""
    softcap: float | None
    """The bound b of b·tanh(scores / b), or None."""


def readout(bridge: Any, name: str) -> Readout:
    """Return the read-out of a `TransformerBridge`.

    Raises ModelError, naming the model, where the widths do not fit: the model has a step that this
    package does not know, and logits could not be computed from its residual stream.
    """
    norm, projection = (_module(bridge, part) for part in ("ln_final", "project_out"))
    if norm is None and projection is not None:
        # the bridge leaves out the norm of an OPT that has a projection too
        norm = getattr(bridge.original_model.model.decoder, "final_layer_norm", None)
    unembedding = bridge.unembed.original_component.weight
    width = bridge.cfg.d_model if projection is None else projection.weight.shape[0]
    if unembedding.shape[1] != width:
        raise ModelError(
            f"{name} is a {bridge.cfg.architecture} whose unembedding is {unembedding.shape[1]} "
            f"wide and its last hidden state {width}: no logit lens is known for it"
        )
    return Readout(norm, projection, unembedding)


def head(bridge: Any) -> Head:
    """Return the head of a `TransformerBridge`, from the config of its model.

    Known are Gemma's soft-cap, and the factors of Cohere, Granite, HyperCLOVA X and Falcon-H1.
    """
    config = bridge.original_model.config.get_text_config()
    scale = 1.0
    for name in ("logit_scale", "lm_head_multiplier", "logits_scaling"):
        value = getattr(config, name, None)
        if isinstance(value, int | float) and value:
            # one name, two meanings: Granite divides by it
            divides = name == "logits_scaling" and config.model_type.startswith("granite")
            scale = scale / value if divides else scale * value
    softcap = getattr(config, "final_logit_softcapping", None)
    bias = getattr(bridge.unembed.original_component, "bias", None)
    return Head(bias, scale, None if not softcap else float(softcap))


def _module(bridge: Any, part: str) -> Any:
    """Return a named module of the transformers model behind a bridge, or None."""
    component = getattr(bridge, part, None)
    return None if component is None else component.original_component
