"""The text of a build as a stream of activations, which every pass reads again from its start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ep.config import BuildConfig
from ep.corpus import Corpus, Passage, Survey
from ep.errors import ActivationError, CorpusError
from ep.method.outliers import Norms, Outliers
from ep.method.sieve import Sieve, Sifted, first_kept

if TYPE_CHECKING:
    from ep.models import Harvest, LanguageModel
    from ep.models.tokens import TokenBatch

HOPELESS = 4_096
"""A layer whose first so many activations are all not finite is refused: its model is broken."""


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
        self.bos = int(model.tokens.bos is not None)
        start = first_kept(config.skip_first, bool(self.bos))
        self.sieves = dict.fromkeys(config.layers, Sieve(start))
        """What is left out of each layer; `limit_norms` completes it where there is a cap."""
        self.outliers: dict[int, Outliers] = {}
        """What is unlike the rest of each layer; the first `head` fills it in."""

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
        self.survey.check(self.config.strict)

    def left_out(self, passages: int) -> dict[str, Any]:
        """Return what the rows hold that is in no passage, as entries of a file's provenance.

        passages: how many of the text were read; a streamed text is counted as far as them.
        """
        self.survey, facts = self.corpus.survey_until(passages)
        return self.survey.left_out() | facts

    def batches(self, start: int = 0) -> Iterator[tuple[TokenBatch, Harvest]]:
        """The batches of the text from passage `start` of the stream, and their harvests."""
        from ep.models import harvest

        config = self.config
        accepted = (passage for passage in self.corpus if passage.id not in self.survey.refused)
        passages = islice(accepted, start, None)
        for batch in self.model.tokens.batches(passages, config.batch, self.context):
            yield batch, harvest(self.model, batch, config.layers, config.positions, config.strict)

    def sifted(self, harvest: Harvest) -> dict[int, Sifted]:
        """What is kept of a harvest, by layer."""
        return {layer: self.sieves[layer].sift(x, harvest.events) for layer, x in harvest.x.items()}

    def head(self) -> Iterator[tuple[int, dict[int, Sifted]]]:
        """For each calibration batch: the number of activations so far, and the batch by layer.

        Each call reads the text from its start (W1). Under protocol "paper" θ is a mean over whole
        batches, so the last batch is not cut. Under protocol "global" θ must not depend on the
        batch size, so the last batch is cut at the budget.
        """
        done = dict.fromkeys(self.config.layers, 0)  # layers may differ in what is left out
        budget = self.config.calibration
        norms = {layer: Norms(sieve.start, self.bos) for layer, sieve in self.sieves.items()}
        for _, harvest in self.batches():
            parts = {}
            for layer, part in self.sifted(harvest).items():
                missing = budget - done[layer]
                if missing > 0:
                    parts[layer] = part if self.config.protocol == "paper" else part.until(missing)
                    done[layer] += len(parts[layer])
                    norms[layer].update(parts[layer])
                    if norms[layer].hopeless >= HOPELESS:
                        raise self._not_finite(layer)
            yield min(done.values()), parts
            if min(done.values()) >= budget:
                break
        if not self.outliers:
            self.outliers = {layer: norms_of.outliers() for layer, norms_of in norms.items()}
        self._check(done, norms)

    def limit_norms(self) -> Iterator[int]:
        """Read the head for the median norm of each layer, and leave out what is above the cap.

        Yields the number of activations so far; without a cap it reads nothing.
        """
        if self.config.norm_cap is None:
            return
        for done, _ in self.head():
            yield done
        self.sieves = {
            layer: replace(sieve, limit=self.config.norm_cap * self.outliers[layer].median)
            for layer, sieve in self.sieves.items()
        }

    def _check(self, kept: Mapping[int, int], norms: Mapping[int, Norms]) -> None:
        """Raise CorpusError where no activation of a layer is kept, and ActivationError where none
        is finite.

        kept, norms: how many are kept of each layer, and the norms of all.
        """
        if all(kept.values()):
            return
        for layer, of_layer in norms.items():
            if of_layer.hopeless and not self.outliers[layer].n:
                raise self._not_finite(layer)
        if self.config.skip_first and any(one.n for one in self.outliers.values()):
            raise CorpusError(
                f"nothing is left: --skip-first {self.config.skip_first} leaves out every token "
                "that could be read; choose a smaller number, or longer passages"
            )
        raise CorpusError(
            "the text gave no activations: no passage has tokens beside BOS and template"
        )

    def _not_finite(self, layer: int) -> ActivationError:
        return ActivationError(
            f"layer {layer} of {self.model.name}: no activation is finite (computed in "
            f"{self.model.dtype}); give --dtype float32, or another layer"
        )
