"""The device and dtype that a model runs in, with a reason for people to read."""

from __future__ import annotations

from typing import Any, get_args

from ep.config import Dtype
from ep.errors import ModelError


def device_of(requested: str) -> str:
    """Return the device to use; ModelError for one that is unknown or not available."""
    import torch

    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if requested == "auto":
        return next(kind for kind, present in available.items() if present)
    kind, _, index = requested.partition(":")
    if kind not in available or (index and not index.isdigit()):
        raise ModelError(
            f"device {requested!r} is unknown; expected auto, cuda, cuda:N, mps or cpu"
        )
    if not available[kind] or (
        kind == "cuda" and index and int(index) >= torch.cuda.device_count()
    ):
        raise ModelError(f"device {requested!r} is not available to this torch; use auto or cpu")
    return requested


def dtype_of(requested: str, device: str, config: Any) -> tuple[str, str]:
    """Return the dtype to compute in, and a sentence that says why.

    requested: "auto" or a dtype, ModelError for others. device: as `device_of` returned it.
    config: the transformers config of the checkpoint.
    """
    import torch

    if requested != "auto":
        if requested not in get_args(Dtype):
            raise ModelError(
                f"dtype {requested!r} is unknown; expected {', '.join(get_args(Dtype))}"
            )
        return requested, f"{requested} on {device}, as requested."
    if device == "cpu":
        return "float32", "float32 on cpu: exact, and half precision is slower there."
    stored = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
    if stored not in get_args(Dtype):
        return (
            "float32",
            f"float32 on {device}: the checkpoint's {stored} is not supported.",
        )
    if stored == "bfloat16" and device.startswith("cuda") and not torch.cuda.is_bf16_supported():
        return "float32", f"float32 on {device}: the checkpoint is bfloat16, which this GPU lacks."
    return stored, f"{stored} on {device}: the checkpoint's own."
