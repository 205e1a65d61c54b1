"""The real model of the demo, as transformers loads it for sampling and tuning."""

from __future__ import annotations

from typing import Any

from ep.models import gguf, packaged

NAME = "SmolLM2-135M-Instruct"
"""Its name among the packaged models."""


def load(dtype: str = "bfloat16") -> tuple[Any, Any]:
    """Return the model, frozen, and its tokenizer.

    dtype: of torch. bfloat16 is several times as fast as float32 on a CPU with instructions for it,
    and slower on others. Raises ModelError where the package is not installed.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = gguf.converted(packaged.located(NAME), NAME).directory
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(folder)
