"""One copy of the model in a process of the cluster, and what proves that it is the same model.

Activations travel in the precision of the model: 16 bits a number for a model that computes in 16
bits, without loss.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ep.config import BuildConfig, is_model_path
from ep.models import LanguageModel, load
from ep.models.extraction import Part, Residuals, residuals
from ep.storage.activations import decoded, encoded, kind_of

PROBE = "The quick brown fox jumps over the lazy dog; 12 + 30 = 42. " * 8
"""The text on which all copies of a model must agree in every bit."""

Packed = dict[int, tuple[int, np.ndarray]]
"""The residuals of a part by layer: their encoding, and the numbers (n, d) in it."""


@dataclass(frozen=True)
class Setup:
    """Which model a worker loads, and how. layers: those that the build reads."""

    model: str
    device: str
    dtype: str
    revision: str | None
    adapter: str | None
    layers: tuple[int, ...]

    @classmethod
    def of(cls, config: BuildConfig, model: LanguageModel) -> Setup:
        """Return the setup that makes copies of the model of a build."""
        path = Path(config.model)
        return cls(
            str(path.resolve()) if is_model_path(path) else config.model,
            model.device.split(":")[0],
            model.dtype,
            model.revision,
            str(Path(config.adapter).expanduser().resolve()) if config.adapter else None,
            tuple(config.layers),
        )


class Worker:
    """A copy of the model; Ray runs it in a process of its own."""

    def __init__(self) -> None:
        self._model: LanguageModel | None = None

    def machine(self) -> str:
        """Return the name of the machine that it is on."""
        return socket.gethostname()

    def load(self, setup: Setup) -> dict[str, str]:
        """Load the model and return its `facts`; errors as `ep.load`."""
        self._model = load(setup.model, setup.device, setup.dtype, setup.revision, setup.adapter)
        return facts(self._model, setup.layers)

    def run(self, part: Part) -> Packed:
        """Run a part through the model."""
        assert self._model is not None
        return packed(residuals(self._model, part), self._model.dtype)


def facts(model: LanguageModel, layers: Sequence[int]) -> dict[str, str]:
    """Return what must be equal in all copies of a model, in words that a message can use."""
    from ep import __version__

    return {
        "version of ep": __version__,
        "weights": model.fingerprint,
        "dtype": model.dtype,
        "device": model.device.split(":")[0],
        "activations of one text": _probed(model, layers),
    }


def difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """Return the first fact in which two copies differ, with both values; empty if they agree."""
    for name, value in ours.items():
        if theirs.get(name) != value:
            return f"{name} {theirs.get(name, 'unknown')[:12]} instead of {value[:12]}"
    return ""


def _probed(model: LanguageModel, layers: Sequence[int]) -> str:
    """Return a digest of the activations of `PROBE`.

    Another device, number of bits or version of a library rounds otherwise, which it shows.
    """
    ids = np.asarray(model.encode_prompt(PROBE).ids[:64], dtype=np.int64)[None]
    everywhere = np.ones(ids.shape, dtype=bool)
    part = Part(np.zeros(1, np.int64), ids, everywhere, everywhere, tuple(layers))
    sha = hashlib.sha256()
    for layer, x in sorted(residuals(model, part).items()):
        sha.update(str(layer).encode() + x.tobytes())
    return sha.hexdigest()


def packed(values: Residuals, dtype: str) -> Packed:
    """Return residuals in the fewest bits that keep them; dtype: that of the model."""
    kinds = {layer: kind_of(x, dtype) for layer, x in values.items()}
    return {layer: (kinds[layer], encoded(x, kinds[layer])) for layer, x in values.items()}


def unpacked(values: Packed) -> Residuals:
    """Return what `packed` was given, bit for bit."""
    return {layer: decoded(data, kind) for layer, (kind, data) in values.items()}
