"""The identity of a visitor, which all pages and queues share."""

from __future__ import annotations

from uuid import uuid4

import streamlit as st
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

_NAME = "visitor"


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
