"""Behaviour as a visitor finds it: the stored run at once, a run of one's own, wrong input of every
kind.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import ep
from ep.studies.rates import Rate
from ep.views import behaviour as plain
from ep.views import behaviour_html as markup
from pages.behaviour import bundled
from pages.behaviour.settings import Settings
from pages.shared import estimates, jobs, judge, links, loading, models
from pages.shared.store import Store
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.endpoint import Seen, completion, send, serving, waits
from tests.fixtures.pages import shelved, show, well
from tests.fixtures.waiting import until

pytestmark = pytest.mark.slow
STORED = Path(__file__).resolve().parents[1] / "data/demo/behaviour.json"
ARMS = ("default", "ablated", "random direction")
NUMBERS = ("btok", "bseeds", "bpct", "bshare", "btry")
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
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
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
    bundled.read_bundled.clear()
    yield
    bundled.read_bundled.clear()


def visit(key: str, **settings: str) -> AppTest:
    """The page of a dictionary of one's own, with the requests of the tiny demo chosen for it."""
    return show("behaviour", key, **{"bset": "demo", **settings})


def of_demo() -> str:
    """The key of a dictionary of the tiny demo on which the stored run was not made."""
    return next(
        entry.key
        for entry in loading.entries()
        if entry.path.is_relative_to(loading.DEMO) and entry.layer == 2
    )


def wait(at: AppTest, text: str) -> str:
    """What the page says once it says this."""
    until(lambda: text in well(at), at.run, every=0.3)
    return well(at)


def take_out(at: AppTest) -> AppTest:
    return at.button(key="behaviour_go").click().run()


def finished(at: AppTest) -> str:
    """What the page says once no job is at work."""
    until(lambda: all(job.state != "running" for job in jobs.board().jobs()))
    return well(at.run())


def job_buttons(at: AppTest) -> list[str]:
    """The buttons of a job's panel."""
    return [button.label for button in at.button if str(button.key).startswith("job_")]


def test_the_stored_run_is_there_at_once_and_says_what_it_is(keys: dict[str, str]) -> None:
    data = json.loads(STORED.read_text())
    page = well(show("behaviour", of_demo()))
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
    at = visit(keys["own"], bjudge="labels", btok="4", bseeds="2")
    assert "Nothing has been tried yet" in well(at) and "It takes " in well(at)
    take_out(at)
    page = wait(at, "Regions by prompts covered")
    assert "8 of 18 prompts show it, by their labels" in page
    while "Not tried yet on this dictionary" in page:
        sleep(0.3)
        page = well(at.run())
    assert (
        "1 held-out prompt was also used for the choice" in page or "No region may carry it" in page
    )
    assert "<img src=x" not in page and "<script>z" not in page
    assert at.button(key="behaviour_go").disabled
    at.button(key="behaviour_streams").click().run()
    assert "Here with 6%" in wait(at, "Here with")
    assert at.button(key="behaviour_streams").label == "Tried at 6%"
    again = visit(keys["own"], bjudge="labels", btok="4", bseeds="2")
    assert "Regions by prompts covered" in well(again), "what was found belongs to the server"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bjudge": "pattern"}, "The pattern has 0 characters"),
        ({"bjudge": "pattern", "bpat": "("}, "not a regular expression"),
        ({"bjudge": "pattern", "bpat": "(a+)+"}, "repeats a repeat"),
        ({"bphr": " "}, "list of phrases is empty"),
        ({"bjudge": "endpoint"}, "not the address of a server"),
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
        (dict.fromkeys(NUMBERS, "9" * 5000), "Stored run of"),
        (dict.fromkeys(NUMBERS, "0" * 5000), "Stored run of"),
        (dict.fromkeys(NUMBERS, "0000000009999"), "Stored run of"),
        ({"bswap": "x", "bhalf": "<b>", "bset": "?", "bbasis": "Mean"}, "Stored run of"),
    ],
)
def test_what_cannot_be_set_is_a_sentence_and_the_page_stays(
    keys: dict[str, str], settings: dict[str, str], said: str
) -> None:
    page = well(show("behaviour", of_demo(), **settings))
    assert said in page and "Where the prompts fall" in page


def test_a_file_of_ones_own_never_shows_the_demo_s_run_or_its_prompts(
    keys: dict[str, str],
) -> None:
    at = show("behaviour", keys["own"])
    page = well(at)
    assert "Stored run" not in page and "tiny demo" not in page
    assert "there are no prompts for this dictionary" in page.casefold()
    assert at.button(key="behaviour_go").disabled
    assert "They were written for another model." in page, "they are offered as what they are"
    lost = well(show("behaviour", of_demo(), bset="own"))
    assert "Stored run" not in lost and "give that file again" in lost
    assert "Stored run" not in well(visit(keys["own"])), "it was made on another dictionary"


