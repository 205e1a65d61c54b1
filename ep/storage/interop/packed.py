"""The formats of other tools as bytes for a download; a folder becomes a zip archive."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

from ep.method.dictionary import Dictionary
from ep.storage.interop import gguf, neuronpedia, saelens
from ep.storage.output import temporary_folder


def control_vector(dictionary: Dictionary, region: int) -> bytes:
    """Return one region's direction as a GGUF control vector; errors as `gguf.write`."""
    with temporary_folder() as folder:
        return gguf.write(dictionary, region, folder / "direction.gguf").read_bytes()


def vector(dictionary: Dictionary, region: int, label: str = "") -> bytes:
    """Return one region's direction as JSON, Neuronpedia's request for a new vector."""
    request = neuronpedia.vector(dictionary, region, model_id(dictionary), label)
    return json.dumps(request, indent=1).encode()


def features(dictionary: Dictionary, labels: Mapping[int, str] | None = None) -> bytes:
    """Return all regions with excerpts as JSON, a list of Neuronpedia's upload requests."""
    batches = neuronpedia.features(
        dictionary, range(len(dictionary)), model_id(dictionary), source(dictionary), labels
    )
    return json.dumps(list(batches)).encode()


def autoencoder(dictionary: Dictionary) -> bytes:
    """Return the dictionary as a zip archive of a SAELens folder.

    It is not compressed, since vectors of floats hardly get smaller.
    """
    packed = io.BytesIO()
    with (
        temporary_folder() as parent,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive,
    ):
        folder = saelens.write(dictionary, parent / "sae")
        for path in sorted(folder.iterdir()):
            archive.write(path, f"sae/{path.name}")
    return packed.getvalue()


def model_id(dictionary: Dictionary) -> str:
    """Return the model's short name, which Neuronpedia uses: gemma-2-2b for google/gemma-2-2b."""
    return str(dictionary.info.get("model_name") or "model").rsplit("/", 1)[-1].lower()


def source(dictionary: Dictionary) -> str:
    """Return a name for the dictionary as a source of features, such as "12-ep-p2"."""
    percentile = dictionary.info.get("percentile")
    tail = "" if percentile is None else f"-p{percentile:g}"
    return f"{dictionary.info.get('layer', 0)}-ep{tail}"
