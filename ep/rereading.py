"""Reads the activations of a finished dictionary again: of its whole stream, or of its excerpts.

The whole stream needs the text from which the dictionary was built. The excerpts and founders that
a file stores need its model alone: they are real tokens of real texts, members of their regions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from ep.config import CONTEXT, BuildConfig
from ep.corpus import Corpus
from ep.errors import CorpusError, RequestError
from ep.method.dictionary import Dictionary
from ep.method.members import Events
from ep.method.sieve import sieve_of
from ep.streaming import Stream
from ep.text import one_line

if TYPE_CHECKING:
    from ep.models import LanguageModel, TokenBatch

Batch = tuple[np.ndarray, Events]
"""Unit directions (n, d) float32 in the dictionary's metric, and the origins of the activations."""
PASSAGES_AT_ONCE = 32


@runtime_checkable
class Reader(Protocol):
    """Reads the same activations from their start at each `read`; indices rise from 0.

    is_whole: whether they are all those from which the dictionary was built.
    """

    is_whole: bool

    def read(self) -> Iterator[Batch]:
        """Yield the activations by batches."""
        ...

    def passages(self, ids: Collection[int]) -> dict[int, np.ndarray]:
        """Return the token ids (t,) int32 of passages, by id."""
        ...


class WholeStream:
    """The activations from which a dictionary was built, in their order.

    text: the files of the build. field: as in the build.

    Raises CorpusError for another text, which the digest in the provenance tells, and RequestError
    for a file that does not state what is needed; errors of the corpus.
    """

    is_whole = True

    def __init__(
        self,
        dictionary: Dictionary,
        model: LanguageModel,
        text: Sequence[str],
        field: str | None = None,
    ) -> None:
        self.dictionary = dictionary
        config = _settings(dictionary, model, text, field)
        corpus = Corpus(config.text, config.seed, field, config.chat)
        refuse_other_text(dictionary, corpus, text)
        self.stream = Stream(config, model, corpus, config.context or CONTEXT)
        self.layer = config.layers[0]
        sieve = sieve_of(dictionary.info, bool(self.stream.bos))
        self.stream.sieves = {self.layer: sieve}

    def read(self) -> Iterator[Batch]:
        """Yield the activations by batches."""
        total, done = int(self.dictionary.info["n_activations"]), 0
        if not self.stream.survey.rows:
            for _ in self.stream.read():
                pass
        for item in self.stream.batches():
            if item is None:
                continue
            _, harvest = item
            part = self.stream.sifted(harvest)[self.layer].until(total - done).starting_at(done)
            done += len(part)
            yield self.dictionary.metric.directions(part.x), part.events
            if done >= total:
                return

    def passages(self, ids: Collection[int]) -> dict[int, np.ndarray]:
        """Return the token ids of passages; the text is tokenized again, the model is not run."""
        wanted, config = set(ids), self.stream.config
        selected = (passage for passage in self.stream.corpus if passage.id in wanted)
        batches = self.stream.model.tokens.batches(selected, config.batch, self.stream.context)
        return {
            int(passage): row[mask].astype(np.int32)
            for batch in batches
            for passage, row, mask in zip(batch.passage, batch.ids, batch.mask, strict=True)
        }


def _settings(
    dictionary: Dictionary, model: LanguageModel, text: Sequence[str], field: str | None
) -> BuildConfig:
    info = dictionary.info
    if missing := [n for n in ("layer", "percentile", "n_activations") if info.get(n) is None]:
        raise RequestError(f"the file does not state how it was built: no {', '.join(missing)}")
    return BuildConfig(
        model=model.name,
        text=tuple(text),
        layers=(int(info["layer"]),),
        percentiles=(float(info["percentile"]),),
        out=".",
        context=int(info.get("context") or CONTEXT),
        positions=info.get("positions") or "all",
        skip_first=int(info.get("skip_first") or 0),
        chat=bool(info.get("chat")),
        batch=int(info.get("batch") or 128),
        seed=int(info.get("seed") or 0),
        field_name=field,
    )


def refuse_other_text(dictionary: Dictionary, corpus: Corpus, text: Sequence[str]) -> None:
    """Raise CorpusError where a text is not the one from which a dictionary was built."""
    stated = dictionary.info.get("corpus") or {}
    if stated.get("digest") and corpus.digest() != stated["digest"]:
        raise CorpusError(
            f"{', '.join(text)} is not the text of this dictionary "
            f"({one_line(stated.get('name') or 'unnamed', 80)}): give the same files, in the same "
            "order"
        )


class StoredMembers:
    """The members whose passages a file stores: all its excerpts and founders, each once.

    Raises RequestError for a file without excerpts or without token ids.
    """

    is_whole = False

    def __init__(self, dictionary: Dictionary, model: LanguageModel) -> None:
        if "passage_ids" not in dictionary or "excerpt_passage" not in dictionary:
            raise RequestError(
                "the file stores no excerpts with token ids: complete it with `ep complete`, or "
                "give the text of the build with --text"
            )
        self.dictionary, self.model = dictionary, model
        self.places = _places(dictionary)

    def read(self) -> Iterator[Batch]:
        """Yield the activations by batches, by rising passage and position."""
        from ep.models import harvest

        layer, done, passages = int(self.dictionary.info["layer"]), 0, sorted(self.places)
        for start in range(0, len(passages), PASSAGES_AT_ONCE):
            batch = self._batch(passages[start : start + PASSAGES_AT_ONCE])
            read = harvest(self.model, batch, [layer])
            events = read.events.starting_at(done)
            done += len(events)
            yield self.dictionary.metric.directions(read.x[layer]), events

    def passages(self, ids: Collection[int]) -> dict[int, np.ndarray]:
        """Return the token ids of stored passages."""
        return stored_tokens(self.dictionary, ids)

    def _batch(self, passages: Sequence[int]) -> TokenBatch:
        """Return stored passages as a batch that keeps the places to read alone."""
        from ep.models import TokenBatch

        rows = list(self.passages(passages).values())
        shape = (len(rows), max(map(len, rows)))
        ids, mask, keep = np.zeros(shape, np.int64), np.zeros(shape, bool), np.zeros(shape, bool)
        for number, (passage, row) in enumerate(zip(passages, rows, strict=True)):
            ids[number, : len(row)], mask[number, : len(row)] = row, True
            keep[number, self.places[passage]] = True
        none = np.zeros(len(rows), bool)
        return TokenBatch(ids, mask, keep, np.array(passages, np.int64), none, 0, len(rows))


def stored_tokens(dictionary: Dictionary, ids: Collection[int]) -> dict[int, np.ndarray]:
    """Return the token ids (t,) of passages that a file stores, by id, in the order given."""
    known, offsets = dictionary.column("passage_ids"), dictionary.column("passage_offsets")
    tokens = dictionary.column("passage_tokens")
    rows = np.searchsorted(known, np.array(list(ids), np.int64)).tolist()
    return {
        int(passage): tokens[offsets[row] : offsets[row + 1]]
        for passage, row in zip(ids, rows, strict=True)
    }


def _places(dictionary: Dictionary) -> dict[int, np.ndarray]:
    """Return the positions of all excerpts and founders, rising, by passage."""
    pairs = [
        np.stack([dictionary.column(f"{kind}_{part}") for part in ("passage", "position")], 1)
        for kind in ("excerpt", "founder")
        if f"{kind}_passage" in dictionary
    ]
    places = np.unique(np.concatenate(pairs).astype(np.int64), axis=0)
    passages, first = np.unique(places[:, 0], return_index=True)
    return dict(zip(passages.tolist(), np.split(places[:, 1], first[1:]), strict=True))
