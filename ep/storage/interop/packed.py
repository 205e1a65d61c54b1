"""The other tools' formats as bytes, for a browser to save: what is a folder becomes one zip
archive.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from ep.method.dictionary import Dictionary
from ep.storage.interop import gguf, neuronpedia, saelens


def control_vector(dictionary: Dictionary, region: int) -> bytes:
    """One region's direction as a GGUF control vector; errors as `gguf.write`."""
    with tempfile.TemporaryDirectory() as folder:
        return gguf.write(dictionary, region, Path(folder) / "direction.gguf").read_bytes()


def vector(dictionary: Dictionary, region: int, label: str = "") -> bytes:
    """One region's direction as Neuronpedia's request for a new vector, JSON."""
    request = neuronpedia.vector(dictionary, region, model_id(dictionary), label)
    return json.dumps(request, indent=1).encode()


def features(dictionary: Dictionary, labels: Mapping[int, str] | None = None) -> bytes:
    """All regions with excerpts as Neuronpedia's upload requests, a JSON list of batches."""
    batches = neuronpedia.features(
        dictionary, range(len(dictionary)), model_id(dictionary), source(dictionary), labels
    )
    return json.dumps(list(batches)).encode()


def autoencoder(dictionary: Dictionary) -> bytes:
    """The dictionary as a SAELens folder, zipped without compression (float noise does not
    shrink).
    """
    packed = io.BytesIO()
    with (
        tempfile.TemporaryDirectory() as parent,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive,
    ):
        folder = saelens.write(dictionary, Path(parent) / "sae")
        for path in sorted(folder.iterdir()):
            archive.write(path, f"sae/{path.name}")
    return packed.getvalue()


def model_id(dictionary: Dictionary) -> str:
    """The model's short name, as Neuronpedia calls models: "gemma-2-2b" for google/gemma-2-2b."""
    return str(dictionary.info.get("model_name") or "model").rsplit("/", 1)[-1].lower()


def source(dictionary: Dictionary) -> str:
    """A name for the dictionary among a model's sources: "12-ep-p2"."""
    percentile = dictionary.info.get("percentile")
    tail = "" if percentile is None else f"-p{percentile:g}"
    return f"{dictionary.info.get('layer', 0)}-ep{tail}"
