"""Search by meaning on 30 sentences with a known field of words, against the unweighted sum.

The fields are the nouns of the demo's 22 topics and eight of its lists of words, such as animals. A
query is a sentence with three drawn words of a field. A region is right for it if more than half of
its excerpts mark a word of that field, in any form (`ep.studies.whole_words.stem`): a rule on the
dictionary's texts alone. Months are left out: no region of the demo is mostly of months.

A query succeeds if a right region is among the first five. The rival ranks by the sum of
max(0, 1 − d/θ) over tokens, without the weights of `ep.views.meaning`. "chance" is the expected
share for five regions drawn from all. Intervals are Wilson's, 95 %; "gained" and "lost" count the
queries that only one of the two answers, and p is that of the two-sided sign test. The weights were
chosen on these dictionaries with words of another draw.

    python -m benchmarks.meaning
"""

from __future__ import annotations

import json
import random
from math import comb
from pathlib import Path
from typing import Any

import numpy as np

import ep
from ep.demo import words
from ep.demo.topics import TOPICS
from ep.method.dictionary import Dictionary
from ep.models.prompts import read_prompt
from ep.studies.rates import wilson
from ep.studies.whole_words import of_passages, stem
from ep.studies.wording import events
from ep.views.meaning import rank, weights

FOLDER = Path("data/demo/dictionaries/all-tokens")
FIELDS = {name: nouns for name, (nouns, _, _) in TOPICS.items()} | {
    "names": words.NAMES,
    "places": words.PLACES,
    "objects": words.OBJECTS,
    "animals": words.ANIMALS,
    "foods": words.FOODS,
    "jobs": words.JOBS,
    "countries": tuple(words.COUNTRIES),
    "capitals": tuple(words.COUNTRIES.values()),
}
SENTENCE = "I have read a text about {}, {} and {}."
BARE = "{} {} {}"
LAYER, FIRST, LONGEST, SEED = 4, 5, 512, 1
MOSTLY = 0.5


def run() -> list[dict[str, Any]]:
    """Return a row per dictionary for sentences, and one for the three words alone."""
    rows = []
    for name in ("base", "tuned"):
        model = ep.load(f"data/demo/models/{name}", device="cpu")
        for percentile in (1, 2):
            dictionary = ep.open(FOLDER / f"{name}-L{LAYER}-p{percentile}.ep.h5")
            what = f"demo {name}, layer {LAYER}, p = {percentile}"
            rows.append(measure(f"a sentence, {what}", dictionary, model, SENTENCE))
            if (name, percentile) == ("base", 1):
                rows.append(measure(f"three words alone, {what}", dictionary, model, BARE))
    return rows


def measure(what: str, dictionary: Dictionary, model: Any, template: str) -> dict[str, Any]:
    """Return the row of one dictionary."""
    rng, right = random.Random(SEED), rights(dictionary)
    ours, theirs = [], []
    for name, field in FIELDS.items():
        reading = read_prompt(model, template.format(*rng.sample(field, 3)), [LAYER], LONGEST)
        found = rank(dictionary, reading.x[LAYER], ~reading.outside, limit=None)
        plain = found.score / weights(dictionary)[found.regions]
        rival = found.regions[np.lexsort((found.regions, -found.nearest, -plain))]
        ours.append(place(right[name][found.regions]))
        theirs.append(place(right[name][rival]))
    mine, other = np.array(ours) <= FIRST, np.array(theirs) <= FIRST
    low, high = wilson(int(mine.sum()), len(mine))
    gained, lost = int((mine & ~other).sum()), int((other & ~mine).sum())
    return {
        "what": f"search by meaning, {what}, K = {len(dictionary):,}: a right region in the first "
        f"{FIRST}",
        "ratio": round(float(mine.mean() / other.mean()), 2),
        "target": 1.0,
        "share": round(float(mine.mean()), 2),
        "interval": f"{low:.2f} to {high:.2f}",
        "unweighted": round(float(other.mean()), 2),
        "chance": round(float(np.mean([1 - (1 - ok.mean()) ** FIRST for ok in right.values()])), 2),
        "n": len(mine),
        "gained": gained,
        "lost": lost,
        "p": float(f"{sign_test(gained, lost):.1g}"),
        "reciprocal_rank": round(float(np.mean(1 / np.array(ours))), 2),
        "unweighted_reciprocal_rank": round(float(np.mean(1 / np.array(theirs))), 2),
    }


def rights(dictionary: Dictionary) -> dict[str, np.ndarray]:
    """Return for each field which regions (K,) are right."""
    spelled = of_passages(dictionary)
    assert spelled is not None, "the demo stores the tokens of its texts"
    stems = np.array([stem(text) for text in spelled.texts])
    region, _, index = events(dictionary)
    total = np.bincount(region, minlength=len(dictionary))
    result = {}
    for name, field in FIELDS.items():
        known = np.isin(stems, [stem(word) for word in field])[spelled.of_token[index]]
        result[name] = np.bincount(region, known, minlength=len(dictionary)) > MOSTLY * total
    return result


def place(right: np.ndarray) -> float:
    """Return the place of the first right region, from 1; infinite where there is none."""
    return float(np.argmax(right)) + 1 if right.any() else np.inf


def sign_test(gained: int, lost: int) -> float:
    """Return the two-sided p of the exact sign test."""
    n, few = gained + lost, min(gained, lost)
    return min(1.0, 2 * sum(comb(n, k) for k in range(few + 1)) / 2**n)


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
