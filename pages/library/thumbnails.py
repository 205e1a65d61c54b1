"""The pictures on the cards: drawn once for each file, beside the page, and kept in memory.

A visit never waits for one. What is not there yet is drawn by one thread of the server, in the
order of the cards, while the page already shows everything else. A file that changes gets a new
picture.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import streamlit as st

from ep.errors import EPError
from ep.storage import Entry
from ep.views import thumbnail
from pages.shared.store import Store

MOST = 600
"""Pictures that are kept, of some 15 kB each."""
NONE = "none"
"""Stands for the picture of a dictionary that has none, such as one of three regions."""


class Thumbnails:
    """The pictures of this server as data URLs, by the identity of their files."""

    def __init__(self) -> None:
        self._urls = Store(MOST)
        self._waiting: set[str] = set()
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="thumbnails")

    def get(self, entry: Entry) -> str | None:
        """Return the data URL of a dictionary's picture, "" while it is not drawn, or None."""
        url = self._urls.get(_identity(entry))
        return None if url == NONE else url or ""

    def request(self, entries: Iterable[Entry]) -> bool:
        """Have the missing pictures drawn, and return whether there are any."""
        missing = [entry for entry in entries if self._urls.get(_identity(entry)) is None]
        for entry in missing:
            with self._lock:
                if (identity := _identity(entry)) in self._waiting:
                    continue
                self._waiting.add(identity)
            self._thread.submit(self._draw, entry)
        return bool(missing)

    def _draw(self, entry: Entry) -> None:
        url = NONE  # also of a file that breaks in an unexpected way: it is not tried for ever
        try:
            url = data_url(entry)
        except EPError:
            pass
        finally:
            self._urls.put(_identity(entry), url)
            with self._lock:
                self._waiting.discard(_identity(entry))


def data_url(entry: Entry) -> str:
    """Return the picture of a dictionary as a data URL. Raises EPError where there is none."""
    from PIL import Image

    file = io.BytesIO()
    image = Image.fromarray(thumbnail.picture(entry.open()))
    image.save(file, "WEBP", quality=78, alpha_quality=40, method=4)
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"


def _identity(entry: Entry) -> str:
    """Return what changes when the file does."""
    return f"{entry.path}|{entry.modified_ns}|{entry.bytes}"


@st.cache_resource(show_spinner=False)
def thumbnails() -> Thumbnails:
    """Return the pictures of this server."""
    return Thumbnails()
