"""Steer as a visitor finds it: four columns of one run, a link that writes it again, calm words,
what it exports.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ep.errors import ModelError, RequestError
from ep.models.interventions import MODES
from ep.studies.steering import Continuation, Setting, default_strength
from ep.studies.steering.setting import chosen_layers
from ep.views import snippets
from ep.views.steering import differing
from pages.shared import jobs, loading, models
from pages.steer import files
from pages.steer.columns import _kl, numbers
from tests.fixtures.dictionaries import HOSTILE, synthetic
from tests.fixtures.pages import component, show
from tests.fixtures.steering import (
    LIVE,
    LONG,
    alone,
    asked,
    finished,
    generated,
    model_of,
    shelf,
    well,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The shelf of `tests.fixtures.steering`."""
    yield from shelf(tmp_path_factory)


def test_the_page_opens_without_the_model_and_says_what_will_be_seen(keys: dict[str, str]) -> None:
    models.models.clear()
    at = show("steer", keys["own"], r="3")
    page = well(at)
    assert "untouched, region 3 taken out" in page and "How much is enough?" in page
    assert models.state(loading.dictionary(keys["own"])) == models.NOT_NEEDED


def test_a_run_is_that_of_the_backend_and_its_link_shows_it_without_running(
    keys: dict[str, str],
) -> None:
    at = asked(keys["own"], smode="add", sstr="2", sseed="7", stemp="1")
    columns = generated(at)
    live = at.session_state[LIVE]
    assert live.setting == Setting(
        "The cat sat", mode="add", regions=(3,), strength=2.0, tokens=12, temperature=1.0, seed=7
    )
    assert columns == alone(keys["own"], live.setting)
    assert [column.moved for column in columns] == pytest.approx(
        [0, columns[1].moved, 2, 2], rel=1e-3
    )
    assert columns[1].moved > 0 and "8.0 of 8.0 asked for" in well(at)
    link = {
        name: value[0] if isinstance(value, list) else value
        for name, value in at.query_params.items()
    }
    assert set(link) == {"d", "r", "q", "schat", "sstr", "stoks", "sseed", "stemp"}
    key = link.pop("d")
    again = show("steer", key, **link)  # nobody clicks: what is stored is shown
    assert LIVE not in again.session_state and "8.0 of 8.0 asked for" in well(again)
    jobs.board.clear()
    fresh = show("steer", key, **link, srun="1")  # an old link asks for the run
    assert LIVE not in fresh.session_state and "asked for" not in well(fresh)
    assert generated(fresh) == columns


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_runs_and_says_what_it_did(keys: dict[str, str], mode: str) -> None:
    at = asked(
        keys["own"],
        smode=mode,
        starget="5",
        sregs="9,9999,x",
        sref="4",
        sscope="generated",
        slayers="1-2",
    )
    columns = generated(at)
    live = at.session_state[LIVE]
    assert live.setting.regions == (3, 9) and live.setting.reference == 4
    assert columns[2].moved > 0 and columns[0].moved == 0
    assert "Measured change of the residual" in well(at)
    assert columns[2].touched == 2 * len(columns[2].ids) or columns[2].ending in ("end", "limit")
    for column in columns:
        assert column.requested == pytest.approx(column.moved, rel=1e-3)
    assert f"{columns[2].moved * 4:.1f} of {columns[2].requested * 4:.1f} asked for" in well(at)


def test_no_column_appears_twice_where_a_region_is_taken_out_wholly(keys: dict[str, str]) -> None:
    wholly = Setting("a", mode="ablate", regions=(3,), strength=1.0)
    assert numbers(wholly) == (0, 1, 3)
    for other in (replace(wholly, strength=0.5), replace(wholly, mode="swap")):
        assert numbers(other) == (0, 1, 2, 3)
    at = asked(keys["own"], smode="ablate")
    default, ablated, steered, _ = generated(at)
    assert ablated.ids == steered.ids, "the same run"
    shown = component(at, "columns")["columns"]
    assert [one["name"] for one in shown] == ["Default", "Ablated", "Control"]
    assert "seed three times" in well(at) and "in the ablated column" in well(at)


def test_a_divergence_that_rounds_to_nothing_beside_a_changed_text_is_a_near_tie() -> None:
    tiny, large = Continuation("Steered", kl=0.0034), Continuation("Steered", kl=0.34)
    assert _kl(tiny, True)[:2] == ["KL, a near-tie", "0.003"]
    assert _kl(tiny, False)[:2] == ["KL", "0.00"] and _kl(large, True)[:2] == ["KL", "0.34"]
    assert _kl(Continuation("Steered"), True)[:2] == ["KL", "–"]


