"""Loads a causal language model through TransformerLens and says what was chosen and why.

Knows devices, dtypes, and what makes a checkpoint usable here: causal, supported by
`TransformerBridge`, with a tokenizer. Does not know texts (tokens.py), activations (activations.py)
or the lens (lens.py).

The weights stay as they are in the checkpoint: no folding, no centring, so that residuals equal
those of plain transformers and the lens reads the real final norm and unembedding (protocol 1.6,
5.1).
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ep.errors import ModelError
from ep.models.chat import Message
from ep.models.source import ModelSource, find
from ep.models.tokens import Prompt, Tokens
from ep.models.turns import Turns

_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A frozen causal language model: read, never trained, one forward pass at a time."""

    name: str
    """As given: a Hub name or a directory."""
    revision: str | None
    """The Hub commit of the files; None for a local directory."""
    width: int
    """d, the width of the residual stream."""
    n_layers: int
    """Number of blocks; layers are 0 to n_layers - 1."""
    context: int
    """The most tokens one passage may have, BOS included."""
    vocabulary_size: int
    """Rows of the unembedding; may exceed the tokenizer's own vocabulary."""
    device: str
    dtype: str
    reason: str
    """One short sentence: which device and dtype were chosen, and why."""
    tokenizer: Any = field(repr=False)
    """The tokenizer as its files say, untouched by TransformerLens (which invents missing BOS and
    pad tokens).
    """
    tokens: Tokens = field(repr=False)
    bridge: Any = field(repr=False)
    """The `TransformerBridge`.

    Take `lock` around every forward and generate: it is not thread-safe.
    """
    forward_options: dict[str, bool] = field(repr=False)
    """Arguments that spare a forward pass what nobody reads (a key-value cache, attention maps)."""
    lock: Any = field(default_factory=threading.RLock, repr=False)
    turns: Turns = field(default_factory=Turns, repr=False)
    """The queue of those who want whole runs."""

    @property
    def digest(self) -> str:
        """Hash of the tokenizer: equal ids mean equal tokens only where digests are equal."""
        return self.tokens.digest

    @staticmethod
    def hook_name(layer: int) -> str:
        """The name under which a layer's activations are recorded: the residual stream after block
        `layer`.
        """
        return f"blocks.{layer}.hook_resid_post"

    def hook_point(self, layer: int) -> Any:
        """The hook point of `layer`, where torch hooks can be registered."""
        return self.bridge.get_hook_point(self.hook_name(layer))

    def check_layers(self, layers: Sequence[int]) -> None:
        """Raise ModelError, with the range, unless every layer exists and at least one is asked
        for.
        """
        if not layers:
            raise ModelError(
                f"no layer was asked for; {self.name} has layers 0 to {self.n_layers - 1}"
            )
        for layer in layers:
            if not 0 <= layer < self.n_layers:
                raise ModelError(
                    f"{self.name} has no layer {layer}: it has layers 0 to {self.n_layers - 1}"
                )

    def encode_prompt(self, prompt: str | Sequence[Message]) -> Prompt:
        """Tokens of one prompt: a text, or chat messages rendered with the reply's opening
        (generation prompt).

        Cut to the model's context, with `truncated` set where that happened.
        """
        if isinstance(prompt, str):
            ids = self.tokens.encode(prompt)
            is_template = self.tokens.bos_only(ids)
        else:
            ids, is_template = self.tokens.chat(prompt, add_generation_prompt=True)
        return Prompt(ids[: self.context], is_template[: self.context], len(ids) > self.context)


_one_at_a_time = threading.Lock()
"""transformers switches the whole process to weightless tensors while it loads: two loads that
cross leave it there.
"""


def load(
    name_or_path: str, device: str = "auto", dtype: str = "auto", revision: str | None = None
) -> LanguageModel:
    """Load a causal language model by Hub name or from a local directory.

    device    "auto" takes cuda, then mps, then cpu; or name one ("cuda:1").
    dtype     "auto" takes float32 on the CPU and the checkpoint's own on a GPU; or "float32",
              "bfloat16", "float16".
    revision  a Hub branch, tag or commit; ignored for a directory.

    One model is loaded at a time, whoever asks. Raises ModelError, in one line, for anything that
    is not a loadable causal language model with a tokenizer.
    """
    source = find(name_or_path, revision)
    chosen_device = _device(device)
    with _one_at_a_time, _one_line(name_or_path), _reports() as reports:
        config = _config(source, name_or_path)
        chosen_dtype, reason = _dtype(dtype, chosen_device, config)
        tokenizer = _tokenizer(source)
        bridge = _bridge(source, chosen_device, chosen_dtype)
    _check_causal(bridge, name_or_path)
    _check_complete(reports, name_or_path)
    bridge.eval()
    for parameter in bridge.original_model.parameters():
        parameter.requires_grad_(False)
    return LanguageModel(
        name=name_or_path,
        revision=source.revision,
        width=bridge.cfg.d_model,
        n_layers=bridge.cfg.n_layers,
        context=bridge.cfg.n_ctx,
        vocabulary_size=bridge.unembed.original_component.weight.shape[0],
        device=chosen_device,
        dtype=chosen_dtype,
        reason=reason,
        tokenizer=tokenizer,
        tokens=Tokens(tokenizer),
        bridge=bridge,
        forward_options=_forward_options(bridge.original_model),
    )


