"""Steer as a visitor finds it: four columns of one run, a link that writes it again, calm words, a model left free."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import ep
from ep.errors import ModelError, RequestError
from ep.models import LanguageModel
from ep.models.generation import generate
from ep.storage import Shelf
from ep.studies.judging import Phrases
from ep.studies.rates import Rate
from ep.studies.sense import Answer, Sense
from ep.studies.steering import STEERED, Dose, careful, sweep
from ep.views import continuations, figures_dose, snippets
from ep.views import steering as view
from ep.views.continuations import Column, differing
from ep.views.steering import Setting
from pages.shared import jobs, loading, steering, steering_controls, steering_files
from tests.fixtures import tiny
from tests.fixtures.dictionaries import HOSTILE, synthetic
from tests.fixtures.endpoint import Seen, completion, send, serving
from tests.test_pages_reading import _html, _visit

pytestmark = pytest.mark.slow
LIVE = "steer_live"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A dictionary with its model, one whose steps overflow, one of another model, one without template, one lost."""
    folder, models = tmp_path_factory.mktemp("shelf"), tmp_path_factory.mktemp("models")
    gemma, gpt2 = str(tiny.gemma(models / "gemma")), str(tiny.gpt2(models / "gpt2"))
    digests = [ep.load(path).digest for path in (gemma, gpt2)]
    own = {"layer": 2, "model": gemma, "typical_norm": 4.0, "tokenizer_hash": digests[0]}
    made = {
        "own": synthetic(40, 32, seed=1, family="own", title="own", **own),
        "huge": synthetic(40, 32, seed=1, family="huge", **own | {"typical_norm": 1e36}),
        "narrow": synthetic(20, 16, family="narrow", model=gemma, layer=1),
        "plain": synthetic(40, 32, seed=1, family="plain", **own | {"model": gpt2, "tokenizer_hash": digests[1]}),
        "lost": synthetic(40, 32, family="lost", **own | {"model": "/nowhere/at/all"}),
        "foreign": synthetic(40, 32, seed=1, family="foreign", **own | {"tokenizer_hash": "0" * 64}),
        "hostile": synthetic(40, 32, hostile=True, family="hostile", **own),
    }
    for name, dictionary in made.items():
        ep.save(dictionary, folder / f"{name}.ep.h5")
    found = {entry.path.name.removesuffix(".ep.h5"): entry.key for entry in Shelf((folder,)).entries}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EP_LIBRARY", str(folder))
        st.cache_resource.clear()
        yield found
    st.cache_resource.clear()


def model_of(key: str) -> LanguageModel:
    return loading.language_model(loading.dictionary(key).info)


def asked(key: str, **settings: str) -> AppTest:
    return _visit("steer", key, **{"r": "3", "q": "The cat sat", "schat": "text", "stoks": "12", **settings})


def generated(at: AppTest) -> tuple[Column, ...]:
    """The columns after a click on Generate."""
    at.button(key="steer_generate").click().run()
    return finished(at)


def finished(at: AppTest) -> tuple[Column, ...]:
    live = at.session_state[LIVE]
    deadline = monotonic() + 60
    while (job := jobs.get(live.key)) is not None and job.state == "running":
        assert monotonic() < deadline
        sleep(0.01)
    at.run()
    well(at)
    return live.columns


def well(at: AppTest) -> str:
    page = _html(at)
    assert not at.exception and "Something went wrong" not in page and "cannot be shown" not in page
    return page


def alone(key: str, setting: Setting) -> list[Column]:
    dictionary, model = loading.dictionary(key), model_of(key)
    batch = view.rows(dictionary, model, setting)
    *_, written = generate(model, batch, setting.sampling())
    return continuations.measured(dictionary, model, batch, written)


def test_the_page_opens_without_the_model_and_says_what_will_be_seen(keys: dict[str, str]) -> None:
    loading._model_states().clear()
    at = _visit("steer", keys["own"], r="3")
    page = well(at)
    assert "untouched, region 3 taken out" in page and "How much is enough?" in page
    assert loading.model_state(loading.dictionary(keys["own"]).info) == loading.NOT_NEEDED


