"""A published dictionary and its model: what the build knew of tokens comes back, checked excerpt
by excerpt.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import ep
from ep.building import build
from ep.completing import complete
from ep.config import BuildConfig
from ep.errors import ModelError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.models import LanguageModel, load
from ep.storage import check
from ep.storage.published import convert
from tests.fixtures import tiny
from tests.fixtures.published import library, pickled, write

LENSES = [f"lens_{name}_ids" for name in ("exemplar_up", "mean_down", "exemplar_shift_up")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load(str(tiny.gemma(tmp_path_factory.mktemp("gemma"))), device="cpu")


@pytest.fixture(scope="module")
def original(model: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Dictionary:
    """A dictionary built here, which knows its tokens."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "t.json").write_text(json.dumps(tiny.passages(120)))
    config = BuildConfig(
        model=model.name,
        text=(str(folder / "t.json"),),
        layers=(2,),
        percentiles=(5.0,),
        out=str(folder),
        batch=16,
        calibration=400,
    )
    return ep.open(list(build(config))[-1].files[0])


@pytest.fixture(scope="module")
def converted(original: Dictionary, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The same as published: text and positions, no token ids."""
    folder = tmp_path_factory.mktemp("published")
    path = write(folder / "tiny_L2_p5" / "tiny_layer2.pkl", pickled(library(original)))
    return convert(path, folder / "x.ep.h5").read_bytes()


@pytest.fixture
def path(tmp_path: Path, converted: bytes) -> Path:
    return write(tmp_path / "x.ep.h5", converted)


def test_tokens_highlights_and_lens_are_those_of_the_build(path, model, original):
    told: list[float | None] = []
    assert complete(path, model, lambda said, share: told.append(share)) == path
    assert told == sorted(told) and check(path)
    got = ep.open(path)
    assert (
        got.info["completed"]["agree"]
        == got.info["completed"]["n"]
        == len(got.column("excerpt_agrees"))
        > 50
    )
    assert (
        got.info["completed"]["median_difference"] < 1e-5 and got.info["completed"]["dropped"] == 0
    )
    assert np.isclose(got.info["typical_norm"], original.info["typical_norm"], rtol=0.1)
    for k in range(len(got)):
        theirs = {
            (e.pieces, e.position, e.token) for e in original.excerpts(k) if e.band != "spread"
        }
        assert {(e.pieces, e.marked, e.token) for e in got.excerpts(k)} == theirs
        assert all(e.agrees for e in got.excerpts(k))
    for name in LENSES[:2]:
        assert np.array_equal(got.column(name), original.column(name)), name
    assert (
        "plain_ids" not in got and "founder_passage" not in got and len(got.info["group_names"]) > 1
    )


def test_completing_twice_changes_nothing(path, model):
    complete(path, model)
    once = path.read_bytes()
    complete(path, model)
    assert path.read_bytes() == once


def test_excerpts_that_do_not_lie_there_are_kept_and_flagged(path, model):
    dictionary = ep.open(path)
    arrays = {name: np.array(dictionary.column(name)) for name in NUMBERS if name in dictionary}
    arrays["excerpt_distance"][3] = 1.9
    arrays["excerpt_position"][5] = 500
    ep.save(Dictionary(MemorySource(arrays), dictionary.info, len(dictionary)), path)
    n = len(arrays["excerpt_distance"])
    got = ep.open(complete(path, model))
    assert got.info["completed"] | {"n": n, "agree": n - 2, "dropped": 1} == got.info["completed"]
    assert len(got.column("excerpt_agrees")) == n - 1 and np.flatnonzero(
        got.column("excerpt_agrees") == 0
    ).tolist() == [3]


def test_another_model_is_refused_and_the_file_stays_as_it_was(
    path, model, converted, tmp_path_factory
):
    other = load(str(tiny.gemma(tmp_path_factory.mktemp("other"), width=64)), device="cpu")
    with pytest.raises(ModelError, match="wide"):
        complete(path, other)
    dictionary = ep.open(path)
    turned = {name: np.array(dictionary.column(name)) for name in NUMBERS if name in dictionary}
    turned["exemplars"] = np.roll(turned["exemplars"], 7, axis=1)
    turned["excerpt_distance"] = np.full_like(turned["excerpt_distance"], 1.99)
    odd = ep.save(
        Dictionary(MemorySource(turned), dictionary.info, len(dictionary)),
        path.with_name("odd.ep.h5"),
    )
    with pytest.raises(ModelError, match="another model"):
        complete(odd, model)
    for info, match in (
        ({"layer": None}, "its layer"),
        ({"hook": "blocks.2.hook_mlp_out"}, "hook_mlp_out"),
    ):
        ep.save(Dictionary(dictionary.source, dictionary.info | info, len(dictionary)), odd)
        with pytest.raises(ModelError, match=match):
            complete(odd, model)
    assert path.read_bytes() == converted


def test_stopping_leaves_the_file_as_it_was(path, model, converted):
    class Stop(Exception):
        pass

    def report(said: str, share: float | None) -> None:
        if said == "writing":
            raise Stop

    with pytest.raises(Stop):
        complete(path, model, report)
    assert path.read_bytes() == converted and [p.name for p in path.parent.iterdir()] == ["x.ep.h5"]


NUMBERS = (
    "center",
    "exemplars",
    "mean_directions",
    "count_arrival",
    "neighbourhood",
    "plain_ids",
    "plain_offsets",
    "plain_bytes",
    "excerpt_offsets",
    "excerpt_passage",
    "excerpt_position",
    "excerpt_distance",
    "excerpt_band",
)
