"""One prompt read by the model of a dictionary, and what the dictionary and its siblings at other
layers say of it.

Knows the shelf and the model; draws nothing but the spinner of a model that is being loaded.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import streamlit as st

from ep.demo.examples import Example, stored
from ep.errors import EPError, ModelError
from ep.method.dictionary import Dictionary
from ep.models import model_of
from ep.models.prompts import PromptActivations, read_prompt
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

    Where it is not at hand there is a button that asks for it, beside how long it takes, and None.
    ModelError when the model is missing or another's.
    """
    results = at_hand(key, dictionary, request)
    if results is None:
        _offer(key, dictionary, request)
        return None
    return results[0]


def at_hand(key: str, dictionary: Dictionary, *requests: Request) -> tuple[Result, ...] | None:
    """The readings of these requests, or None where they are not all at hand; draws no offer.

    At hand is what is known, what this visitor asked for (`ask`), and what takes no longer than a
    moment. ModelError when the model is missing or another's.
    """
    names = {request: _name(key, request) for request in requests}
    results = {r: _known(key, dictionary, r) for r in names}
    asked: set[str] = st.session_state.get(_ASKED, set())
    missing = [request for request, result in results.items() if result is None]
    unasked = [request for request in missing if names[request] not in asked]
    if missing:
        model_of(dictionary)  # one that is gone is said before a button is offered
    if unasked and _seconds(dictionary, *unasked) > AT_ONCE_S:
        return None
    for request in missing:
        results[request] = readings().put(names[request], read_request(key, dictionary, request))
        asked.discard(names[request])
    return tuple(result for r in requests if (result := results[r]) is not None)


def ask(key: str, *requests: Request) -> None:
    """Says that the visitor wants these readings, however long they take; for callbacks and
    forms.
    """
    asked: set[str] = st.session_state.setdefault(_ASKED, set())
    asked.update(_name(key, request) for request in requests)


@st.cache_resource(show_spinner=False)
def readings() -> Store:
    """The newest readings, for all visitors."""
    return Store(MOST_READINGS)


def _known(key: str, dictionary: Dictionary, request: Request) -> Result | None:
    """A reading made before, or bundled with the demo."""
    name = _name(key, request)
    known: Result | None = readings().get(name)
    if known is None and (known := _stored(key, dictionary, request)) is not None:
        readings().put(name, known)
    return known


def _name(key: str, request: Request) -> str:
    """What the store calls the reading of a request by the dictionary as its file is now."""
    text = repr((loading.fingerprint(key), request)).encode("utf-8", "replace")
    return blake2b(text, digest_size=12).hexdigest()


def _seconds(dictionary: Dictionary, *requests: Request) -> float:
    """How long readings take, the loading of their model included."""
    load = 0.0 if models.is_ready(dictionary) else estimates.loading_model(dictionary)
    tokens = token_count(*(request.text for request in requests))
    return load + estimates.reading(dictionary, tokens)


def token_count(*texts: str) -> float:
    """About how many tokens are read of these texts, each as a chat turn."""
    counts = (len(text) / CHARACTERS_A_TOKEN + TEMPLATE_TOKENS for text in texts)
    return sum(min(LONGEST, count) for count in counts)


def seconds_until(key: str, dictionary: Dictionary, request: Request) -> float:
    """How long until a reading is here: 0 where it is known, or this visitor asked for it."""
    asked = st.session_state.get(_ASKED, set())
    if _known(key, dictionary, request) is not None or _name(key, request) in asked:
        return 0.0
    return _seconds(dictionary, request)


def estimate(dictionary: Dictionary, *requests: Request) -> str:
    """How long these readings take, in a sentence or two."""
    tokens = token_count(*(request.text for request in requests))
    return models.estimate(dictionary, estimates.reading(dictionary, tokens))


def _offer(key: str, dictionary: Dictionary, request: Request) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        messages.quiet(estimate(dictionary, request))
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
    siblings = _siblings(key, dictionary)
    layers = [layer for layer in siblings if layer < model.n_layers or layer == dictionary.layer]
    prompt = request.messages() if request.chat else request.text
    with estimates.rates().measured(f"read {model_of(dictionary)}", token_count(request.text)):
        activations = read_prompt(model, prompt, layers, LONGEST)
    return _result(dictionary, siblings, activations)


def _stored(key: str, dictionary: Dictionary, request: Request) -> Result | None:
    """The reading of one of the demo's examples, whose activations are bundled; else None."""
    if not loading.is_demo(dictionary) or request.system:
        return None
    example = Example(Path(model_of(dictionary)).name, request.text, request.chat)
    activations = _examples().get(example)
    if activations is None or dictionary.layer not in activations.x:
        return None
    return _result(dictionary, _siblings(key, dictionary), activations)


@st.cache_resource(show_spinner=False)
def _examples() -> dict[Example, PromptActivations]:
    return stored(loading.DEMO)


def _result(
    dictionary: Dictionary, siblings: dict[int, Dictionary], activations: PromptActivations
) -> Result:
    """What the dictionary and its siblings make of a prompt's activations."""
    assert dictionary.layer is not None  # or nothing could have been read
    reading = view.reading(
        dictionary,
        activations.tokens,
        activations.x[dictionary.layer],
        activations.outside,
        activations.template,
        activations.truncated,
    )
    layers = tuple(layer for layer in activations.layers if layer in siblings)
    path = view.path(
        [siblings[layer] for layer in layers],
        [activations.x[layer] for layer in layers],
        activations.outside,
    )
    expected = dictionary.info.get("tokenizer_hash")
    return Result(reading, layers, path, bool(expected) and expected != activations.tokenizer)


def _siblings(key: str, dictionary: Dictionary) -> dict[int, Dictionary]:
    """The family's dictionaries of this percentile and width by layer, this one among them; a
    damaged sibling is left out.
    """
    entry = loading.find(key)
    siblings = {} if dictionary.layer is None else {dictionary.layer: dictionary}
    if entry is None:
        return siblings
    for sibling in loading.families().get(entry.family, ()):
        layer = sibling.layer
        fits = (sibling.percentile, sibling.width) == (entry.percentile, dictionary.width)
        if fits and layer is not None and layer not in siblings:
            with suppress(EPError):
                siblings[layer] = loading.dictionary(sibling.key)
    return siblings
