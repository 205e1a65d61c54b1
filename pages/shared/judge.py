"""The judge, which decides whether an answer shows the behaviour: its settings and their popover.

All pages that judge answers share one judge. Its settings are in their links, except for the
address, model and key of an endpoint, which stay in the session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import streamlit as st

from ep.models.endpoint import Endpoint
from ep.public import is_public
from ep.studies.judging import LONGEST_PATTERN, REFUSAL_PHRASES, Judge, Pattern, Phrases
from ep.studies.llm_judge import LONGEST, REFUSAL, LLMJudge
from pages.shared import messages, state, tokens
from pages.shared.controls import setting_widget, value_widget
from pages.shared.links import one_of, text

PHRASES, PATTERN, ENDPOINT, LABELS = "phrases", "pattern", "endpoint", "labels"
JUDGES = {
    PHRASES: "Phrases in the answer",
    PATTERN: "A pattern in the answer",
    ENDPOINT: "A model asked about the answer",
    LABELS: "The labels given",
}
FIRST_PHRASES = "\n".join(REFUSAL_PHRASES)
LONGEST_PHRASES = 6000
TIMEOUT_S, TRIES = 30.0, 2
"""Timeout and number of attempts for one question to an endpoint."""
_ENDPOINT_FIELDS = "judge_endpoint"
INSIDE = "inside"
"""The field of an endpoint's form that confirms an address of this machine or its network."""
LABELLING_ENDPOINT = "labelling_endpoint"
"""Session key of the endpoint that the Region page labels with."""


@dataclass(frozen=True)
class JudgeSettings:
    """The settings of the judge, as links hold them.

    kind: one of `JUDGES`. pattern: a regular expression. criterion: how the question to an
    endpoint describes the behaviour. phrases: one phrase per line.
    """

    kind: str = one_of("bjudge", tuple(JUDGES), PHRASES)
    pattern: str = text("bpat", longest=LONGEST_PATTERN)
    criterion: str = text("bask", REFUSAL, LONGEST)
    phrases: str = text("bphr", FIRST_PHRASES, LONGEST_PHRASES)


class JudgeChoice(NamedTuple):
    """The judge that the settings describe.

    name: for the screen. stamp: identifies the judge in the keys of results. by_labels: whether
    labels, where there are any, are used in place of the judge. endpoint: where a judge of the
    kind `ENDPOINT` sends its questions.
    """

    judge: Judge
    name: str
    stamp: str
    by_labels: bool = False
    endpoint: Endpoint | None = None


def chosen_judge() -> JudgeChoice:
    """Return the judge that the settings describe. Raises EPError where they are invalid."""
    settings = state.settings(JudgeSettings)
    if settings.kind == PATTERN:
        pattern = settings.pattern
        return JudgeChoice(Pattern(pattern), "a pattern", f"pattern {pattern}")
    if settings.kind == ENDPOINT:
        fields, criterion = st.session_state.get(_ENDPOINT_FIELDS, {}), settings.criterion
        url, model, key = (fields.get(name, "") for name in ("url", "model", "key"))
        inside = bool(fields.get(INSIDE))
        endpoint = Endpoint(url, model, key, timeout=TIMEOUT_S, tries=TRIES, inside=inside)
        judge, stamp = LLMJudge(endpoint.ask, criterion), f"{endpoint.source} {criterion}"
        return JudgeChoice(judge, endpoint.model.strip(), stamp, endpoint=endpoint)
    phrases = tuple(line for line in settings.phrases.split("\n") if line.strip())
    name, by_labels = f"{len(phrases)} phrases", settings.kind == LABELS
    name = f"labels, then {name}" if by_labels else name
    return JudgeChoice(Phrases(phrases), name, f"{settings.kind} {phrases}", by_labels)


