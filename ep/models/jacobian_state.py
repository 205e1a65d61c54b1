"""The state of an unfinished fit of a Jacobian lens: the sums of J, and what they belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import ConfigError
from ep.models.jacobian_store import write_tensors

VERSION = 1
_DECIDING = ("weights", "digest", "seed", "skip", "tokens", "dtype")
"""The entries of the settings that decide the numbers."""
_ENTRY = "ep"


class FitState:
    """The sums of J over the prompts so far.

    path: the file that keeps them, or None.
    layers, width: of the matrices.
    settings: JSON values; a stored state of others is refused, with the names of those that differ.
    """

    def __init__(
        self, path: Path | None, layers: Sequence[int], width: int, settings: Mapping[str, Any]
    ) -> None:
        self.path = path
        self.settings = {name: settings[name] for name in _DECIDING} | {"layers": list(layers)}
        self.done = 0
        self.sums = {layer: np.zeros((width, width)) for layer in layers}
        self._saved = 0

    def add(self, jacobian: Mapping[int, np.ndarray]) -> None:
        """Add the J of one prompt, by layer."""
        for layer, matrix in jacobian.items():
            self.sums[layer] += matrix
        self.done += 1

    def save(self) -> None:
        """Write the sums in one rename, if there are others than those in the file.

        Raises StorageError where they cannot be written.
        """
        if self.path is None or self.done == self._saved:
            return
        about = {"version": VERSION, "done": self.done, "settings": self.settings}
        tensors = {str(layer): total for layer, total in self.sums.items()}
        write_tensors(self.path, tensors, {_ENTRY: json.dumps(about)}, "the state of the fit")
        self._saved = self.done

    def restore(self) -> None:
        """Take over the stored sums.

        Raises ConfigError where there are none, they are damaged, of another version, or belong to
        other settings.
        """
        from safetensors import SafetensorError, safe_open

        if self.path is None or not self.path.is_file():
            raise ConfigError(f"there is no unfinished fit in {self.path}: run without --resume")
        try:
            with safe_open(self.path, framework="numpy") as file:
                about = json.loads((file.metadata() or {})[_ENTRY])
                self._check(about)
                for layer, total in self.sums.items():
                    total[...] = file.get_tensor(str(layer))
                self.done = self._saved = int(about["done"])
        except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
            raise ConfigError(
                f"the unfinished fit in {self.path} is damaged: remove it and run without --resume"
            ) from error

    def _check(self, about: Mapping[str, Any]) -> None:
        if about["version"] != VERSION:
            raise ConfigError(
                f"the unfinished fit in {self.path} was stored by another version of this program: "
                "remove it and run without --resume"
            )
        stored = about["settings"]
        differing = sorted(
            name
            for name in stored.keys() | self.settings.keys()
            if stored.get(name) != self.settings.get(name)
        )
        if differing:
            raise ConfigError(
                f"the unfinished fit in {self.path} was started with other values of "
                f"{', '.join(differing)}: use the same, or remove it and run without --resume"
            )
