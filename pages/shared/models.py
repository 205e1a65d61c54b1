"""The language models behind dictionaries, each loaded once for everybody; how far each is.

The only drawing is the spinner of a model that is being loaded, and its line in the side bar.
"""

from __future__ import annotations

from contextlib import suppress
from html import escape
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.errors import StreamlitInvalidLayoutContextError

from ep.errors import ModelError
from ep.method.dictionary import Dictionary
from ep.models import model_of
from ep.models.pairing import named_in
from ep.progress import Report
from ep.storage import Entry
from pages.shared import estimates

if TYPE_CHECKING:
    from ep.models import LanguageModel

NOT_NEEDED, LOADING, NOT_HERE = "not needed", "loading", "not here"
COLORS = {NOT_NEEDED: "#8a93a6", LOADING: "#edd362"}
READY = "#498267"
_PLACE = "models_place"


class Models:
    """The models of this server, by what `ep.load` is given."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loaded: dict[str, LanguageModel] = {}
        self._loading: set[str] = set()

    def get(self, name: str) -> LanguageModel | None:
        """The model, if it is loaded."""
        return self._loaded.get(name)

    def load(self, name: str) -> LanguageModel:
        """The model, loaded now unless it is; two who ask at once wait for one load. ModelError."""
        from ep.models import load  # torch is heavy: only who reads text pays for it

        self._loading.add(name)
        try:
            with self._lock:
                if name not in self._loaded:
                    with estimates.rates().measured(f"load {name}"):
                        self._loaded[name] = load(name)
        finally:
            self._loading.discard(name)
        return self._loaded[name]

    def state(self, name: str) -> str:
        """ "not needed" until it is asked for, then "loading", then "ready on cpu"."""
        if (model := self.get(name)) is not None:
            return f"ready on {model.device}"
        return LOADING if name in self._loading else NOT_NEEDED


@st.cache_resource(show_spinner=False)
def models() -> Models:
    """This server's."""
    return Models()


def language_model(dictionary: Dictionary) -> LanguageModel:
    """The model a dictionary was built from, with a spinner the first time; from a page.

    ModelError when there is no such model here or on the Hub.
    """
    name = model_of(dictionary)
    if (model := models().get(name)) is not None:
        return model
    with st.spinner("Loading the language model, once…", show_time=True):
        model = models().load(name)
    show_state(dictionary)
    return model


def load_for(dictionary: Dictionary, report: Report) -> LanguageModel:
    """The same from the work of a job, which reports it."""
    name = model_of(dictionary)
    if models().get(name) is None:
        report("loading the language model", None)
    return models().load(name)


def state(dictionary: Dictionary) -> str:
    """How far a dictionary's model is, in a few words; "not here" when it is gone."""
    try:
        return models().state(model_of(dictionary))
    except ModelError:
        return NOT_HERE


def is_ready(dictionary: Dictionary) -> bool:
    """Whether a dictionary's model is loaded."""
    return state(dictionary).startswith("ready")


def is_here(dictionary: Dictionary | Entry) -> bool:
    """Whether the model can be loaded without asking a network: a folder here, or in the Hub's
    cache.
    """
    from huggingface_hub import try_to_load_from_cache

    try:
        name = named_in(dictionary.info, dictionary.path)
        return Path(name).is_dir() or isinstance(try_to_load_from_cache(name, "config.json"), str)
    except (ModelError, ValueError):  # no model named, or a name the Hub could not have
        return False


def estimate(dictionary: Dictionary, seconds: float) -> str:
    """How long work of a dictionary's model takes, in a sentence or two. seconds: once it is
    loaded.
    """
    if is_ready(dictionary):
        return f"It takes {estimates.spoken(seconds)}."
    if is_here(dictionary):
        total = estimates.loading_model(dictionary) + seconds
        return f"The model is loaded first. It takes {estimates.spoken(total)}."
    return "The model is downloaded first, which may take minutes."


def place_state(dictionary: Dictionary) -> None:
    """Makes room for the model's line, in the side bar, and draws it."""
    st.session_state[_PLACE] = st.empty()
    show_state(dictionary)


def show_state(dictionary: Dictionary) -> None:
    """Draws the model's line as it is now into its place, if there is one.

    A fragment that runs alone cannot draw there: the next run of the whole page does.
    """
    place, text = st.session_state.get(_PLACE), state(dictionary)
    if place is None:
        return
    dot = f'<span class="ep-sw" style="--c:{COLORS.get(text, READY)};margin:0"></span>'
    with suppress(StreamlitInvalidLayoutContextError):
        place.html(
            '<hr class="ep-hr"><div class="ep-k" style="margin-bottom:.3em">Model</div>'
            f'<div class="ep-row">{dot}<span>{escape(text)}</span></div>'
        )
