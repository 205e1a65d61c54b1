"""Resolution as a visitor finds it: a picture without a click, ladders of every kind, texts that
part, wrong input.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from streamlit.testing.v1 import AppTest

from ep.studies import resolution as study
from ep.views import snippets
from pages.shared import loading
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import said, shelved, show

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A family of three percentiles with its model, one alone, a hostile pair, and a pair whose
    model is nowhere.
    """
    folder = tmp_path_factory.mktemp("shelf")
    model = str(tiny.gemma(tmp_path_factory.mktemp("models") / "gemma"))
    own = {"family": "ladder", "title": "ladder", "layer": 1, "model": model}
    lost = {"family": "lost", "title": "lost", "model": "/nowhere/at/all"}
    made = {
        "p8": synthetic(
            24, 32, seed=1, percentile=8.0, coarser_percentile=None, farther_percentiles=[], **own
        ),
        "p4": synthetic(
            60, 32, seed=1, percentile=4.0, coarser_percentile=8.0, farther_percentiles=[], **own
        ),
        "p1": synthetic(
            90, 32, seed=1, percentile=1.0, coarser_percentile=4.0, farther_percentiles=[8.0], **own
        ),
        "alone": synthetic(120, 16, seed=2, family="alone"),
        "hostile8": synthetic(40, 16, seed=4, hostile=True, family="hostile", percentile=8.0),
        "hostile4": synthetic(60, 16, seed=4, hostile=True, family="hostile", percentile=4.0),
        "lost8": synthetic(40, 16, seed=5, percentile=8.0, **lost),
        "lost4": synthetic(60, 16, seed=5, percentile=4.0, **lost),
    }
    with shelved(folder, made) as found:
        yield found


def well(at: AppTest) -> str:
    page = said(at)
    assert not at.exception and "Something went wrong" not in page and "cannot be shown" not in page
    return page


def test_the_first_picture_needs_no_click_and_its_tables_name_every_p(keys: dict[str, str]) -> None:
    at = show("resolution", keys["p4"], r="3")
    page = well(at)
    for text in (
        "Where the members of region 3 lie",
        "Its members at every p",
        "Its exemplar at every p",
    ):
        assert text in page
    tables = [element.value for element in at.dataframe]
    assert all(set(table["p"]) == {8.0, 4.0, 1.0} for table in tables)
    assert "Where do two texts part?" in page


def test_recorded_counts_that_contradict_themselves_are_shown_and_nothing_breaks(
    keys: dict[str, str],
) -> None:
    """Made-up counts point anywhere, within range: the page must not care."""
    for region in range(0, 90, 13):
        well(show("resolution", keys["p1"], r=str(region)))
    ladder = [loading.dictionary(keys[name]) for name in ("p8", "p4", "p1")]
    assert study.recorded(ladder[2], ladder[0]) is not None


def test_one_percentile_says_what_to_do(keys: dict[str, str]) -> None:
    page = well(show("resolution", keys["alone"], r="3"))
    assert "at p = 4 only" in page and "--percentile" in page


def test_hostile_text_stays_text(keys: dict[str, str]) -> None:
    for region in range(0, 60, 9):
        page = well(show("resolution", keys["hostile4"], r=str(region)))
        assert "<img src=x" not in page and "<script>" not in page and "<style>*" not in page


def test_two_texts_are_read_and_the_strip_says_where_they_part(keys: dict[str, str]) -> None:
    at = show("resolution", keys["p4"], r="3", sa="the cat sat", sb="the old garden")
    page = well(at)
    assert "Their cosine about the centre is" in page
    assert page.count("apart</span>") + page.count("together</span>") == 3
    same = well(show("resolution", keys["p4"], r="3", sa="the cat", sb="the cat"))
    assert "They never part" in same and "cosine about the centre is 1.00" in same
    first = well(show("resolution", keys["p4"], r="3", sa="the cat", sb="the cat", ta="0"))
    assert "has no region" in first
    for wrong in ("x", "-1", "99999999999999999999", "²"):
        assert "They never part" in well(
            show("resolution", keys["p4"], r="3", sa="a cat", sb="a cat", tb=wrong)
        )


def test_a_model_that_is_not_here_is_said_and_the_flow_stays(keys: dict[str, str]) -> None:
    page = said(show("resolution", keys["lost4"], r="3", sa="one", sb="two"))
    assert "These texts cannot be read here" in page and "Where the members of region 3 lie" in page
    assert "Something went wrong" not in page


def test_an_estimate_says_so_and_a_long_one_runs_as_a_job_with_the_same_outcome(
    keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = well(show("resolution", keys["lost4"], r="2"))
    assert "Estimated" in at_once and "members of region 2 lie" in at_once
    monkeypatch.setattr(study, "cost", lambda finer, coarser: 1e15)
    at = show("resolution", keys["lost4"], r="2")
    deadline = monotonic() + 60
    while "members of region 2 lie" not in well(at) and monotonic() < deadline:
        sleep(0.2)
        at.run()
    assert "Estimated" in well(at)


def test_the_code_gives_what_the_page_shows(keys: dict[str, str]) -> None:
    ladder = [loading.dictionary(keys[name]) for name in ("p8", "p4", "p1")]
    code = snippets.resolution(ladder, 1, 3)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for level in study.follow(ladder, 1, 3).levels:
        assert all(str(node.region) in run.stdout for node in level.nodes if node.region >= 0)
