"""Opening a dictionary that takes a while: a sentence says so, once, and nothing is said where it
is quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ep.storage import Shelf, save
from pages.shared import loading
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import Visit, said
from tests.fixtures.published import without_tokens


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What spinners said, in order."""
    texts: list[str] = []
    spinner = loading.st.spinner

    @contextmanager
    def heard(text: str, **more: Any) -> Iterator[None]:
        texts.append(text)
        with spinner(text, **more):
            yield

    monkeypatch.setattr(loading.st, "spinner", heard)
    return texts


def test_naming_regions_by_their_texts_is_announced_once_and_then_the_chip_has_its_name(
    own_shelf: Path, visit: Visit, spoken: list[str]
) -> None:
    save(without_tokens(synthetic(60, 16, seed=6, family="plain")), own_shelf / "plain.ep.h5")
    app = visit()
    assert len(spoken) == 1 and "Naming 60 regions" in spoken[0]
    selection = app.session_state["state_selection"]
    key, region = selection.dictionary, selection.region
    assert loading.is_ready(key) and loading.region_name(key, region).strip('"')[:5] in said(app)
    visit()
    assert len(spoken) == 1


def test_a_file_with_tokens_has_nothing_to_wait_for(
    own_shelf: Path, visit: Visit, spoken: list[str]
) -> None:
    save(synthetic(60, 16, family="whole"), own_shelf / "whole.ep.h5")
    visit()
    assert spoken == []


def test_a_link_to_a_file_newer_than_the_last_scan_opens_it(own_shelf: Path, visit: Visit) -> None:
    save(synthetic(60, 16, family="whole"), own_shelf / "whole.ep.h5")
    visit()
    save(synthetic(40, 16, seed=2, family="later"), own_shelf / "later.ep.h5")
    key = next(entry.key for entry in Shelf((own_shelf,)).entries if entry.family == "later")
    app = visit(d=key)
    assert app.session_state["state_selection"].dictionary == key
    assert "is on the shelf" not in said(app)
