"""What shows the behaviour: the judge of a run, chosen and edited behind one button.

Its settings live in the URL under names of their own; the key of a judge asked over the network
only in the session.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from ep.models.endpoint import Endpoint
from ep.studies.judging import REFUSAL_PHRASES, Judge, Pattern, Phrases
from ep.studies.llm_judge import REFUSAL, LLMJudge
from pages.shared import messages, state, tokens

PHRASES, PATTERN, ENDPOINT, LABELS = "phrases", "pattern", "endpoint", "labels"
JUDGES = {
    PHRASES: "Phrases in the answer",
    PATTERN: "A pattern in the answer",
    ENDPOINT: "A model asked about the answer",
    LABELS: "The labels given",
}
GIVEN = "behaviour_endpoint"
TIMEOUT_S, TRIES = 30.0, 2
"""Of one question to a judge that is asked over the network."""


class Chosen(NamedTuple):
    """The judge as set. name: for people. stamp: what tells it from others. endpoint: where it
    asks, if anywhere.
    """

    judge: Judge
    name: str
    stamp: str
    by_labels: bool = False
    endpoint: Endpoint | None = None


def judge() -> Chosen:
    """What shows the behaviour. EPError for a judge that cannot be."""
    kind = state.setting("bjudge", PHRASES, tuple(JUDGES))
    if kind == PATTERN:
        pattern = state.setting("bpat")
        return Chosen(Pattern(pattern), "a pattern", f"pattern {pattern}")
    if kind == ENDPOINT:
        given, what = st.session_state.get(GIVEN, {}), state.setting("bask", REFUSAL)
        where = [given.get(part, "") for part in ("url", "model", "key")]
        endpoint = Endpoint(*where, timeout=TIMEOUT_S, tries=TRIES)
        made, stamp = LLMJudge(endpoint.ask, what), f"{endpoint.source} {what}"
        return Chosen(made, endpoint.model.strip(), stamp, endpoint=endpoint)
    phrases = tuple(
        line
        for line in state.setting("bphr", "\n".join(REFUSAL_PHRASES)).split("\n")
        if line.strip()
    )
    name, by_labels = f"{len(phrases)} phrases", kind == LABELS
    return Chosen(
        Phrases(phrases),
        f"labels, then {name}" if by_labels else name,
        f"{kind} {phrases}",
        by_labels,
    )


def judge_popover(name: str, kinds: Sequence[str] = tuple(JUDGES)) -> None:
    """What shows the behaviour. kinds: those of `JUDGES` that make sense on this page."""
    kind = state.setting("bjudge", PHRASES, kinds)
    with (
        st.popover(
            f"Judge: {tokens.button_label(name)}",
            icon=":material/gavel:",
            key="behaviour_judge",
            width="content",
        ),
        st.container(width=460, gap="small"),
    ):
        st.session_state["behaviour_kind"] = kind
        st.radio(
            "What shows the behaviour",
            list(kinds),
            key="behaviour_kind",
            format_func=JUDGES.get,
            on_change=_kind,
        )
        if kind == PATTERN:
            st.session_state["behaviour_pattern"] = state.setting("bpat")
            st.text_input(
                "Regular expression, in the first 300 characters; case does not matter",
                key="behaviour_pattern",
                on_change=_keep,
                args=("behaviour_pattern", "bpat"),
                max_chars=500,
            )
        elif kind == ENDPOINT:
            _endpoint()
        else:
            st.session_state["behaviour_phrases"] = state.setting(
                "bphr", "\n".join(REFUSAL_PHRASES)
            )
            st.text_area(
                "Phrases, one a line, in the first 300 characters; case and the kind of apostrophe "
                "do not matter",
                key="behaviour_phrases",
                height=230,
                on_change=_keep,
                args=("behaviour_phrases", "bphr"),
                max_chars=6000,
            )
            if kind == LABELS:
                messages.quiet(
                    "Labels choose the region; what the model answers in the trial is judged by "
                    "the phrases."
                )
            st.button(
                "The first list again",
                key="behaviour_again",
                type="tertiary",
                on_click=_phrases_again,
            )


def _endpoint() -> None:
    given = st.session_state.get(GIVEN, st.session_state.get("labelling_endpoint", {}))
    with st.form("behaviour_endpoint_form", border=False):
        url = st.text_input(
            "Address", given.get("url", ""), placeholder="http://localhost:11434/v1", max_chars=2000
        )
        model = st.text_input(
            "Model", given.get("model", ""), placeholder="its name on that server", max_chars=150
        )
        key = st.text_input(
            "Key, if it needs one", given.get("key", ""), type="password", autocomplete="off"
        )
        what = st.text_input(
            "Is this a reply in which the assistant …",
            state.setting("bask", REFUSAL),
            max_chars=400,
        )
        if st.form_submit_button("Use this judge"):
            st.session_state[GIVEN] = {"url": url, "model": model, "key": key}
            state.keep(bask=None if what.strip() == REFUSAL else what.strip() or " ")
            state.rerun()
    messages.quiet(
        "Answers are sent there, by the computer this app runs on. The key is kept in this session "
        "only."
    )


def _kind() -> None:
    chosen = st.session_state["behaviour_kind"]
    state.keep(bjudge=None if chosen == PHRASES else chosen)


def _keep(widget: str, name: str) -> None:
    text = st.session_state[widget]
    kept = "\n".join(line for line in text.split("\n") if line.strip())
    state.keep(**{name: None if kept == "\n".join(REFUSAL_PHRASES) else kept or " "})


def _phrases_again() -> None:
    state.keep(bphr=None)
