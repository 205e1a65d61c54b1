"""Writes one region's direction as a GGUF control vector, for llama.cpp and compatible tools.

llama.cpp adds `direction.L`, times the scale given on its command line, to the output of block L
(counted from 0) at every position. That is the hook point of dictionaries of layer L, so the vector
is not converted. llama.cpp supports no control vector for block 0.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ep.errors import ConfigError
from ep.leftovers import unfinished
from ep.method.dictionary import Basis, Dictionary
from ep.storage.output import discard, writing

ARCHITECTURE = "controlvector"


def write(
    dictionary: Dictionary,
    region: int,
    path: str | os.PathLike[str],
    basis: Basis = "exemplar",
    strength: float = 1.0,
    model_hint: str | None = None,
) -> Path:
    """Write α·r·v for one region's unit direction v, and return the path.

    basis: which direction of the region, "exemplar" or "mean".
    strength: α in units of the layer's typical norm r; scale 1 in llama.cpp is a step of this size.
    model_hint: the architecture's name in llama.cpp, such as "gemma2".

    Raises ConfigError at layer 0 and for a strength that is not finite, UnknownRegion for an
    unknown region, and StorageError when the file cannot be written.
    """
    from gguf import GGUFWriter

    k, layer = dictionary.check(region), int(dictionary.info.get("layer") or 0)
    if layer < 1:
        raise ConfigError(
            "control vectors start at block 1 and this dictionary is of layer 0: choose another one"
        )
    if not np.isfinite(strength):
        raise ConfigError(f"strength is {strength}: expected a finite number")
    direction = (
        strength * dictionary.typical_norm * dictionary.raw_basis(basis, [k])[0].astype(np.float64)
    )
    target = Path(path)
    partial = unfinished(target)
    with writing(target):
        try:
            writer = GGUFWriter(str(partial), ARCHITECTURE)
            writer.add_string(
                f"{ARCHITECTURE}.model_hint",
                model_hint or str(dictionary.info.get("model_name") or ""),
            )
            writer.add_uint32(f"{ARCHITECTURE}.layer_count", 1)
            writer.add_string("ep.title", str(dictionary.info.get("title") or ""))
            writer.add_string("ep.basis", basis)
            writer.add_uint32("ep.region", k)
            writer.add_float32("ep.strength", strength)
            writer.add_float32("ep.typical_norm", dictionary.typical_norm)
            writer.add_tensor(f"direction.{layer}", direction.astype(np.float32))
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            partial.replace(target)
        finally:
            discard(partial)
    return target
