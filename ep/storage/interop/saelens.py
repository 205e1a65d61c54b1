"""Writes a dictionary as a SAELens folder, which `SAE.load_from_disk` loads.

The folder has `cfg.json` and `sae_weights.safetensors`. The regions become an exact top-k
autoencoder with W_enc = Bᵀ, W_dec = B, b_enc = 0 and b_dec = c, where B (K, d) are the basis
directions and the centre c is subtracted from the input. With k = 1 the active latent is the region
with the nearest basis direction b, and its value is ReLU(u·b) with u = x − c (protocol 3.2,
read-out "topk"). An activation whose distance to every direction is above 1 has no active latent,
while `Dictionary.assign` still returns its nearest region.

In a metric that stretches the space by A, u is A(x − c). This is expressed exactly by
W_enc = (BA)ᵀ and W_dec = BA⁻ᵀ, whose rows do not have length 1.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import ConfigError
from ep.method.dictionary import Basis, Dictionary
from ep.storage.interop.folder import whole_folder

WEIGHTS, CONFIG = "sae_weights.safetensors", "cfg.json"


def write(
    dictionary: Dictionary, folder: str | os.PathLike[str], basis: Basis = "exemplar", k: int = 1
) -> Path:
    """Write the folder in one step and return its path.

    folder: its path; it must not exist or be empty.
    basis: "exemplar", whose nearest direction defines membership, or "mean".
    k: number of active latents, 1 to K.

    Raises ConfigError for another k and for a metric without a cosine, KeyError for another basis,
    and StorageError when the folder cannot be written or is not empty.
    """
    from safetensors.numpy import save

    if not 1 <= k <= len(dictionary):
        raise ConfigError(
            f"k = {k} was given: expected 1 to {len(dictionary)}, the number of regions"
        )
    if dictionary.law.extra:
        raise ConfigError(
            "the metric is euclidean: a SAELens folder compares directions, by a cosine; build "
            "with another --metric to export one"
        )
    rows = np.ascontiguousarray(dictionary.basis(basis), np.float32)
    metric = dictionary.metric
    weights = {
        "W_enc": np.ascontiguousarray(metric.readers(rows).T, np.float32),
        "W_dec": np.ascontiguousarray(metric.displaced(rows), np.float32),
        "b_enc": np.zeros(len(rows), np.float32),
        "b_dec": np.ascontiguousarray(dictionary.center, np.float32),
    }
    with whole_folder(Path(folder)) as temporary:
        # save_file would hide the system's error number
        (temporary / WEIGHTS).write_bytes(save(weights))
        (temporary / CONFIG).write_text(json.dumps(config(dictionary, basis, k), indent=1))
    return Path(folder)


def config(dictionary: Dictionary, basis: Basis, k: int) -> dict[str, Any]:
    """Return the configuration that SAELens reads, with provenance in its entry `metadata`."""
    info = dictionary.info
    return {
        "architecture": "topk",
        "k": k,
        "d_in": dictionary.width,
        "d_sae": len(dictionary),
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        # Where the decoder's rows have length 1, this changes nothing, and folding is allowed.
        "rescale_acts_by_decoder_norm": dictionary.metric.is_plain,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "model_name": info.get("model_name"),
            "hook_name": info.get("hook"),
            "hook_head_index": None,
            "prepend_bos": True,
            "context_size": info.get("context"),
            "ep_basis": basis,
            "ep_percentile": info.get("percentile"),
            "ep_threshold": dictionary.threshold,
            "ep_metric": dictionary.metric.name,
            "ep_activations": info.get("n_activations"),
            "ep_title": info.get("title"),
        },
    }
