"""The real demo as it is committed: its dictionaries open, name their model, and stay small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ep
from ep.demo.real import recipe, requests, written
from ep.demo.real.dictionaries import LAYERS, LENS_PROMPTS, PERCENTILES, configs
from ep.demo.real.model import NAME
from ep.models import packaged
from ep.models.adapters import Tuned
from ep.storage import Shelf
from pages.library import cards
from pages.shared import loading
from tests.fixtures.pages import show, well

REAL = Path(__file__).resolve().parents[1] / "data" / "real"
MOST_BYTES = 60_000_000
FILES = sorted((REAL / "dictionaries").glob("*.ep.h5"))


@pytest.fixture
def real_shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The explorer's shelf as a visitor finds it: with the real demo, and no library."""
    import streamlit as st

    st.cache_resource.clear()
    monkeypatch.setenv("EP_DEMO", "")
    monkeypatch.setattr(loading, "LIBRARY", REAL / "none")
    monkeypatch.delenv("EP_LIBRARY", raising=False)
    return loading.shelf()


def test_all_of_it_fits() -> None:
    assert sum(path.stat().st_size for path in REAL.rglob("*") if path.is_file()) < MOST_BYTES


def test_the_text_is_the_recipes_and_long_enough() -> None:
    lines = (REAL / "text" / "written.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert sum(row["tokens"] for row in rows) >= 250_000
    assert not any(written.is_degenerate(row["text"]) for row in rows)
    assert len({row["text"] for row in rows}) == len(rows)
    from ep.demo.real.asking import questions

    kinds = {question.text: question.kind for question in questions()}
    assert all(kinds[row["request"]] == row["source"] for row in rows)


def test_the_prompts_are_the_recipes(tmp_path: Path) -> None:
    requests.write(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (REAL / "prompts" / path.name).read_bytes()


def test_every_file_of_the_recipe_is_there_and_no_other() -> None:
    expected = {
        config.file_name(layer, p)
        for config in configs(REAL)
        for layer in config.layers
        for p in config.percentiles
    }
    assert {path.name for path in FILES} == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".ep.h5"))
def test_a_dictionary_opens_complete_and_names_a_model_that_any_machine_can_have(
    path: Path,
) -> None:
    dictionary = ep.open(path)
    assert dictionary.info["complete"] and dictionary.info["model"] == NAME
    assert len(dictionary) > 10 and dictionary.region(0) is not None
    if packaged.find(NAME) is not None:
        named = ep.model_of(dictionary)
        base = named.model if isinstance(named, Tuned) else named
        assert base == str(packaged.find(NAME))
        if isinstance(named, Tuned):
            assert Path(named.adapter) == REAL / "adapter"


def test_the_dictionaries_of_the_base_model_have_the_read_outs_of_the_recipes_lens() -> None:
    base = configs(REAL)[0]
    for path in sorted({base.file_name(layer, p) for layer in LAYERS for p in PERCENTILES}):
        dictionary = ep.open(REAL / "dictionaries" / path)
        assert dictionary.info["jacobian"]["n_prompts"] == base.lens_prompts == LENS_PROMPTS
        assert dictionary.info["jacobian"]["text"] == "written.jsonl"


@pytest.mark.slow
@pytest.mark.skipif(packaged.find(NAME) is None, reason="the model's package is not installed")
def test_the_model_is_the_one_that_the_dictionaries_were_built_on() -> None:
    named = {ep.model_of(ep.open(path)) for path in FILES}
    weights = {}
    for each in named:
        model = ep.load(each, device="cpu")
        weights[each] = model.fingerprint
        ids = model.encode_prompt("The sea is").ids
        for path in FILES:
            dictionary = ep.open(path)
            if ep.model_of(dictionary) == each and dictionary.layer == 20:
                x = ep.models.read(model, ids, [20])[20]
                assigned = dictionary.assign(x)
                assert len(assigned.region) == len(ids)
                # the stream left out first tokens, so that only the others must be near a region
                assert (assigned.distance[1:] < 1).all() and len(set(assigned.region)) > 1
    for path in FILES:
        dictionary = ep.open(path)
        assert dictionary.info["weights"] == weights[ep.model_of(dictionary)]


def test_the_explorer_opens_on_the_real_model_and_says_which_is_which(real_shelf: Shelf) -> None:
    first = loading.default_entry()
    assert first is not None and first.path.parent == REAL / "dictionaries"
    kinds = {entry.path.parts[-3]: cards.kind(entry) for entry in real_shelf.entries}
    assert cards.kind(first) == cards.REAL and cards.is_bundled(first)
    assert set(kinds.values()) == {cards.REAL, cards.TINY}


def test_the_real_demo_has_requests_of_its_own(
    real_shelf: Shelf,
) -> None:
    first = loading.default_entry()
    assert first is not None
    at = show("behaviour", first.key)
    page = well(at)
    assert "Stored run" not in page and "Nothing has been tried yet" in page
    assert "240 to choose on · 70 held out · 68 benign" in page
    assert "a trial sets the length of answers" in page
    buttons = [str(button.key) for button in at.button]
    assert "behaviour_real" in buttons and "behaviour_demo" not in buttons
    at.button(key="behaviour_stored").click().run()
    assert "Stored run of" in well(at), "a study that needs no half an hour is one click away"


def test_with_the_tiny_demo_asked_for_there_is_no_real_one(
    real_shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EP_DEMO", "tiny")
    assert not any(entry.path.is_relative_to(REAL) for entry in loading.entries())
    first = loading.default_entry()
    assert first is not None and cards.kind(first) == cards.TINY


def test_the_stages_name_files_that_are_there() -> None:
    done = {name for name, (file, _) in recipe.STAGES.items() if file and (REAL / file).exists()}
    assert {"text", "prompts", "replies", "requests"} <= done
