"""One copy of the model in a process of the cluster, and what proves that it is the same model.

Activations travel in the precision of the model: 16 bits a number for a model that computes in 16
bits, without loss.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ep.config import BuildConfig, is_model_path
from ep.models import LanguageModel, load
from ep.models.extraction import Part, Residuals, Runner
from ep.models.probing import digest, probed
from ep.models.runners import longest_passage, runner_of
from ep.settings import ExtractorName
from ep.storage.activations import decoded, encoded, kind_of

Packed = dict[int, tuple[int, np.ndarray]]
"""The residuals of a part by layer: their encoding, and the numbers (n, d) in it."""


@dataclass(frozen=True)
class Setup:
    """Which model a worker loads, and how.

    layers: those that the build reads. extractor: what runs them. longest: tokens of a passage.
    """

    model: str
    device: str
    dtype: str
    revision: str | None
    adapter: str | None
    layers: tuple[int, ...]
    extractor: ExtractorName
    longest: int

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
            config.extractor,
            longest_passage(config, model),
        )


class Worker:
    """A copy of the model; Ray runs it in a process of its own."""

    def __init__(self) -> None:
        self._model: LanguageModel | None = None
        self._runner: Runner | None = None

    def machine(self) -> str:
        """Return the name of the machine that it is on."""
        return socket.gethostname()

    def load(self, setup: Setup) -> dict[str, str]:
        """Load the model and return its `facts`; errors as `ep.load` and those of the runner."""
        model = load(setup.model, setup.device, setup.dtype, setup.revision, setup.adapter)
        self._model = model
        self._runner = runner_of(setup.extractor, model, setup.layers, setup.longest)
        return facts(model, setup.layers, self._runner)

    def run(self, part: Part) -> Packed:
        """Run a part through the model."""
        assert self._model is not None and self._runner is not None
        return packed(self._runner.run(part), self._model.dtype)


def facts(model: LanguageModel, layers: Sequence[int], runner: Runner) -> dict[str, str]:
    """Return what must be equal in all copies of a model, in words that a message can use.

    Another device, number of bits or version of a library rounds otherwise, which the activations
    of one text show.
    """
    from ep import __version__

    return {
        "version of ep": __version__,
        "weights": model.fingerprint,
        "dtype": model.dtype,
        "device": model.device.split(":")[0],
        "activations of one text": digest(probed(model, layers, runner.run)),
    }


def difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """Return the first fact in which two copies differ, with both values; empty if they agree."""
    for name, value in ours.items():
        if theirs.get(name) != value:
            return f"{name} {theirs.get(name, 'unknown')[:12]} instead of {value[:12]}"
    return ""


def packed(values: Residuals, dtype: str) -> Packed:
    """Return residuals in the fewest bits that keep them; dtype: that of the model."""
    kinds = {layer: kind_of(x, dtype) for layer, x in values.items()}
    return {layer: (kinds[layer], encoded(x, kinds[layer])) for layer, x in values.items()}


def unpacked(values: Packed) -> Residuals:
    """Return what `packed` was given, bit for bit."""
    return {layer: decoded(data, kind) for layer, (kind, data) in values.items()}
