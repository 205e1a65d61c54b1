"""What a build reports while it runs: how far it is, and what it has read of the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.corpus import Survey
from ep.method.draft import Draft
from ep.method.outliers import Measured
from ep.method.sieve import LeftOut

if TYPE_CHECKING:
    from ep.models.tokens import TokenBatch, Tokens

Key = tuple[int, float]
"""The layer and the percentile of one dictionary of a build."""


@dataclass
class Counts:
    """What one pass over the text has read.

    passages: all passages, those without tokens included.
    truncated: passages that were cut to the context.
    tokens: tokens up to the context, BOS included.
    cut: tokens beyond the context, which are in no dictionary.
    """

    passages: int = 0
    truncated: int = 0
    tokens: int = 0
    cut: int = 0

    def add(self, batch: TokenBatch) -> None:
        """Count a batch."""
        self.passages += batch.n_passages
        self.truncated += int(batch.truncated.sum())
        self.tokens += batch.n_tokens
        self.cut += batch.n_cut

    def state(self) -> dict[str, np.ndarray]:
        """Return the counts as plain arrays, from which `from_state` restores them."""
        return {f.name: np.array(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> Counts:
        """Restore counts from the arrays of `state`, among which there may be others."""
        return cls(**{f.name: int(state[f.name]) for f in fields(cls)})

    def facts(self) -> dict[str, Any]:
        """The counts as entries of a file's provenance, under `corpus`."""
        facts: dict[str, Any] = {"passages": self.passages, "truncated": self.truncated}
        if self.cut:
            facts["cut_share"] = round(self.cut_share, 4)
        return facts

    @property
    def cut_share(self) -> float:
        """Share of the tokens of all passages that is beyond the context."""
        return self.cut / max(1, self.tokens + self.cut)


@dataclass(frozen=True)
class Progress:
    """The progress of a build.

    stage: "read", "calibrate", "stream", "assign", "lens", "write" or "done".
    done: rows of text read in stage "read", prompts in stage "lens", files written in stages
        "write" and "done", otherwise activations processed in this stage.
    total: what `done` will reach; None when the build runs to the end of the text.
    regions: number of regions K so far, by (layer, percentile).
    counts: what was read in this stage, and how much of it was cut to the context.
    left_out: what the text holds that is in no passage; see `Survey`.
    context: tokens read of each passage; 0 before the model is open.
    files: the files written so far.
    set_aside: label files of replaced dictionaries with other regions, under their new names.
    lens_seconds: in stage "read", what fitting the Jacobian lens takes by a rough estimate.
    measured: what was measured of each layer, once it is.
    not_kept: how many activations the settings left out of each dictionary's stream so far.
    notes: what the caller should know of the run so far, a sentence each, such as that the disk is
        full and the state cannot be saved.
    drafts: the dictionaries under construction, which change with the build; for reading only.
    batch: the tokens that were read last, where the newest exemplars stand; None before the first.
    tokens: the tokenizer that the batch was made with.
    """

    stage: str
    done: int
    total: int | None = None
    regions: Mapping[Key, int] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    left_out: Survey = field(default_factory=Survey)
    context: int = 0
    files: tuple[Path, ...] = ()
    set_aside: tuple[Path, ...] = ()
    lens_seconds: float | None = None
    measured: Mapping[int, Measured] = field(default_factory=dict)
    not_kept: Mapping[Key, LeftOut] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    drafts: Mapping[Key, Draft] = field(default_factory=dict)
    batch: TokenBatch | None = None
    tokens: Tokens | None = None