def test_a_run_is_that_of_the_backend_and_its_link_writes_the_same_again(keys: dict[str, str]) -> None:
    at = asked(keys["own"], smode="add", sstr="2", sseed="7", stemp="1")
    columns = generated(at)
    live = at.session_state[LIVE]
    assert live.setting == Setting(
        "The cat sat", mode="add", regions=(3,), strength=2.0, tokens=12, temperature=1.0, seed=7
    )
    assert list(columns) == alone(keys["own"], live.setting)
    assert [column.moved for column in columns] == pytest.approx([0, columns[1].moved, 2, 2], rel=1e-3)
    assert columns[1].moved > 0 and "8.0 of 8.0 asked for" in well(at)
    link = {name: value[0] if isinstance(value, list) else value for name, value in at.query_params.items()}
    assert link["srun"] == "1"
    again = _visit("steer", link.pop("d"), **link)  # nobody clicks
    assert finished(again) == columns


@pytest.mark.parametrize("mode", view.MODES)
def test_every_mode_runs_and_says_what_it_did(keys: dict[str, str], mode: str) -> None:
    at = asked(keys["own"], smode=mode, starget="5", sregs="9,9999,x", sref="4", sscope="generated", slayers="1-2")
    columns = generated(at)
    live = at.session_state[LIVE]
    assert live.setting.regions == (3, 9) and live.setting.reference == 4
    assert columns[2].moved > 0 and columns[0].moved == 0
    assert "Measured change of the residual" in well(at)
    assert columns[2].touched == 2 * len(columns[2].ids) or columns[2].ending in ("end", "limit")
    for column in columns:
        assert column.asked == pytest.approx(column.moved, rel=1e-3)
    assert f"{columns[2].moved * 4:.1f} of {columns[2].asked * 4:.1f} asked for" in well(at)


@pytest.mark.parametrize("mode", ["add", "clamp"])
def test_several_regions_are_pushed_towards_together_in_any_order(keys: dict[str, str], mode: str) -> None:
    found = [
        alone(keys["own"], Setting("The cat sat", mode=mode, regions=regions, strength=2.0, tokens=8))
        for regions in ((3, 9, 5), (5, 3, 9))
    ]
    plain = alone(keys["own"], Setting("The cat sat", mode=mode, regions=(3,), strength=2.0, tokens=8))
    for one, other in zip(*found, strict=True):
        assert one.ids == other.ids and one.moved == pytest.approx(other.moved, rel=1e-4)
    assert found[0][2].logprob != plain[2].logprob
    if mode == "add":
        assert [column.moved for column in found[0][2:]] == pytest.approx([2, 2], rel=1e-3)
    at = asked(keys["own"], smode=mode, sstr="2", sregs="9,5", stoks="8")
    assert [column.ids for column in generated(at)] == [column.ids for column in found[0]]
    said = {"add": "one step between them", "clamp": "held between them"}[mode]
    assert said in well(at) and "regions 3, 9 and 5" in well(at)


def test_a_strength_nobody_chose_follows_the_region_and_the_mode(keys: dict[str, str]) -> None:
    dictionary = loading.dictionary(keys["own"])

    def strength(at: AppTest) -> float:
        return at.slider(key="steer_strength").value

    at = _visit("steer", keys["own"], r="3", schat="text", stoks="2")
    assert strength(at) == careful(dictionary, [3])
    generated(at)
    at.segmented_control(key="steer_mode").set_value("ablate").run()
    assert strength(at) == 1.0
    at.segmented_control(key="steer_mode").set_value("add").run()
    assert strength(at) == careful(dictionary, [3])
    for region in (9, 11):  # chosen on another page
        at.query_params["r"] = str(region)
        at.run()
        assert strength(at) == careful(dictionary, [region])
    at.slider(key="steer_strength").set_value(0.1).run()
    at.query_params["r"] = "3"
    at.run()
    assert strength(at) == 0.1, "a strength somebody chose stays"


def test_runs_are_kept_and_come_back_with_their_setting(keys: dict[str, str]) -> None:
    at = asked(keys["own"], sstr="2")
    first = generated(at)
    at.slider(key="steer_strength").set_value(0.5).run()
    second = generated(at)
    assert at.query_params["sstr"] in ("0.5", ["0.5"]) and first != second
    kept = at.session_state["steer_kept"]
    assert [run.columns for run in kept] == [second, first]
    assert len(at.dataframe) == 1 and list(at.dataframe[0].value["strength"]) == [0.5, 2.0]


