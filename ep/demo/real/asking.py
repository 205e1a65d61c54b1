"""The questions that the real model answers with text: kinds of templates, filled with topics."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

from ep.demo.real import topics

SEED = 71
MOST = 1344
"""Questions in all: 14 batches, whose answers are some 260,000 tokens."""
PER_KIND = 260
"""Questions of one kind at most; a kind with fewer topics has fewer."""


class Question(NamedTuple):
    """One question. kind: what sort of text answers it."""

    text: str
    kind: str


TEMPLATES: dict[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    "story": (
        (
            "Write a short story about {0}.",
            "Tell me a story about {0} that begins in {1}.",
            "Write the first chapter of a novel about {0}.",
            "Tell a fairy tale about {0}, with a surprising end.",
        ),
        (topics.HEROES, topics.PLACES),
    ),
    "description": (
        (
            "Describe {0} in detail.",
            "Describe {0} as a traveller would in a diary.",
            "Write a paragraph that sets a scene: {0}.",
        ),
        (topics.PLACES,),
    ),
    "explanation": (
        (
            "Explain {0} to a ten-year-old.",
            "Write an encyclopaedia entry on {0}.",
            "What should everyone know about {0}?",
            "Give a short lecture on {0}.",
            "Name three common misunderstandings about {0}.",
        ),
        (topics.SUBJECTS,),
    ),
    "comparison": (
        (
            "What is the difference between {0}?",
            "Compare {0} in a short essay.",
            "Which do people prefer, and why: {0}?",
        ),
        (topics.PAIRS,),
    ),
    "python": (
        (
            "Write a Python function that {0}.",
            "Write Python code that {0}, with a docstring and a test.",
            "Show me how to write a program that {0}, and explain each line.",
            "Write a Python class with a method that {0}.",
        ),
        (topics.FUNCTIONS,),
    ),
    "dialogue": (
        (
            "Write a dialogue between {0} about {1}.",
            "Write a scene of a play in which {0} argue about {1}.",
        ),
        (topics.SPEAKERS, topics.MATTERS),
    ),
    "letter": (
        ("Write a letter to {0}.", "Write a short, polite email to {0}."),
        (topics.LETTERS,),
    ),
    "recipe": (
        (
            "Give me a recipe for {0}.",
            "How do I make {0} for six people?",
            "List the ingredients of {0}, and the steps.",
            "What goes wrong most often when people cook {0}?",
        ),
        (topics.DISHES,),
    ),
    "advice": (
        (
            "How can I {0}?",
            "Give me five tips that help me to {0}.",
            "My friend wants to {0}. What would you say to her?",
        ),
        (topics.ADVICE,),
    ),
    "country": (
        (
            "Tell me about the history of {0}.",
            "What do people eat in {0}?",
            "Write a page of a travel guide to {0}.",
            "Describe the geography of {0}.",
        ),
        (topics.COUNTRIES,),
    ),
    "news": (
        (
            "Write a newspaper article about {0}.",
            "Write a radio report on {0}, with a quotation of a witness.",
        ),
        (topics.EVENTS,),
    ),
    "poem": (
        ("Write a poem about {0}.", "Write a song with a chorus about {0}."),
        (topics.FEELINGS,),
    ),
    "review": (
        (
            "Write a customer's review of {0}.",
            "Write an advertisement for {0}.",
            "Write instructions for the use of {0}.",
        ),
        (topics.GOODS,),
    ),
}


def questions() -> list[Question]:
    """Return `MOST` distinct questions in a random order in which kinds are mixed."""
    made = [
        *(question for kind in TEMPLATES for question in _filled(kind)),
        *_sums(),
        *(Question(text, kind) for kind, texts in topics.FOREIGN.items() for text in texts),
        *(Question(text, "idiom") for text in topics.SCARY),
    ]
    made = list({question.text: question for question in made}.values())
    random.Random(SEED).shuffle(made)
    return made[:MOST]


def _filled(kind: str) -> list[Question]:
    """Return up to `PER_KIND` questions of a kind."""
    templates, slots = TEMPLATES[kind]
    texts = {template.format(*words) for template, *words in product(templates, *slots)}
    chosen = sorted(texts)
    random.Random(f"{SEED}/{kind}").shuffle(chosen)
    return [Question(text, kind) for text in chosen[:PER_KIND]]


def _sums() -> list[Question]:
    """Return word problems with numbers up to a few hundred."""
    rng = random.Random(f"{SEED}/sum")
    return [Question(rng.choice(_PROBLEMS)(rng), "sum") for _ in range(PER_KIND)]


def _shop(rng: random.Random) -> str:
    who, what = rng.choice(topics.PEOPLE), rng.choice(topics.THINGS)
    return (
        f"{who} buys {rng.randint(2, 20)} {what} for {rng.randint(2, 15)} euros each and pays with "
        f"a {rng.choice((100, 200, 500))} euro note. How much change does {who} get? "
        "Show the steps."
    )


def _share(rng: random.Random) -> str:
    one, two = rng.sample(topics.PEOPLE, 2)
    what, parts = rng.choice(topics.THINGS), rng.randint(2, 9)
    return (
        f"{one} has {parts * rng.randint(3, 30)} {what} and puts them into {parts} equal boxes. "
        f"{two} adds {rng.randint(1, 12)} to each. How many are in one box? Explain your answer."
    )


def _road(rng: random.Random) -> str:
    return (
        f"A train travels {rng.randint(40, 160)} kilometres in an hour. How far does it travel in "
        f"{rng.randint(2, 9)} hours, and how long does it need for {rng.randint(200, 900)} "
        "kilometres? Work it out step by step."
    )


def _plain(rng: random.Random) -> str:
    a, b = rng.randint(12, 400), rng.randint(3, 90)
    sign, name = rng.choice((("+", "sum"), ("-", "difference"), ("*", "product")))
    return f"Compute {a} {sign} {b}, show how you find the {name}, and check the result."


_PROBLEMS: tuple[Callable[[random.Random], str], ...] = (_shop, _share, _road, _plain)
