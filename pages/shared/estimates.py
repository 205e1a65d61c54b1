"""Estimates of how long work will take, shown before it starts.

An estimate uses measurements of similar work on this server; until there are any, it is guessed
from the size of the work.
"""

from __future__ import annotations

import sys
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from time import perf_counter

import numpy as np
import streamlit as st

from ep.config import GGUF, is_model_path
from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models import gguf, model_of
from ep.models.adapters import Named, parts

IMPORT_S, BYTES_PER_SECOND = 4.0, 3e8
"""Guesses: the time to import torch and its libraries, and the speed of reading weights."""
CONVERTED_BYTES_PER_SECOND = 1e7
"""A guess for how fast a GGUF file is converted, in bytes of 16-bit weights."""
MIN_FORWARD_PASS_S = 0.015
"""A guess for a forward pass of a very small model, where overhead outweighs arithmetic."""
DEFAULT_MODEL_BYTES = 2e9
"""A guess for the weights of a model that is not on this machine."""
MEASUREMENTS_KEPT = 3
"""Measurements stored for each kind of work."""


def duration_text(seconds: float) -> str:
    """Return a duration in seconds as text: "a moment", "about 20 s", "about 3 min"."""
    if seconds < 1.5:
        return "a moment"
    if seconds < 90:
        return f"about {seconds:.0f} s" if seconds < 10 else f"about {5 * round(seconds / 5)} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


class Rates:
    """Seconds per unit of each kind of work.

    A rate is the smallest of the last measurements, because other load on the machine can only
    make a measurement larger.
    """

    def __init__(self) -> None:
        self._rates: defaultdict[str, deque[float]] = defaultdict(
            partial(deque, maxlen=MEASUREMENTS_KEPT)
        )
        self._lock = Lock()

    def get(self, kind: str, guess: float) -> float:
        """Return the measured rate of a kind of work, or the guess where there is none."""
        with self._lock:
            return min(self._rates[kind], default=guess)

    @contextmanager
    def measured(self, kind: str, units: float = 1.0) -> Iterator[None]:
        """Measure the enclosed work, which consists of `units` units; ignore it if it fails."""
        start = perf_counter()
        yield
        with self._lock:
            self._rates[kind].append((perf_counter() - start) / max(units, 1e-9))


@st.cache_resource(show_spinner=False)
def rates() -> Rates:
    """Return the rates of this server."""
    return Rates()


@st.cache_resource(show_spinner=False)
def speed() -> float:
    """Return the multiply-adds per second of a float64 matrix product here, measured once."""
    a = np.random.default_rng(0).standard_normal((384, 384))
    seconds = []
    for _ in range(8):
        start = perf_counter()
        a @ a
        seconds.append(perf_counter() - start)
    return 384**3 / min(seconds)  # the fastest run is the one least disturbed by other load


def matrix_products(multiply_adds: float) -> float:
    """Return the seconds that matrix products of this many multiply-adds take."""
    return multiply_adds / speed()


def loading_model(dictionary: Dictionary) -> float:
    """Return the seconds that loading a dictionary's model takes, the import of torch included."""
    name = _model_name(dictionary)
    torch = 0.0 if "torch" in sys.modules else IMPORT_S
    guess = 1.0 + _model_bytes(dictionary) / BYTES_PER_SECOND
    if converting(name):
        guess += _model_bytes(dictionary) / CONVERTED_BYTES_PER_SECOND
    return torch + rates().get(load_rate(name), guess)


def load_rate(name: Named) -> str:
    """Return the kind of work that loading a model is at present: with a conversion, or without."""
    return f"load {name} converted anew" if converting(name) else f"load {name}"


def converting(name: Named) -> bool:
    """Return whether a model is in a GGUF file that must be converted before it is loaded."""
    path = Path(parts(name)[0])
    return path.suffix.lower() == GGUF and path.is_file() and not gguf.is_converted(path)


def reading(dictionary: Dictionary, tokens: float) -> float:
    """Return the seconds that a loaded model takes to read this many tokens."""
    per_token = max(_model_bytes(dictionary) / 2 / speed(), MIN_FORWARD_PASS_S / 40)
    return tokens * rates().get(f"read {_model_name(dictionary)}", per_token)


def writing(dictionary: Dictionary, rows: int, tokens: int, batch_size: int = 64) -> float:
    """Return the seconds that a loaded model takes to generate `tokens` tokens for each of `rows`
    prompts, in batches of at most `batch_size` prompts.
    """
    batches, full = -(-rows // batch_size), min(rows, batch_size)
    per_step = max(MIN_FORWARD_PASS_S, full * _model_bytes(dictionary) / 2 / speed())
    return batches * tokens * rates().get(f"write {_model_name(dictionary)} {full}", per_step)


def _model_name(dictionary: Dictionary) -> Named:
    """Return what a dictionary's model is loaded by; empty where it cannot be determined."""
    try:
        return model_of(dictionary)
    except EPError:
        return ""


def _model_bytes(dictionary: Dictionary) -> float:
    """Return the size of the model's weights in bytes, which is taken as two per parameter; a
    guess for a model that is not on this machine.
    """
    path = Path(parts(_model_name(dictionary))[0])
    if not is_model_path(path):
        return DEFAULT_MODEL_BYTES
    if path.is_file():  # a GGUF file, most of which take about half a byte for each parameter
        return 4.0 * path.stat().st_size
    size = sum(weights.stat().st_size for weights in path.glob("*.safetensors"))
    return float(size) or DEFAULT_MODEL_BYTES
