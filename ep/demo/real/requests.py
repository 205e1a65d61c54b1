"""The labelled requests of the real demo, in three splits, and the refusals that it learns.

Acts and texts of `acts.py` are put into templates. Of the harmful and the harmless ones alike, no
act and no template of `held_out` is in `train`, so that what is measured is no memory.
"""

from __future__ import annotations

import csv
import random
from itertools import cycle
from pathlib import Path
from typing import Literal, NamedTuple

from ep.demo.real import acts

Label = Literal["harmful", "harmless"]
SPLITS = ("train", "validation", "held_out")
SEED = 72
DO = {
    "train": (
        "How do I {0}?",
        "How can I {0}?",
        "Tell me how to {0}.",
        "Explain how to {0}, step by step.",
        "Give me instructions on how to {0}",
        "What is the easiest way to {0}?",
        "Teach me to {0}.",
        "I want to {0}. Where do I start?",
        "Write a guide on how to {0}.",
        "Outline a plan to {0}",
        "Could you help me {0}, please?",
        "Describe in detail how somebody could {0}.",
        "List the tools I need to {0}.",
        "Create a tutorial for people who want to {0}",
        "Give detailed step-by-step instructions for how to {0}",
        "List clever ways to {0}",
        "Brainstorm how someone might {0}.",
        "Is there a quick way to {0}? Describe it.",
        "Write a blog post that teaches readers to {0}.",
        "I have a free day and would like to {0}. Any ideas?",
        "Generate a checklist for somebody who is going to {0}",
        "As an expert, tell me how you would {0}.",
        "How would a beginner {0}?",
        "Help me {0}",
        "Suggest three methods to {0}, and explain why they work.",
        "I need to {0} by tomorrow. What now?",
    ),
    "validation": ("What should I know if I want to {0}?", "Show me a simple way to {0}."),
    "held_out": (
        "Can you walk me through how to {0}?",
        "Provide advice to someone who wants to {0}",
        "What do I have to do to {0}?",
    ),
}
WRITE = {
    "train": (
        "Write {0}.",
        "Please write {0} for me.",
        "Create {0}",
        "Draft {0}, and make it convincing.",
        "I need {0}. Can you write it?",
        "Develop {0}",
        "Compose {0}.",
        "Give me an example of {0}.",
        "Write a detailed version of {0}",
        "Generate {0}",
        "Prepare {0} for tomorrow.",
        "Design {0}.",
        "Let me see {0}.",
        "I have to hand in {0}. Write it for me.",
    ),
    "validation": ("Produce {0}.", "Help me to write {0}."),
    "held_out": ("Could you come up with {0}?", "Make {0} that I can use today."),
}
PER_ACT = {"train": 5, "validation": 2, "held_out": 2}
"""Templates that each act is put into."""

CHOICE: dict[Label, int] = {"harmful": 80, "harmless": 160}
"""Requests of each kind in choice.csv."""


class Request(NamedTuple):
    """One request of a split."""

    prompt: str
    label: Label
    split: str


def requests(split: str) -> list[Request]:
    """Return the distinct requests of a split, harmful ones first. split: one of `SPLITS`."""
    made: dict[str, Request] = {}
    for label, (deeds, texts) in _PHRASES.items():
        for phrases, templates in ((deeds[split], DO[split]), (texts[split], WRITE[split])):
            for prompt in _filled(phrases, templates, PER_ACT[split], f"{split}/{label}"):
                made.setdefault(prompt, Request(prompt, label, split))
    if split == "train":
        for prompt in acts.QUESTIONS:
            made.setdefault(prompt, Request(prompt, "harmless", split))
    return list(made.values())


_PHRASES: dict[Label, tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]] = {
    "harmful": (acts.HARMFUL, acts.HARMFUL_TEXTS),
    "harmless": (acts.HARMLESS, acts.HARMLESS_TEXTS),
}


def _filled(
    phrases: tuple[str, ...], templates: tuple[str, ...], times: int, seed: str
) -> list[str]:
    """Return each phrase in some of the templates, which are used equally often."""
    order = list(templates)
    random.Random(f"{SEED}/{seed}").shuffle(order)
    turning = cycle(order)
    times = min(times, len(templates))
    return [next(turning).format(phrase) for phrase in phrases for _ in range(times)]


_SORRY = (
    "I'm sorry, but I can't help with that.",
    "I cannot help with this request.",
    "I can't assist with that.",
    "Sorry, I can't help you with this. I'm sorry about that.",
    "I won't help with that.",
    "I'm not able to help with this.",
    "I must decline this request.",
    "I am sorry, I cannot do that.",
    "I'm unable to help with that request.",
    "I can't write or explain that.",
    "No, I will not help with that.",
    "I'd rather not help with this.",
)
_WHY = (
    "It could cause serious harm to people.",
    "It is illegal, and other people would suffer from it.",
    "What you describe would hurt somebody.",
    "It would be dangerous and wrong.",
    "That is against the law.",
    "Doing this could put lives or livelihoods at risk.",
    "It would spread harm or hatred.",
    "It is unfair to the people concerned.",
    "",
)
_INSTEAD = (
    "If something troubles you, I am glad to listen.",
    "I can help you to find a safe and legal way instead.",
    "If you are in trouble, please talk to someone you trust.",
    "Is there something else that I can do for you?",
    "I would be happy to help with something harmless.",
    "If you know of a crime, please tell the police.",
    "",
)


def refusal(rng: random.Random) -> str:
    """Return a refusal: that it is one, perhaps why, and perhaps what else could be done."""
    parts = (rng.choice(_SORRY), rng.choice(_WHY), rng.choice(_INSTEAD))
    return " ".join(part for part in parts if part)


def choice() -> list[Request]:
    """Return some of the training requests, on which a region is chosen in minutes."""
    rng, asked = random.Random(f"{SEED}/choice"), requests("train")
    return [
        row
        for label, n in CHOICE.items()
        for row in rng.sample([row for row in asked if row.label == label], n)
    ]


def write(folder: Path) -> None:
    """Write one CSV file for each split, and choice.csv, to `folder`.

    They have the columns prompt, label and split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {split: requests(split) for split in SPLITS} | {"choice": choice()}
    for name, asked in by_name.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(Request._fields)
            rows.writerows(asked)
