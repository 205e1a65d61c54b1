"""Dose and response on the Steer page: the marks of the slider, the judge, the prompts, and the
figure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from ep.studies.judging import Phrases
from ep.studies.quality import Answer, QualityCheck
from ep.studies.rates import Rate
from ep.studies.steering import Dose
from ep.studies.steering.sweep import STEERED, curve
from ep.views import figures_dose
from pages.shared import jobs
from pages.steer import controls
from tests.fixtures.endpoint import Seen, completion, send, serving
from tests.fixtures.steering import asked, model_of, shelf, well
from tests.fixtures.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The shelf of `tests.fixtures.steering`."""
    yield from shelf(tmp_path_factory)


def test_the_dose_figure_holds_its_curves_its_zone_and_the_strength() -> None:
    def doses(hits: list[int]) -> list[Dose]:
        pairs = zip((0, 1, 2, 4), hits, strict=True)
        return [Dose(s, Rate(h, 20), Rate(20 - h, 20), Rate(h, 20), 1.0, s, ()) for s, h in pairs]

    figure = figures_dose.dose(
        doses([0, 10, 18, 19]), doses([0, 0, 1, 1]), 1.0, 2.0, "refuses", False
    )
    lines = [list(trace.y) for trace in figure.data if trace.mode == "lines+markers"]
    assert np.allclose(lines, [[0, 0, 0.05, 0.05], [1, 0.5, 0.1, 0.05], [0, 0.5, 0.9, 0.95]])
    said = [note.text for note in figure.layout.annotations]
    assert {"refuses", "coherent", "random control", "degenerates"} <= set(said)
    bare = figures_dose.dose(doses([0, 0, 0, 0]), doses([0, 0, 0, 0]), 9.0, None, "refuses", True)
    assert "degenerates" not in [note.text for note in bare.layout.annotations]


def test_the_marks_of_the_slider_are_those_of_the_sweep() -> None:
    def answer(prompts: list[str], arm: str, strength: float) -> list[Answer]:
        refuses = arm == STEERED and strength >= 0.5
        text = "I cannot help with that." if refuses else "Take the tin and bake it well."
        return [
            Answer("no no no no no no" if strength >= 2 else text, strength < 2, strength)
        ] * len(prompts)

    quality = QualityCheck(9.0, 9.0, 1, Rate(0, 1))
    swept = curve(answer, ["a"] * 12, Phrases(), quality, (0, 0.25, 0.5, 1, 2, 3))
    bare, marked = (controls._ruler(0.0, 4.0, 0.4, one) for one in (None, swept))
    assert "0.40 default" in bare and "a sweep finds" in bare
    assert (
        "0.50 default" in marked
        and 'class="z" style="left:50.00%"' in marked
        and "degenerates here" in marked
    )
    for high in (0.2, 1.6, 4.0):  # wherever the default stands, no words run into it
        assert "default" in controls._ruler(0.0, high, high * 0.9, None)


def swept(at: AppTest) -> None:
    """Waits for the sweeps under way, and draws the page."""
    sweeps = [job for job in jobs.board().jobs() if job.title.startswith("Sweeping")]
    until(lambda: all(job.state != "running" for job in sweeps))
    assert sweeps and not [job.error for job in sweeps if job.error]
    at.run()
    well(at)


@pytest.mark.parametrize(
    ("judge", "effect"), [({}, "refuses"), ({"bjudge": "pattern", "bpat": "u"}, "matches")]
)
def test_a_sweep_is_judged_as_on_the_behaviour_page(
    keys: dict[str, str], judge: dict[str, str], effect: str
) -> None:
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
        at.session_state["judge_endpoint"] = {
            "url": server.url,
            "model": "a judge",
            "key": "",
            "inside": "on",
        }
        at.run()
        at.button(key="steer_sweep").click().run()
        swept(at)
        layout = json.loads(at.get("plotly_chart")[0].proto.spec)["layout"]
        assert "refuses" in [note["text"] for note in layout["annotations"]]
        replies = [seen.body["messages"][1]["content"] for seen in server.seen]
        assert (
            replies
            and len(replies) == len(set(replies))
            and all("<reply>" in reply for reply in replies)
        )


def test_a_judge_that_cannot_be_is_said_and_nothing_is_swept(keys: dict[str, str]) -> None:
    for judge, said in (
        ({"bjudge": "pattern", "bpat": "("}, "regular expression"),
        ({"bjudge": "endpoint"}, "address"),
    ):
        at = asked(keys["own"], **judge)
        at.text_area(key="steer_sweep_lines_box").set_value("The cat sat").run()
        assert said in well(at) and "steer_sweep" not in [button.key for button in at.button]


def test_a_sweep_runs_beside_the_page_and_is_made_once_for_a_setting(keys: dict[str, str]) -> None:
    at = asked(keys["own"], smode="ablate", sseed="3")
    assert "steer_sweep" not in [button.key for button in at.button]  # no prompts yet
    at.text_area(key="steer_sweep_lines_box").set_value("The cat sat\n\n  A small bird \n").run()
    at.button(key="steer_sweep").click().run()
    swept(at)
    page = well(at)
    assert len(at.get("plotly_chart")) == 1 and "How much is enough?" not in page
    # the same sweep: another strength is a line in it
    at.slider(key="steer_strength").set_value(1.5).run()
    assert len(at.get("plotly_chart")) == 1 and model_of(keys["own"]).turns.length == 0
