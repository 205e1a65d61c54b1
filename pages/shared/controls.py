"""Widgets bound to a value that is stored elsewhere: each run shows it, a change writes it back.

Streamlit discards the value of a widget when the visitor leaves its page, while the settings of a
page must persist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from ep.method.dictionary import Basis
from pages.shared import state

BASIS_NAMES: dict[Basis, str] = {"mean": "Mean directions", "exemplar": "Exemplars"}
"""The names, on screen, of the two directions that a region has."""


def value_widget(
    widget: Callable[..., Any],
    key: str,
    label: str,
    value: Any,
    change: Callable[[Any], object],
    *args: Any,
    **options: Any,
) -> None:
    """Draw `widget` (for example st.slider) with `value`, and call `change` with every new value.

    key: of the widget. args, options: further arguments of the widget. When the visitor clears the
    widget, `change` is not called and the next run shows the value again.
    """
    st.session_state[key] = value
    widget(label, *args, key=key, on_change=_on_change, args=(key, change), **options)


def setting_widget(
    widget: Callable[..., Any],
    kind: type[Any],
    name: str,
    label: str,
    *args: Any,
    key: str,
    **options: Any,
) -> None:
    """Draw `widget` with the field `name` of the settings `kind`, and store every new value.

    The other parameters are those of `value_widget`.
    """
    value = getattr(state.settings(kind), name)
    value_widget(
        widget,
        key,
        label,
        value,
        lambda new: state.update_settings(kind, **{name: new}),
        *args,
        **options,
    )


def setting_choice(
    kind: type[Any], name: str, label: str, options: dict[Any, str], *, key: str, **more: Any
) -> None:
    """Draw a segmented control for the field `name` of the settings `kind`, without its label.

    options: the text on screen for each value. more: further arguments of st.segmented_control.
    """
    setting_widget(
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


def _on_change(key: str, change: Callable[[Any], object]) -> None:
    value = st.session_state[key]
    if value is not None:
        change(value)
