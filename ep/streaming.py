"""The text of a build as a stream of activations, which every pass reads again from its start."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from ep.config import BuildConfig
from ep.corpus import Corpus, Passage, Survey

if TYPE_CHECKING:
    from ep.models import Harvest, LanguageModel
    from ep.models.tokens import TokenBatch


class Stream:
    """The activations of a model on a text, by batches of passages.

    context: tokens read of each passage, not counting BOS.
    """

    def __init__(
        self, config: BuildConfig, model: LanguageModel, corpus: Corpus, context: int
    ) -> None:
        self.config = config
        self.model = model
        self.corpus = corpus
        self.context = context
        self.survey = Survey()
        """What the text holds; `read` fills it in."""

    def read(self) -> Iterator[Survey]:
        """Count the rows that cannot be used, yielding the counts so far.

        Raises CorpusError where they are too many.
        """

        def refusal(passage: Passage) -> str:
            why = self.model.tokens.refusal(passage.messages) if passage.messages else ""
            return why and f"cannot be read: {why}"

        for survey in self.corpus.survey(refusal):
            self.survey = survey
            yield survey
        self.survey.check()

    def batches(self, start: int = 0) -> Iterator[tuple[TokenBatch, Harvest]]:
        """The batches of the text from passage `start` of the stream, and their harvests."""
        from ep.models import harvest

        config = self.config
        accepted = (passage for passage in self.corpus if passage.id not in self.survey.refused)
        passages = islice(accepted, start, None)
        for batch in self.model.tokens.batches(passages, config.batch, self.context):
            yield batch, harvest(self.model, batch, config.layers, config.positions)

    def head(self) -> Iterator[tuple[int, dict[int, np.ndarray]]]:
        """For each calibration batch: the number of activations so far, and the batch by layer.

        Each call reads the text from its start (W1). Under protocol "paper" θ is a mean over whole
        batches, so the last batch is not cut. Under protocol "global" θ must not depend on the
        batch size, so the last batch is cut at the budget.
        """
        done, budget = 0, self.config.calibration
        for _, harvest in self.batches():
            rows = (
                len(harvest)
                if self.config.protocol == "paper"
                else min(len(harvest), budget - done)
            )
            done += rows
            yield done, {layer: x[:rows] for layer, x in harvest.x.items()}
            if done >= budget:
                return
