"""Resolution as a visitor finds it: a picture without a click, ladders of every kind, texts that
part, wrong input.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.studies import resolution as study
from ep.views import snippets
from pages.shared import estimates, jobs, loading, models, reading
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import said, shelved, show, well
from tests.fixtures.waiting import until

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]


def last_tokens(family: str, model: str) -> dict[str, Dictionary]:
    """Two percentiles of a build on the last tokens of chat turns."""
    return {
        f"{family}{p}": synthetic(
            size,
            32,
            seed=6,
            percentile=float(p),
            family=family,
            title=family,
            layer=1,
            model=model,
            positions="final",
            chat=True,
        )
        for p, size in ((8, 24), (4, 60))
    }


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
        **last_tokens("chat", model),
        **last_tokens("without_template", str(tiny.gpt2(folder / "gpt2"))),
        "lost8": synthetic(40, 16, seed=5, percentile=8.0, **lost),
        "lost4": synthetic(60, 16, seed=5, percentile=4.0, **lost),
    }
    with shelved(folder, made) as found:
        yield found


def forget() -> None:
    """The server as it is before anybody has read or compared anything."""
    for shared in (models.models, reading.readings, estimates.rates, jobs.board):
        shared.clear()


def compare(at: AppTest) -> AppTest:
    """Clicks the button of the form with two texts."""
    return next(button for button in at.button if button.label == "Compare").click().run()


def parted(key: str, **link: str) -> str:
    """What the page says of a link with two texts, once they are read."""
    at = show("resolution", key, r="3", **link)
    return well(compare(at) if "Compare reads both texts" in said(at) else at)


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
    page = parted(keys["p4"], sa="the cat sat", sb="the old garden")
    assert "Their cosine about the centre is" in page
    assert page.count("apart</span>") + page.count("together</span>") == 3
    same = parted(keys["p4"], sa="the cat", sb="the cat")
    assert "They never part" in same and "cosine about the centre is 1.00" in same
    first = well(show("resolution", keys["p4"], r="3", sa="the cat", sb="the cat", ta="0"))
    assert "has no region" in first
    parted(keys["p4"], sa="a cat", sb="a cat")
    for wrong in ("x", "-1", "99999999999999999999", "²"):
        assert "They never part" in well(
            show("resolution", keys["p4"], r="3", sa="a cat", sb="a cat", tb=wrong)
        )


@pytest.mark.parametrize("token", ["0000000009999", "9" * 5000, "0" * 5000])
def test_a_token_no_text_has_counts_as_the_last(keys: dict[str, str], token: str) -> None:
    usual = parted(keys["p4"], sa="0", sb="1")
    verdict = usual[usual.index("They ") : usual.index("Their cosine")]
    for name in ("ta", "tb"):
        assert verdict in parted(keys["p4"], sa="0", sb="1", **{name: token})


def test_a_visit_reads_nothing_and_compare_reads_both(keys: dict[str, str]) -> None:
    forget()
    link = {"r": "3", "sa": "the cat sat", "sb": "the old garden"}
    at = show("resolution", keys["p4"], **link)
    page = well(at)
    assert "Compare reads both texts. The model is loaded first. It takes " in page
    assert "Their cosine" not in page and "members of region 3 lie" in page
    assert models.state(loading.dictionary(keys["p4"])) == models.NOT_NEEDED
    assert not len(reading.readings()) and not jobs.board().jobs()
    assert "Their cosine about the centre is" in well(compare(at))
    assert "Their cosine about the centre is" in well(show("resolution", keys["p4"], **link))


def test_an_example_is_read_at_once(keys: dict[str, str]) -> None:
    forget()
    at = show("resolution", keys["p4"], r="3")
    at.button(key="parting_example Two places").click().run()
    assert "Their cosine about the centre is" in well(at)
    assert at.query_params["sa"] == "Lily went to the harbour"


def test_a_build_on_last_tokens_reads_chat_turns_or_else_the_plain_texts(
    keys: dict[str, str],
) -> None:
    forget()
    link = {"r": "3", "sa": "the cat sat", "sb": "the old garden"}
    with_template = well(compare(show("resolution", keys["chat4"], **link)))
    assert "Their cosine about the centre is" in with_template
    forget()
    at = show("resolution", keys["without_template4"], **link)
    assert "Their cosine" not in well(at)
    assert "Their cosine about the centre is" in well(compare(at))


def test_a_link_carries_the_pages_own_settings_and_no_others(keys: dict[str, str]) -> None:
    foreign = {"token": "3", "as": "chat", "basis": "exemplar", "readout": "Otsu"}
    at = show("resolution", keys["p4"], r="3", sa="one", sb="", ta="1", **foreign)
    well(at)
    assert at.query_params["sa"] == "one" and at.query_params["ta"] == "1"
    assert not set(foreign) & set(at.query_params)


def test_a_model_that_is_not_here_is_said_and_the_flow_stays(keys: dict[str, str]) -> None:
    page = said(show("resolution", keys["lost4"], r="3", sa="one", sb="two"))
    assert "These texts cannot be read here" in page and "Where the members of region 3 lie" in page
    assert "Something went wrong" not in page


def test_an_estimate_says_so_and_a_long_one_is_a_job_with_the_same_outcome(
    keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forget()
    at = show("resolution", keys["lost4"], r="2")
    assert "Estimated" in well(at) and "members of region 2 lie" in well(at)
    at_once = tables(at)
    forget()
    monkeypatch.setattr(study, "cost", lambda finer, coarser: 1e15)
    at = show("resolution", keys["lost4"], r="2")
    assert "members of region 2 lie" not in well(at) and "It takes about" in well(at)
    assert "Where do two texts part?" in well(at) and not jobs.board().jobs()
    offered(at).click().run()
    until(lambda: "members of region 2 lie" in well(at), at.run)
    assert "Estimated" in well(at)
    assert tables(at) == at_once
    assert "members of region 2 lie" in well(show("resolution", keys["lost8"], r="2"))


def tables(at: AppTest) -> list[str]:
    return [element.value.to_json() for element in at.dataframe]


def offered(at: AppTest) -> Button:
    return next(button for button in at.button if button.label == "Compare them")


def test_only_who_asked_for_a_comparison_sees_its_cancel_and_its_failure(
    keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forget()
    release = Event()

    def failing(finer: Dictionary, coarser: Dictionary) -> study.Overlap:
        release.wait(60)
        raise RequestError("these two cannot be compared")

    monkeypatch.setattr(study, "cost", lambda finer, coarser: 1e15)
    monkeypatch.setattr(study, "overlap", failing)
    mine, other = (show("resolution", keys["lost4"], r="2") for _ in range(2))
    offered(mine).click().run()
    other.run()
    assert "Cancel" in labels(mine) and "Cancel" not in labels(other)
    assert "at work already, for somebody else" in well(other)
    release.set()
    until(lambda: "These two cannot be compared" in well(mine), mine.run)
    other.run()
    assert "Close" in labels(mine) and "Close" not in labels(other)
    assert "cannot be compared" in well(mine) and "cannot be compared" not in well(other)
    mine.button(key=next(b.key for b in mine.button if b.label == "Close")).click().run()
    assert offered(mine)


def labels(at: AppTest) -> set[str]:
    return {button.label for button in at.button}


def test_the_code_gives_what_the_page_shows(keys: dict[str, str]) -> None:
    ladder = [loading.dictionary(keys[name]) for name in ("p8", "p4", "p1")]
    code = snippets.resolution(ladder, 1, 3)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for level in study.follow(ladder, 1, 3).levels:
        assert all(str(node.region) in run.stdout for node in level.nodes if node.region >= 0)
