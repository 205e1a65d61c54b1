"""The identity of a visitor, which all pages and queues share."""

from __future__ import annotations

import re
from uuid import uuid4

import streamlit as st
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared.components import Component

_NAME = "visitor"
_COOKIE = "ep_visitor"
_KEEPER = Component(
    "ep.cookie",
    lambda: {
        "js": """export default ({ data }) => {
  document.cookie = `${data}; path=/; max-age=31536000; SameSite=Strict`;
}
"""
    },
)


def visitor() -> str:
    """Return the id of this session's visitor, the same on all pages.

    Must be called from a page or a callback.
    """
    return str(st.session_state.setdefault(_NAME, uuid4().hex))


def session() -> str:
    """Return Streamlit's id of this session, for `is_connected`; empty where no server runs."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def is_connected(session: str) -> bool:
    """Return whether a browser is connected to this session; False where no server runs, as in
    tests.
    """
    try:
        return get_instance().is_active_session(session)
    except RuntimeError:
        return False


def owner() -> str:
    """Return the lasting id of this visitor's browser, for what outlives a session.

    It is that of the session until `keep_owner` has stored it in the browser.
    """
    stored = str(st.context.cookies.get(_COOKIE, ""))
    return stored if re.fullmatch(r"[0-9a-f]{32}", stored) else visitor()


def keep_owner() -> None:
    """Store this visitor's id in the browser, so that a later session has the same; once is enough.

    Must be called from a page.
    """
    keep(_COOKIE, owner())


def keep(cookie: str, value: str) -> None:
    """Store a value in this visitor's browser for a year, unless it is stored.

    Later sessions find it in `st.context.cookies`; this one does not. Must be called from a page.
    cookie, value: letters, digits and underscores only.
    """
    if st.context.cookies.get(cookie) != value:
        _KEEPER(f"keeper_{cookie}", f"{cookie}={value}")
