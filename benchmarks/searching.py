"""A search after every keystroke at K = 20,000, compared with pandas on one text per region.

The dictionary is in memory and synthetic: a Zipf-distributed vocabulary of 30,000 words, 60,000
passages of 100 tokens and 24 excerpts per region. Queries are typed letter by letter, and each
state of the search box is one search, which is not cached. The rival is `Series.str.contains`
(lower case, no regular expression) on a column with a region's label, lens tokens, members' tokens
and the words around its marked tokens joined; it does not search ids, rank results or explain them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.views.passages import AFTER, BEFORE
from ep.views.search import Index

REGIONS, WORDS, PASSAGES, LENGTH, EXCERPTS = 20_000, 30_000, 60_000, 100, 24
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
# Relative frequencies of LETTERS in English, from which words are made.
SHARES = (
    120,
    90,
    80,
    75,
    70,
    67,
    63,
    60,
    60,
    42,
    40,
    28,
    28,
    24,
    22,
    23,
    20,
    19,
    10,
    15,
    20,
    8,
    2,
    1,
    2,
    1,
)
RATIO_GOAL = 4.0


def run() -> list[dict[str, object]]:
    """Return a row: median and 95th percentile of the seconds of a search, and the ratio."""
    dictionary, words, labels = made()
    started = time.process_time()
    index = Index(dictionary)
    built = time.process_time() - started
    index.find("warm", labels)
    column = joined(dictionary, labels)
    rng = np.random.default_rng(1)
    queries = [
        " ".join(words[i].strip() for i in rng.integers(0, 3000, n)) for n in (1, 1, 1, 1, 2, 2, 3)
    ]
    states = [query[: n + 1] for query in queries for n in range(len(query))]
    ours = [timed(lambda text=text: index.find(text, labels)) for text in states]
    theirs = [
        timed(lambda text=text: column.str.contains(text, regex=False).to_numpy().nonzero())
        for text in states
    ]
    return [
        {
            "what": f"a key in the search box, K = {REGIONS:,}, against pandas str.contains",
            "ratio": round(float(np.median(theirs) / np.median(ours)), 1),
            "keys": len(states),
            "median_s": round(float(np.median(ours)), 4),
            "p95_s": round(float(np.quantile(ours, 0.95)), 4),
            "pandas_median_s": round(float(np.median(theirs)), 4),
            "index_s": round(built, 1),
            "target": RATIO_GOAL,
        }
    ]


def timed(work: Callable[[], object]) -> float:
    """Return the processor seconds of one call.

    Both sides run on one thread, and the machine may be busy with other work.
    """
    started = time.process_time()
    work()
    return time.process_time() - started


def made() -> tuple[Dictionary, list[str], dict[int, str]]:
    """Return the dictionary, its words by token id, and a label for every region."""
    rng = np.random.default_rng(0)
    shares = np.array(SHARES) / sum(SHARES)
    letters = rng.choice(np.array(list(LETTERS)), (WORDS, 9), p=shares)
    lengths, spaced = rng.integers(2, 10, WORDS), rng.random(WORDS) < 0.7
    words = [
        " " * s + "".join(row[:n])
        for row, n, s in zip(letters, lengths, spaced.tolist(), strict=True)
    ]
    common = 1 / (np.arange(WORDS) + 3.0)
    tokens = rng.choice(WORDS, PASSAGES * LENGTH, p=common / common.sum()).astype(np.int32)
    pieces = np.empty(WORDS, object)
    pieces[:] = [word.encode() for word in words]
    arrays = {
        "center": np.zeros(2, np.float32),
        "vocabulary_ids": np.arange(WORDS, dtype=np.int32),
        "vocabulary_pieces": pieces,
        "passage_ids": np.arange(PASSAGES),
        "passage_offsets": np.arange(PASSAGES + 1) * LENGTH,
        "passage_tokens": tokens,
        "excerpt_offsets": np.arange(REGIONS + 1) * EXCERPTS,
        "excerpt_passage": rng.integers(0, PASSAGES, REGIONS * EXCERPTS),
        "excerpt_position": rng.integers(0, LENGTH, REGIONS * EXCERPTS).astype(np.int32),
        "lens_exemplar_up_ids": rng.integers(0, WORDS, (REGIONS, 12)).astype(np.int32),
        "token_ids": rng.integers(0, WORDS, (REGIONS, 10)).astype(np.int32),
        "count_voronoi": rng.integers(1, 5000, REGIONS),
    }
    labels = {
        k: " ".join(words[i].strip() for i in row)
        for k, row in enumerate(arrays["token_ids"][:, :3].tolist())
    }
    return Dictionary(MemorySource(arrays), {"threshold": 0.5}, REGIONS), words, labels


def joined(dictionary: Dictionary, labels: dict[int, str]) -> Any:
    """Return the rival's column: everything that is searched, as one lower-case text per region."""
    import pandas as pd

    words = [piece.decode() for piece in dictionary.column("vocabulary_pieces").tolist()]
    tokens = dictionary.column("passage_tokens").tolist()
    rows, at = (
        [],
        dictionary.column("excerpt_passage") * LENGTH + dictionary.column("excerpt_position"),
    )
    for k in range(REGIONS):
        own = [
            *dictionary.column("lens_exemplar_up_ids")[k].tolist(),
            *dictionary.column("token_ids")[k].tolist(),
        ]
        around = [
            "".join(words[t] for t in tokens[max(0, m - BEFORE) : m + AFTER + 1])
            for m in at[k * EXCERPTS : (k + 1) * EXCERPTS].tolist()
        ]
        rows.append("\n".join([labels[k], *(words[i] for i in own), *around]).lower())
    return pd.Series(rows)


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
