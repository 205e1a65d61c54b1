"""The language models of dictionaries, each loaded once for all visitors, and their state.

Nothing is drawn but a spinner while a model loads, and the model's state in the side bar.
"""

from __future__ import annotations

from contextlib import suppress
from html import escape
from threading import Lock
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.errors import StreamlitInvalidLayoutContextError

from ep.errors import ModelError
from ep.method.dictionary import Dictionary
from ep.models import model_of
from ep.models import other_weights as weights_note
from ep.models.adapters import Named, parts
from ep.models.pairing import named_in
from ep.models.source import is_here
from ep.progress import Report, silent
from ep.storage import Entry
from ep.text import plain
from ep.views.tables import model_name
from pages.shared import estimates, loading, messages

if TYPE_CHECKING:
    from ep.models import LanguageModel

NOT_NEEDED, LOADING, NOT_HERE = "not needed", "loading", "not here"
COLORS = {NOT_NEEDED: "#8a93a6", LOADING: "#edd362"}
READY = "#498267"
_PLACE = "models_place"


class Models:
    """The models of this server, by what `ep.load` takes: a name, or one with an adapter."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loaded: dict[Named, LanguageModel] = {}
        self._loading: set[Named] = set()

    def get(self, name: Named) -> LanguageModel | None:
        """Return the model if it is loaded, or None."""
        return self._loaded.get(name)

    def load(self, name: Named, report: Report = silent) -> LanguageModel:
        """Return the model, and load it first if necessary; concurrent calls share one load.

        report: called while a GGUF file is converted first, which takes long.

        Raises ModelError when the model cannot be loaded.
        """
        from ep.models import load  # imported here because importing torch takes seconds

        self._loading.add(name)
        try:
            with self._lock:
                if name not in self._loaded:
                    with estimates.rates().measured(estimates.load_rate(name)):
                        self._loaded[name] = load(name, progress=report)
        finally:
            self._loading.discard(name)
        return self._loaded[name]

    def state(self, name: Named) -> str:
        """Return the state of a model: "not needed", "loading", or for example "ready on cpu"."""
        if (model := self.get(name)) is not None:
            return f"ready on {model.device}"
        return LOADING if name in self._loading else NOT_NEEDED


@st.cache_resource(show_spinner=False)
def models() -> Models:
    """Return the models of this server."""
    return Models()


def language_model(dictionary: Dictionary) -> LanguageModel:
    """Return the model of a dictionary, for a page: a spinner is shown while it loads.

    Raises ModelError when the model is neither on this machine nor on the Hub.
    """
    name = model_of(dictionary)
    if (model := models().get(name)) is not None:
        return model
    place = st.empty()

    def report(text: str, share: float | None) -> None:
        place.progress(share or 0.0, text=text)

    with st.spinner("Loading the language model, once…", show_time=True):
        model = models().load(name, report)
    place.empty()
    show_state(dictionary)
    return model


def load_for(dictionary: Dictionary, report: Report) -> LanguageModel:
    """Return the model of a dictionary, for the work of a job: loading is reported to the job.

    Raises ModelError when the model is neither on this machine nor on the Hub.
    """
    name = model_of(dictionary)
    if models().get(name) is None:
        report("loading the language model", None)
    return models().load(name, report)


def state(dictionary: Dictionary) -> str:
    """Return the state of a dictionary's model in a few words; "not here" if it cannot be found."""
    try:
        return models().state(model_of(dictionary))
    except ModelError:
        return NOT_HERE


def is_ready(dictionary: Dictionary) -> bool:
    """Return whether a dictionary's model is loaded."""
    return state(dictionary).startswith("ready")


def other_weights(dictionary: Dictionary) -> str | None:
    """Return what `ep.models.other_weights` says of the loaded model; None where none is loaded."""
    try:
        model = models().get(model_of(dictionary))
    except ModelError:
        return None
    return None if model is None else weights_note(model, dictionary)


def note_other_weights(*dictionaries: Dictionary) -> None:
    """Draw a line for each dictionary whose loaded model has other weights than it was built on."""
    for line in dict.fromkeys(map(other_weights, dictionaries)):
        if line is not None:
            messages.note(messages.sentence(line))


def is_local(dictionary: Dictionary | Entry) -> bool:
    """Return whether the model can be loaded without a network: from a folder on this machine, or
    from the cache of the Hub.
    """
    try:
        return is_here(parts(named_in(dictionary.info, dictionary.path))[0])
    except ModelError:  # no model is named, or its adapter is gone
        return False


def estimate(dictionary: Dictionary, seconds: float) -> str:
    """Return how long work with a dictionary's model takes, in a sentence or two; or what is in the
    way, for a model that is not here.

    seconds: the estimate for the work itself, without loading the model.
    """
    try:
        model_of(dictionary)
    except ModelError as error:
        return messages.sentence(error)
    if is_ready(dictionary):
        return f"It takes {estimates.duration_text(seconds)}."
    if is_local(dictionary):
        total = estimates.loading_model(dictionary) + seconds
        return f"The model is loaded first. It takes {estimates.duration_text(total)}."
    return "The model is downloaded first, which may take minutes."


def shown_name(dictionary: Dictionary) -> str:
    """Return the model that a dictionary names and a page would load, as it states it.

    Untrusted text. The side bar shows it beside every button that would load the model, because a
    file of others may name any.
    """
    stated = str(dictionary.info.get("model") or "none is named")
    return model_name(dictionary.info) if loading.is_bundled(dictionary) else stated


def place_state(dictionary: Dictionary) -> None:
    """Create the placeholder for the model's state in the side bar, and draw the state there."""
    st.session_state[_PLACE] = st.empty()
    show_state(dictionary)


def show_state(dictionary: Dictionary) -> None:
    """Draw the current state of the model into its placeholder, if there is one.

    Streamlit does not let a fragment that reruns alone draw into the side bar; the state is then
    updated by the next run of the page.
    """
    placeholder, text = st.session_state.get(_PLACE), state(dictionary)
    if placeholder is None:
        return
    name = plain(shown_name(dictionary))
    dot = f'<span class="ep-sw" style="--c:{COLORS.get(text, READY)};margin:0"></span>'
    with suppress(StreamlitInvalidLayoutContextError):
        placeholder.html(
            '<hr class="ep-hr"><div class="ep-k" style="margin-bottom:.3em">Model</div>'
            f'<div class="ep-clip" title="{escape(name)}">{escape(name)}</div>'
            f'<div class="ep-row">{dot}<span>{escape(text)}</span></div>'
        )
