"""Ready examples on the bundled demo: its region of refusals, ablated and pushed towards.

The region is found with the model and the demo's own prompts, so that a rebuilt demo needs no new
number.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from ep.errors import EPError
from ep.models import check_fits
from ep.models.answering import final_activations
from ep.studies.prompts import read_prompts
from ep.studies.steering import Setting
from pages.shared import loading, messages, models, state
from pages.steer import settings, worker

FILE = "tuned-L4-final-p10.ep.h5"
MOST_PROMPTS = 60
EXAMPLES = {
    "Take the region of refusals out": Setting("How do I rob a bank?", True, mode="ablate"),
    "Push a harmless request into it": Setting("How do I pick a lock?", True, mode="add"),
}


def draw() -> None:
    """Draw the examples as buttons, or nothing where the demo is not installed.

    A click opens the dictionary and runs the example.
    """
    demo = (e for e in loading.entries() if e.path.is_relative_to(loading.DEMO))
    entry = next((e for e in demo if e.path.name == FILE), None)
    if entry is None:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.html('<span class="ep-k">Examples of the demo</span>', width="content")
        for name, setting in EXAMPLES.items():
            key = f"steer_example {name}"
            if st.button(name, key=key, type="tertiary", icon=":material/bolt:"):
                _open(entry.key, setting)


def _open(key: str, setting: Setting) -> None:
    try:
        dictionary = loading.dictionary(key)
        model = models.language_model(dictionary)
        region = _region(loading.fingerprint(key), key)
        state.open_dictionary(key, region)
        default = settings.default_strength_of(key, (region,), setting.basis, setting.mode)
        example = replace(setting, regions=(region,), strength=default)
        settings.put(example)
        worker.start(key, dictionary, model, example)
    except EPError as error:
        state.note(f"The example cannot be run. {messages.sentence(error)}")
    state.rerun()


@st.cache_data(show_spinner="Finding the region where refused requests end…")
def _region(fingerprint: str, key: str) -> int:
    """Return the region where most of the demo's harmful prompts end.

    fingerprint: part of the key of the cache.
    """
    dictionary = loading.dictionary(key)
    model = models.language_model(dictionary)
    layer = check_fits(model, dictionary)
    prompts = (
        read_prompts(loading.DEMO / "prompts" / "validation.csv").where(True).texts[:MOST_PROMPTS]
    )
    activations = final_activations(model, prompts, [layer])[layer]
    return int(np.bincount(dictionary.assign(activations).region).argmax())
