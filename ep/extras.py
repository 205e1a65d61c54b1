"""The optional dependencies, and the advice to give when one of them is not installed.

Reading stored dictionaries needs only numpy, scipy and h5py; everything else is in an extra.
"""

from __future__ import annotations

from importlib.util import find_spec

EXTRA_OF = {
    "torch": "model",
    "transformer_lens": "model",
    "transformers": "model",
    "tokenizers": "model",
    "jinja2": "model",
    "peft": "model",
    "numba": "model",
    "sklearn": "model",
    "threadpoolctl": "model",
    "pyarrow": "model",
    "datasets": "model",
    "ray": "cluster",
    "vllm": "vllm",
    "huggingface_hub": "interop",
    "safetensors": "interop",
    "gguf": "interop",
    "streamlit": "app",
    "plotly": "app",
    "pandas": "app",
    "umap": "app",
}
"""The extra that installs a library, by the library's import name."""


def require(library: str) -> None:
    """Raise ModuleNotFoundError now if a library that will be needed later is not installed."""
    if find_spec(library) is None:
        raise ModuleNotFoundError(f"No module named {library!r}", name=library)


def advice(error: ModuleNotFoundError) -> str | None:
    """Return one line on what to install; None when no extra installs the missing module."""
    library = (error.name or "").split(".")[0]
    if (extra := EXTRA_OF.get(library)) is None:
        return None
    return f"{library} is needed here and not installed: pip install 'ep-explorer[{extra}]'"
