"""Who is at the other end: one name for a visitor, on every page and in every queue."""

from __future__ import annotations

from uuid import uuid4

import streamlit as st
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

_NAME = "visitor"


def visitor() -> str:
    """A name for this session, the same on all pages; call it from a page or a callback."""
    return str(st.session_state.setdefault(_NAME, uuid4().hex))


def session() -> str:
    """The server's own name for this session, for `is_connected`; empty where no server runs."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def is_connected(session: str) -> bool:
    """Whether a browser is connected to this session; False where no server runs, as in tests."""
    try:
        return get_instance().is_active_session(session)
    except RuntimeError:
        return False
