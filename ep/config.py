"""The settings of a build, as one frozen dataclass that is checked when it is made.

The options of `ep build` and the provenance inside a file are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ep.errors import ConfigError
from ep.settings import (
    CONTEXT,
    METRICS,
    PERCENTILES,
    RIVAL_BUDGET,
    CalibrationProtocol,
    Dtype,
    ExtractorName,
    MetricName,
    Settings,
    TokenPositions,
)
from ep.settings_checks import check, size_of

__all__ = [
    "CONTEXT",
    "GGUF",
    "LATER",
    "METRICS",
    "PERCENTILES",
    "RIVAL_BUDGET",
    "BuildConfig",
    "CalibrationProtocol",
    "Dtype",
    "ExtractorName",
    "MetricName",
    "TokenPositions",
    "is_model_path",
    "model_name",
    "size_of",
]

LATER: Mapping[str, Any] = {
    "skip_first": 0,
    "norm_cap": None,
    "adapter": None,
    "metric": "centred",
    "text_weights": None,
    "deduplicate": False,
}
"""Settings that earlier versions did not have, with the value at which they change nothing.

At that value they do not enter what decides a build, so that earlier files stay in its family.
"""

GGUF = ".gguf"
"""The extension of a file that holds a whole model, as llama.cpp reads it."""


def is_model_path(model: str | Path) -> bool:
    """Return whether a model is local: the path of a directory or of a GGUF file that exists."""
    path = Path(model)
    return path.is_dir() or (path.suffix.lower() == GGUF and path.is_file())


def model_name(model: str, adapter: str | Path | None = None) -> str:
    """Return a model's Hub name, or the name of its directory or GGUF file without the path.

    adapter: folder of an adapter, whose name follows.
    """
    if adapter:
        return f"{model_name(model)} + {Path(adapter).expanduser().resolve().name}"
    if not is_model_path(model):
        return model
    path = Path(model).resolve()
    return path.name if path.is_dir() else path.stem


@dataclass(frozen=True)
class BuildConfig(Settings):
    """What to build, from which model and text, and when to stop.

    Every field but `extra` is an option of `ep build`; `python -m ep build --help` prints them all.
    Raises ConfigError for a value that is out of range or contradicts another.
    """

    def __post_init__(self) -> None:
        for name in ("text", "layers", "percentiles"):
            object.__setattr__(self, name, _tuple(getattr(self, name)))
        if self.text_weights is not None:
            object.__setattr__(self, "text_weights", tuple(map(float, _tuple(self.text_weights))))
        object.__setattr__(self, "percentiles", tuple(sorted({float(p) for p in self.percentiles})))
        object.__setattr__(self, "layers", tuple(sorted({int(layer) for layer in self.layers})))
        check(self)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    def deciding(self) -> dict[str, Any]:
        """The settings that determine the result.

        Builds with equal ones on equal text and model give equal dictionaries.
        """
        left_out = {"out", "text", "title", "extra", "device", "rival_budget", "lens_prompts"}
        left_out |= {"strict", "cache", "keep_activations", "ray", "ray_workers"}
        left_out |= {"rounds_otherwise"} | (set() if self.has_own_bits else {"extractor"})
        return {
            key: value
            for key, value in self.as_dict().items()
            if key not in left_out and (key, value) not in LATER.items()
        }

    @property
    def has_own_bits(self) -> bool:
        """Whether the extractor may give other activations than the bridge, in the last bits."""
        return self.extractor == "vllm" or self.rounds_otherwise

    @property
    def calibration_budget(self) -> int:
        """Activations that are measured: never more than the build streams."""
        return self.calibration if self.tokens is None else min(self.calibration, self.tokens)

    @property
    def cache_bytes(self) -> int | None:
        """Bytes that `cache` allows; None for what fits."""
        return None if self.cache == "auto" else size_of(self.cache)

    def sifting(self) -> dict[str, Any]:
        """The settings that leave activations out, as entries of the provenance; empty without."""
        settings = {"skip_first": self.skip_first, "norm_cap": self.norm_cap}
        return {name: value for name, value in settings.items() if value}

    def drawing(self) -> dict[str, Any]:
        """The settings that choose passages, as entries of the provenance; empty without."""
        weights = {"text_weights": list(self.text_weights)} if self.text_weights is not None else {}
        return weights | ({"deduplicate": True} if self.deduplicate else {})

    def fitted(self, longest: int) -> BuildConfig:
        """Return these settings with a context that a model can read.

        longest: tokens that the model can read of one passage, not counting BOS. Raises ConfigError
            for a larger context.
        """
        if self.context is not None and self.context > longest:
            raise ConfigError(
                f"context is {self.context}: {self.model_name} can read {longest} tokens of a "
                "passage, not counting BOS; choose at most that"
            )
        fitted = replace(self, context=self.context or min(CONTEXT, longest))
        if self.skip_first >= (fitted.context or 0):
            raise ConfigError(
                f"skip_first is {self.skip_first}: nothing remains of passages of "
                f"{fitted.context} tokens; choose a smaller number, or a larger context"
            )
        return fitted

    def coarser(self, percentile: float) -> tuple[float, ...]:
        """The larger percentiles of this build in rising order; empty for the largest."""
        return tuple(p for p in self.percentiles if p > percentile)

    @property
    def folder(self) -> Path:
        """The output folder as a path."""
        return Path(self.out)

    @property
    def model_name(self) -> str:
        """The model's Hub name, or the name of its folder or file without the path.

        That of an adapter follows.
        """
        return model_name(self.model, self.adapter)

    def file_name(self, layer: int, percentile: float) -> str:
        """The file name for one layer and percentile, such as tuned-L4-p2.ep.h5."""
        stem = (
            re.sub(r"[^A-Za-z0-9._-]+", "-", self.model_name.split("/")[-1]).strip("-.") or "model"
        )
        kind = "-final" if self.positions == "final" else ""
        kind += "" if self.metric == "centred" else f"-{self.metric}"
        return f"{stem}-L{layer}{kind}-p{percentile:g}.ep.h5"


def _tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str | int | float) else tuple(value)
