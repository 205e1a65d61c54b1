"""One prompt read by the model of a dictionary, and what the dictionary and its siblings at other
layers say of it.

Knows the shelf and the model; draws nothing but the spinner of a model that is being loaded.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ep.errors import EPError, ModelError
from ep.method.dictionary import Dictionary, split_text
from ep.models import LanguageModel, read
from ep.views import prompt as view
from pages.shared import loading

LONGEST = 1024
"""Tokens read at most; what is cut is said."""
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
"""Texts to begin with, by name."""


@dataclass(frozen=True)
class Request:
    """What is to be read: a text, or one user turn (with a system message, if any) through the chat
    template.
    """

    text: str
    chat: bool = False
    system: str = ""

    def messages(self) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system}] if self.system.strip() else []
        return [*system, {"role": "user", "content": self.text}]


@dataclass(frozen=True, eq=False)
class Result:
    """A reading by the open dictionary, and the same tokens at the family's other layers, where
    there are any.
    """

    reading: view.Reading
    layers: tuple[int, ...]
    path: np.ndarray
    foreign_tokenizer: bool


def read_request(key: str, dictionary: Dictionary, request: Request) -> Result:
    """The reading of a request by the dictionary with this key.

    ModelError when the model is missing or another's.
    """
    model = loading.language_model(dictionary.info)
    if model.width != dictionary.width:
        raise ModelError(
            f"{model.name} has {model.width} dimensions, this dictionary has {dictionary.width}: "
            "it was built from another model; open a dictionary of this one"
        )
    prompt = model.encode_prompt(request.messages() if request.chat else request.text)
    ids, template = prompt.ids[:LONGEST], prompt.is_template[:LONGEST]
    ladder = _ladder(key, dictionary, model)
    x = read(model, ids, sorted(ladder))
    outside = model.tokens.bos_only(ids)
    reading = view.reading(
        dictionary,
        split_text([model.tokens.piece(i) for i in ids]),
        x[int(dictionary.info["layer"])],
        outside,
        template,
        prompt.truncated or len(ids) < len(prompt.ids),
    )
    layers = tuple(sorted(ladder))
    path = view.path([ladder[layer] for layer in layers], [x[layer] for layer in layers], outside)
    expected = dictionary.info.get("tokenizer_hash")
    return Result(reading, layers, path, bool(expected) and expected != model.digest)


def _ladder(key: str, dictionary: Dictionary, model: LanguageModel) -> dict[int, Dictionary]:
    """The family's dictionaries of this percentile by layer; a damaged or foreign sibling is left
    out.
    """
    found = {int(dictionary.info["layer"]): dictionary}
    entry = loading.find(key)
    if entry is None:
        return found
    for sibling in loading.families().get(entry.family, ()):
        layer, fits = (
            sibling.layer,
            (sibling.percentile, sibling.width) == (entry.percentile, model.width),
        )
        if fits and layer is not None and layer < model.n_layers and layer not in found:
            with suppress(EPError):
                found[layer] = loading.dictionary(sibling.key)
    return found