@pytest.mark.parametrize("mode", ["add", "clamp"])
def test_several_regions_are_pushed_towards_together_in_any_order(
    keys: dict[str, str], mode: str
) -> None:
    found = [
        alone(
            keys["own"], Setting("The cat sat", mode=mode, regions=regions, strength=2.0, tokens=8)
        )
        for regions in ((3, 9, 5), (5, 3, 9))
    ]
    plain = alone(
        keys["own"], Setting("The cat sat", mode=mode, regions=(3,), strength=2.0, tokens=8)
    )
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

    at = show("steer", keys["own"], r="3", schat="text", stoks="2")
    assert strength(at) == default_strength(dictionary, [3])
    generated(at)
    at.segmented_control(key="steer_mode").set_value("ablate").run()
    assert strength(at) == 1.0
    at.segmented_control(key="steer_mode").set_value("clamp").run()
    assert strength(at) == default_strength(dictionary, [3], mode="clamp")
    at.segmented_control(key="steer_mode").set_value("add").run()
    assert strength(at) == default_strength(dictionary, [3])
    for region in (9, 11):  # chosen on another page
        at.query_params["r"] = str(region)
        at.run()
        assert strength(at) == default_strength(dictionary, [region])
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
    assert [past.run.continuations for past in kept] == [second, first]
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
        ("foreign", "a different tokenizer", {}),
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
        keys["own"],
        smode="<b>",
        sstr="nan",
        sseed="-3",
        stoks="9" * 5000,
        stemp="x",
        sscope="?",
        sbasis="?",
        sref="99",
        starget="-1",
        sregs="x,1,1,1",
        slayers="",
    )
    columns = generated(at)
    usual = default_strength(loading.dictionary(keys["own"]), [3, 1])
    expected = Setting("The cat sat", regions=(3, 1), strength=usual)
    assert at.session_state[LIVE].setting == expected
    assert len(columns) == 4


def test_hostile_prompts_and_tokens_are_text(keys: dict[str, str]) -> None:
    for text in (HOSTILE[0], HOSTILE[3], HOSTILE[8]):
        at = asked(keys["hostile"], q=text, stoks="4")
        generated(at)
        assert "<img src=x" not in well(at)


# -- the plain parts -------------------------------------------------------------------------------


def test_layers_are_read_or_refused() -> None:
    assert chosen_layers("", 4, 6) == (4,) and chosen_layers(" All ", 4, 6) == tuple(range(6))
    assert chosen_layers("2, 4-5,2", 0, 6) == (2, 4, 5)
    for text, error in (
        ("6", ModelError),
        ("5-3", ModelError),
        ("two", RequestError),
        ("1,,2", RequestError),
    ):
        with pytest.raises(error):
            chosen_layers(text, 4, 6)


def test_words_that_differ_are_marked_whole_and_equal_ones_never() -> None:
    default = ["I", " can", "not", " help", "."]
    assert differing(default, default) == [False] * 5
    assert differing(default, ["I", " can", " help", "."]) == [False, True, False, False]
    assert differing(default, ["I", " can", "not", " hel", "per", "."]) == [
        False,
        False,
        False,
        True,
        True,
        True,
    ]
    assert differing([], ["a", " b"]) == [True, True] and differing(["a"], []) == []


def test_files_hold_the_run_and_the_direction(keys: dict[str, str]) -> None:
    dictionary = loading.dictionary(keys["own"])
    setting = replace(LONG, tokens=6, strength=0.5)
    columns = alone(keys["own"], setting)
    made = files.files(dictionary, setting, columns)
    run = json.loads(made["steering-run.json"]())
    assert (
        run["columns"][2]["text"] == columns[2].text
        and run["setting"]["strength"] == 0.5
        and run["provenance"]
    )
    direction = np.load(io.BytesIO(made["region-3-direction.npz"]()))
    assert (
        np.array_equal(direction["direction"], dictionary.exemplars[[3]])
        and direction["strength"] == 0.5
    )
    assert made["region-3-control-vector.gguf"]().startswith(b"GGUF")
    assert json.loads(made["region-3-neuronpedia.json"]())[
        "vectorDefaultSteerStrength"
    ] == pytest.approx(2.0)
    several = files.files(dictionary, replace(setting, regions=(3, 9)), columns)
    assert set(several) == {"steering-run.json", "region-3-9-direction.npz"}
    both = np.load(io.BytesIO(several["region-3-9-direction.npz"]()))
    pushed = dictionary.exemplars[[3, 9]].sum(axis=0)
    assert both["direction"].shape == (2, 32) and np.allclose(
        both["push"], pushed / np.linalg.norm(pushed), atol=1e-6
    )
    (table,) = files.tables(columns).values()
    assert table().num_rows == sum(len(column.ids) for column in columns)


def test_the_code_shown_names_the_setting() -> None:
    dictionary = synthetic(20, 8)
    dictionary.path = Path("x.ep.h5")
    for mode in MODES:
        setting = Setting("'); import os #", True, "sys", mode, (3, 4), 0.5, target=2, layers="1-2")
        code = snippets.steer(dictionary, setting)
        compile(code, "shown", "exec")
        assert "ep.steer(d, model, setting)" in code and "chat=True" in code
        assert mode == "add" or f"mode={mode!r}" in code


def test_the_code_shown_writes_the_texts_of_the_page(keys: dict[str, str]) -> None:
    runs: list[tuple[str, tuple[Continuation, ...]]] = []
    for settings in (
        {
            "sregs": "9,5",
            "smode": "add",
            "sstr": "1.5",
            "stemp": "1",
            "sseed": "4",
            "schat": "chat",
        },
        {
            "sregs": "9",
            "smode": "swap",
            "starget": "5",
            "sref": "7",
            "sscope": "generated",
            "slayers": "1-2",
        },
    ):
        at = asked(keys["own"], **settings)
        columns = generated(at)
        (code,) = (block.value for block in at.code if "ep.steer(" in block.value)
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
        f"{column.name} {column.ending} moved {column.moved} of {column.requested} {column.text!r}"
        for _, columns in runs
        for column in columns
    ]
