"""The comparison of texts on the Build page: nothing starts by itself, and one click lists what is
a text's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.build import texts
from tests.fixtures import tiny
from tests.fixtures.pages import HOSTILE, button_keys, go, own_library, said
from tests.fixtures.waiting import until


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two texts of other words, in a folder of the test's own."""
    for seed, (name, words) in enumerate({"a": "cat sat bird", "b": "two five moon"}.items()):
        rng = np.random.default_rng(seed)
        lines = [f"{' '.join(rng.choice(words.split(), 9))} {HOSTILE}" for _ in range(60)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    with own_library(tmp_path, monkeypatch) as place:
        yield place


def filled(place: Path, lines: str, **more: str) -> AppTest:
    app = go("build")
    values = {"model": str(place / "model"), "layer": "1", "tokens": "300", "percentile": "8"}
    for name, text in (values | more).items():
        app.text_input(key=f"sat_{name}").set_value(text)
    app.text_area(key="sat_texts").set_value(lines)
    return app.run()


def starts(app: AppTest) -> list[str]:
    return [key for key in button_keys(app) if key.startswith("job_start saturation")]


def test_a_visit_starts_nothing_and_offers_the_demo_by_kind(place: Path) -> None:
    app = go("build")
    assert "How much does a domain need?" in said(app) and not starts(app)
    app.button(key="sat_example").click().run()
    lines = app.text_area(key="sat_texts").value.splitlines()
    assert len(lines) == 3 and all(Path(line.split(" = ")[1]).is_file() for line in lines)
    assert len(starts(app)) == 1 and not app.dataframe
    app.switch_page("pages/library/page.py").run()
    app.switch_page("pages/build/page.py").run()
    assert app.text_area(key="sat_texts").value.splitlines() == lines


def test_the_demo_is_split_by_kind_and_nothing_is_lost(place: Path) -> None:
    whole = Path(texts.of_demo()["mixed"]).read_text(encoding="utf-8").splitlines()
    kinds = texts.demo_kinds()
    parts = [line for path in kinds.values() for line in path.read_text().splitlines()]
    assert sorted(parts) == sorted(line for line in whole if "text" in json.loads(line))
    assert texts.demo_kinds() == kinds


@pytest.mark.parametrize(
    ("lines", "more", "words"),
    [
        ("a", {}, "NAME = PATH"),
        ("a = {place}/a.txt", {}, "2 to 4 can be compared"),
        ("a = {place}/a.txt\nb = {place}/none.txt", {}, "none.txt"),
        ("a = {place}/a.txt\nb = {place}/b.txt", {"layer": "1, 2"}, "at a time"),
        ("a = {place}/a.txt\nb = {place}/b.txt", {"layer": "one"}, "whole number"),
        ("<b>bold</b>", {}, "&lt;b&gt;"),
    ],
)
def test_bad_input_is_one_line_and_starts_nothing(
    place: Path, lines: str, more: dict[str, str], words: str
) -> None:
    app = filled(place, lines.replace("{place}", str(place)), **more)
    assert words in said(app) and not starts(app) and HOSTILE not in said(app)


@pytest.mark.slow
def test_a_comparison_shows_curves_a_table_and_what_is_of_one_text_alone(place: Path) -> None:
    tiny.gemma(place / "model")
    app = filled(place, f"a = {place / 'a.txt'}\n<b>b</b> = {place / 'b.txt'}")
    (start,) = starts(app)
    app.button(key=start).click().run()
    key = start.removeprefix("job_start ")
    ended = f"job_close {key}"
    until(
        lambda: "Regions of one text alone" in said(app) or ended in button_keys(app), app.run, 0.3
    )
    table = app.dataframe[0].value
    assert list(table.columns) == ["", "a", "<b>b</b>"] and "own regions" in set(table[""])
    assert "Choose a text." in said(app)
    app.button_group(key=f"{key} own").set_value(0).run()
    text = said(app)
    assert 'class="ep-kwic' in text and HOSTILE not in text and "within θ" in text
    app.toggle(key=f"{key} log").set_value(True).run()
    assert "Something went wrong" not in said(app) and not app.exception
    assert len(app.get("download_button")) >= 3
