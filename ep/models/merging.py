"""Merges a LoRA adapter into its base model, with peft.

The adapter is first put on a model of the same architecture without weights: what does not fit is
refused before the weights of the base model are read. peft is given those entries of the adapter's
config that decide the merged weights, and no others: some of the rest import modules or read files.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ep.errors import ModelError
from ep.extras import require
from ep.models.adapters import Adapter, shown
from ep.models.reports import short_errors

_ADAPTER = "merged_adapter"
"""What peft calls the adapter while it is merged: a part of no other module's name."""


def check_fits(adapter: Adapter, config: Any, model: str) -> dict[str, Any]:
    """Return the tensors of an adapter, after checking that they fit a model's architecture.

    config: the transformers config of the base model. model: its name, for messages.

    Raises ModelError for weights that are not finite numbers, and where modules or shapes are those
    of another model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    require("peft")
    name = _name(adapter)
    with short_errors(name):
        tensors = _tensors(adapter, name)
    with short_errors(model), torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    _joined(empty, adapter, {key: tensor.to("meta") for key, tensor in tensors.items()}, model)
    return tensors


def merged(
    adapter: Adapter, tensors: dict[str, Any], directory: Path, device: str, dtype: str, model: str
) -> Any:
    """Return the transformers model in a directory with an adapter merged into its weights.

    tensors: those that `check_fits` returned. dtype: name of a torch dtype. model: name for
        messages.
    """
    import torch
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=getattr(torch, dtype),
        attn_implementation="eager",
        trust_remote_code=False,
    ).to(device)
    result = _joined(base, adapter, tensors, model)
    embeddings = result.get_input_embeddings(), result.get_output_embeddings()
    if embeddings[0].weight is not embeddings[1].weight:
        result.config.tie_word_embeddings = False
    return result


def _name(adapter: Adapter) -> str:
    return f"the adapter {shown(adapter.folder)}"


def _tensors(adapter: Adapter, name: str) -> dict[str, Any]:
    """Return the tensors of an adapter, all of which are finite numbers."""
    import torch
    from safetensors.torch import load_file

    tensors: dict[str, Any] = load_file(adapter.weights)
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelError(
                f"{name} has weights that are not finite numbers, such as {shown(key)}: its "
                "files are damaged, or it was saved after training had failed"
            )
    return tensors


def _joined(model: Any, adapter: Adapter, tensors: dict[str, Any], name: str) -> Any:
    """Merge an adapter into a model, which is changed; ModelError where they do not fit.

    name: of the model, for messages.
    """
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    def refused(why: str) -> ModelError:
        trained = f": it was trained on {shown(adapter.base)}" if adapter.base else ""
        return ModelError(f"{_name(adapter)} does not fit {shown(name)} ({why}){trained}")

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what peft warns of is checked here
            config = LoraConfig(**adapter.settings)
            result = get_peft_model(model, config, _ADAPTER, low_cpu_mem_usage=True)
            keys = set_peft_model_state_dict(result, tensors, _ADAPTER, low_cpu_mem_usage=True)
            # peft's name of the adapter is in the names of its weights, and of none of the model's
            missing = [key for key in keys.missing_keys if _ADAPTER in key.split(".")]
            if keys.unexpected_keys:
                raise ValueError(f"the model has no {keys.unexpected_keys[0]}")
            if missing:
                raise ValueError(f"the adapter has no weights {missing[0]}")
            _untie(model)
            return result.merge_and_unload()
    except (ValueError, RuntimeError, TypeError, LookupError, AttributeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        mismatch = [line for line in lines if line.startswith("size mismatch")]
        why = shown(_shortened((mismatch or lines or [type(error).__name__])[0]))
        trained = f": it was trained on {shown(adapter.base)}" if adapter.base else ""
        raise ModelError(f"{_name(adapter)} does not fit {shown(name)} ({why}){trained}") from error


def _shortened(text: str) -> str:
    """Return a text of peft's in at most 160 characters, without the prefixes of its own."""
    return text.replace("base_model.model.", "").replace(f".{_ADAPTER}", "")[:160].rstrip(". :")


def _untie(model: Any) -> None:
    """Give an embedding that is adapted weights of its own, where it shares them with the other.

    Otherwise merging into the one would change the other too, which peft's unmerged model does not.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    modules = model.get_input_embeddings(), model.get_output_embeddings()
    if modules[1] is None or modules[0].weight is not modules[1].weight:
        return
    for module in modules:
        if isinstance(module, BaseTunerLayer):
            own = module.get_base_layer()
            own.weight = torch.nn.Parameter(own.weight.detach().clone(), requires_grad=False)
