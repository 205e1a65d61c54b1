"""What is stored with the demo so that its first pictures need no model: readings of the examples,
and another seed of the pair that Compare opens with. Each is what the real thing gives.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import ep
from ep import reseeding
from ep.corpus import Corpus
from ep.demo import examples, recipe, seeds
from ep.method.lenses import LENSES
from ep.models import jacobian_store
from ep.models.prompts import read_prompt
from ep.studies.matching import null
from pages.shared import loading, models
from tests.fixtures.pages import said, show

DEMO = Path(__file__).parent.parent / "data" / "demo"


@pytest.fixture
def other_weights(tmp_path: Path) -> Path:
    """The demo's models and examples, the base with one byte changed."""
    for name in examples.MODELS:
        shutil.copytree(DEMO / "models" / name, tmp_path / "models" / name)
    shutil.copy(DEMO / examples.FILE, tmp_path)
    weights = tmp_path / "models" / "base" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    return tmp_path


@pytest.mark.parametrize("name", examples.MODELS)
def test_a_stored_reading_is_what_the_model_gives(name: str) -> None:
    model = ep.load(str(DEMO / "models" / name), device="cpu")
    stored = examples.stored(DEMO)
    of_model = list(examples.examples(DEMO, name))
    assert of_model == [example for example in stored if example.model == name]
    for example in of_model:
        prompt = [{"role": "user", "content": example.text}] if example.chat else example.text
        fresh, kept = read_prompt(model, prompt, (2, 4), examples.LONGEST), stored[example]
        assert (fresh.tokens, fresh.truncated) == (kept.tokens, kept.truncated)
        assert fresh.tokenizer == kept.tokenizer and fresh.layers == kept.layers == (2, 4)
        np.testing.assert_array_equal(fresh.outside, kept.outside)
        np.testing.assert_array_equal(fresh.template, kept.template)
        for layer in fresh.layers:
            np.testing.assert_allclose(fresh.x[layer], kept.x[layer], rtol=1e-4, atol=1e-4)


def test_a_reading_of_other_weights_is_never_used(other_weights: Path) -> None:
    assert {example.model for example in examples.stored(other_weights)} == {"tuned"}


@pytest.mark.parametrize("damage", [b"", b"nothing", None])
def test_a_missing_or_damaged_file_holds_nothing(other_weights: Path, damage: bytes | None) -> None:
    path = other_weights / examples.FILE
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    assert examples.stored(other_weights) == {}


def refuse(*_: object) -> None:
    raise AssertionError("a model is loaded")


def demo_key(name: str) -> str:
    return next(entry.key for entry in loading.entries() if entry.path.name == f"{name}.ep.h5")


@pytest.mark.parametrize(
    ("page", "settings", "shown"),
    [
        ("prompt", {}, "Distance to the nearest exemplar"),
        ("prompt", {"as": "chat"}, "Path through the layers"),
        ("compare", {"cview": "prompt"}, "fall in regions"),
    ],
)
def test_a_visit_of_the_demo_shows_its_example_and_loads_no_model(
    page: str, settings: dict[str, str], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "language_model", refuse)
    monkeypatch.setattr(models, "load_for", refuse)
    text = said(show(page, demo_key("tuned-L4-p2"), **settings))
    assert shown in text


@pytest.mark.parametrize("name", seeds.OF)
def test_another_seed_of_the_first_comparison_is_there_and_tells_what_a_whole_one_does(
    name: str,
) -> None:
    dictionary = ep.open(DEMO / "dictionaries" / "all-tokens" / f"{name}.ep.h5")
    other = reseeding.find_stored(dictionary, (DEMO,))
    assert other is not None and other.info["seed"] != dictionary.info["seed"]
    assert other.path.name == f"{name}.ep.h5" and other.path not in {
        entry.path for entry in loading.entries()
    }
    thin = seeds.slim(dictionary)
    whole, slim = null(other, dictionary, "mean"), null(other, thin, "mean")
    np.testing.assert_array_equal(whole.match.a.cosine, slim.match.a.cosine)
    assert whole.level == slim.level


def test_the_first_comparison_stands_beside_its_null() -> None:
    text = said(show("compare", demo_key("base-L4-p2")))
    assert "in another seed of A itself" in text and "Build another seed" not in text


@pytest.mark.slow
def test_a_build_of_the_other_seed_gives_the_stored_regions(tmp_path: Path) -> None:
    dictionary = ep.open(DEMO / "dictionaries" / "all-tokens" / "base-L4-p2.ep.h5")
    *_, done = reseeding.rebuild(reseeding.settings(dictionary, tmp_path))
    fresh, kept = ep.open(done.files[0]), reseeding.find_stored(dictionary, (DEMO,))
    assert len(fresh) == len(kept)
    np.testing.assert_allclose(fresh.exemplars, kept.exemplars, atol=1e-4)


@pytest.mark.parametrize("name", examples.MODELS)
def test_a_demo_model_has_the_lens_of_its_recipe(name: str) -> None:
    model = ep.load(str(DEMO / "models" / name), device="cpu")
    lens = ep.find_lens(model)
    assert lens is not None and lens.layers == tuple(range(model.n_layers))
    assert lens.n_prompts == recipe.LENS_PROMPTS
    assert lens.origin["digest"] == Corpus([DEMO / "text" / "mixed.jsonl"]).digest()


def test_every_dictionary_of_the_demo_stores_every_lens_of_its_model() -> None:
    prompts = {
        name: jacobian_store.stored(jacobian_store.beside(str(DEMO / "models" / name))).n_prompts
        for name in examples.MODELS
    }
    for file in (DEMO / "dictionaries").rglob("*.ep.h5"):
        dictionary = ep.open(file)
        kinds = {name.removesuffix("_up").removesuffix("_down") for name in dictionary.lenses}
        assert kinds == set(LENSES)
        model = Path(dictionary.info["model"]).name
        assert dictionary.info["jacobian"]["n_prompts"] == prompts[model]
