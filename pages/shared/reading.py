"""One prompt read by the model of a dictionary, and what the dictionary and its siblings at other
layers say of it.

Knows the shelf and the model; draws nothing but the spinner of a model that is being loaded.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import streamlit as st

from ep.errors import EPError, ModelError
from ep.method.dictionary import Dictionary, split_text
from ep.models import LanguageModel, model_of, read
from ep.views import prompt as view
from pages.shared import estimates, loading, messages, models
from pages.shared.jobs import AT_ONCE_S
from pages.shared.store import Store

LONGEST = 1024
"""Tokens read at most; what is cut is said."""
MOST_READINGS = 24
CHARACTERS_A_TOKEN, TEMPLATE_TOKENS = 3.5, 20
"""Guesses, for how long a reading takes."""
_ASKED = "reading_asked"
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


def reading_of(key: str, dictionary: Dictionary, request: Request) -> Result | None:
    """The reading of a request by the dictionary with this key.

    It is made at once where it was asked for (`ask`) or takes no longer than a moment; else there
    is a button that asks for it, beside how long it takes, and None. ModelError when the model is
    missing or another's.
    """
    name = _name(key, request)
    if (found := readings().get(name)) is not None:
        return found  # type: ignore[no-any-return]
    asked = st.session_state.get(_ASKED) == name
    if not asked and _seconds(dictionary, request) > AT_ONCE_S:
        _offer(key, dictionary, request)
        return None
    result = read_request(key, dictionary, request)
    st.session_state.pop(_ASKED, None)
    return readings().put(name, result)  # type: ignore[no-any-return]


def ask(key: str, request: Request) -> None:
    """Says that the visitor wants this reading, however long it takes; for callbacks and forms."""
    st.session_state[_ASKED] = _name(key, request)


@st.cache_resource(show_spinner=False)
def readings() -> Store:
    """The newest readings, for all visitors."""
    return Store(MOST_READINGS)


def _name(key: str, request: Request) -> str:
    said = repr((loading.fingerprint(key), request)).encode("utf-8", "replace")
    return blake2b(said, digest_size=12).hexdigest()


def _seconds(dictionary: Dictionary, request: Request) -> float:
    """How long a reading takes, the loading of its model included."""
    load = 0.0 if models.is_ready(dictionary) else estimates.loading_model(dictionary)
    tokens = min(LONGEST, len(request.text) / CHARACTERS_A_TOKEN + TEMPLATE_TOKENS)
    return load + estimates.reading(dictionary, tokens)


def _offer(key: str, dictionary: Dictionary, request: Request) -> None:
    takes = estimates.spoken(_seconds(dictionary, request))
    first = "" if models.is_ready(dictionary) else "The model is loaded first. "
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        messages.quiet(f"{first}It takes {takes}.")
        st.button(
            "Read this text",
            icon=":material/play_arrow:",
            type="primary",
            key=f"reading_ask {_name(key, request)}",
            on_click=ask,
            args=(key, request),
        )


def read_request(key: str, dictionary: Dictionary, request: Request) -> Result:
    """The reading itself, made now."""
    model = models.language_model(dictionary)
    if model.width != dictionary.width or dictionary.layer is None:
        raise ModelError(
            f"{model.name} has {model.width} dimensions, this dictionary has {dictionary.width}: "
            "it was built from another model; open a dictionary of this one"
        )
    prompt = model.encode_prompt(request.messages() if request.chat else request.text)
    ids, template = prompt.ids[:LONGEST], prompt.is_template[:LONGEST]
    layers = _layers(key, dictionary, dictionary.layer, model)
    with estimates.rates().measured(f"read {model_of(dictionary)}", len(ids)):
        x = read(model, ids, sorted(layers))
    outside = model.tokens.bos_only(ids)
    reading = view.reading(
        dictionary,
        split_text([model.tokens.piece(i) for i in ids]),
        x[dictionary.layer],
        outside,
        template,
        prompt.truncated or len(ids) < len(prompt.ids),
    )
    found = tuple(sorted(layers))
    path = view.path([layers[layer] for layer in found], [x[layer] for layer in found], outside)
    expected = dictionary.info.get("tokenizer_hash")
    return Result(reading, found, path, bool(expected) and expected != model.digest)


def _layers(
    key: str, dictionary: Dictionary, own: int, model: LanguageModel
) -> dict[int, Dictionary]:
    """The family's dictionaries of this percentile by layer; a damaged or foreign sibling is left
    out.
    """
    found = {own: dictionary}
    entry = loading.find(key)
    if entry is None:
        return found
    for sibling in loading.families().get(entry.family, ()):
        layer = sibling.layer
        fits = (sibling.percentile, sibling.width) == (entry.percentile, model.width)
        if fits and layer is not None and layer < model.n_layers and layer not in found:
            with suppress(EPError):
                found[layer] = loading.dictionary(sibling.key)
    return found
