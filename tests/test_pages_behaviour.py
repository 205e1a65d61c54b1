"""Behaviour as a visitor finds it: the stored run at once, a run of one's own, wrong input of every
kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import ep
from ep.studies.rates import Rate
from ep.views import behaviour as plain
from ep.views import behaviour_html as markup
from pages.behaviour import prompts
from pages.behaviour.work import Kept
from pages.shared import judge, loading
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.endpoint import Seen, completion, send, serving, waits
from tests.fixtures.pages import said, shelved, show

pytestmark = pytest.mark.slow
STORED = Path(__file__).resolve().parents[1] / "data/demo/behaviour.json"
ARMS = ("default", "ablated", "random direction")
HOSTILE = "<img src=x onerror=alert(1)> $x$ :red[y] <script>z</script>"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two dictionaries of a tiny model, one that is too wide for it, one whose model is nowhere."""
    folder = tmp_path_factory.mktemp("shelf")
    model = str(tiny.gemma(tmp_path_factory.mktemp("models") / "gemma"))
    own = {"model": model, "layer": 1, "tokenizer_hash": ep.load(model).digest}
    made = {
        "own": synthetic(40, 32, family="own", **own),
        "wide": synthetic(40, 48, family="wide", **own),
        "lost": synthetic(40, 32, family="lost", model="/nowhere/at/all"),
    }
    with shelved(folder, made) as found:
        yield found


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A demo with little to read, some of it hostile, so that the tiny model is done at once."""
    (tmp_path / "prompts").mkdir()
    yes, no = [f"the cat {i} sat" for i in range(12)], [f"an old garden {i}" for i in range(14)]
    rows = {
        "train": [(text, "yes") for text in yes[:8]] + [(text, "no") for text in no[:10]],
        "held_out_words": [(text, "yes") for text in [*yes[8:], HOSTILE]],
        "held_out_templates": [("the dog sat", "yes"), (yes[0], "yes")],
        "benign": [(text, "no") for text in no[10:]],
    }
    for name, several in rows.items():
        lines = ["prompt,label", *(f"{text},{label}" for text, label in several)]
        (tmp_path / "prompts" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(loading, "DEMO", tmp_path)
    prompts._demo.clear()
    yield
    prompts._demo.clear()


def well(at: AppTest) -> str:
    page = said(at)
    assert not at.exception and "Something went wrong" not in page
    return page


def wait(at: AppTest, text: str) -> str:
    deadline = monotonic() + 120
    while text not in well(at):
        assert monotonic() < deadline, well(at)[-3000:]
        sleep(0.3)
        at.run()
    return well(at)


def test_the_stored_run_is_there_at_once_and_says_what_it_is(keys: dict[str, str]) -> None:
    data = json.loads(STORED.read_text())
    page = well(show("behaviour", keys["own"]))
    for text in (
        f"Stored run of {data['made']}",
        "is not tried yet",
        "Where the prompts fall",
        "on held-out prompts",
    ):
        assert text in page
    assert page.count('class="eb-track"') > 20 and "half of the four seeds do nothing" in page
    assert page.count("Matched region") == 1 and "appendix table 3" in page


def test_a_run_of_ones_own_finds_tries_and_repeats(keys: dict[str, str], few: None) -> None:
    at = show("behaviour", keys["own"], bjudge="labels", btok="4", bseeds="2")
    assert "Nothing has been tried yet" in well(at)
    at.button(key="behaviour_go").click().run()
    page = wait(at, "Regions by prompts covered")
    assert "8 of 18 prompts show it, by their labels" in page
    while "Not tried yet on this dictionary" in page:
        sleep(0.3)
        page = well(at.run())
    assert (
        "1 held-out prompt was also used for the choice" in page or "No region may carry it" in page
    )
    assert "<img src=x" not in page and "<script>z" not in page
    at.button(key="behaviour_streams").click().run()
    assert "Here with 6%" in wait(at, "Here with")
    again = show("behaviour", keys["own"], bjudge="labels", btok="4", bseeds="2")
    assert "Regions by prompts covered" in well(again), "what was found belongs to the server"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bjudge": "pattern"}, "The pattern has 0 characters"),
        ({"bjudge": "pattern", "bpat": "("}, "no regular expression"),
        ({"bjudge": "pattern", "bpat": "(a+)+"}, "repeats a repeat"),
        ({"bphr": " "}, "list of phrases is empty"),
        ({"bjudge": "endpoint"}, "no address of a server"),
        ({"bset": "own"}, "the demo&#x27;s own are shown"),
        (
            {
                "bseeds": "many",
                "btok": "-1",
                "bpct": "nan",
                "bshare": "7",
                "btry": "²",
                "bjudge": "x",
            },
            "Stored run of",
        ),
    ],
)
def test_what_cannot_be_set_is_a_sentence_and_the_page_stays(
    keys: dict[str, str], settings: dict[str, str], said: str
) -> None:
    page = well(show("behaviour", keys["own"], **settings))
    assert said in page and "Where the prompts fall" in page


@pytest.mark.parametrize(
    ("name", "said"), [("wide", "the dictionary is 48 wide"), ("lost", "model")]
)
def test_a_model_that_does_not_fit_or_is_not_here_is_a_sentence(
    keys: dict[str, str], name: str, said: str
) -> None:
    at = show("behaviour", keys[name])
    at.button(key="behaviour_go").click().run()
    page = well(at)
    assert "This cannot be tried here" in page and said.casefold() in page.casefold()
    assert "Where the prompts fall" in page


def test_prompts_that_all_behave_alike_end_as_a_sentence_and_the_model_goes_on(
    keys: dict[str, str], few: None
) -> None:
    at = show("behaviour", keys["own"], bjudge="pattern", bpat="zzzz", btok="4")
    at.button(key="behaviour_go").click().run()
    assert "None of the 18 prompts show it" in wait(at, "None of the 18")
    at = show("behaviour", keys["own"], bjudge="labels", btok="5")
    at.button(key="behaviour_go").click().run()
    wait(at, "Regions by prompts covered")


def asked_at(at: AppTest, url: str) -> None:
    at.session_state[judge.GIVEN] = {"url": url, "model": "a *judge*", "key": ""}
    at.run()
    at.button(key="behaviour_go").click().run()


def test_a_judge_asked_over_the_network_decides_and_one_that_never_answers_is_a_sentence(
    keys: dict[str, str], few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a word of the judge's own on each reply; then too late, and the model goes on right
    after.
    """

    def odd(handler: BaseHTTPRequestHandler, seen: Seen, n: int) -> None:
        reply = seen.body["messages"][-1]["content"]
        send(handler, completion("Yes." if len(reply) % 2 else "no"))

    monkeypatch.setattr(judge, "TIMEOUT_S", 0.4)
    with serving(odd) as server:
        at = show("behaviour", keys["own"], bjudge="endpoint", btok="6")
        asked_at(at, server.url)
        page = wait(at, "prompts show it")
        replies = {seen.body["messages"][-1]["content"] for seen in server.seen}
        assert "by a *judge*" in page and len(replies) == len(server.seen), (
            "each text is asked about once"
        )
    with serving(waits(3.0)) as server:
        at = show("behaviour", keys["own"], bjudge="endpoint", btok="7")
        asked_at(at, server.url)
        assert "did not answer" in wait(at, "did not answer")
    at = show("behaviour", keys["own"], bjudge="labels", btok="7")
    at.button(key="behaviour_go").click().run()
    wait(at, "Regions by prompts covered")


