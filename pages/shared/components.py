"""Custom browser components: loading their files, mounting them, and receiving their events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import streamlit as st

Listeners = Mapping[str, Callable[[Any], None]]
"""Callbacks by the name of a trigger in the component's JavaScript; each gets its value."""


class Component:
    """A browser component, whose files are read when it is first drawn.

    name: unique among all components. read: returns the component's parts: "js", and "html" and
    "css" where it has them.
    """

    def __init__(self, name: str, read: Callable[[], Mapping[str, Any]]) -> None:
        self._name, self._read = name, read

    @classmethod
    def beside(cls, file: str, stem: str, html: str) -> Component:
        """Return the component in `stem`.js and `stem`.css, in the folder of the Python file
        `file`.
        """
        folder = Path(file).parent

        def read() -> dict[str, Any]:
            parts = {kind: folder / f"{stem}.{kind}" for kind in ("css", "js")}
            return {"html": html} | {k: p.read_text(encoding="utf-8") for k, p in parts.items()}

        return cls(f"ep.{stem}", read)

    @cached_property
    def _mount(self) -> Callable[..., Any]:
        mount: Callable[..., Any] = st.components.v2.component(self._name, **self._read())
        return mount

    def __call__(
        self, key: str, data: Any = None, listeners: Listeners | None = None, **options: Any
    ) -> None:
        """Draw the component with this data.

        key: identifies this instance on the page. listeners: called before the page or fragment
        reruns. options: further arguments for Streamlit, such as height and width.
        """
        callbacks = {
            f"on_{name}_change": partial(_notify, key, name, listener)
            for name, listener in (listeners or {}).items()
        }
        self._mount(key=key, data=data, **callbacks, **options)


def _notify(key: str, name: str, listener: Callable[[Any], None]) -> None:
    """Call the listener with the value of a trigger or state, unless there is none."""
    value = (st.session_state.get(key) or {}).get(name)
    if value is not None:
        listener(value)
