"""How long work will take, said before it starts: measured where the like of it has been done on
this server, guessed from its size until then.
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

from ep.errors import EPError
from ep.method.dictionary import Dictionary
from ep.models import model_of

IMPORT_S, BYTES_A_SECOND = 4.0, 3e8
"""A guess for importing torch and its libraries, and for reading weights."""
LEAST_A_PASS_S = 0.015
"""A guess for a forward pass of a model so small that its layers cost more than their sums."""
UNKNOWN_BYTES = 2e9
REMEMBERED = 3
"""Measurements of each kind of work."""


def spoken(seconds: float) -> str:
    """Seconds as one says them: a moment, about 20 s, about 3 min."""
    if seconds < 1.5:
        return "a moment"
    if seconds < 90:
        return f"about {seconds:.0f} s" if seconds < 10 else f"about {5 * round(seconds / 5)} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


class Rates:
    """Seconds for one unit of each kind of work: the best of its last measurements, because what
    else the machine did at the time is no property of the work.
    """

    def __init__(self) -> None:
        self._rates: defaultdict[str, deque[float]] = defaultdict(partial(deque, maxlen=REMEMBERED))
        self._lock = Lock()

    def get(self, kind: str, guess: float) -> float:
        """The measured rate of a kind of work, else the guess."""
        with self._lock:
            return min(self._rates[kind], default=guess)

    @contextmanager
    def measured(self, kind: str, units: float = 1.0) -> Iterator[None]:
        """Measures a piece of work of so many units; one that fails says nothing."""
        start = perf_counter()
        yield
        with self._lock:
            self._rates[kind].append((perf_counter() - start) / max(units, 1e-9))


@st.cache_resource(show_spinner=False)
def rates() -> Rates:
    """This server's."""
    return Rates()


@st.cache_resource(show_spinner=False)
def speed() -> float:
    """Multiply-adds a second of a float64 matrix product here, measured once."""
    a = np.random.default_rng(0).standard_normal((384, 384))
    seconds = []
    for _ in range(8):
        start = perf_counter()
        a @ a
        seconds.append(perf_counter() - start)
    return 384**3 / min(seconds)  # the best: whatever else the machine does just then is no measure


def products(multiply_adds: float) -> float:
    """Seconds for so many multiply-adds of matrix products."""
    return multiply_adds / speed()


def loading_model(dictionary: Dictionary) -> float:
    """Seconds until a dictionary's model can be used, once it is asked for."""
    name = _name(dictionary)
    torch = 0.0 if "torch" in sys.modules else IMPORT_S
    return torch + rates().get(f"load {name}", 1.0 + _bytes(dictionary) / BYTES_A_SECOND)


def reading(dictionary: Dictionary, tokens: float) -> float:
    """Seconds for a loaded model to read so many tokens."""
    token = max(_bytes(dictionary) / 2 / speed(), LEAST_A_PASS_S / 40)
    return tokens * rates().get(f"read {_name(dictionary)}", token)


def writing(dictionary: Dictionary, rows: int, tokens: int, at_once: int = 64) -> float:
    """Seconds for a loaded model to write `tokens` tokens for each of `rows` prompts, at most
    `at_once` of them in one batch.
    """
    batches, full = -(-rows // at_once), min(rows, at_once)
    step = max(LEAST_A_PASS_S, full * _bytes(dictionary) / 2 / speed())
    return batches * tokens * rates().get(f"write {_name(dictionary)} {full}", step)


def _name(dictionary: Dictionary) -> str:
    try:
        return model_of(dictionary)
    except EPError:
        return ""


def _bytes(dictionary: Dictionary) -> float:
    """Bytes of the model's weights, two for each parameter; a guess for one that is not here."""
    folder = Path(_name(dictionary))
    if not folder.is_dir():
        return UNKNOWN_BYTES
    return float(sum(path.stat().st_size for path in folder.glob("*.safetensors"))) or UNKNOWN_BYTES
