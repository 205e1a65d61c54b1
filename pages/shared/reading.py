"""Readings: a prompt run through the model of a dictionary, and its tokens assigned to regions of
the dictionary and of its siblings at other layers.

A reading that takes long starts only after the visitor has confirmed it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import streamlit as st

from ep.demo.examples import Example, stored
from ep.errors import EPError, ModelError
from ep.method.dictionary import Dictionary
from ep.models import model_of, other_weights
from ep.models.adapters import parts
from ep.models.prompts import PromptActivations, read_prompt
from ep.views import prompt as view
from pages.shared import estimates, loading, messages, models
from pages.shared.jobs import AT_ONCE_S
from pages.shared.store import Store

LONGEST = 1024
"""Tokens read at most; pages report a text that was cut."""
MOST_READINGS = 24
CHARACTERS_A_TOKEN, TEMPLATE_TOKENS = 3.5, 20
"""Guesses, for the estimate of how long a reading takes."""
_CONFIRMED = "reading_asked"


@dataclass(frozen=True)
class Request:
    """A text to read, or a user turn (with a system message, if any) for the chat template."""

    text: str
    chat: bool = False
    system: str = ""

    def messages(self) -> list[dict[str, str]]:
        """Return the messages of a chat request."""
        system = [{"role": "system", "content": self.system}] if self.system.strip() else []
        return [*system, {"role": "user", "content": self.text}]


@dataclass(frozen=True, eq=False)
class Result:
    """A reading by one dictionary, and the regions of the same tokens at the family's layers.

    x: the raw activations (t, d) at each of `layers`. path: what `ep.views.prompt.path` returns for
    them. foreign_tokenizer: whether the model's
    tokenizer is not the one that the dictionary was built with. other_weights: what to say where
    its weights are not; None where they are, or that is not known.
    """

    reading: view.Reading
    layers: tuple[int, ...]
    x: dict[int, np.ndarray]
    path: np.ndarray
    foreign_tokenizer: bool
    other_weights: str | None = None


def reading_or_offer(key: str, dictionary: Dictionary, request: Request) -> Result | None:
    """Return the reading of a request by the dictionary with this key.

    Where it is not available, return None and draw a button that confirms it, beside an estimate
    of the time. Raises ModelError when the model is missing or not that of the dictionary.
    """
    results = available(key, dictionary, request)
    if results is None:
        _offer(key, dictionary, request)
        return None
    return results[0]


def available(key: str, dictionary: Dictionary, *requests: Request) -> tuple[Result, ...] | None:
    """Return the readings of these requests, or None where they are not all available.

    A reading is available when it is stored, when this visitor has confirmed it (`confirm`), or
    when it takes at most `AT_ONCE_S`; it is then made here if necessary. Raises ModelError when
    the model is missing or not that of the dictionary.
    """
    names = {request: name_of(key, request) for request in requests}
    results = {request: _stored(key, dictionary, request) for request in names}
    confirmed: set[str] = st.session_state.get(_CONFIRMED, set())
    missing = [request for request, result in results.items() if result is None]
    unconfirmed = [request for request in missing if names[request] not in confirmed]
    if missing:
        model_of(dictionary)  # raises for a missing model, before a button is offered
    if unconfirmed and _seconds(dictionary, *unconfirmed) > AT_ONCE_S:
        return None
    for request in missing:
        results[request] = readings().put(names[request], read_request(key, dictionary, request))
        confirmed.discard(names[request])
    return tuple(result for r in requests if (result := results[r]) is not None)


def confirm(key: str, *requests: Request) -> None:
    """Record, from a callback or form, that the visitor wants these readings however long they
    take.
    """
    confirmed: set[str] = st.session_state.setdefault(_CONFIRMED, set())
    confirmed.update(name_of(key, request) for request in requests)


@st.cache_resource(show_spinner=False)
def readings() -> Store:
    """Return the store of the newest readings, which all visitors share."""
    return Store(MOST_READINGS)


def _stored(key: str, dictionary: Dictionary, request: Request) -> Result | None:
    """Return a reading that was made before or is bundled with the demo, or None."""
    name = name_of(key, request)
    result: Result | None = readings().get(name)
    if result is None and (result := _bundled(key, dictionary, request)) is not None:
        readings().put(name, result)
    return result


def name_of(key: str, request: Request) -> str:
    """Return a key of a request to a dictionary as its file is now, such as that in `readings`."""
    text = repr((loading.fingerprint(key), request)).encode("utf-8", "replace")
    return blake2b(text, digest_size=12).hexdigest()


def _seconds(dictionary: Dictionary, *requests: Request) -> float:
    """Return the seconds that readings take, the loading of their model included."""
    load = 0.0 if models.is_ready(dictionary) else estimates.loading_model(dictionary)
    tokens = estimated_tokens(*(request.text for request in requests))
    return load + estimates.reading(dictionary, tokens)


def estimated_tokens(*texts: str) -> float:
    """Return an estimate of how many tokens are read of these texts, each as a chat turn."""
    counts = (len(text) / CHARACTERS_A_TOKEN + TEMPLATE_TOKENS for text in texts)
    return sum(min(LONGEST, count) for count in counts)


def seconds_until(key: str, dictionary: Dictionary, request: Request) -> float:
    """Return the seconds that a reading takes: 0 if it is stored or this visitor confirmed it."""
    confirmed = st.session_state.get(_CONFIRMED, set())
    if _stored(key, dictionary, request) is not None or name_of(key, request) in confirmed:
        return 0.0
    return _seconds(dictionary, request)


def estimate(dictionary: Dictionary, *requests: Request) -> str:
    """Return how long these readings take, in a sentence or two."""
    tokens = estimated_tokens(*(request.text for request in requests))
    return models.estimate(dictionary, estimates.reading(dictionary, tokens))


def _offer(key: str, dictionary: Dictionary, request: Request) -> None:
    """Draw a button that confirms a reading, beside an estimate of the time."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        messages.quiet(estimate(dictionary, request))
        st.button(
            "Read this text",
            icon=":material/play_arrow:",
            type="primary",
            key=f"reading_ask {name_of(key, request)}",
            on_click=confirm,
            args=(key, request),
        )


