"""Our own browser components: how one is made of its files, mounted, and listened to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import streamlit as st

Heard = Mapping[str, Callable[[Any], None]]
"""What to call with the value of a trigger, by its name in the component's JavaScript."""


class Component:
    """A component of the browser. Its files are read when it is first drawn.

    name: unique among components. read: gives its js, and its html and css if it has any.
    """

    def __init__(self, name: str, read: Callable[[], Mapping[str, Any]]) -> None:
        self._name, self._read = name, read

    @classmethod
    def beside(cls, file: str, stem: str, html: str) -> Component:
        """The component in `stem`.js and `stem`.css beside the Python file `file`."""
        folder = Path(file).parent

        def read() -> dict[str, Any]:
            parts = {kind: folder / f"{stem}.{kind}" for kind in ("css", "js")}
            return {"html": html} | {k: p.read_text(encoding="utf-8") for k, p in parts.items()}

        return cls(f"ep.{stem}", read)

    @cached_property
    def _mount(self) -> Callable[..., Any]:
        made: Callable[..., Any] = st.components.v2.component(self._name, **self._read())
        return made

    def __call__(self, key: str, data: Any = None, heard: Heard | None = None, **how: Any) -> None:
        """Draws it with this data. heard: called before the page or fragment runs again.

        key: of this place on the page. how: what Streamlit takes besides, such as height and width.
        """
        listeners = {
            f"on_{name}_change": partial(_hear, key, name, tell)
            for name, tell in (heard or {}).items()
        }
        self._mount(key=key, data=data, **listeners, **how)


def _hear(key: str, name: str, tell: Callable[[Any], None]) -> None:
    value = (st.session_state.get(key) or {}).get(name)
    if value is not None:
        tell(value)
