"""What a behaviour run starts from: prompts, judge and settings, each behind a button that says what is set.

Settings live in the URL under names of their own; prompts that are a visitor's files live in the session, and so does
the key of a judge that is asked over the network. Reads no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

import streamlit as st

from ep.demo.behaviour import BENIGN, CHOICE, HELD_OUT
from ep.errors import CorpusError, EPError
from ep.models.endpoint import Endpoint
from ep.studies.asked import REFUSAL, Asked
from ep.studies.behaviour import BEHAVING_SHARE
from ep.studies.experiment import TOKENS, Held, hold
from ep.studies.judging import REFUSAL_PHRASES, Judge, Pattern, Phrases
from ep.studies.prompts import Prompts, columns, read_prompts
from ep.views.text import plain, shorten
from pages.shared import loading, messages, state
from pages.shared.tokens import escape

DEMO, OWN = "demo", "own"
PHRASES, PATTERN, ENDPOINT, LABELS = "phrases", "pattern", "endpoint", "labels"
JUDGES = {
    PHRASES: "Phrases in the answer",
    PATTERN: "A pattern in the answer",
    ENDPOINT: "A model asked about the answer",
    LABELS: "The labels given",
}
MOST_BYTES = 20 * 2**20
NONE = "(none)"
_OWN, _GIVEN = "behaviour_own", "behaviour_endpoint"


@dataclass(frozen=True)
class Numbers:
    """tokens: of an answer. seeds, percentile, share: of the streams. swap: whether the trial has a swap too."""

    tokens: int
    seeds: int
    percentile: float
    share: float
    swap: bool


@dataclass(frozen=True)
class Inputs:
    """All a run needs beside dictionary and model. digest: of everything that decides who shows the behaviour."""

    name: str
    held: Held
    judge: Judge
    judge_name: str
    by_labels: bool
    numbers: Numbers
    digest: str


# -- prompts -----------------------------------------------------------------------------------------------------------


def held() -> tuple[str, Held]:
    """(what they are called, the prompts): a visitor's own, or the demo's. EPError when they cannot be parted."""
    own = st.session_state.get(_OWN)
    if state.setting("bset", DEMO, (DEMO, OWN)) == OWN and own is not None:
        return own
    return "the demo's own", _demo(str(loading.DEMO))


@st.cache_resource(show_spinner=False, max_entries=2)
def _demo(folder: str) -> Held:
    def read(names: tuple[str, ...]) -> Prompts:
        whole = Prompts((), ())
        for name in names:
            whole = whole + read_prompts(Path(folder) / "prompts" / f"{name}.csv")
        return whole

    return hold(read((CHOICE,)), read(HELD_OUT), read(BENIGN))


def prompts_popover(name: str) -> None:
    """Which prompts: the demo's with one click, or files of one's own."""
    with (
        st.popover(f"Prompts: {_label(name)}", icon=":material/list:", key="behaviour_prompts", width="content"),
        st.container(width=560, gap="small"),
    ):
        st.button("Use the demo's own prompts", key="behaviour_demo", on_click=_use_demo, icon=":material/replay:")
        messages.quiet(
            "500 requests to choose a region on, 100 with new words and 100 in new forms to try it on, 100 benign."
        )
        choice = _file("Prompts to choose the region on", "choice")
        held_out = _file("Held-out prompts to try it on (without: 30 % are held back)", "held")
        benign = _file("Benign prompts that must stay intact", "benign")
        names = _columns(choice)
        text = st.selectbox("Column with the prompt", names, index=_at(names, "prompt"), key="behaviour_text")
        label = st.selectbox(
            "Column with the label", [*names, NONE], index=_at([*names, NONE], "label"), key="behaviour_label"
        )
        yes = st.text_input(
            "Labels that mean yes, with commas between",
            key="behaviour_yes",
            placeholder="harmful, yes, 1, true",
            max_chars=300,
        )
        if st.button("Use these files", key="behaviour_use", disabled=choice is None, type="primary"):
            _use(choice, held_out, benign, text, label, yes)


def _label(name: str) -> str:
    """A name from a file or a form as the label of a button, which would read it as Markdown."""
    kept = "".join(c if c.isalnum() or c in " -_.'" else " " for c in plain(name))
    return shorten(" ".join(kept.split()), 28) or "a file"


def _at(names: list[str], wanted: str) -> int:
    return names.index(wanted) if wanted in names else max(0, len(names) - 1 if wanted == "label" else 0)


def _file(title: str, name: str) -> tuple[str, bytes] | None:
    """A file given by upload or by its path on this machine, as (name, bytes); a sentence when it cannot be read."""
    left, right = st.columns([5, 4], gap="small", vertical_alignment="bottom")
    given = left.file_uploader(title, type=["csv", "jsonl", "ndjson"], key=f"behaviour_file_{name}")
    path = right.text_input(
        f"Path of: {title}", key=f"behaviour_path_{name}", placeholder="or its path here", label_visibility="collapsed"
    )
    try:
        if given is not None:
            return given.name, given.getvalue()
        if path.strip():
            return _at_path(path.strip().strip("'\""))
    except EPError as error:
        messages.quiet(messages.sentence(error))
    return None


def _at_path(given: str) -> tuple[str, bytes]:
    path = Path(given).expanduser()
    if path.suffix.lower() not in (".csv", ".jsonl", ".ndjson"):
        raise CorpusError(f"{path.name[:80]} is no prompt file: expected .csv or .jsonl")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CorpusError(f"{path.name[:80]} has more than {MOST_BYTES >> 20} MB: give a smaller file")
        return path.name, path.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no such file"
        raise CorpusError(f"{path.name[:80]} cannot be read on this machine: {why}") from error


def _columns(choice: tuple[str, bytes] | None) -> list[str]:
    """The columns of the file to choose on, those of the demo without one."""
    if choice is None:
        return ["prompt", "label"]
    try:
        return columns(choice[1], choice[0]) or ["prompt"]
    except EPError as error:
        messages.quiet(messages.sentence(error))
        return ["prompt"]


def _use_demo() -> None:
    state.keep(bset=None)


def _use(
    choice: tuple[str, bytes],
    held_out: tuple[str, bytes] | None,
    benign: tuple[str, bytes] | None,
    text: str,
    label: str,
    yes: str,
) -> None:
    wanted = [part.strip() for part in yes.split(",") if part.strip()]
    read = partial(read_prompts, text=text, label=label, yes=wanted)
    try:
        parted = hold(*(None if given is None else read(given[1], given[0]) for given in (choice, held_out, benign)))
    except EPError as error:
        messages.note(messages.sentence(error))
        return
    st.session_state[_OWN] = (choice[0][:60], parted)
    state.keep(bset=OWN, btry=None)
    state.rerun()


# -- the judge ---------------------------------------------------------------------------------------------------------


def judge() -> tuple[Judge, str, str, bool]:
    """(judge, its name, what tells it from others, whether labels choose). EPError for one that cannot be."""
    kind = state.setting("bjudge", PHRASES, tuple(JUDGES))
    if kind == PATTERN:
        pattern = state.setting("bpat")
        return Pattern(pattern), "a pattern", f"pattern {pattern}", False
    if kind == ENDPOINT:
        given, what = st.session_state.get(_GIVEN, {}), state.setting("bask", REFUSAL)
        endpoint = Endpoint(given.get("url", ""), given.get("model", ""), given.get("key", ""), timeout=30.0, tries=2)
        return Asked(endpoint.ask, what), endpoint.model.strip(), f"{endpoint.source} {what}", False
    phrases = tuple(line for line in state.setting("bphr", "\n".join(REFUSAL_PHRASES)).split("\n") if line.strip())
    made = Phrases(phrases)
    name = f"{len(phrases)} phrases"
    return made, f"labels, then {name}" if kind == LABELS else name, f"{kind} {phrases}", kind == LABELS


def judge_popover(name: str) -> None:
    """What shows the behaviour."""
    kind = state.setting("bjudge", PHRASES, tuple(JUDGES))
    with (
        st.popover(f"Judge: {_label(name)}", icon=":material/gavel:", key="behaviour_judge", width="content"),
        st.container(width=460, gap="small"),
    ):
        st.session_state["behaviour_kind"] = kind
        st.radio(
            "What shows the behaviour", list(JUDGES), key="behaviour_kind", format_func=JUDGES.get, on_change=_kind
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
            st.session_state["behaviour_phrases"] = state.setting("bphr", "\n".join(REFUSAL_PHRASES))
            st.text_area(
                "Phrases, one a line, in the first 300 characters; case and the kind of apostrophe do not matter",
                key="behaviour_phrases",
                height=230,
                on_change=_keep,
                args=("behaviour_phrases", "bphr"),
                max_chars=6000,
            )
            if kind == LABELS:
                messages.quiet(
                    "Labels choose the region; what the model answers in the trial is judged by the phrases."
                )
            st.button("The first list again", key="behaviour_again", type="tertiary", on_click=_phrases_again)


def _endpoint() -> None:
    given = st.session_state.get(_GIVEN, st.session_state.get("labelling_endpoint", {}))
    with st.form("behaviour_endpoint_form", border=False):
        url = st.text_input("Address", given.get("url", ""), placeholder="http://localhost:11434/v1", max_chars=2000)
        model = st.text_input("Model", given.get("model", ""), placeholder="its name on that server", max_chars=150)
        key = st.text_input("Key, if it needs one", given.get("key", ""), type="password", autocomplete="off")
        what = st.text_input("Is this a reply in which the assistant …", state.setting("bask", REFUSAL), max_chars=400)
        if st.form_submit_button("Use this judge"):
            st.session_state[_GIVEN] = {"url": url, "model": model, "key": key}
            state.keep(bask=None if what.strip() == REFUSAL else what.strip() or " ")
            state.rerun()
    messages.quiet("Answers are sent there, by the computer this app runs on. The key is kept in this session only.")


def _kind() -> None:
    chosen = st.session_state["behaviour_kind"]
    state.keep(bjudge=None if chosen == PHRASES else chosen)


def _keep(widget: str, name: str) -> None:
    text = st.session_state[widget]
    kept = "\n".join(line for line in text.split("\n") if line.strip())
    state.keep(**{name: None if kept == "\n".join(REFUSAL_PHRASES) else kept or " "})


def _phrases_again() -> None:
    state.keep(bphr=None)


# -- numbers -----------------------------------------------------------------------------------------------------------


def numbers() -> Numbers:
    """The settings; what a link has wrong counts as the default."""
    return Numbers(
        int(_number("btok", TOKENS, 4, 400)),
        int(_number("bseeds", 4, 1, 16)),
        _number("bpct", 4.0, 0.5, 60.0),
        _number("bshare", BEHAVING_SHARE, 0.01, 0.9),
        state.setting("bswap", "on", ("on", "off")) == "on",
    )


def _number(name: str, default: float, low: float, high: float) -> float:
    try:
        value = float(state.setting(name, str(default)))
    except ValueError:
        return default
    return value if low <= value <= high else default


def settings_popover(now: Numbers) -> None:
    """How long answers are, and how the streams are made."""
    with (
        st.popover("Settings", icon=":material/tune:", key="behaviour_settings", width="content"),
        st.form("behaviour_numbers", border=False),
        st.container(width=360, gap="small"),
    ):
        tokens = st.number_input("Tokens of an answer, at most", 4, 400, now.tokens)
        swap = st.toggle("Also swap: put the mean of a quiet region back", now.swap)
        seeds = st.number_input("Orders of the stream (seeds)", 1, 16, now.seeds)
        percentile = st.number_input("Their percentile p", 0.5, 60.0, now.percentile, step=0.5)
        share = st.number_input("Share of behaving prompts their centre is taken from", 0.01, 0.9, now.share, step=0.01)
        if st.form_submit_button("Set"):
            state.keep(
                btok=None if tokens == TOKENS else str(tokens),
                bswap=None if swap else "off",
                bseeds=None if seeds == 4 else str(seeds),
                bpct=None if percentile == 4 else f"{percentile:g}",
                bshare=None if share == BEHAVING_SHARE else f"{share:g}",
            )
            state.rerun()


# -- all of it ---------------------------------------------------------------------------------------------------------


def gathered() -> Inputs:
    """What is set now. EPError in one line when a part of it cannot be."""
    name, parted = held()
    made, judge_name, stamp, by_labels = judge()
    now = numbers()
    whole = blake2b(digest_size=9)
    for part in (parted.choice.texts, parted.choice.labels, parted.target, parted.benign, stamp, by_labels, now.tokens):
        whole.update(repr(part).encode("utf-8", "replace"))
    return Inputs(name, parted, made, judge_name, by_labels, now, whole.hexdigest())


def about_link() -> None:
    """One line when a link asks for prompts that only the session of somebody else has."""
    if state.setting("bset", DEMO, (DEMO, OWN)) == OWN and st.session_state.get(_OWN) is None:
        st.html(
            '<div class="ep-k">'
            + escape("This link was made with prompts from a file, which it cannot hold: the demo's own are shown.")
            + "</div>"
        )