def test_columns_follow_the_controls_when_asked_to(keys: dict[str, str]) -> None:
    at = asked(keys["own"], sstr="2")
    at.toggle(key="steer_following").set_value(True).run()
    assert LIVE not in at.session_state, "nothing runs before a run was asked for"
    first = generated(at)
    at.slider(key="steer_strength").set_value(0.5).run()
    assert finished(at) != first and at.session_state[LIVE].setting.strength == 0.5
    live = at.session_state[LIVE]
    at.run()
    assert at.session_state[LIVE] is live, "nothing has changed"
    at.toggle(key="steer_following").set_value(False).run()
    at.slider(key="steer_strength").set_value(1.0).run()
    assert at.session_state[LIVE] is live


def test_wrong_input_is_said_calmly_and_the_model_works_right_after(keys: dict[str, str]) -> None:
    for key, said, settings in (
        ("narrow", "the dictionary is 16 wide", {}),
        ("foreign", "another tokenizer", {}),
        ("own", "there is no prompt", {"q": " "}),
        ("own", "fills the model", {"q": "cat " * 400}),
        ("own", "layers 0 to 3", {"slayers": "9"}),
        ("own", "cannot be read", {"slayers": "<b>"}),
        ("own", "choose that region", {"smode": "swap"}),
        ("plain", "no chat template", {"schat": "chat"}),
        ("lost", "not beside the dictionary", {}),
    ):
        at = asked(keys[key], **settings)
        at.button(key="steer_generate").click().run()
        page = well(at)
        assert "This run cannot be made" in page and said.casefold() in page.casefold(), (key, said)
        assert LIVE not in at.session_state or at.session_state[LIVE] is None
    assert model_of(keys["own"]).turns.length == 0
    at = asked(keys["plain"], schat="chat")
    at.button(key="steer_generate").click().run()
    at.button(key="steer_as_text").click().run()
    assert len(generated(at)[0].ids) > 0
    assert len(generated(asked(keys["own"]))[0].ids) > 0


def test_a_change_beyond_numbers_ends_its_rows_and_no_others(keys: dict[str, str]) -> None:
    at = asked(keys["huge"], sstr="1000000")
    columns = generated(at)
    assert [column.ending == "not finite" for column in columns] == [False, False, True, True]
    assert len(columns[0].ids) > 0 and columns[2].ids == () and columns[2].kl is None
    assert "not finite" in well(at)
    assert generated(asked(keys["own"]))[0].ids == columns[0].ids


def test_settings_nobody_could_have_made_take_their_defaults(keys: dict[str, str]) -> None:
    at = asked(
        keys["own"], smode="<b>", sstr="nan", sseed="-3", stoks="1e9", stemp="x", sscope="?", sbasis="?", sref="99",
        starget="-1", sregs="x,1,1,1", slayers="",
    )  # fmt: skip
    columns = generated(at)
    usual = careful(loading.dictionary(keys["own"]), [3, 1])
    expected = Setting("The cat sat", regions=(3, 1), strength=usual, tokens=view.LONGEST)
    assert at.session_state[LIVE].setting == expected
    assert len(columns) == 4


def test_hostile_prompts_and_tokens_are_text(keys: dict[str, str]) -> None:
    for text in (HOSTILE[0], HOSTILE[3], HOSTILE[8]):
        at = asked(keys["hostile"], q=text, stoks="4")
        generated(at)
        assert "<img src=x" not in well(at)


# -- the worker --------------------------------------------------------------------------------------------------------


def run_of(key: str, setting: Setting) -> tuple[steering.Live, jobs.Job, Thread]:
    """A run outside any page, on a thread of its own."""
    dictionary, model = loading.dictionary(key), model_of(key)
    batch = view.rows(dictionary, model, setting)
    live, job = steering.Live(key, "steer test", setting, ""), jobs.Job("Steering")
    thread = Thread(target=job.run, args=(lambda job: steering._write(live, "me", dictionary, model, batch, job),))
    return live, job, thread


