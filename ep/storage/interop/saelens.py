"""A dictionary as a SAELens folder (`cfg.json`, `sae_weights.safetensors`), loaded by
`SAE.load_from_disk`.

The regions become a top-k autoencoder that is exact: W_enc = Bᵀ, W_dec = B, b_enc = 0, b_dec = c,
the centre taken off the input. Its one active latent is the region of the nearest basis direction,
its value ReLU(u·b) with u = x − c (protocol 3.2, read-out "topk"). An activation on the far side of
every direction (all distances above 1) has no active latent, while `Dictionary.assign` still names
the nearest region.
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
    """Writes the folder, whole or not at all; returns it.

    basis: "exemplar" (the membership regions) or "mean". k: latents active at once, 1 to K.
    ConfigError for another k, KeyError for another basis, StorageError when it cannot be written or
    holds files.
    """
    from safetensors.numpy import save_file

    if not 1 <= k <= len(dictionary):
        raise ConfigError(
            f"k = {k} was asked for: expected 1 to {len(dictionary)}, the number of regions"
        )
    rows = np.ascontiguousarray(dictionary.basis(basis), np.float32)
    weights = {
        "W_enc": np.ascontiguousarray(rows.T),
        "W_dec": rows,
        "b_enc": np.zeros(len(rows), np.float32),
        "b_dec": np.ascontiguousarray(dictionary.center, np.float32),
    }
    with whole_folder(Path(folder)) as place:
        save_file(weights, place / WEIGHTS)
        (place / CONFIG).write_text(json.dumps(config(dictionary, basis, k), indent=1))
    return Path(folder)


def config(dictionary: Dictionary, basis: Basis, k: int) -> dict[str, Any]:
    """What SAELens reads beside the weights; our provenance rides along in its free `metadata`."""
    info = dictionary.info
    return {
        "architecture": "topk",
        "k": k,
        "d_in": dictionary.width,
        "d_sae": len(dictionary),
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        # the rows are unit rows: nothing changes, and folding is allowed
        "rescale_acts_by_decoder_norm": True,
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
            "ep_activations": info.get("n_activations"),
            "ep_title": info.get("title"),
        },
    }