def test_a_model_that_is_not_here_is_a_sentence(keys: dict[str, str]) -> None:
    page = well(take_out(visit(keys["lost"])))
    assert "This cannot be tried here" in page and "model" in page.casefold()
    assert "is not beside the dictionary any more" in page and "Nothing has been tried yet" in page


def test_a_model_that_does_not_fit_is_a_sentence(keys: dict[str, str]) -> None:
    at = take_out(visit(keys["wide"]))
    page = wait(at, "The dictionary is 48 wide")
    assert "Taking it out, on held-out prompts" in page and "Nothing has been tried yet" in page
    assert job_buttons(at) == ["Close"]


def test_answers_are_shown_where_no_prompt_shows_it_and_the_model_goes_on(
    keys: dict[str, str], few: None
) -> None:
    link = {"bjudge": "pattern", "bpat": "zzzz", "btok": "4"}
    at = take_out(visit(keys["own"], **link))
    page = wait(at, "None of the 18 prompts show it")
    page = finished(at)
    assert "0 of 18 prompts show it" in page and 'class="eb-read two"' in page
    assert page.count("the cat ") >= 8 and "cut at the length limit" in page
    assert at.button(key="behaviour_go").label == "Tried"
    assert "behaviour_streams" not in [button.key for button in at.button]
    other = visit(keys["own"], **link)
    assert "None of the 18" in well(other) and not job_buttons(other), "it serves all visitors"
    at = take_out(visit(keys["own"], bjudge="labels", btok="5"))
    wait(at, "Regions by prompts covered")


# -- visits and visitors ---------------------------------------------------------------------------


def test_a_visit_starts_nothing_and_says_how_long_it_would_take(
    keys: dict[str, str], few: None
) -> None:
    for shared in (models.models, jobs.board, estimates.rates):
        shared.clear()
    at = visit(keys["own"], bjudge="labels", btok="6", btry="3", bhalf="on")
    page = well(at)
    assert "The model is loaded first. It takes " in page and "Nothing has been tried yet" in page
    assert models.state(loading.dictionary(keys["own"])) == models.NOT_NEEDED
    assert not jobs.board().jobs() and not len(jobs.board().results)
    assert "It takes " not in well(visit(keys["lost"])), "it cannot be started"


def test_what_a_run_took_says_how_long_the_next_one_takes(keys: dict[str, str], few: None) -> None:
    kind = f"behaviour {loading.dictionary(keys['own']).info['model']}"
    estimates.rates.clear()
    take_out(at := visit(keys["own"], bjudge="labels", btok="10"))
    finished(at)
    assert estimates.rates().get(kind, 0.0) > 0.0
    estimates.rates()._rates[kind] = deque([1e5])
    page = well(visit(keys["own"], bjudge="labels", btok="11"))
    assert "It takes about " in page and " h." in page


def test_a_strangers_run_is_not_seen_but_its_result_serves_everyone(
    keys: dict[str, str], few: None
) -> None:
    link = {"bjudge": "labels", "btok": "8"}
    model = models.language_model(loading.dictionary(keys["own"]))
    with model.turns.take("somebody"):  # so that the run has to wait
        first = take_out(visit(keys["own"], **link))
        assert "Taking it out" in well(first) and job_buttons(first) == ["Cancel"]
        second = visit(keys["own"], **link)
        page = well(second)
        assert "Taking it out" not in page and not job_buttons(second)
        assert jobs.RUNNING_FOR_ANOTHER in page and "Nothing has been tried yet" in page
    finished(first)
    for at in (first, second.run()):
        assert "Regions by prompts covered" in well(at) and not job_buttons(at)
        assert at.button(key="behaviour_go").label == "Taken out"


def test_who_cancels_sees_that_nothing_was_changed(keys: dict[str, str], few: None) -> None:
    link = {"bjudge": "labels", "btok": "9"}
    model = models.language_model(loading.dictionary(keys["own"]))
    with model.turns.take("somebody"):
        at = take_out(visit(keys["own"], **link))
        next(button for button in at.button if button.label == "Cancel").click().run()
        assert "It was cancelled; nothing was changed." in finished(at)
    assert model.turns.length == 0
    other = visit(keys["own"], **link)
    assert "cancelled" not in well(other) and "Nothing has been tried yet" in well(other)