LONG = Setting("The cat sat", regions=(3,), tokens=200, seed=1, temperature=1.0)


def until(true: object) -> None:
    deadline = monotonic() + 60
    while not true():  # type: ignore[operator]
        assert monotonic() < deadline
        sleep(0.002)


def test_a_run_nobody_looks_at_ends_and_frees_the_model(keys: dict[str, str]) -> None:
    live, job, thread = run_of(keys["own"], LONG)
    live.seen = monotonic() - 2 * steering.GONE_AFTER_S
    thread.start()
    thread.join(60)
    assert job.state == "cancelled" and not live.measured
    assert model_of(keys["own"]).turns.length == 0


def test_stop_works_while_waiting_and_while_writing(keys: dict[str, str]) -> None:
    model, hold = model_of(keys["own"]), Event()

    def holds() -> None:
        with model.turns.take("other"):
            hold.wait(60)

    other = Thread(target=holds)
    other.start()
    until(lambda: model.turns.length == 1)
    live, job, thread = run_of(keys["own"], LONG)
    thread.start()
    until(lambda: live.ahead == 1)
    live.stopping = True
    thread.join(60)
    assert job.state == "cancelled" and live.columns[0].ids == () and model.turns.length == 1
    hold.set()
    other.join(60)
    live, job, thread = run_of(keys["own"], LONG)
    thread.start()
    until(lambda: len(live.ids[0]) > 2)
    live.stopping = True
    thread.join(60)
    assert job.state == "done" and live.measured and model.turns.length == 0
    whole = alone(keys["own"], LONG)
    for column, full in zip(live.columns, whole, strict=True):
        n = len(column.ids)
        assert 2 < n < 200 and column.ids == full.ids[:n] and column.ending == "cancelled"
        assert column.regions == full.regions[:n] and len(column.distances) == n and column.behaves is not None
    steered, control = live.columns[2], live.columns[3]
    assert steered.moved == pytest.approx(LONG.strength, rel=1e-3) == control.moved and steered.touched > 0
    assert steered.kl > 0 and control.kl > 0
    live, job, thread = run_of(keys["own"], LONG)
    thread.start()
    until(lambda: len(live.ids[0]) > 2)
    job.cancel()  # asked twice: what was written stays, nothing is measured
    thread.join(60)
    assert job.state == "cancelled" and not live.measured and len(live.columns[0].ids) > 2
    assert model.turns.length == 0


def test_two_at_once_get_what_each_gets_alone(keys: dict[str, str]) -> None:
    settings = [LONG, replace(LONG, mode="ablate", regions=(5, 6), seed=9)]
    expected = [alone(keys["own"], setting) for setting in settings]
    runs = [run_of(keys["own"], setting) for setting in settings]
    for *_, thread in runs:
        thread.start()
    while any(thread.is_alive() for *_, thread in runs):
        for live, *_ in runs:
            live.look()
        sleep(0.05)
    assert [list(live.columns) for live, *_ in runs] == expected


# -- the plain parts ---------------------------------------------------------------------------------------------------


def test_layers_are_read_or_refused() -> None:
    assert view.parse_layers("", 4, 6) == (4,) and view.parse_layers(" All ", 4, 6) == tuple(range(6))
    assert view.parse_layers("2, 4-5,2", 0, 6) == (2, 4, 5)
    for text, error in (("6", ModelError), ("5-3", ModelError), ("two", RequestError), ("1,,2", RequestError)):
        with pytest.raises(error):
            view.parse_layers(text, 4, 6)


def test_words_that_differ_are_marked_whole_and_equal_ones_never() -> None:
    default = ["I", " can", "not", " help", "."]
    assert differing(default, default) == [False] * 5
    assert differing(default, ["I", " can", " help", "."]) == [False, True, False, False]
    assert differing(default, ["I", " can", "not", " hel", "per", "."]) == [False, False, False, True, True, True]
    assert differing([], ["a", " b"]) == [True, True] and differing(["a"], []) == []