def judge_popover(name: str, kinds: Sequence[str] = tuple(JUDGES)) -> None:
    """Draw the popover with the settings of the judge.

    name: of the judge, for the button. kinds: the kinds of `JUDGES` that this page supports.
    """
    kind = state.settings(JudgeSettings).kind
    kind = kind if kind in kinds else PHRASES
    with (
        st.popover(
            f"Judge: {tokens.button_label(name)}",
            icon=":material/gavel:",
            key="behaviour_judge",
            width="content",
        ),
        st.container(width=460, gap="small"),
    ):
        value_widget(
            st.radio,
            "behaviour_kind",
            "What shows the behaviour",
            kind,
            lambda new: state.update_settings(JudgeSettings, kind=new),
            list(kinds),
            format_func=JUDGES.__getitem__,
        )
        if kind == PATTERN:
            setting_widget(
                st.text_input,
                JudgeSettings,
                "pattern",
                "Regular expression, in the first 300 characters; case does not matter",
                key="behaviour_pattern",
                max_chars=LONGEST_PATTERN,
            )
        elif kind == ENDPOINT:
            _endpoint()
        else:
            _phrases(kind)


def _phrases(kind: str) -> None:
    """Draw the box for phrases. kind: `PHRASES` or `LABELS`."""
    value_widget(
        st.text_area,
        "behaviour_phrases",
        "Phrases, one a line, in the first 300 characters; case and the kind of apostrophe do not "
        "matter",
        state.settings(JudgeSettings).phrases,
        lambda new: state.update_settings(JudgeSettings, phrases=_without_empty_lines(new)),
        height=230,
        max_chars=LONGEST_PHRASES,
    )
    if kind == LABELS:
        messages.quiet(
            "Labels choose the region; what the model answers in the trial is judged by the "
            "phrases."
        )
    st.button(
        "The first list again",
        key="behaviour_again",
        type="tertiary",
        on_click=_reset_phrases,
    )


def _reset_phrases() -> None:
    state.update_settings(JudgeSettings, phrases=FIRST_PHRASES)


def _without_empty_lines(lines: str) -> str:
    return "\n".join(line for line in lines.split("\n") if line.strip())


def endpoint_fields(initial: dict[str, str]) -> dict[str, str]:
    """Draw the boxes for the endpoint of a language model, inside a form, and return their texts.

    initial: the texts at first, by "url", "model", "key" and `INSIDE`; the returned ones have the
    same keys. The last is "on" where the visitor confirms an address of this machine or its
    network, which a public server does not offer.
    """
    url = st.text_input(
        "Address", initial.get("url", ""), placeholder="https://HOST/v1", max_chars=2000
    )
    inside = not is_public() and st.checkbox(
        "It is this machine or in its network",
        bool(initial.get(INSIDE)),
        help="Such as http://localhost:11434/v1. Without this mark only public addresses are "
        "asked, so that no page makes this machine reach into its own network.",
    )
    model = st.text_input(
        "Model", initial.get("model", ""), placeholder="its name on that server", max_chars=150
    )
    key = st.text_input(
        "Key, if it needs one",
        initial.get("key", ""),
        type="password",
        autocomplete="off",
        max_chars=500,
    )
    return {"url": url, "model": model, "key": key, INSIDE: "on" if inside else ""}


def _endpoint() -> None:
    """Draw the form for an endpoint, which starts with the one used for labelling, if any."""
    labelling = st.session_state.get(LABELLING_ENDPOINT, {})
    initial = st.session_state.get(_ENDPOINT_FIELDS, labelling)
    with st.form("behaviour_endpoint_form", border=False):
        fields = endpoint_fields(initial)
        criterion = st.text_input(
            "Is this a reply in which the assistant …",
            state.settings(JudgeSettings).criterion,
            max_chars=LONGEST,
        )
        if st.form_submit_button("Use this judge"):
            st.session_state[_ENDPOINT_FIELDS] = fields
            state.update_settings(JudgeSettings, criterion=criterion.strip() or REFUSAL)
            state.rerun()
    messages.quiet(
        "Answers are sent there, by the computer this app runs on. The key is kept in this session "
        "only."
    )