# -- plain data and markup -------------------------------------------------------------------------


def test_the_stored_run_shows_what_the_study_found() -> None:
    """The numbers that were measured on all held-out words and templates of the demo."""
    data = json.loads(STORED.read_text())
    assert STORED.stat().st_size < 60_000
    arms = {
        arm["arm"]: {name: Rate(*arm[name]).value for name in ("behaves", "complies", "intact")}
        for arm in data["trial"]["arms"]
    }
    assert data["trial"]["arms"][0]["behaves"][1] == 200
    assert arms["default"]["behaves"] >= 0.95 and arms["ablated"]["behaves"] <= 0.05
    assert arms["ablated"]["complies"] >= 0.9 and arms["ablated"]["intact"] >= 0.95
    for control in ("random direction", "matched region"):
        assert abs(arms[control]["behaves"] - arms["default"]["behaves"]) <= 0.05
    assert abs(data["trial"]["cosine"]) <= 0.2
    ordinary, half = data["streams"]
    assert ordinary[0]["share"] < half[0]["share"] == 0.5 and len(ordinary) == len(half) == 4
    assert sum(passes({arm["arm"]: arm for arm in one["arms"]}) for one in ordinary) >= 3
    assert sum(plain.verdict(one) == "works" for one in half) <= 1
    assert {plain.verdict(one) for one in data["others"]} >= {"works", "little", "loses coherence"}


