"""What the libraries say while they load a model, as errors of our own.

transformers reports some faults of a checkpoint only in its log, and others by errors of several
lines.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ep.errors import ModelError
from ep.extras import advice


def check_supported(config: Any, name: str) -> None:
    """Raise ModelError for a config whose architecture TransformerLens does not support.

    A config without an architecture, such as that of a GGUF file of Gemma-3, has the one with which
    transformers loads its type of model.
    """
    from transformer_lens.model_bridge.sources._hf_format import (
        determine_architecture_from_hf_config,
    )
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as LOADS

    if not getattr(config, "architectures", None) and config.model_type in LOADS:
        config.architectures = [LOADS[config.model_type]]
    try:
        determine_architecture_from_hf_config(config)
    except ValueError as error:
        architecture = ", ".join(getattr(config, "architectures", None) or ()) or getattr(
            config, "model_type", "unknown"
        )
        raise ModelError(
            f"{name} is a {architecture}: TransformerLens does not support this architecture"
        ) from error


def check_complete(messages: list[str], name: str) -> None:
    """Raise ModelError for a checkpoint that lacks weights.

    transformers fills them with random numbers and only logs a table of them.
    """
    rows = [line.split("|") for message in messages for line in message.splitlines()]
    missing = [row[0].strip() for row in rows if "MISSING" in "".join(row[1:2])]
    if missing:
        raise ModelError(
            f"{name} lacks weights that its config.json requires, such as {missing[0]}"
        )


@contextmanager
def log_captured() -> Iterator[list[str]]:
    """Collect what transformers would print while it loads (warnings) and hide its progress bars.

    The previous settings are restored afterwards. Callers show their own progress.
    """
    # its first import sets the level of the logger that is captured here
    import transformer_lens.model_bridge  # noqa: F401
    from transformers.utils import logging as hf_logging

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    messages: list[str] = []
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
        yield messages
    finally:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)
        if bars:
            hf_logging.enable_progress_bar()


@contextmanager
def short_errors(name: str) -> Iterator[None]:
    """Turn errors of the libraries into a ModelError that names the model, in one line.

    They arise from damaged files and from files of other kinds.
    """
    from safetensors import SafetensorError
    from torch._weights_only_unpickler import UnpicklingError

    try:
        yield
    except ModuleNotFoundError as error:
        if advice(error):  # an extra that is not installed is no fault of the model
            raise
        raise ModelError(f"{name} cannot be loaded: {_first_line(error)}") from error
    except UnpicklingError as error:
        raise ModelError(
            f"{name} has pickled weights that are damaged or hold more than tensors, which are not "
            "read: give the model as safetensors"
        ) from error
    except (
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        LookupError,
        AttributeError,
        TypeError,
        ImportError,
        SafetensorError,
    ) as error:
        raise ModelError(f"{name} cannot be loaded: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    """Return the first line of an error, shortened to fit one line of our own."""
    text = str(error).strip()
    if isinstance(error, KeyError):
        return f"its files lack the entry {text}"
    if "ignore_mismatched_sizes" in text:
        return "its weights do not have the shapes that its config.json states"
    return text.splitlines()[0].split(". ")[0][:200] if text else type(error).__name__
