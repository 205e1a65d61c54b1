"""The Prompt page's grid of layers: nothing is read unasked, and what is shown can be followed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import ep
from ep.models import jacobian_store
from ep.models.jacobian import JacobianLens
from ep.models.lens_grid import lens_grid
from pages.prompt import grid
from pages.shared import estimates, jobs, loading, models, reading
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import said, shelved, show, well

TEXT = "The cat sat on the mat."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.gemma(tmp_path_factory.mktemp("models") / "gemma")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[dict[str, str]]:
    made = {
        name: synthetic(60, 32, seed=layer, model=str(model), layer=layer, family="f", title="f")
        for name, layer in (("first", 1), ("second", 2))
    }
    with shelved(tmp_path_factory.mktemp("shelf"), made) as found:
        yield found


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, in which nobody left a lens, and a server that has read nothing and does
    at once what a busy machine would offer first.
    """
    monkeypatch.setenv("EP_CACHE", str(tmp_path))
    monkeypatch.setattr(jobs, "AT_ONCE_S", 600.0)
    for store in (models.models, reading.readings, estimates.rates, jobs.board):
        store.clear()


def opened(key: str, **settings: str) -> AppTest:
    """The page as a link with these settings shows it, of a text that somebody has read before."""
    at = show("prompt", key, q=TEXT)
    if not any(button.key == "prompt_edit" for button in at.button):
        next(button for button in at.button if button.label == "Read").click().run()
    return show("prompt", key, q=TEXT, **settings)


def test_the_regions_read_no_grid_and_the_choice_does(keys: dict[str, str]) -> None:
    at = opened(keys["first"])
    assert "Regions in this text" in said(at) and not len(jobs.board().results)
    at.get("button_group")[0].set_value("Every layer").run()
    page = well(at)
    assert "Every layer" in page and at.query_params["view"] == "layers"
    assert "There is no J-lens of this model yet: ep lens fit" in page
    assert "Regions in this text" not in page and len(jobs.board().results) == 1


def test_a_link_only_offers_what_takes_long_and_the_choice_starts_it(
    keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "AT_ONCE_S", 0.0)
    at = opened(keys["first"], view="layers")
    assert "It takes" in well(at) and not jobs.board().jobs()
    assert any(str(button.key).startswith("job_start prompt grid") for button in at.button)
    at.get("button_group")[0].set_value("Regions").run()
    at.get("button_group")[0].set_value("Every layer").run()
    well(at)
    assert len(jobs.board().jobs()) == 1


def test_a_cell_names_its_region_or_the_layers_that_have_one(keys: dict[str, str]) -> None:
    at = opened(keys["first"], view="layers", layer="2", token="3")
    page = well(at)
    assert "Layer 2, token 3" in page
    second = loading.dictionary(keys["second"])
    own = ep.load(ep.model_of(second))
    x = ep.read(own, own.encode_prompt(TEXT).ids, [2])[2]
    region = int(second.assign(x).region[3])
    assert at.button(key="prompt_cell_open").label == f"Open region {region}"
    page = well(opened(keys["first"], view="layers", layer="0", token="3"))
    assert "no dictionary of this family" in page and "layers 1, 2" in page
    page = well(opened(keys["first"], view="layers", layer="2", token="0"))
    assert "it has no region" in page


def test_a_typed_token_is_pinned_and_its_rank_followed(keys: dict[str, str]) -> None:
    at = opened(keys["first"], view="layers", token="3")
    assert "to follow its rank" in well(at)
    at.text_input(key="prompt_pin").set_value("cat").run()
    page = well(at)
    assert "rank of the pinned token" in page and "at token 3; best" in page
    assert at.query_params["pin"].isdigit() and at.text_input(key="prompt_pin").value == ""
    again = well(opened(keys["first"], view="layers", token="3", pin=at.query_params["pin"]))
    assert "at token 3; best" in again
    at.button(key="prompt_unpin").click().run()
    assert "to follow its rank" in well(at) and "pin" not in at.query_params


def test_a_fitted_lens_comes_first_and_says_its_layers(
    keys: dict[str, str], model: Path, tmp_path: Path
) -> None:
    own = ep.load(str(model))
    matrix = np.random.default_rng(0).normal(size=(own.width, own.width)).astype(np.float32)
    lens = JacobianLens({2: matrix}, own.fingerprint, 12)
    jacobian_store.save(lens, jacobian_store.place(own.fingerprint))
    at = opened(keys["first"], view="layers")
    assert "J-lens at layer 2, fitted on 12 prompts" in well(at)
    chooser = at.get("button_group")[1]
    chooser.set_value("Logit lens").run()
    assert "Logit lens: the final norm" in well(at) and at.query_params["lens"] == "logit"


@pytest.mark.parametrize(
    "wrong", [{"layer": "99"}, {"layer": "-1"}, {"token": "999"}, {"pin": "999999"}, {"lens": "x"}]
)
def test_a_wrong_link_shows_the_grid(keys: dict[str, str], wrong: dict[str, str]) -> None:
    assert "probability of the token" in well(opened(keys["first"], view="layers", **wrong))


def test_the_components_rows_are_the_layers_deepest_first(model: Path) -> None:
    own = ep.load(str(model))
    made = lens_grid(own, TEXT)
    ranks = ep.token_ranks(own, made.prompt_ids, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid.frame, "is_dark", lambda: False)
        sent = grid.component_data(made, ranks, " x", (1, 2), {1})
        other = grid.component_data(made, ranks, " x", (2, 2), {1})
    assert [row["layer"] for row in sent["rows"]] == [3, 2, 1, 0]
    assert [row["mark"] for row in sent["rows"]] == ["", "", "⬢", ""]
    assert sent["tips"]["ranks"][0] == ranks[3].tolist()
    top = sent["tips"]["top"][3][2]
    texts = [sent["tips"]["texts"][index] for index, _ in top]
    assert len(texts) == 5 and top[0][1] == round(float(made.probabilities[0, 2, 0]), 4)
    assert sent["id"] == other["id"] and sent["locked"] != other["locked"]
