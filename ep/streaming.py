"""The text of a build as a stream of activations, which every pass reads again from its start."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ep.caching import ActivationCache, Origins
from ep.config import BuildConfig
from ep.corpus import Corpus, Passage, Survey
from ep.method.sieve import Sieve, Sifted, first_kept

if TYPE_CHECKING:
    from ep.models import Assembly, Harvest, LanguageModel
    from ep.models.extraction import Extractor, Part, Residuals
    from ep.models.tokens import TokenBatch


class Stream:
    """The activations of a model on a text, by batches of passages.

    context: tokens read of each passage, not counting BOS.
    cache: where activations are stored between passes; without it, every pass runs the model.
    extractor: what runs the model; by default this process.
    """

    def __init__(
        self,
        config: BuildConfig,
        model: LanguageModel,
        corpus: Corpus,
        context: int,
        cache: ActivationCache | None = None,
        extractor: Extractor | None = None,
    ) -> None:
        from ep.models import LocalExtractor

        self.cache = cache
        self.extractor = extractor or LocalExtractor(model)
        self.config = config
        self.model = model
        self.corpus = corpus
        self.context = context
        self.survey = Survey()
        """What the text holds; `read` fills it in."""
        self.bos = int(model.tokens.bos is not None)
        start = first_kept(config.skip_first, bool(self.bos))
        self.sieves = dict.fromkeys(config.layers, Sieve(start))
        """What is left out of each layer; the calibration completes it where there is a cap."""
        self.ahead = 0
        """Activations of the present batch that were read, of which no pass knows yet."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the extractor says of its runs so far, a sentence each."""
        return tuple(getattr(self.extractor, "notes", ()))

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

    def batches(self, start: int = 0) -> Iterator[tuple[TokenBatch, Harvest] | None]:
        """The batches of the text from passage `start` of the stream, and their harvests.

        None stands for a part of a batch that went through the model; `ahead` counts them. What is
        stored of an earlier pass does not go through it again.
        """
        waiting: deque[Assembly] = deque()
        self.ahead = 0
        for part, computed in self.extractor.extract(self._parts(start, waiting)):
            assembly = waiting[0]
            assembly.add(part, self._completed(assembly, part, computed))
            if assembly.is_whole:
                waiting.popleft()
                self.ahead = 0
                yield assembly.batch, assembly.harvest()
            elif computed:
                self.ahead += int(part.keep.sum())
                yield None

    def _parts(self, start: int, waiting: deque[Assembly]) -> Iterator[Part]:
        """The parts of all batches, each with the layers that are not stored of it."""
        from ep.models import Assembly

        config = self.config
        accepted = (passage for passage in self.corpus if passage.id not in self.survey.refused)
        passages = islice(accepted, start, None)
        for batch in self.model.tokens.batches(passages, config.batch, self.context):
            assembly = Assembly(
                self.model, batch, config.layers, config.positions, check=config.strict
            )
            waiting.append(assembly)
            for part in assembly.parts():
                yield replace(part, layers=self._missing(assembly, part))

    def _missing(self, assembly: Assembly, part: Part) -> tuple[int, ...]:
        """The layers of a part that the model must compute."""
        if self.cache is None:
            return part.layers
        return self.cache.missing(self._origins(assembly, part))

    def _completed(self, assembly: Assembly, part: Part, computed: Residuals) -> Residuals:
        """The activations of all layers of a part; what was computed is stored."""
        if self.cache is None:
            return computed
        origins = self._origins(assembly, part)
        if computed:
            self.cache.add(origins, computed)
        found = dict(computed)
        for layer in self.config.layers:
            if layer not in found:
                stored = self.cache.read(layer, origins)
                if stored is None:  # damaged since it was found
                    again = replace(part, layers=(layer,))
                    [(_, values)] = self.extractor.extract([again])
                    stored = values[layer]
                found[layer] = stored
        return found

    def _origins(self, assembly: Assembly, part: Part) -> Origins:
        return Origins.of(part, assembly.batch.passage[part.rows])

    def sifted(self, harvest: Harvest) -> dict[int, Sifted]:
        """What is kept of a harvest, by layer."""
        return {layer: self.sieves[layer].sift(x, harvest.events) for layer, x in harvest.x.items()}
