"""The first activations of several texts, read once and kept on disk while they are compared."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ep.config import CONTEXT, BuildConfig
from ep.corpus import Corpus
from ep.errors import CorpusError
from ep.method.members import Events
from ep.method.outliers import Norms
from ep.method.sieve import Sieve
from ep.reporting import Counts
from ep.storage.hub.texts import corpus_of
from ep.storage.output import writing
from ep.streaming import Stream

if TYPE_CHECKING:
    from ep.models import LanguageModel

BLOCK = 1024
"""Activations of a text that are in memory at a time."""


@dataclass
class Text:
    """One of the texts that are compared, and its activations.

    name: what the caller calls it. config: settings of a build of it alone. digest: of its content.
    counts: what was read of it. sieves: what is left out, by layer. places: of the kept
    activations, by layer, as files of (n, d) float32. events: their origins. norms: of the
    activations of all texts, by layer.
    """

    name: str
    config: BuildConfig
    corpus: Corpus
    digest: str
    stream: Stream
    counts: Counts
    places: Mapping[int, Path]
    events: dict[int, Events]
    norms: dict[int, Norms]

    @classmethod
    def open(
        cls,
        name: str,
        config: BuildConfig,
        model: LanguageModel,
        folder: Path,
        norms: dict[int, Norms],
    ) -> Text:
        """Open a text; errors as `corpus_of`.

        folder: a new one for its activations. norms: of all texts by layer, which this one joins.
        """
        corpus = corpus_of(config)
        if corpus.is_empty():
            raise CorpusError(f"{name}: the text contains no passage: expected at least one")
        stream = Stream(config, model, corpus, config.context or CONTEXT)
        with writing(folder):
            folder.mkdir()
        places = {layer: folder / f"layer-{layer}" for layer in config.layers}
        for layer, sieve in stream.sieves.items():
            norms.setdefault(layer, Norms(sieve.start, stream.bos))
        digest = corpus.digest()
        return cls(name, config, corpus, digest, stream, Counts(), places, {}, norms)

    @property
    def n(self) -> int:
        """Activations that every layer has."""
        return min((len(events) for events in self.events.values()), default=0)

    @property
    def sieves(self) -> Mapping[int, Sieve]:
        """What is left out of each layer."""
        return self.stream.sieves

    def read(self) -> Generator[int, None, None]:
        """Run the model on the text, up to the budget; yield the activations read so far.

        The same activations are kept for every batch size. Raises CorpusError for a text that
        cannot be used and StorageError where the disk is full.
        """
        for _ in self.stream.read():
            yield 0
        layers, most = self.config.layers, self.config.tokens
        found: dict[int, list[Events]] = {layer: [] for layer in layers}
        held = dict.fromkeys(layers, 0)
        for item in self.stream.batches():
            if item is not None:
                batch, harvest = item
                self.counts.add(batch)
                for layer, kept in self.stream.sifted(harvest).items():
                    kept = kept if most is None else kept.until(most - held[layer])
                    self.norms[layer].update(kept)
                    with writing("the activations"), self.places[layer].open("ab") as file:
                        file.write(np.ascontiguousarray(kept.x, np.float32).tobytes())
                    found[layer].append(kept.events.starting_at(held[layer]))
                    held[layer] += len(kept)
            yield min(held.values()) + self.stream.ahead
            if most is not None and min(held.values()) >= most:
                break
        self.events = {layer: _joined(parts) for layer, parts in found.items()}
        if not self.n:
            raise CorpusError(f"{self.name}: the text gave no activations")

    def rows(self, layer: int) -> np.ndarray:
        """Return the raw activations of a layer, (n, d) float32, on disk and read-only."""
        shape = (len(self.events[layer]), self.stream.model.width)
        return np.memmap(self.places[layer], np.float32, "r", shape=shape)

    def orders(self, layer: int, n: int, count: int) -> Iterator[np.ndarray]:
        """Yield the indices (n,) of the first n activations in other orders of their passages."""
        rng = np.random.default_rng(self.config.seed)
        _, numbers = np.unique(self.events[layer].passage[:n], return_inverse=True)
        for _ in range(count):
            rank = rng.permutation(int(numbers.max()) + 1)
            yield np.argsort(rank[numbers], kind="stable")


def blocks(n: int, start: int = 0) -> Iterator[slice]:
    """Yield slices that together cover start to n."""
    for at in range(start, n, BLOCK):
        yield slice(at, min(n, at + BLOCK))


def interleaved(texts: list[np.ndarray], n: int) -> Iterator[np.ndarray]:
    """Yield rows of which each text gives one in turn: its i-th stands at place i·C + its number.

    texts: C arrays (n or more, d).
    """
    for part in blocks(n):
        rows = np.stack([rows[part] for rows in texts], axis=1)
        yield rows.reshape(-1, rows.shape[-1])


def _joined(parts: list[Events]) -> Events:
    return Events(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Events))
    )