def test_files_hold_the_run_and_the_direction(keys: dict[str, str]) -> None:
    dictionary = loading.dictionary(keys["own"])
    setting = replace(LONG, tokens=6, strength=0.5)
    columns = alone(keys["own"], setting)
    files = steering_files.files(dictionary, setting, columns)
    run = json.loads(files["steering-run.json"]())
    assert run["columns"][2]["text"] == columns[2].text and run["setting"]["strength"] == 0.5 and run["provenance"]
    direction = np.load(io.BytesIO(files["region-3-direction.npz"]()))
    assert np.array_equal(direction["direction"], dictionary.exemplars[[3]]) and direction["strength"] == 0.5
    assert files["region-3-control-vector.gguf"]().startswith(b"GGUF")
    assert json.loads(files["region-3-neuronpedia.json"]())["vectorDefaultSteerStrength"] == pytest.approx(2.0)
    several = steering_files.files(dictionary, replace(setting, regions=(3, 9)), columns)
    assert set(several) == {"steering-run.json", "region-3-9-direction.npz"}
    both = np.load(io.BytesIO(several["region-3-9-direction.npz"]()))
    pushed = dictionary.exemplars[[3, 9]].sum(axis=0)
    assert both["direction"].shape == (2, 32) and np.allclose(both["push"], pushed / np.linalg.norm(pushed), atol=1e-6)
    (table,) = steering_files.tables(columns).values()
    assert table().num_rows == sum(len(column.ids) for column in columns)


def test_the_dose_figure_holds_its_curves_its_zone_and_the_strength() -> None:
    def doses(hits: list[int]) -> list[Dose]:
        pairs = zip((0, 1, 2, 4), hits, strict=True)
        return [Dose(s, Rate(h, 20), Rate(20 - h, 20), Rate(h, 20), 1.0, s, ()) for s, h in pairs]

    figure = figures_dose.dose(doses([0, 10, 18, 19]), doses([0, 0, 1, 1]), 1.0, 2.0, "refuses", False)
    lines = [list(trace.y) for trace in figure.data if trace.mode == "lines+markers"]
    assert np.allclose(lines, [[0, 0, 0.05, 0.05], [1, 0.5, 0.1, 0.05], [0, 0.5, 0.9, 0.95]])
    said = [note.text for note in figure.layout.annotations]
    assert {"refuses", "coherent", "random control", "degenerates"} <= set(said)
    bare = figures_dose.dose(doses([0, 0, 0, 0]), doses([0, 0, 0, 0]), 9.0, None, "refuses", True)
    assert "degenerates" not in [note.text for note in bare.layout.annotations]


def test_the_code_shown_names_the_setting() -> None:
    dictionary = synthetic(20, 8)
    dictionary.info["file"] = str(Path("x.ep.h5"))
    for mode in view.MODES:
        setting = Setting("'); import os #", True, "sys", mode, (3, 4), 0.5, target=2, layers="1-2")
        code = snippets.steer(dictionary, setting)
        compile(code, "shown", "exec")
        assert repr(mode) in code and "Sampling(64, 0.0, seed=0)" in code


def test_the_marks_of_the_slider_are_those_of_the_sweep() -> None:
    def answer(prompts: list[str], arm: str, strength: float) -> list[Answer]:
        refuses = arm == STEERED and strength >= 0.5
        text = "I cannot help with that." if refuses else "Take the tin and bake it well."
        return [Answer("no no no no no no" if strength >= 2 else text, strength < 2, strength)] * len(prompts)

    sense = Sense(9.0, 9.0, 1, Rate(0, 1))
    swept = sweep(answer, ["a"] * 12, Phrases(), sense, (0, 0.25, 0.5, 1, 2, 3))
    bare, marked = (steering_controls._ruler(0.0, 4.0, 0.4, one) for one in (None, swept))
    assert "0.40 default" in bare and "a sweep finds" in bare
    assert "0.50 default" in marked and 'class="z" style="left:50.00%"' in marked and "degenerates here" in marked
    for high in (0.2, 1.6, 4.0):  # wherever the default stands, no words run into it
        assert "default" in steering_controls._ruler(0.0, high, high * 0.9, None)


def swept(at: AppTest) -> None:
    """Waits for the sweeps under way, and draws the page."""
    names = [key for key in jobs.board()._jobs if key.startswith("steer sweep")]
    until(lambda: all((job := jobs.get(name)) is None or job.state != "running" for name in names))
    assert not [job.error for name in names if (job := jobs.get(name)) is not None and job.error]
    at.run()
    well(at)