def _device(asked: str) -> str:
    import torch

    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if asked == "auto":
        return next(kind for kind, present in available.items() if present)
    kind, _, index = asked.partition(":")
    if kind not in available or (index and not index.isdigit()):
        raise ModelError(f"device {asked!r} is unknown; expected auto, cuda, cuda:N, mps or cpu")
    if not available[kind] or (
        kind == "cuda" and index and int(index) >= torch.cuda.device_count()
    ):
        raise ModelError(f"device {asked!r} is not available to this torch; use auto or cpu")
    return asked


def _dtype(asked: str, device: str, config: Any) -> tuple[str, str]:
    """The dtype to compute in, and a sentence that says why."""
    import torch

    if asked != "auto":
        if asked not in _DTYPES:
            raise ModelError(f"dtype {asked!r} is unknown; expected auto, {', '.join(_DTYPES)}")
        return asked, f"{asked} on {device}, as asked."
    if device == "cpu":
        return "float32", "float32 on cpu: exact, and half precision is slower there."
    stored = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
    if stored not in _DTYPES:
        return (
            "float32",
            f"float32 on {device}: the checkpoint's {stored} is not one we compute in.",
        )
    if stored == "bfloat16" and device.startswith("cuda") and not torch.cuda.is_bf16_supported():
        return "float32", f"float32 on {device}: the checkpoint is bfloat16, which this GPU lacks."
    return stored, f"{stored} on {device}: the checkpoint's own."


def _config(source: ModelSource, name: str) -> Any:
    from transformer_lens.model_bridge.sources._hf_format import (
        determine_architecture_from_hf_config,
    )
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(source.directory, trust_remote_code=False)
    try:
        determine_architecture_from_hf_config(config)
    except ValueError as error:
        built = ", ".join(getattr(config, "architectures", None) or ()) or getattr(
            config, "model_type", "unknown"
        )
        raise ModelError(
            f"{name} is a {built}: TransformerLens does not support this architecture"
        ) from error
    return config


def _tokenizer(source: ModelSource) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(source.directory, trust_remote_code=False)


def _bridge(source: ModelSource, device: str, dtype: str) -> Any:
    import torch
    from transformer_lens.model_bridge import TransformerBridge

    # The bridge edits its tokenizer (pad and BOS become EOS where they are missing), so it gets one
    # of its own.
    return TransformerBridge.boot_transformers(
        str(source.directory),
        device=device,
        dtype=getattr(torch, dtype),
        tokenizer=_tokenizer(source),
    )


def _check_causal(bridge: Any, name: str) -> None:
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


def _forward_options(model: Any) -> dict[str, bool]:
    """Which of the sparing arguments this architecture's forward accepts."""
    parameters = inspect.signature(model.forward).parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    wanted = ("use_cache", "output_attentions")
    return {name: False for name in wanted if open_ended or name in parameters}


def _check_complete(reports: list[str], name: str) -> None:
    """Refuse a checkpoint that lacks weights: transformers fills them with random numbers and only
    logs it.
    """
    rows = [line.split("|") for report in reports for line in report.splitlines()]
    missing = [row[0].strip() for row in rows if "MISSING" in "".join(row[1:2])]
    if missing:
        raise ModelError(
            f"{name} lacks weights that its config.json asks for, such as {missing[0]}"
        )


@contextmanager
def _reports() -> Iterator[list[str]]:
    """Collect what transformers would print while it loads (bars, warnings); the caller shows its
    own progress.
    """
    import transformer_lens.model_bridge  # noqa: F401  its first import sets the level of the logger we listen to
    from transformers.utils import logging as hf_logging

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reports.append(record.getMessage())

    reports: list[str] = []
    collect, logger = Collect(), logging.getLogger("transformers")
    bars, level, propagate, handlers = (
        hf_logging.is_progress_bar_enabled(),
        logger.level,
        logger.propagate,
        logger.handlers[:],
    )
    hf_logging.disable_progress_bar()
    logger.handlers[:], logger.propagate = [collect], False
    logger.setLevel(logging.WARNING)
    try:
        yield reports
    finally:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)
        if bars:
            hf_logging.enable_progress_bar()


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Turn what the libraries raise for damaged or foreign files into one line that names the
    model.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (
        OSError,
        ValueError,
        RuntimeError,
        KeyError,
        TypeError,
        ImportError,
        SafetensorError,
    ) as error:
        raise ModelError(f"{name} cannot be loaded: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    """The first line of an error, short enough for one line of ours."""
    text = str(error).strip()
    if isinstance(error, KeyError):
        return f"its files lack the entry {text}"
    if "ignore_mismatched_sizes" in text:
        return "its weights do not have the shapes that its config.json says"
    return text.splitlines()[0].split(". ")[0][:200] if text else type(error).__name__
