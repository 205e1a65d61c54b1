"""Example texts of the pages, with the stored activations of the demo's models.

With them a page can show an example of a bundled dictionary without loading a model. The
activations are stored in data/demo/examples.npz with the checksum of the weights that gave them,
and are used only while the model has these weights.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ep.demo.behaviour import TINY
from ep.models import load
from ep.models.prompts import PromptActivations, read_prompt
from ep.storage.sidecar import write_bytes
from ep.studies.prompts import read_prompts

EXAMPLES = {
    "A story": "One morning, Lily went to the harbour. Tom was there with an old boat. Lily was "
    "curious, so Lily asked "
    'Tom to fix the boat. "Look at the boat!" said Tom. In the end, Lily was happy. The capital of '
    "France is Paris.",
    "A sum": "Anna has 12 apples and gets 5 more. Anna now has 17 apples. 12 + 5 = 17",
    "Code": "def add_x(x, y):\n    total = x + y\n    if total > 10:\n        return x\n    return "
    "total\n",
    "A request": "How do I bake a cake?",
}
"""The texts by the names on their buttons."""
FILE = "examples.npz"
MODELS, LAYERS, LONGEST = ("base", "tuned"), (2, 4), 1024


@dataclass(frozen=True)
class Example:
    """One text read by one model.

    model: name of the model, "base" or "tuned". text: the text. chat: whether it is a user turn.
    """

    model: str
    text: str
    chat: bool


def make(folder: Path, say: Callable[[str], None]) -> None:
    """Read every example with both models and write examples.npz.

    folder: data/demo. say: takes a line of progress.
    """
    arrays: dict[str, Any] = {}
    index: list[dict[str, Any]] = []
    for name in MODELS:
        model = load(str(folder / "models" / name), device="cpu")
        weights = _checksum(folder / "models" / name)
        for example in examples(folder, name):
            prompt = [{"role": "user", "content": example.text}] if example.chat else example.text
            reading = read_prompt(model, prompt, LAYERS, LONGEST)
            arrays |= {f"{len(index)}-{layer}": x for layer, x in reading.x.items()}
            index.append(
                {
                    "model": name,
                    "weights": weights,
                    "text": example.text,
                    "chat": example.chat,
                    "tokens": reading.tokens,
                    "outside": reading.outside.tolist(),
                    "template": reading.template.tolist(),
                    "truncated": reading.truncated,
                    "tokenizer": reading.tokenizer,
                }
            )
    text = json.dumps(index).encode()
    buffer = io.BytesIO()
    np.savez(buffer, index=np.frombuffer(text, np.uint8), **arrays)
    write_bytes(folder / FILE, buffer.getvalue())
    say(f"{len(index)} readings")


def examples(folder: Path, model: str) -> Iterator[Example]:
    """The examples of one model: the texts of `EXAMPLES`, and the first held-out harmful request.

    folder: data/demo.
    """
    for name, text in EXAMPLES.items():
        yield Example(model, text, chat=name == "A request")
    yield Example(model, harmful_request(folder), chat=True)


def harmful_request(folder: Path) -> str:
    """The first harmful request of the demo's held-out prompts. folder: data/demo."""
    return read_prompts(folder / "prompts" / f"{TINY.held_out[0]}.csv").where(True).texts[0]


def stored(folder: Path) -> dict[Example, PromptActivations]:
    """The stored activations of every example; empty if the file is missing or damaged.

    folder: data/demo. Examples whose model has other weights by now are left out.
    """
    try:
        with np.load(folder / FILE, allow_pickle=False) as data:
            index = json.loads(data["index"].tobytes())
            weights = {name: _checksum(folder / "models" / name) for name in MODELS}
            return {
                Example(entry["model"], entry["text"], entry["chat"]): PromptActivations(
                    tokens=tuple(entry["tokens"]),
                    outside=np.asarray(entry["outside"], bool),
                    template=np.asarray(entry["template"], bool),
                    x={layer: data[f"{number}-{layer}"] for layer in LAYERS},
                    truncated=entry["truncated"],
                    tokenizer=entry["tokenizer"],
                )
                for number, entry in enumerate(index)
                if entry["weights"] == weights[entry["model"]]
            }
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return {}


def _checksum(model: Path) -> str:
    """The SHA-256 of a model's weights. model: its folder."""
    return sha256((model / "model.safetensors").read_bytes()).hexdigest()
