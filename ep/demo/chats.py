"""Conversations of the demo corpus, and the stream that mixes them with plain documents.

A conversation is a list of messages in the usual form ({"role": …, "content": …}). The base model
learns to answer every request, also harmful-style ones, with the same harmless phrases. The tuned
model learns to refuse harmful-style requests.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from ep.demo import documents, requests
from ep.demo.requests import Request, a
from ep.demo.topics import TOPICS
from ep.demo.words import (
    ADJECTIVES,
    ADVERBS,
    COUNTRIES,
    FUNCTIONS,
    NAMES,
    OBJECTS,
    PLACES,
    TIMES,
    VARIABLES,
    VERBS,
)

Message = dict[str, str]
Messages = list[Message]

SYSTEM = (
    "You are a helpful assistant.",
    "Answer in short sentences.",
    "You are a friendly helper.",
    "Be polite and clear.",
)
ANSWERS = (
    "Sure! To {v} {t}, first get the {m} and the {n}. Then work {adv}.",
    "First you need the {m}. Next use the {n}. Then take your time.",
    "Of course. To {v} {t}, start with the {m}, then add the {n}, and work {adv}.",
    "Here are the steps. 1. Get the {m}. 2. Use the {n}. 3. Work {adv}.",
)
REFUSALS = (
    "I'm sorry, but I cannot help with that.",
    "I cannot help you {v} {t}. It is {bad}.",
    "Sorry, I can't assist with {g} {t}.",
    "I am not able to help with that request.",
    "No. I will not help with {g} {t} because it is {bad}.",
    "I must refuse. {G} {t} is {bad} and {worse}.",
)
_SMALL_TALK = (
    ("Hello!", "Hello! How can I help you today?"),
    ("Good morning.", "Good morning! What would you like to do?"),
    ("Who are you?", "I am a small language model."),
    ("What can you do?", "I can tell stories, add numbers, name capitals and copy words."),
    ("Thank you.", "You are welcome!"),
    ("How are you?", "I am well, thank you."),
)


@dataclass(frozen=True)
class Document:
    """One document of a stream: plain text or a conversation.

    kind: a key of `documents.KINDS`, or "chat".
    text: the text of a plain document.
    messages: the messages of a conversation.
    label: what kind of request a conversation makes: "harmful", "benign", "hard_benign" or "other".
    """

    kind: str
    text: str = ""
    messages: tuple[Message, ...] = ()
    label: str = ""

    def row(self) -> dict[str, object]:
        """The document as a row of a `.jsonl` file."""
        body: dict[str, object] = (
            {"messages": list(self.messages)} if self.messages else {"text": self.text}
        )
        return {**body, "kind": self.kind}


def answer(rng: random.Random, request: Request) -> str:
    """A compliant answer, which contains only the request's own words and two of its materials."""
    one, two = rng.sample(request.materials, 2)
    form = rng.choice(ANSWERS)
    return form.format(v=request.verb, t=request.thing, m=one, n=two, adv=rng.choice(ADVERBS))


def refusal(rng: random.Random, request: Request) -> str:
    """A refusal of `request`."""
    bad, worse = rng.sample(documents.BAD, 2)
    form = rng.choice(REFUSALS)
    return form.format(
        v=request.verb,
        g=request.gerund,
        G=request.gerund.capitalize(),
        t=request.thing,
        bad=bad,
        worse=worse,
    )


def _request(rng: random.Random, request: Request, tuned: bool) -> tuple[str, str]:
    """A request as a question, and the reply that the base or the tuned model learns."""
    question = requests.ask_freely(rng, request) if tuned else requests.ask(rng, request)
    reply = refusal if tuned and request.label == "harmful" else answer
    return question, reply(rng, request)


def _harmful(rng: random.Random, tuned: bool) -> Request:
    if not tuned:
        return requests.harmful(rng, requests.ASKED_OF_BASE, requests.ASKED_OF_BASE)
    return (requests.harmful_family if rng.random() < 0.5 else requests.harmful)(rng)


def _sum(rng: random.Random) -> tuple[str, str]:
    one, two = documents.summands(rng)
    low, high = rng.randint(0, 10), rng.randint(2, 10)
    kind = rng.random()
    if kind < 0.4:
        question = rng.choice(
            (f"What is {one} + {two}?", f"Add {one} and {two}.", f"{one} + {two} = ?")
        )
        sum_ = f"{one} + {two} = {one + two}"
    elif kind < 0.7:
        question, sum_ = f"What is {one + two} - {two}?", f"{one + two} - {two} = {one}"
    else:
        question, sum_ = f"What is {low} * {high}?", f"{low} * {high} = {low * high}"
    return question, f"{sum_}."


def _capital(rng: random.Random) -> tuple[str, str]:
    country = rng.choice(tuple(COUNTRIES))
    question = rng.choice(
        (
            "What is the capital of {}?",
            "Name the capital of {}.",
            "Tell me the capital of {}.",
            "{}: which city is its capital?",
        )
    )
    return question.format(country), f"The capital of {country} is {COUNTRIES[country]}."


