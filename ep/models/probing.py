"""What two copies of a model give for one text: whether they are the same, in every bit or nearly.

The bridge is the measure. Another way to run a model that gives the same bits decides nothing of a
dictionary; one that rounds otherwise does; one that gives other numbers is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from ep.errors import ModelError
from ep.models.extraction import Part, Residuals, residuals
from ep.models.loading import LanguageModel

PROBE = "The quick brown fox jumps over the lazy dog; 12 + 30 = 42. " * 8
"""The text on which all copies of a model are compared."""
LENGTHS = (64, 41)
"""Tokens of its two passages: the shorter one is padded, as most passages of a part are."""
ROUNDING = {"float32": 1e-3, "float16": 3e-2, "bfloat16": 0.1}
"""The largest difference of activations, as a share of their length, that counts as rounding.

It is that of the median token. Measured on SmolLM2-135M: bfloat16 differs from float32 by at most
1.9 %, and consecutive layers, of which one might be taken for another, by at least 24 %.
"""

Run = Callable[[Part], Residuals]


def probed(model: LanguageModel, layers: Sequence[int], run: Run | None = None) -> Residuals:
    """Return the activations of `PROBE` at some layers; run: what runs it, by default the bridge.

    A model without so long a context, or so many tokens of the text, reads what there is.
    """
    ids = np.asarray(model.encode_prompt(PROBE).ids[: LENGTHS[0]], dtype=np.int64)
    rows = np.stack([ids, ids])
    is_real = np.arange(len(ids)) < np.minimum(LENGTHS, len(ids))[:, None]
    rows[~is_real] = 0
    part = Part(np.arange(2), rows, is_real, is_real, tuple(layers))
    return run(part) if run is not None else residuals(model, part)


def digest(values: Residuals) -> str:
    """Return a digest of activations, in which one bit shows."""
    sha = hashlib.sha256()
    for layer, x in sorted(values.items()):
        sha.update(str(layer).encode() + x.tobytes())
    return sha.hexdigest()


def rounds_otherwise(model: LanguageModel, layers: Sequence[int], run: Run, name: str) -> bool:
    """Return whether another way to run a model differs from its bridge in the last bits.

    name: of the way, for messages. Raises ModelError where it differs by more than rounding.
    """
    own, other = probed(model, layers), probed(model, layers, run)
    if digest(own) == digest(other):
        return False
    for layer in layers:
        apart = np.linalg.norm(other[layer] - own[layer], axis=1)
        share = float(np.median(apart / np.maximum(np.linalg.norm(own[layer], axis=1), 1e-12)))
        if not share <= ROUNDING.get(model.dtype, 1e-3):  # NaN too
            raise ModelError(
                f"the activations of {model.title} through {name} are not those of its bridge: at "
                f"layer {layer} they differ by {100 * share:.2g} % of their length, which is more "
                f"than rounding in {model.dtype}; give --extractor bridge"
            )
    return True
