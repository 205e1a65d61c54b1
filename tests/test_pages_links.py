"""Links: what a page's settings say in a link they say again when it is opened, and nothing else a
stranger may type does harm.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.shared import state
from pages.shared.judge import JudgeSettings
from pages.shared.links import (
    LONGEST,
    codec,
    flag,
    integer,
    integers,
    number,
    one_of,
    parse_integer,
    text,
)

ROOT = Path(__file__).resolve().parents[1]
WILD = ["9" * 5000, "0" * 12 + "9999", "-1", "1e9", "nan", "inf", "", " ", "x", "<b>", "١٢", "3.0"]


@dataclass(frozen=True)
class Sample:
    view: str = one_of("view", ("map", "table"), "map")
    kind: str | None = one_of("kind", ("a", "b"), None)
    wide: bool = flag("wide")
    at: int | None = integer("at")
    k: int = integer("k", 3, 2, 10)
    strength: float | None = number("str", None, -5.0, 5.0)
    query: str = text("find", longest=40)
    more: tuple[int, ...] = integers("more", 4)
    private: int = 0


def pages() -> list[type[Any]]:
    """Every page's settings, and those that several pages have."""
    found = [JudgeSettings]
    for path in sorted((ROOT / "pages").glob("*/settings.py")):
        found.append(importlib.import_module(f"pages.{path.parent.name}.settings").Settings)
    return found


samples = st.builds(
    Sample,
    view=st.sampled_from(["map", "table"]),
    kind=st.sampled_from(["a", "b", None]),
    wide=st.booleans(),
    at=st.none() | st.integers(0, 2**31 - 1),
    k=st.integers(2, 10),
    strength=st.none() | st.integers(-5000, 5000).map(lambda n: n / 1000),
    query=st.text(max_size=40),
    more=st.lists(st.integers(0, 2**31 - 1), max_size=4).map(tuple),
)


@given(samples)
def test_a_link_says_its_settings_and_no_more(settings: Sample) -> None:
    query = codec(Sample).query(settings)
    assert codec(Sample).parse(query) == settings
    assert set(query) <= codec(Sample).names and "private" not in codec(Sample).names
    default = {p.name for p in fields(Sample) if getattr(settings, p.name) == p.default}
    assert len(query) == len(fields(Sample)) - len(default), "what is the default stays out"


@given(samples, st.dictionaries(st.sampled_from(sorted(codec(Sample).names)), st.text()))
def test_what_a_link_does_not_say_stays_and_what_makes_no_sense_is_the_default(
    settings: Sample, query: dict[str, str]
) -> None:
    found = codec(Sample).parse(query, settings)
    for name, parameter in (("k", "k"), ("at", "at"), ("view", "view"), ("strength", "str")):
        if parameter not in query:
            assert getattr(found, name) == getattr(settings, name)
    assert 2 <= found.k <= 10 and found.view in ("map", "table") and len(found.query) <= 40
    assert found.strength is None or -5 <= found.strength <= 5
    assert found.private == settings.private


@pytest.mark.parametrize("kind", pages(), ids=lambda kind: f"{kind.__module__}")
@pytest.mark.parametrize("wild", WILD)
def test_no_pages_link_can_be_wild(kind: type[Any], wild: str) -> None:
    names = codec(kind).names
    found = codec(kind).parse(dict.fromkeys(names, wild))
    assert codec(kind).parse(codec(kind).query(found), found) == found
    assert all(len(value) <= LONGEST for value in codec(kind).query(found).values())
    assert not names & set(state.PARAMETERS.values()), "the selection has its own names"


def test_long_values_stay_in_the_session() -> None:
    @dataclass(frozen=True)
    class Long:
        lines: str = text("lines", longest=10_000)

    settings = Long("x" * (LONGEST + 1))
    assert codec(Long).query(settings) == {}
    assert codec(Long).parse({}, settings) == settings


@pytest.mark.parametrize(
    ("given", "stop", "number"),
    [("17", 18, 17), ("17", 17, None), ("0", 1, 0), (" 4 ", 9, 4), ("007", 9, 7), ("+1", 9, None)],
)
def test_whole_numbers_are_bounded_by_what_they_index(
    given: str, stop: int, number: int | None
) -> None:
    assert parse_integer(given, stop) == number
    assert all(parse_integer(wild, 5) is None for wild in WILD)
