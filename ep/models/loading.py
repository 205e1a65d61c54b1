"""Loading of causal language models through TransformerLens.

A usable checkpoint is a causal language model that `TransformerBridge` supports and that has a
tokenizer.

The weights stay as they are in the checkpoint, without folding or centring, so that residuals equal
those of plain transformers and the lens uses the real final norm and unembedding (protocol 1.6,
5.1).
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ep.config import model_name
from ep.errors import ModelError
from ep.models import gguf
from ep.models.adapters import Adapter, Named, parts
from ep.models.adapters import read as read_adapter
from ep.models.chat import Message
from ep.models.devices import device_of, dtype_of
from ep.models.fingerprint import fingerprint
from ep.models.merging import check_fits, merged
from ep.models.readout import readout
from ep.models.reports import check_complete, check_supported, log_captured, short_errors
from ep.models.source import find
from ep.models.tokens import Prompt, Tokens
from ep.models.turns import Turns
from ep.models.weights import check_files, check_finite, check_vocabulary
from ep.progress import Report, silent


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A frozen causal language model and its tokenizer.

    Forward passes are run one at a time, under `lock`.
    """

    name: str
    """The name it was loaded by: a Hub name, a directory or a GGUF file; that of the base model,
    where there is an adapter."""
    revision: str | None
    """The Hub commit of the files; None for local ones."""
    fingerprint: str
    """Hash of the config and of samples of the weights, see `ep.models.fingerprint`; with an
    adapter, of that and of the adapter's weights."""
    quantization: str | None
    """How the weights of a GGUF file are quantised, such as "Q4_K_M"; None for other files."""
    adapter: Adapter | None
    """The LoRA adapter that is merged into the weights; None for a model without one."""
    width: int
    """d, the width of the residual stream."""
    n_layers: int
    """Number of blocks; layers are 0 to n_layers - 1."""
    context: int
    """The largest number of tokens of one passage, BOS included."""
    vocabulary_size: int
    """Number of rows of the unembedding; may exceed the tokenizer's vocabulary."""
    device: str
    dtype: str
    reason: str
    """One short sentence that says which device and dtype were chosen, and why."""
    tokenizer: Any = field(repr=False)
    """The tokenizer as its files define it.

    TransformerLens works on a copy, since it sets BOS and pad tokens where they are missing.
    """
    tokens: Tokens = field(repr=False)
    bridge: Any = field(repr=False)
    """The `TransformerBridge`.

    It is not thread-safe: take `lock` around every forward pass and generation.
    """
    forward_options: dict[str, bool] = field(repr=False)
    """Arguments that switch off what is never read: the key-value cache and attention maps."""
    lock: Any = field(default_factory=threading.RLock, repr=False)
    turns: Turns = field(default_factory=Turns, repr=False)
    """The queue in which visitors wait for their runs."""

    @property
    def title(self) -> str:
        """What people call it: its Hub name, or that of its directory or file without the path.

        The name of an adapter follows.
        """
        return model_name(self.name, self.adapter.folder if self.adapter else None)

    @property
    def digest(self) -> str:
        """Hash of the tokenizer; only under equal digests do equal ids mean equal tokens."""
        return self.tokens.digest

    @staticmethod
    def hook_name(layer: int) -> str:
        """Return the hook name of a layer's activations: the residual stream after the block."""
        return f"blocks.{layer}.hook_resid_post"

    def hook_point(self, layer: int) -> Any:
        """Return the hook point of a layer, where torch hooks can be registered."""
        return self.bridge.get_hook_point(self.hook_name(layer))

    def check_layers(self, layers: Sequence[int]) -> None:
        """Raise ModelError, naming the range, for an unknown layer or an empty list."""
        if not layers:
            raise ModelError(
                f"no layer was asked for; {self.name} has layers 0 to {self.n_layers - 1}"
            )
        for layer in layers:
            if not 0 <= layer < self.n_layers:
                raise ModelError(
                    f"{self.name} has no layer {layer}: it has layers 0 to {self.n_layers - 1}"
                )

    def check_ids(self, ids: Any) -> None:
        """Raise ModelError for token ids, an array or a sequence, that have no embedding.

        They come from special tokens of the tokenizer that the model was not given.
        """
        last, rows = int(np.max(ids, initial=0)), _embedding_rows(self.bridge.original_model)
        if last >= rows:
            token = self.tokens.piece(last).decode("utf-8", "replace")
            raise ModelError(
                f"{self.name} has no embedding of the token {token!r} (id {last:,} of {rows:,}): "
                "leave it out of the text"
            )

    def encode_prompt(self, prompt: str | Sequence[Message]) -> Prompt:
        """Return the tokens of one prompt.

        prompt: a text, or chat messages, which are rendered with the opening of the reply
            (generation prompt).

        The tokens are cut to the model's context; `truncated` says whether any were.
        """
        if isinstance(prompt, str):
            ids = self.tokens.encode(prompt)
            is_template = self.tokens.bos_only(ids)
        else:
            ids, is_template = self.tokens.chat(prompt, add_generation_prompt=True)
        return Prompt(ids[: self.context], is_template[: self.context], len(ids) > self.context)


