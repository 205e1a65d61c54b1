"""Refined dictionaries on the pages: all open them, and the Atlas makes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ep import storage
from ep.method.dictionary import Dictionary
from ep.models import load
from ep.refining import refine
from ep.rereading import StoredMembers
from ep.storage.sidecar import LABELS, beside
from ep.studies.refining import Rules, plan
from ep.views import colorings, tables
from pages.atlas.what_if import _free, sentence
from tests.fixtures.builds import built
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import shelved, show, well
from tests.fixtures.waiting import until

PAGES = ("atlas", "region", "prompt", "between", "resolution", "compare", "steer", "behaviour")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    origin = storage.open(built(tmp_path_factory.mktemp("built")))
    model = load(str(origin.path.parent / "models" / "m"), device="cpu")  # type: ignore[union-attr]
    reader = StoredMembers(origin, model)
    made = {
        "merged": refine(origin, Rules(merge=1.2)).dictionary,
        "anchored": refine(origin, Rules(reanchor=True), model, reader).dictionary,
        "left_out": refine(origin, Rules(prune_weakest=0.4, orphans="left-out")).dictionary,
        "seeds": synthetic(size=60),
    }
    with shelved(tmp_path_factory.mktemp("shelf"), made) as shelf:
        yield shelf


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", ["merged", "anchored", "left_out"])
def test_every_page_opens_a_refined_dictionary(name: str, page: str, keys: dict[str, str]) -> None:
    well(show(page, keys[name], r="2"))


def test_the_atlas_counts_first_and_writes_a_new_file(
    keys: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pages.shared import loading

    monkeypatch.setattr(loading, "library_folder", lambda: tmp_path)
    at = show("atlas", keys["seeds"], what="prune", weakest="20")
    assert "60 regions would become 48" in well(at)
    at.button(key="what_if_write").click().run()
    until(lambda: any(tmp_path.glob("*.ep.h5")))
    (path,) = tmp_path.glob("*.ep.h5")
    assert len(storage.open(path)) == 48 and not beside(path, LABELS).exists()


def test_survival_colours_the_map_and_filters_the_table(keys: dict[str, str]) -> None:
    dictionary = synthetic(size=60)
    shares = dictionary.column("survived") / 5
    assert "survival" in [column.name for column in colorings.columns(dictionary)]
    ids = tables.order(dictionary, None, None, least_survival=0.75)
    assert set(ids) == set(np.flatnonzero(shares >= 0.75))
    assert np.allclose(tables.columns(dictionary, ids)["survival"], shares[ids])
    well(show("atlas", keys["seeds"], c="survival", found="75"))
    region = int(ids[0])
    assert f"{round(5 * shares[region])} of 5" in well(show("region", keys["seeds"], r=str(region)))


def test_a_sentence_states_what_a_plan_does(tmp_path: Path) -> None:
    dictionary = synthetic(size=60)
    members: Dictionary = dictionary
    left = plan(dictionary, Rules(prune_weakest=0.5, orphans="left-out"))
    assert sentence(members, left).startswith("60 regions would become 30; 30 are left out")
    stays = plan(dictionary, Rules(merge_within=1e-6))
    assert sentence(dictionary, stays) == "All 60 regions would stay as they are."
    (tmp_path / "dictionary-merge-1.1.ep.h5").touch()
    assert _free(tmp_path, dictionary, Rules(merge=1.1)).name == "dictionary-merge-1.1-2.ep.h5"