def read_request(key: str, dictionary: Dictionary, request: Request) -> Result:
    """Return the reading of a request, which is made now.

    Raises ModelError when the model is missing or not that of the dictionary.
    """
    model = models.language_model(dictionary)
    if model.width != dictionary.width or dictionary.layer is None:
        raise ModelError(
            f"{model.name} has {model.width} dimensions, this dictionary has {dictionary.width}: "
            "it was built from another model; open a dictionary of this one"
        )
    siblings = _siblings(key, dictionary)
    layers = [layer for layer in siblings if layer < model.n_layers or layer == dictionary.layer]
    prompt = request.messages() if request.chat else request.text
    with estimates.rates().measured(f"read {model_of(dictionary)}", estimated_tokens(request.text)):
        activations = read_prompt(model, prompt, layers, LONGEST)
    result = _result(dictionary, siblings, activations)
    return replace(result, other_weights=other_weights(model, dictionary))


def _bundled(key: str, dictionary: Dictionary, request: Request) -> Result | None:
    """Return the reading of one of the demo's examples, whose activations are bundled, or None."""
    if not loading.is_demo(dictionary) or request.system:
        return None
    model, adapter = parts(model_of(dictionary))
    if adapter is not None:
        return None
    example = Example(Path(model).name, request.text, request.chat)
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
    """Return the result for a prompt's activations, with its regions at the siblings' layers."""
    assert dictionary.layer is not None  # activations can only be read at a known layer
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
    x = {layer: activations.x[layer] for layer in layers}
    return Result(reading, layers, x, path, bool(expected) and expected != activations.tokenizer)


def sibling_keys(key: str, dictionary: Dictionary) -> dict[int, str]:
    """Return the keys of the dictionaries of the family with this percentile and width by layer,
    that of this one included.
    """
    entry = loading.find(key)
    keys = {} if dictionary.layer is None else {dictionary.layer: key}
    if entry is None:
        return keys
    for sibling in loading.families().get(entry.family, ()):
        fits = (sibling.percentile, sibling.width) == (entry.percentile, dictionary.width)
        if fits and sibling.layer is not None:
            keys.setdefault(sibling.layer, sibling.key)
    return keys


def _siblings(key: str, dictionary: Dictionary) -> dict[int, Dictionary]:
    """Return the dictionaries of `sibling_keys`; damaged ones are left out."""
    siblings = {} if dictionary.layer is None else {dictionary.layer: dictionary}
    for layer, other in sibling_keys(key, dictionary).items():
        if other != key:
            with suppress(EPError):
                siblings[layer] = loading.dictionary(other)
    return siblings