LOCK = threading.Lock()
"""Held while a model loads.

transformers then switches the whole process to tensors without weights; two overlapping loads would
leave it in that state.
"""


def load(
    name_or_path: Named,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    adapter: str | os.PathLike[str] | None = None,
    progress: Report = silent,
) -> LanguageModel:
    """Load a causal language model by Hub name, from a local directory or from a GGUF file.

    name_or_path: or what `ep.model_of` returned, which may name an adapter too.
    device: "auto" takes cuda, then mps, then cpu; or one by name, such as "cuda:1".
    dtype: "auto" takes float32 on the CPU and the checkpoint's own dtype on a GPU; or "float32",
        "bfloat16", "float16".
    revision: a Hub branch, tag or commit; ignored for local files.
    adapter: folder of a LoRA adapter in peft's format, which is merged into the weights.
    progress: called while a GGUF file is converted, which takes long.

    The weights of a GGUF file are dequantised, once, see `ep.models.gguf`.

    Models are loaded one at a time within the process. Raises ModelError with a message of one line
    for anything that is not a loadable causal language model with a tokenizer.
    """
    name_or_path, own_adapter = parts(name_or_path)
    adapter = adapter or own_adapter
    lora = read_adapter(adapter) if adapter else None
    source = find(name_or_path, revision)
    chosen_device = device_of(device)
    with LOCK:
        converted = gguf.converted(source.gguf, name_or_path, progress) if source.gguf else None
        directory = converted.directory if converted else source.directory
        check_files(directory, name_or_path)
        with short_errors(name_or_path), log_captured() as messages:
            config = _config(directory, name_or_path)
            weights = fingerprint(directory, name_or_path)
            chosen_dtype, reason = dtype_of(dtype, chosen_device, config)
            tokenizer = _tokenizer(directory)
            tensors = check_fits(lora, config, name_or_path) if lora else {}
            base = directory, chosen_device, chosen_dtype
            model = merged(lora, tensors, *base, name_or_path) if lora else None
            bridge = _bridge(*base, model)
    _check_causal(bridge, name_or_path)
    check_complete(messages, name_or_path)
    check_vocabulary(tokenizer, _embedding_rows(bridge.original_model), name_or_path)
    check_finite(bridge.original_model, name_or_path)
    unembedding = readout(bridge, name_or_path).unembedding
    bridge.eval()
    for parameter in bridge.original_model.parameters():
        parameter.requires_grad_(False)
    return LanguageModel(
        name=name_or_path,
        revision=source.revision,
        fingerprint=lora.combined(weights) if lora else weights,
        quantization=converted.quantization if converted else None,
        adapter=lora,
        width=bridge.cfg.d_model,
        n_layers=bridge.cfg.n_layers,
        context=bridge.cfg.n_ctx,
        vocabulary_size=unembedding.shape[0],
        device=chosen_device,
        dtype=chosen_dtype,
        reason=reason,
        tokenizer=tokenizer,
        tokens=Tokens(tokenizer),
        bridge=bridge,
        forward_options=_forward_options(bridge.original_model),
    )


def _config(directory: Path, name: str) -> Any:
    """Read the config; ModelError where TransformerLens does not support the architecture."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
    check_supported(config, name)
    return config


def _tokenizer(directory: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(directory, trust_remote_code=False)


def _bridge(directory: Path, device: str, dtype: str, model: Any = None) -> Any:
    """Return the bridge of a model: of the one in a directory, or of one that is loaded."""
    import torch
    from transformer_lens.model_bridge import TransformerBridge

    # The bridge changes its tokenizer (missing pad and BOS become EOS), so it gets its own copy.
    return TransformerBridge.boot_transformers(
        str(directory),
        device=device,
        dtype=getattr(torch, dtype),
        tokenizer=_tokenizer(directory),
        hf_model=model,
    )


def _check_causal(bridge: Any, name: str) -> None:
    """Raise ModelError unless the model is causal and has a stack of blocks."""
    config = bridge.original_model.config
    causal = (
        hasattr(bridge, "blocks")
        and hasattr(bridge, "unembed")
        and bridge.adapter.supports_causal_loss
        and getattr(bridge.cfg, "attention_dir", "causal") == "causal"
        and not getattr(config, "is_encoder_decoder", False)
    )
    if not causal:
        raise ModelError(
            f"{name} is a {bridge.cfg.architecture}: not a causal language model with a stack of "
            "blocks"
        )


def _embedding_rows(model: Any) -> int:
    """Return the number of tokens that a transformers model has embeddings of."""
    return int(model.get_input_embeddings().weight.shape[0])


def _forward_options(model: Any) -> dict[str, bool]:
    """Return those arguments that the architecture's forward accepts, all switched off."""
    parameters = inspect.signature(model.forward).parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    names = ("use_cache", "output_attentions")
    return {name: False for name in names if open_ended or name in parameters}