@pytest.mark.parametrize(("judge", "effect"), [({}, "refuses"), ({"bjudge": "pattern", "bpat": "u"}, "matches")])
def test_a_sweep_is_judged_as_on_the_behaviour_page(keys: dict[str, str], judge: dict[str, str], effect: str) -> None:
    at = asked(keys["own"], smode="ablate", **judge)
    at.text_area(key="steer_sweep_lines_box").set_value("The cat sat\nA bird\nA dog").run()
    at.number_input(key="steer_sweep_count_box").set_value(2).run()
    assert "2 prompts of your own at 8 strengths" in well(at) and "30 short answers" in well(at)
    at.button(key="steer_sweep").click().run()
    swept(at)
    layout = json.loads(at.get("plotly_chart")[0].proto.spec)["layout"]
    assert effect in [note["text"] for note in layout["annotations"]]
    assert "2 prompts of your own" in layout["xaxis"]["title"]["text"]


def test_a_sweep_asks_a_model_about_its_answers_once_each(keys: dict[str, str]) -> None:
    def says_no(handler: BaseHTTPRequestHandler, _: Seen, number: int) -> None:
        send(handler, completion("no"))

    with serving(says_no) as server:
        at = asked(keys["own"], smode="ablate", bjudge="endpoint")
        at.text_area(key="steer_sweep_lines_box").set_value("The cat sat").run()
        at.session_state["behaviour_endpoint"] = {"url": server.url, "model": "a judge", "key": ""}
        at.run()
        at.button(key="steer_sweep").click().run()
        swept(at)
        layout = json.loads(at.get("plotly_chart")[0].proto.spec)["layout"]
        assert "refuses" in [note["text"] for note in layout["annotations"]]
        replies = [seen.body["messages"][1]["content"] for seen in server.seen]
        assert replies and len(replies) == len(set(replies)) and all("<reply>" in reply for reply in replies)


def test_a_judge_that_cannot_be_is_said_and_nothing_is_swept(keys: dict[str, str]) -> None:
    for judge, said in (
        ({"bjudge": "pattern", "bpat": "("}, "regular expression"),
        ({"bjudge": "endpoint"}, "address"),
    ):
        at = asked(keys["own"], **judge)
        at.text_area(key="steer_sweep_lines_box").set_value("The cat sat").run()
        assert said in well(at) and "steer_sweep" not in [button.key for button in at.button]


def test_the_code_shown_writes_the_texts_of_the_page(keys: dict[str, str]) -> None:
    runs: list[tuple[str, tuple[Column, ...]]] = []
    for settings in (
        {"sregs": "9,5", "smode": "add", "sstr": "1.5", "stemp": "1", "sseed": "4", "schat": "chat"},
        {"sregs": "9", "smode": "swap", "starget": "5", "sref": "7", "sscope": "generated", "slayers": "1-2"},
    ):
        at = asked(keys["own"], **settings)
        columns = generated(at)
        (code,) = (block.value for block in at.code if "generate(" in block.value)
        runs.append((code, columns))
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code for code, _ in runs)],
        cwd=Path(__file__).resolve().parents[1],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"moved {column.moved:.3f} of {column.asked:.3f} r {column.ending} {column.text!r}"
        for _, columns in runs
        for column in columns
    ]


def test_a_sweep_runs_beside_the_page_and_is_made_once_for_a_setting(keys: dict[str, str]) -> None:
    at = asked(keys["own"], smode="ablate", sseed="3")
    assert "steer_sweep" not in [button.key for button in at.button]  # no prompts yet
    at.text_area(key="steer_sweep_lines_box").set_value("The cat sat\n\n  A small bird \n").run()
    at.button(key="steer_sweep").click().run()
    swept(at)
    page = well(at)
    assert len(at.get("plotly_chart")) == 1 and "How much is enough?" not in page
    at.slider(key="steer_strength").set_value(1.5).run()  # the same sweep: another strength is a line in it
    assert len(at.get("plotly_chart")) == 1 and model_of(keys["own"]).turns.length == 0
