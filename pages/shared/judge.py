"""What shows the behaviour: the judge of answers, chosen and edited behind one button.

One choice for all pages that judge answers. It is in their links; the key of a judge asked over the
network is in the session only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import streamlit as st

from ep.models.endpoint import Endpoint
from ep.studies.judging import LONGEST_PATTERN, REFUSAL_PHRASES, Judge, Pattern, Phrases
from ep.studies.llm_judge import LONGEST, REFUSAL, LLMJudge
from pages.shared import messages, state, tokens
from pages.shared.controls import bound, mirrored
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
"""Of one question to a judge that is asked over the network."""
_GIVEN = "judge_endpoint"


@dataclass(frozen=True)
class JudgeSettings:
    """kind: one of `JUDGES`. pattern: a regular expression. asks: what an endpoint is asked about.
    phrases: one a line.
    """

    kind: str = one_of("bjudge", tuple(JUDGES), PHRASES)
    pattern: str = text("bpat", longest=LONGEST_PATTERN)
    asks: str = text("bask", REFUSAL, LONGEST)
    phrases: str = text("bphr", FIRST_PHRASES, LONGEST_PHRASES)


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
    now = state.settings(JudgeSettings)
    if now.kind == PATTERN:
        return Chosen(Pattern(now.pattern), "a pattern", f"pattern {now.pattern}")
    if now.kind == ENDPOINT:
        given = st.session_state.get(_GIVEN, {})
        url, model, key = (given.get(part, "") for part in ("url", "model", "key"))
        endpoint = Endpoint(url, model, key, timeout=TIMEOUT_S, tries=TRIES)
        made, stamp = LLMJudge(endpoint.ask, now.asks), f"{endpoint.source} {now.asks}"
        return Chosen(made, endpoint.model.strip(), stamp, endpoint=endpoint)
    phrases = tuple(line for line in now.phrases.split("\n") if line.strip())
    name, by_labels = f"{len(phrases)} phrases", now.kind == LABELS
    shown = f"labels, then {name}" if by_labels else name
    return Chosen(Phrases(phrases), shown, f"{now.kind} {phrases}", by_labels)


def judge_popover(name: str, kinds: Sequence[str] = tuple(JUDGES)) -> None:
    """What shows the behaviour. kinds: those of `JUDGES` that make sense on this page."""
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
        mirrored(
            st.radio,
            "behaviour_kind",
            "What shows the behaviour",
            kind,
            lambda new: state.keep(JudgeSettings, kind=new),
            list(kinds),
            format_func=JUDGES.__getitem__,
        )
        if kind == PATTERN:
            bound(
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
    mirrored(
        st.text_area,
        "behaviour_phrases",
        "Phrases, one a line, in the first 300 characters; case and the kind of apostrophe do not "
        "matter",
        state.settings(JudgeSettings).phrases,
        lambda new: state.keep(JudgeSettings, phrases=_without_empty_lines(new)),
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
        on_click=_first_phrases,
    )


def _first_phrases() -> None:
    state.keep(JudgeSettings, phrases=FIRST_PHRASES)


def _without_empty_lines(lines: str) -> str:
    return "\n".join(line for line in lines.split("\n") if line.strip())


def endpoint_fields(given: dict[str, str]) -> dict[str, str]:
    """The boxes that say where a language model answers, inside a form; what stands in them."""
    url = st.text_input(
        "Address", given.get("url", ""), placeholder="http://localhost:11434/v1", max_chars=2000
    )
    model = st.text_input(
        "Model", given.get("model", ""), placeholder="its name on that server", max_chars=150
    )
    key = st.text_input(
        "Key, if it needs one",
        given.get("key", ""),
        type="password",
        autocomplete="off",
        max_chars=500,
    )
    return {"url": url, "model": model, "key": key}


def _endpoint() -> None:
    given = st.session_state.get(_GIVEN, st.session_state.get("labelling_endpoint", {}))
    with st.form("behaviour_endpoint_form", border=False):
        fields = endpoint_fields(given)
        asks = st.text_input(
            "Is this a reply in which the assistant …",
            state.settings(JudgeSettings).asks,
            max_chars=LONGEST,
        )
        if st.form_submit_button("Use this judge"):
            st.session_state[_GIVEN] = fields
            state.keep(JudgeSettings, asks=asks.strip() or REFUSAL)
            state.rerun()
    messages.quiet(
        "Answers are sent there, by the computer this app runs on. The key is kept in this session "
        "only."
    )