def test_another_region_is_tried_instead(keys: dict[str, str], few: None) -> None:
    link = {"bjudge": "labels", "btok": "4", "bswap": "off"}
    at = take_out(visit(keys["own"], **link))
    finished(at)
    regions = [int(region) for region in at.dataframe[0].value["region"]]
    best = next((k for k in regions if f"Region {k} taken out" in well(at)), None)
    other = next(k for k in regions if k != best)
    at = visit(keys["own"], r=str(other), **link)
    at.button(key="behaviour_instead").click().run()
    assert at.query_params["btry"] == str(other)
    assert f"Region {other} taken out, on held-out prompts" in finished(at)
    assert "behaviour_instead" not in [button.key for button in at.button]


def test_an_old_link_opens_with_its_settings_and_carries_no_others(keys: dict[str, str]) -> None:
    own = {
        "btok": "12",
        "bseeds": "2",
        "bpct": "8.5",
        "bshare": "0.2",
        "bswap": "off",
        "bbasis": "mean",
        "bset": "own",
        "btry": "3",
        "bhalf": "on",
    }
    read = links.codec(Settings).parse(own)
    assert read == Settings(12, "mean", False, True, 2, 8.5, 0.2, True, "own", 3)
    assert links.codec(Settings).parse({}) == Settings()
    foreign = {"sa": "one", "basis": "exemplar", "smode": "ablate", "cview": "final"}
    at = show("behaviour", keys["own"], bjudge="labels", **own, **foreign)
    well(at)
    link = {name: at.query_params[name] for name in at.query_params if name not in ("d", "r")}
    assert {name: text(value) for name, value in link.items()} == {**own, "bjudge": "labels"}


def text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else value[0]


def test_the_settings_are_those_of_the_form(keys: dict[str, str]) -> None:
    at = visit(keys["own"])
    fields = {field.label: field for field in at.number_input}
    fields["Tokens of an answer, at most"].set_value(7)
    fields["Orders of the stream (seeds)"].set_value(3)
    next(button for button in at.button if button.label == "Set").click().run()
    well(at)
    assert (text(at.query_params["btok"]), text(at.query_params["bseeds"])) == ("7", "3")
    assert not {"bpct", "bshare", "bswap", "bbasis"} & set(at.query_params)


def test_the_share_looked_at_is_in_the_link(keys: dict[str, str]) -> None:
    at = show("behaviour", of_demo())
    at.segmented_control(key="behaviour_share").set_value(0.5).run()
    assert text(at.query_params["bhalf"]) == "on"
    assert at.segmented_control(key="behaviour_share").value == 0.5
    at.segmented_control(key="behaviour_share").set_value(0.06).run()
    assert "bhalf" not in at.query_params


# -- a judge on the network ------------------------------------------------------------------------


def asked_at(at: AppTest, url: str) -> None:
    at.session_state["judge_endpoint"] = {
        "url": url,
        "model": "a *judge*",
        "key": "",
        "inside": "on",
    }
    at.run()
    assert "What the judge needs comes on top" in well(at)
    take_out(at)


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
        at = visit(keys["own"], bjudge="endpoint", btok="6")
        asked_at(at, server.url)
        page = wait(at, "prompts show it")
        replies = {seen.body["messages"][-1]["content"] for seen in server.seen}
        assert "by a *judge*" in page and len(replies) == len(server.seen), (
            "each text is asked about once"
        )
    with serving(waits(3.0)) as server:
        at = visit(keys["own"], bjudge="endpoint", btok="7")
        asked_at(at, server.url)
        assert "did not answer" in wait(at, "did not answer")
    at = take_out(visit(keys["own"], bjudge="labels", btok="7"))
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
    by_name = {arm["arm"]: arm for arm in data["trial"]["arms"]}
    default, ablated, random = (by_name[name] for name in ARMS)

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
        f"does leaves them at {value(by_name['random span'], 'behaves')}, where the set leaves "
        f"{value(by_name['set of regions'], 'behaves')}",
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
    store = Store(24)
    for number in range(100):
        store.put(str(number), np.array(number))
        assert store.get("0") is not None, "what is used stays"
    assert store.get("1") is None and store.get("99") is not None


def test_a_model_with_other_weights_is_said(
    keys: dict[str, str], few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = loading.dictionary(keys["own"])
    link = {"bjudge": "labels", "btok": "3"}
    take_out(at := visit(keys["own"], **link))
    finished(at)
    line = "he weights of "
    for stated, is_said in ((models.language_model(own).fingerprint, False), ("0" * 64, True)):
        monkeypatch.setitem(own.info, "weights", stated)
        assert (line in well(visit(keys["own"], **link))) == is_said
