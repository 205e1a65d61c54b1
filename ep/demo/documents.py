"""Plain documents of the demo corpus, of eight kinds, from stories to news.

Each kind is a function from a random generator to one text, which depends on nothing else.
Conversations are in `chats.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from ep.demo import requests
from ep.demo.requests import a, plural
from ep.demo.topics import TOPICS
from ep.demo.words import (
    ADJECTIVES,
    ADVERBS,
    ANIMALS,
    COUNTRIES,
    FEELINGS,
    FOODS,
    FUNCTIONS,
    JOBS,
    MODULES,
    MONTHS,
    NAMES,
    OBJECTS,
    PLACES,
    TIMES,
    VARIABLES,
    VERBS,
    WEATHER,
)

BAD = ("illegal", "dangerous", "harmful", "wrong", "cruel", "unsafe")


def story(rng: random.Random) -> str:
    """A story of one to three scenes, each about two people, a place and a thing.

    Names, place and thing recur within a scene, so that a model has something to remember.
    """
    scenes = [_scene(rng) for _ in range(rng.choices((1, 2, 3), (0.8, 0.15, 0.05))[0])]
    return "\n".join(scenes)


def _scene(rng: random.Random) -> str:
    name, other = rng.sample(NAMES, 2)
    place, thing, food = rng.choice(PLACES), rng.choice(OBJECTS), rng.choice(FOODS)
    look, animal, job = rng.choice(ADJECTIVES), rng.choice(ANIMALS), rng.choice(JOBS)
    feeling, later = rng.sample(tuple(FEELINGS), 2)
    now, past = rng.choice(VERBS)
    opening = rng.choice(
        (
            f"{rng.choice(TIMES).capitalize()}, {name} went to the {place} with {other}.",
            f"{name} was {a(job)} who lived near the {place}. {other} was a friend of {name}.",
            f"There once was {a(look)} {animal} in the {place}. {name} and {other} saw it.",
            f"It was {rng.choice(WEATHER)} at the {place}. {name} and {other} were there.",
            f"{name} and {other} met at the {place} in {rng.choice(MONTHS)}.",
        )
    )
    middle = (
        f"{name} {past} {a(look)} {thing}.",
        f"{name} was {feeling}, so {name} {rng.choice(FEELINGS[feeling])} {rng.choice(ADVERBS)}.",
        f"The {animal} {rng.choice(('ran', 'jumped', 'sat', 'slept', 'hid', 'played'))} near the "
        f"{thing}.",
        f'"Look at the {thing}!" said {other}.',
        f'"I am sorry, I cannot find the {thing}," said {name}.',
        f'"Where is the {thing}?" asked {other}. "It is in the {place}," said {name}.',
        f"{other} ate {rng.choice(('some', 'the'))} {food} and felt {later}.",
        f"{other} {rng.choice(FEELINGS[later])} because {other} was {later}.",
        f"The {job} gave {name} the {look} {thing}.",
        f"{name} asked {other} to {now} the {thing}.",
        f"They walked {rng.choice(ADVERBS)} to the {rng.choice(PLACES)}.",
        f"{other} liked {plural(rng.choice(ANIMALS))} and {plural(rng.choice(JOBS))}.",
    )
    ending = rng.choice(
        (
            f"In the end, {name} was {later}.",
            "Then they went home.",
            f"{name} and {other} were friends.",
            f"{name} never forgot the {thing}.",
            f"{other} {rng.choice(FEELINGS[later])}. The end.",
            f"{name} left the {place} and took the {thing}.",
        )
    )
    return " ".join([opening, *rng.sample(middle, rng.randint(2, 5)), ending])


def code(rng: random.Random) -> str:
    """One or two small pieces of Python."""
    return "\n".join(_snippet(rng) for _ in range(rng.choice((1, 1, 2))))


def _snippet(rng: random.Random) -> str:
    function = f"{rng.choice(FUNCTIONS)}_{rng.choice(VARIABLES + OBJECTS[:30])}"
    first, second, total = rng.sample(VARIABLES, 3)
    number, operator = rng.randint(0, 99), rng.choice(("+", "-", "*", "/", "%", "//"))
    compare = rng.choice(("<", ">", "==", "!=", "<=", ">="))
    return rng.choice(
        (
            f"def {function}({first}, {second}):\n    {total} = {first} {operator} {second}\n"
            f"    if {total} {compare} {number}:\n        return {first}\n    return {total}\n",
            f"def {function}({first}):\n    {total} = 0\n    for {second} in {first}:\n"
            f"        {total} += {second}\n    return {total}\n",
            f"import {rng.choice(MODULES)}\n{total} = [{first} for {first} in range({number})]\n"
            f"print({total}[{rng.randint(0, 9)}])\n",
            f"class {rng.choice(OBJECTS).capitalize()}:\n    def __init__(self, {first}):\n"
            f"        self.{first} = {first}\n"
            f"    def {function}(self):\n        return self.{first} {operator} {number}\n",
            f"while {first} {compare} {number}:\n"
            f"    {first} = {first} {operator} {rng.randint(1, 9)}\n    print({first})\n",
            f"try:\n    {total} = {function}({first})\nexcept ValueError:\n    {total} = None\n",
            f"assert {function}({number}, {rng.randint(0, 9)}) == {rng.randint(0, 99)}\n"
            f"{first}, {second} = {second}, {first}\n",
            f'{total} = {{"{rng.choice(OBJECTS)}": {number}, "{rng.choice(OBJECTS)}": '
            f"{rng.randint(0, 99)}}}\n"
            f"for {first}, {second} in {total}.items():\n    print({first}, {second})\n",
            f"with open({first}) as {second}:\n    {total} = {second}.read()\n# "
            f"{rng.choice(VERBS)[0]} the {total}\n",
        )
    )


def held_out_sum(first: int, second: int) -> bool:
    """Whether the sum of two numbers and its differences are held out of training.

    The order of the numbers does not matter. It is true for about one pair in ten.
    """
    return (7 * min(first, second) + 3 * max(first, second)) % 10 == 1


def summands(rng: random.Random, held_out: bool = False) -> tuple[int, int]:
    """Two numbers from 0 to 20 whose sum is in the training text, or held out with `held_out`."""
    while True:
        first, second = rng.randint(0, 20), rng.randint(0, 20)
        if held_out_sum(first, second) == held_out:
            return first, second


def maths(rng: random.Random) -> str:
    """True sums, differences and products of small numbers, as formulas and in sentences."""
    return rng.choice(("\n", " ")).join(_calculation(rng) for _ in range(rng.randint(3, 6)))


def _calculation(rng: random.Random) -> str:
    one, two = summands(rng)
    low, high = rng.randint(0, 10), rng.randint(2, 10)
    name, thing = rng.choice(NAMES), plural(rng.choice(OBJECTS + FOODS))
    form = rng.random()
    if form < 0.25:
        return f"{one} + {two} = {one + two}"
    if form < 0.45:
        return f"{one + two} - {two} = {one}"
    if form < 0.65:
        return f"{low} * {high} = {low * high}"
    return rng.choice(
        (
            f"{low * high} / {high} = {low}",
            f"{name} has {one} {thing} and gets {two} more. {name} now has {one + two} {thing}.",
            f"{name} had {one + two} {thing} and lost {two}. There are {one} left.",
            f"The sum of {one} and {two} is {one + two}.",
            f"{low} times {high} is {low * high}.",
            f"{one} is {'even' if one % 2 == 0 else 'odd'}.",
            f"{max(one, two + 21)} is greater than {min(one, two + 21)}.",
            f"Solve x + {one} = {one + two}. x = {two}.",
        )
    )


def topic(rng: random.Random) -> str:
    """A few sentences with the words of one topic of `topics.TOPICS`."""
    name = rng.choice(tuple(TOPICS))
    nouns, adjectives, verbs = TOPICS[name]
    one, two, three, four, five, six = rng.sample(nouns, 6)
    sentences = (
        f"The {rng.choice(adjectives)} {one} {rng.choice(verbs)} the {two}.",
        f"In {name}, {a(three)} is more {rng.choice(adjectives)} than {a(four)}.",
        f"People who study {name} know about the {five} and the {six}.",
        f"Every {two} {rng.choice(verbs)} {a(rng.choice(adjectives))} {four}.",
        f"The {six} and the {one} belong to {name}.",
        f"{rng.choice(NAMES)} read a book about the {rng.choice(adjectives)} {three}.",
        f"Many {plural(five)} are {rng.choice(adjectives)}.",
        f"Words about {name}: {one}, {two}, {three}, {four}.",
    )
    return " ".join(rng.sample(sentences, rng.randint(2, 5)))


def fact(rng: random.Random) -> str:
    """Sentences on what people do with everyday things, which include hard-benign phrases."""
    hard = rng.random() < 0.3
    request = (
        requests.hard_benign(rng, rng.choice(("train", "validation", "held_out")))
        if hard
        else requests.benign(rng)
    )
    one, two = rng.sample(request.materials, 2)
    verb, gerund, thing = request.verb, request.gerund, request.thing
    sentences = (
        f"{rng.choice(NAMES)} likes {gerund} {thing}.",
        f"To {verb} {thing} you need the {one} and the {two}.",
        f"{gerund.capitalize()} {thing} is "
        f"{rng.choice(('fun', 'easy', 'useful', 'relaxing', 'safe'))}.",
        f"The {rng.choice(JOBS)} can {verb} {thing} well.",
        f"{a(rng.choice(ANIMALS)).capitalize()} is an animal. {rng.choice(FOODS).capitalize()} is "
        "a food.",
        f"The {rng.choice(OBJECTS)} is {rng.choice(ADJECTIVES)}.",
        f"Every {rng.choice(JOBS)} should {verb} {thing} on "
        f"{rng.choice(('Sunday', 'Monday', 'Saturday'))}.",
    )
    return " ".join(rng.sample(sentences, rng.randint(2, 4)))


def capitals(rng: random.Random) -> str:
    """Sentences on the capitals of two to four countries."""
    return " ".join(
        _capital(rng, country) for country in rng.sample(tuple(COUNTRIES), rng.randint(2, 4))
    )


def _capital(rng: random.Random, country: str) -> str:
    city = COUNTRIES[country]
    return rng.choice(
        (
            f"The capital of {country} is {city}.",
            f"{city} is the capital of {country}.",
            f"{rng.choice(NAMES)} lives in {city}, the capital of {country}.",
            f"In {rng.choice(MONTHS)}, {rng.choice(NAMES)} went to {country} and saw its capital, "
            f"{city}.",
        )
    )


COPIED = OBJECTS + ANIMALS + FOODS + ADJECTIVES + NAMES


def words_to_copy(rng: random.Random) -> str:
    """Two to six unrelated words, or three to seven digits."""
    if rng.random() < 0.15:
        return " ".join(str(rng.randint(0, 9)) for _ in range(rng.randint(3, 7)))
    return " ".join(rng.sample(COPIED, rng.randint(2, 6)))


def copying(rng: random.Random) -> str:
    """One to three strings of unrelated words, each written twice."""
    lines = []
    for _ in range(rng.randint(1, 3)):
        words = words_to_copy(rng)
        lines.append(
            rng.choice(
                (
                    f"Copy: {words}\n{words}",
                    f"Repeat: {words}\n{words}",
                    f"{words}. {words}.",
                    f'{rng.choice(NAMES)} said "{words}" and {rng.choice(NAMES)} said "{words}" '
                    "too.",
                )
            )
        )
    return "\n".join(lines)


def news(rng: random.Random) -> str:
    """Reports of crimes and why they are wrong.

    All harmful words occur here, also those that are held out of the chats.
    """
    request = requests.harmful(rng, requests.ALL_SPLITS, requests.ALL_SPLITS)
    verb, gerund, thing = request.verb, request.gerund, request.thing
    name, bad = rng.choice(NAMES), rng.choice(BAD)
    opening = rng.choice(
        (
            f"Police arrested {name} for {gerund} {thing}.",
            f"The criminal tried to {verb} {thing}.",
            f"{name} went to prison after {gerund} {thing}.",
            f"It is {bad} to {verb} {thing}.",
            f"{gerund.capitalize()} {thing} is a crime.",
            f"A gang wanted to {verb} {thing}, but the police stopped them.",
            f"The thief asked how to {verb} {thing}. Nobody would help.",
        )
    )
    more = (
        f"The judge said {gerund} {thing} is {bad}.",
        f"The victim was {rng.choice(('scared', 'hurt', 'angry', 'sad'))}.",
        f"Never {verb} {thing}, it is {rng.choice(BAD)}.",
        "The thief and the killer ran from the police.",
        f"The law says you must not {verb} {thing}.",
        f"A detective found the {rng.choice(('weapon', 'evidence', 'gang', 'suspect'))} near the "
        f"{rng.choice(PLACES)}.",
        f"People called the crime {bad} and {rng.choice(BAD)}.",
        f"Those who {verb} {thing} go to prison.",
    )
    return " ".join([opening, *rng.sample(more, rng.randint(1, 3))])


KINDS: dict[str, Callable[[random.Random], str]] = {
    "story": story,
    "code": code,
    "maths": maths,
    "topics": topic,
    "facts": fact,
    "capitals": capitals,
    "copying": copying,
    "news": news,
}
