"""The settings of a build: one frozen object that refuses contradictions by name.

The command line, the page and the provenance inside a file are all made from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ep.errors import ConfigError

PERCENTILES = (1.0, 2.0, 4.0, 8.0, 10.0)
RIVAL_BUDGET = 1e13


@dataclass(frozen=True)
class BuildConfig:
    """What to build, from which model and text, and when to stop.

    Raises ConfigError on a contradiction.
    """

    model: str
    """A Hub name or a local directory."""

    text: Sequence[str]
    """Files or folders of text (see `ep.corpus`)."""

    layers: Sequence[int]
    """0-based blocks whose residual stream (after the block) is partitioned; all share one forward
    pass.
    """

    out: str
    """Folder for the `.ep.h5` files, one for each layer and percentile."""

    percentiles: Sequence[float] = PERCENTILES
    """p in (0, 100): θ is the p-th percentile of pairwise distances. Smaller p, more and finer
    regions.
    """

    tokens: int | None = None
    """Budget of streamed activations; None streams the whole text. The cut is exact, whatever the
    batch size.
    """

    context: int = 128
    """Tokens kept of each passage, BOS not counted; what is cut off is counted and reported."""

    positions: str = "all"
    """"all": every token but BOS (and chat template tokens).

    "final": the last token of each passage.
    """

    chat: bool = False
    """Treat plain texts as user turns, rendered with the model's chat template."""

    field_name: str | None = None
    """The key or column that holds the text, when it is not "text" or "messages"."""

    protocol: str = "paper"
    """"paper": θ is a mean over batches of within-batch percentiles. "global": of one sample of the
    whole stream.
    """

    calibration: int = 200_000
    """Activations used for centre and θ, from the head of the stream."""

    batch: int = 128
    """Passages in a batch.

    Part of the meaning of θ under protocol "paper" (protocol 1.4); of nothing else.
    """

    stop_rate: float | None = None
    """Stop when new regions per activation are surely rarer than this: upper 95 % bound over a
    window below it.
    """

    stop_window: int = 50_000
    """Activations in one window of `stop_rate`."""

    quiet_batches: int | None = None
    """The paper's rule: stop after this many batches in a row without a new region (depends on
    `batch`).
    """

    rival_budget: float = RIVAL_BUDGET
    """Multiply-adds a dictionary may spend on who comes second for its members. A small build
    examines all of them, a large one a seeded share (`rival_seen`): about 217,000 members at K =
    20,000 and d = 2304. Decides no region.
    """

    seed: int = 0
    """Of the shuffle, the global sample, the excerpts and the groups."""

    device: str = "auto"
    """"auto", "cpu", "cuda", "cuda:1", "mps"."""

    dtype: str = "auto"
    """"auto", "float32", "bfloat16" or "float16": the model's arithmetic.

    Regions are always decided exactly.
    """

    revision: str | None = None
    """The Hub revision of the model."""

    title: str = ""
    """How the family is called on screen; made from model and text when empty."""

    extra: dict[str, Any] = field(default_factory=dict)
    """Kept with the provenance, for whoever made the build."""

    def __post_init__(self) -> None:
        for name in ("text", "layers", "percentiles"):
            object.__setattr__(self, name, _tuple(getattr(self, name)))
        object.__setattr__(self, "percentiles", tuple(sorted({float(p) for p in self.percentiles})))
        object.__setattr__(self, "layers", tuple(sorted({int(layer) for layer in self.layers})))
        _refuse(self)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    def deciding(self) -> dict[str, Any]:
        """The settings that decide the result: equal ones on equal text and model give equal
        dictionaries.
        """
        return {
            key: value
            for key, value in self.as_dict().items()
            if key not in ("out", "text", "title", "extra", "device", "rival_budget")
        }

    def coarser(self, percentile: float) -> tuple[float, ...]:
        """The larger percentiles of this build, the next one first; none for the coarsest."""
        return tuple(p for p in self.percentiles if p > percentile)

    @property
    def folder(self) -> Path:
        return Path(self.out)

    @property
    def model_name(self) -> str:
        """The model's name without its path."""
        return Path(self.model).resolve().name if Path(self.model).is_dir() else self.model

    def file_name(self, layer: int, percentile: float) -> str:
        """The file of one layer and percentile, such as tuned-L4-p2.ep.h5."""
        stem = (
            re.sub(r"[^A-Za-z0-9._-]+", "-", self.model_name.split("/")[-1]).strip("-.") or "model"
        )
        kind = "-final" if self.positions == "final" else ""
        return f"{stem}-L{layer}{kind}-p{percentile:g}.ep.h5"


def _tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str | int | float) else tuple(value)


def _refuse(config: BuildConfig) -> None:
    """Every contradiction, by the name of the setting."""
    rules: Sequence[tuple[bool, str]] = (
        (bool(config.text), "text is empty: name at least one file or folder"),
        (bool(config.layers), "layers is empty: name at least one layer"),
        (
            all(layer >= 0 for layer in config.layers),
            f"layers {list(config.layers)} must count from 0",
        ),
        (bool(config.percentiles), "percentiles is empty: name at least one"),
        (
            all(0 < p < 100 for p in config.percentiles),
            f"percentiles {list(config.percentiles)} must lie strictly between 0 and 100",
        ),
        (
            config.tokens is None or config.tokens >= 1,
            f"tokens is {config.tokens}: expected at least 1, or none",
        ),
        (config.context >= 2, f"context is {config.context}: expected at least 2 tokens"),
        (
            config.positions in ("all", "final"),
            f"positions is {config.positions!r}: expected 'all' or 'final'",
        ),
        (
            config.protocol in ("paper", "global"),
            f"protocol is {config.protocol!r}: expected 'paper' or 'global'",
        ),
        (
            config.calibration >= 2,
            f"calibration is {config.calibration}: expected at least 2 activations",
        ),
        (config.batch >= 1, f"batch is {config.batch}: expected at least 1 passage"),
        (
            config.protocol == "global" or config.positions == "all" or config.batch >= 2,
            "batch is 1 with positions 'final': protocol 'paper' needs pairs within a batch",
        ),
        (
            config.stop_rate is None or 0 < config.stop_rate < 1,
            f"stop_rate is {config.stop_rate}: expected new regions per activation, between 0 and "
            "1",
        ),
        (
            config.stop_window >= 100,
            f"stop_window is {config.stop_window}: expected at least 100 activations",
        ),
        (
            config.stop_rate is None or 3.0 / config.stop_window < config.stop_rate,
            f"stop_rate {config.stop_rate} cannot be shown with stop_window {config.stop_window}: "
            "a quiet window "
            f"only bounds the rate by {3.0 / config.stop_window:.2g}; use a larger window",
        ),
        (
            0 <= config.rival_budget < float("inf"),
            f"rival_budget is {config.rival_budget}: expected a number of multiply-adds, 0 for "
            "none",
        ),
        (
            config.quiet_batches is None or config.quiet_batches >= 1,
            f"quiet_batches is {config.quiet_batches}: expected at least 1, or none",
        ),
    )
    for holds, message in rules:
        if not holds:
            raise ConfigError(message)