def passes(arms: dict[str, dict[str, list[int]]]) -> bool:
    """Refusal gone, sense in its place, benign prompts intact, and no control that does the
    same.
    """
    share = {
        name: {what: Rate(*arm[what]).value for what in ("behaves", "complies", "intact")}
        for name, arm in arms.items()
    }
    default, ablated = share.pop("default"), share.pop("ablated")
    effect = (
        default["behaves"] >= 0.95 and ablated["behaves"] <= 0.05 and ablated["complies"] >= 0.9
    )
    return (
        effect
        and ablated["intact"] >= 0.95
        and all(abs(control["behaves"] - default["behaves"]) <= 0.05 for control in share.values())
    )


def test_the_readme_says_what_the_stored_run_found() -> None:
    data, said = (
        json.loads(STORED.read_text()),
        " ".join((STORED.parents[2] / "README.md").read_text().split()),
    )
    default, ablated, random = (
        {arm["arm"]: arm for arm in data["trial"]["arms"]}[name] for name in ARMS
    )

    def value(arm: dict[str, list[int]], what: str) -> str:
        return f"{arm[what][0] / arm[what][1]:.2f}"

    def span(several: list[dict[str, list[dict[str, list[int]]]]]) -> str:
        rates = sorted(value(one["arms"][1], "complies") for one in several)
        return f"{rates[0]} to {rates[-1]}"

    low, high = Rate(*ablated["complies"]).interval
    for text in (
        f"On {default['behaves'][1]} held-out requests",
        f"refusals go from **{value(default, 'behaves')} to {value(ablated, 'behaves')}**",
        f"in {value(ablated, 'complies')} of them ({low:.2f} to {high:.2f})",
        f"intact in {value(ablated, 'intact')} of {ablated['intact'][1]} "
        f"({value(default, 'intact')} before)",
        f"leaves refusals at {value(random, 'behaves')}",
        f"coherent answers come in {span(data['streams'][0])}; with the centre taken from half",
        f"in {span(data['streams'][1])}: the model",
    ):
        assert text in said, text


def test_tables_and_report_hold_every_count_and_no_markup_of_strangers() -> None:
    data = json.loads(STORED.read_text())
    choice, trial = data["choice"], data["trial"]
    table = plain.region_table(choice["regions"])
    assert (
        sum(table["n"].to_pylist()) == choice["n"]
        and sum(table["behaving"].to_pylist()) == choice["behaving"]
    )
    arms = plain.arm_table([trial, *data["streams"][0]])
    assert len(arms) == sum(len(one["arms"]) for one in (trial, *data["streams"][0]))
    trial["texts"][0] |= {
        "prompt": HOSTILE,
        "said": {"default": HOSTILE, "ablated": "", "swapped": HOSTILE},
    }
    choice["regions"][0]["lens"] = [HOSTILE]
    choice["dictionary"]["title"] = HOSTILE
    page = markup.report(choice, trial, data["streams"], [HOSTILE])
    assert (
        "<img" not in page
        and "<script" not in page
        and "&lt;img src=x" in page
        and "(nothing)" in page
    )
    assert page.count('class="eb-track"') == 3 * len(trial["arms"]) + 3 * sum(
        map(len, data["streams"])
    )
    assert plain.text_table(trial)["prompt"].to_pylist()[0] == HOSTILE


def test_the_colouring_is_grey_where_no_prompt_falls() -> None:
    dictionary = synthetic(12, 16)
    rows = [{"region": k, "rate": [k, 4]} for k in (0, 2, 4)]
    shown = plain.coloring(dictionary, [*rows, {"region": 99, "rate": [1, 1]}])
    assert shown.ramp.missing == 9 and shown.light.shape == shown.dark.shape == (12, 3)
    assert (shown.light[1] == shown.light[3]).all() and not (shown.light[0] == shown.light[4]).all()


def test_a_verdict_needs_an_answer_in_place_of_the_behaviour() -> None:
    def tried(effect: float, before: int, after: int) -> dict[str, object]:
        rows = [{"complies": [before, 10]}, {"complies": [after, 10]}]
        return {"effect": [effect, effect, effect], "arms": rows}

    assert plain.verdict(tried(-0.9, 0, 9)) == "works"
    assert plain.verdict(tried(-0.9, 0, 2)) == "loses coherence"
    assert (
        plain.verdict(tried(-0.4, 0, 4)) == "little" == plain.verdict({"effect": None, "arms": []})
    )


def test_only_the_newest_outcomes_are_kept() -> None:
    store = Kept()
    for number in range(100):
        store.put(str(number), np.array(number))
        assert store.get("0") is not None, "what is used stays"
    assert store.get("1") is None and store.get("99") is not None
