"""Widgets that mirror a value kept elsewhere: they show it on every run, and write it back.

Streamlit forgets a widget's value when its page is left; the settings of a page do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from ep.method.dictionary import Basis
from pages.shared import state

BASIS_NAMES: dict[Basis, str] = {"mean": "Mean directions", "exemplar": "Exemplars"}
"""How a page calls the two directions a region has."""


def mirrored(
    widget: Callable[..., Any],
    key: str,
    label: str,
    value: Any,
    change: Callable[[Any], object],
    *args: Any,
    **options: Any,
) -> None:
    """Draws `widget` (st.slider, say) showing `value`; a click calls `change` with the new one.

    key: of the widget. args, options: what the widget takes besides. A control that was emptied
    changes nothing and shows its value again.
    """
    st.session_state[key] = value
    widget(label, *args, key=key, on_change=_changed, args=(key, change), **options)


def bound(
    widget: Callable[..., Any],
    kind: type[Any],
    name: str,
    label: str,
    *args: Any,
    key: str,
    **options: Any,
) -> None:
    """Draws `widget` showing the field `name` of a page's settings, and keeps what is chosen."""
    value = getattr(state.settings(kind), name)
    mirrored(
        widget, key, label, value, lambda new: state.keep(kind, **{name: new}), *args, **options
    )


def choice(
    kind: type[Any], name: str, label: str, options: dict[Any, str], *, key: str, **more: Any
) -> None:
    """A row of words of which one is chosen, for a field of a page's settings; no label is drawn.

    options: what is shown, by value.
    """
    bound(
        st.segmented_control,
        kind,
        name,
        label,
        list(options),
        key=key,
        format_func=options.__getitem__,
        required=True,
        label_visibility="collapsed",
        **more,
    )


def _changed(key: str, change: Callable[[Any], object]) -> None:
    value = st.session_state[key]
    if value is not None:
        change(value)
