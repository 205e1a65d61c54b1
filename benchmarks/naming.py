"""Automatic labels of all regions at K = 20,000, compared with scikit-learn's class-based TF-IDF.

The rival is how topic models name clusters: the most frequent tokens of a region's members are one
document, and the three words with the highest TF-IDF are its label. It compares a region with the
whole dictionary instead of its nearest regions, and uses no text around a token.
"""

from __future__ import annotations

import json
import time

import numpy as np

from ep.method.dictionary import Dictionary
from ep.studies.naming import automatic
from tests.fixtures.dictionaries import synthetic

REGIONS, WORDS_IN_A_LABEL = 20_000, 3
RATIO_GOAL = 1.0


def run() -> list[dict[str, object]]:
    """Return a row: processor seconds of both, and the rival's over ours."""
    dictionary = synthetic(size=REGIONS, width=8)
    automatic(synthetic(size=100, width=8))  # imports and first calls are not counted
    started = time.process_time()
    automatic(dictionary)
    ours = time.process_time() - started
    started = time.process_time()
    by_tfidf(dictionary)
    theirs = time.process_time() - started
    return [
        {
            "what": f"labels of all regions, K = {REGIONS:,}, against class-based TF-IDF",
            "ratio": round(theirs / ours, 2),
            "cpu_s": round(ours, 2),
            "tfidf_cpu_s": round(theirs, 2),
            "target": RATIO_GOAL,
        }
    ]


def by_tfidf(dictionary: Dictionary) -> list[str]:
    """Return the rival's labels, from the stored counts of each region's tokens."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfTransformer

    ids, counts = dictionary.column("token_ids"), dictionary.column("token_counts")
    vocabulary, column = np.unique(ids, return_inverse=True)
    row = np.repeat(np.arange(len(ids)), ids.shape[1])
    is_token = (ids >= 0).ravel()
    entries = (counts.ravel()[is_token], (row[is_token], column.ravel()[is_token]))
    table = csr_matrix(entries, (len(ids), len(vocabulary)), dtype=np.float64)
    weights = TfidfTransformer(sublinear_tf=True).fit_transform(table)
    words = [dictionary.piece(t) for t in vocabulary.tolist()]
    return [
        " ".join(words[t] for t in part.indices[np.argsort(-part.data)][:WORDS_IN_A_LABEL])
        for part in (weights[k] for k in range(len(ids)))
    ]


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
