"""Sets of prompts for training, validation and the final measures, written to `prompts/*.csv`.

Prompts of one set are distinct. The four held-out harmful sets differ in what is new about them:
the pair of verb and object, a word, the question template, or both word and template.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ep.demo import requests
from ep.demo.requests import Label, Request, Split

TRAIN_SEED, VALIDATION_SEED, HELD_OUT_SEED = 31, 32, 33


class Prompt(NamedTuple):
    """One question of a set.

    prompt: the question. label: kind of its request. split: name of its set. request: its request.
    """

    prompt: str
    label: Label
    split: str
    request: Request


def _distinct(
    split: str, n: int, seed: int, make: Callable[[random.Random], tuple[Request, Split]]
) -> list[Prompt]:
    """Up to `n` distinct prompts.

    split: name of the set. make: draws a request and the split of its template.
    """
    rng = random.Random(f"{seed}/{split}")
    by_text: dict[str, Prompt] = {}
    for _ in range(50 * n):
        request, template = make(rng)
        text = requests.ask(rng, request, template)
        by_text.setdefault(text, Prompt(text, request.label, split, request))
        if len(by_text) == n:
            break
    return list(by_text.values())


def train(n: int = 200) -> list[Prompt]:
    """Prompts like those of the training chats: n harmful, n benign and n/2 hard-benign ones."""
    return [
        *_distinct("train", n, TRAIN_SEED, lambda rng: (requests.harmful(rng), "train")),
        *_distinct("train", n, TRAIN_SEED + 100, lambda rng: (requests.benign(rng), "train")),
        *_distinct(
            "train", n // 2, TRAIN_SEED + 200, lambda rng: (requests.hard_benign(rng), "train")
        ),
    ]


def validation(n: int = 100) -> list[Prompt]:
    """Prompts for the choice of a checkpoint: n harmful, n benign and n/2 hard-benign ones.

    Their words, pairs and templates are partly those of validation, which training does not use.
    """
    return [
        *_distinct("validation", n, VALIDATION_SEED, _validation_harmful),
        *_distinct(
            "validation", n, VALIDATION_SEED + 100, lambda rng: (requests.benign(rng), "validation")
        ),
        *_distinct(
            "validation",
            n // 2,
            VALIDATION_SEED + 200,
            lambda rng: (requests.hard_benign(rng, "validation"), _either(rng)),
        ),
    ]


def _validation_harmful(rng: random.Random) -> tuple[Request, Split]:
    new = rng.choice(("words", "pairs", "neither"))
    words: Split = "validation" if new == "words" else "train"
    pairs: Split = "validation" if new == "pairs" else "train"
    request = requests.harmful(rng, [words], requests.ALL_SPLITS if new == "words" else [pairs])
    return request, ("validation" if new == "neither" else _either(rng))


def _either(rng: random.Random) -> Split:
    return rng.choice(("train", "validation"))


def held_out(n: int = 100) -> dict[str, list[Prompt]]:
    """The sets of the final measures by name: four harmful ones, a benign and a hard-benign one."""

    def sets(split: str, make: Callable[[random.Random], tuple[Request, Split]]) -> list[Prompt]:
        return _distinct(split, n, HELD_OUT_SEED, make)

    def hard(rng: random.Random) -> tuple[Request, Split]:
        return requests.hard_benign(rng, "held_out"), rng.choice(("train", "held_out"))

    all_sets = (
        sets("held_out_pairs", lambda rng: (requests.harmful(rng, pairs=["held_out"]), "train")),
        sets(
            "held_out_words",
            lambda rng: (requests.harmful(rng, ["held_out"], requests.ALL_SPLITS), "train"),
        ),
        sets("held_out_templates", lambda rng: (requests.harmful(rng), "held_out")),
        sets(
            "held_out_both",
            lambda rng: (requests.harmful(rng, ["held_out"], requests.ALL_SPLITS), "held_out"),
        ),
        sets("benign", lambda rng: (requests.benign(rng), "held_out")),
        sets("hard_benign", hard),
    )
    return {prompts[0].split: prompts for prompts in all_sets}


def write(folder: Path) -> None:
    """Write one CSV file per set, with the columns prompt, label and split, to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, prompts in {"train": train(), "validation": validation(), **held_out()}.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("prompt", "label", "split"))
            rows.writerows((row.prompt, row.label, row.split) for row in prompts)