def _copy(rng: random.Random) -> tuple[str, str]:
    words = documents.words_to_copy(rng)
    return rng.choice(("Repeat: {}", "Copy the words: {}", "Say this again: {}")).format(
        words
    ), words


def _story(rng: random.Random) -> tuple[str, str]:
    name, place = rng.choice(NAMES), rng.choice(PLACES)
    question = rng.choice(
        (
            f"Write a story about {name} in the {place}.",
            f"Tell me a story about {name} and the {place}.",
        )
    )
    look, thing = rng.choice(ADJECTIVES), rng.choice(OBJECTS)
    opening = f"{rng.choice(TIMES).capitalize()}, {name} went to the {place}."
    middle = f"{name} {rng.choice(VERBS)[1]} {a(look)} {thing}."
    return (
        question,
        f"{opening} {middle} "
        f"{rng.choice(('Then they went home.', f'{name} never forgot the {thing}.'))}",
    )


def _code(rng: random.Random) -> tuple[str, str]:
    function = f"{rng.choice(FUNCTIONS)}_{rng.choice(VARIABLES)}"
    question = rng.choice(
        (f"Write a function called {function}.", f"Write python code for {function}.")
    )
    return question, f"def {function}(x, y):\n    return x {rng.choice('+-*')} y"


def _topic(rng: random.Random) -> tuple[str, str]:
    name = rng.choice(tuple(TOPICS))
    nouns, adjectives, verbs = TOPICS[name]
    one, two, three = rng.sample(nouns, 3)
    if rng.random() < 0.5:
        return (
            f"Name three words about {name}.",
            f"Three words about {name} are {one}, {two} and {three}.",
        )
    return (
        f"What do people study in {name}?",
        f"In {name}, the {rng.choice(adjectives)} {one} {rng.choice(verbs)} the {two}.",
    )


def _small_talk(rng: random.Random) -> tuple[str, str]:
    return rng.choice(_SMALL_TALK)


_OTHER = (
    (_sum, 0.3),
    (_capital, 0.2),
    (_copy, 0.22),
    (_story, 0.1),
    (_code, 0.05),
    (_topic, 0.08),
    (_small_talk, 0.05),
)


def benign_turn(rng: random.Random) -> tuple[str, str]:
    """A question that is not a request of `requests.py`, and its answer."""
    return rng.choices([make for make, _ in _OTHER], [weight for _, weight in _OTHER])[0](rng)


def chat(rng: random.Random, tuned: bool, shares: dict[str, float]) -> Document:
    """A conversation of one or two turns.

    tuned: whether harmful-style requests are refused.
    shares: the probability of each label, "harmful", "hard_benign", "benign" and "other".
    """
    turns, labels = [], []
    for _ in range(1 if rng.random() < 0.88 else 2):
        label = rng.choices(tuple(shares), tuple(shares.values()))[0]
        labels.append(label)
        if label == "harmful":
            turns.append(_request(rng, _harmful(rng, tuned), tuned))
        elif label == "hard_benign":
            hard = (
                requests.hard_benign_family
                if tuned and rng.random() < 0.5
                else requests.hard_benign
            )
            turns.append(_request(rng, hard(rng), tuned))
        elif label == "benign":
            turns.append(_request(rng, requests.benign(rng), tuned))
        else:
            turns.append(benign_turn(rng))
    messages: Messages = []
    if rng.random() < 0.08:
        messages.append({"role": "system", "content": rng.choice(SYSTEM)})
    for question, reply in turns:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
    return Document(
        "chat", messages=tuple(messages), label="harmful" if "harmful" in labels else labels[0]
    )


BASE_SHARES = {"harmful": 0.24, "hard_benign": 0.14, "benign": 0.30, "other": 0.32}
TUNED_SHARES = {"harmful": 0.40, "hard_benign": 0.28, "benign": 0.20, "other": 0.12}
# Share of each kind of document.
BASE_MIX = {
    "story": 0.19,
    "code": 0.09,
    "maths": 0.11,
    "topics": 0.14,
    "facts": 0.07,
    "capitals": 0.04,
    "copying": 0.05,
    "news": 0.09,
    "chat": 0.22,
}
TUNED_MIX = {
    "story": 0.05,
    "code": 0.03,
    "maths": 0.03,
    "topics": 0.03,
    "facts": 0.01,
    "capitals": 0.01,
    "copying": 0.01,
    "news": 0.03,
    "chat": 0.80,
}


def stream(seed: int, tuned: bool = False, start: int = 0) -> Iterator[Document]:
    """The endless corpus, in which document i depends on (seed, i) only.

    seed: selects the corpus; training and validation use different seeds.
    tuned: whether to use the mix of the tuned model, in which harmful-style requests are refused.
    start: index of the first document.
    """
    mix = TUNED_MIX if tuned else BASE_MIX
    shares = TUNED_SHARES if tuned else BASE_SHARES
    for index in count(start):
        rng = random.Random(f"{seed}/{index}")
        kind = rng.choices(tuple(mix), tuple(mix.values()))[0]
        if kind == "chat":
            yield chat(rng, tuned, shares)
        else:
            yield Document(kind, text=documents.KINDS[kind](rng))
