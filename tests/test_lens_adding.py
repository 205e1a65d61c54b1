"""Laws of adding read-outs: a file gets what a build would have stored; nothing else changes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

import ep
from ep import storage
from ep.building import build
from ep.cli import main
from ep.config import BuildConfig
from ep.errors import ConfigError, ModelError
from ep.lens_adding import add_lenses
from ep.lensing import STATE
from ep.method.dictionary import Dictionary
from ep.method.lenses import LENSES
from ep.method.source import MemorySource
from ep.models import LanguageModel, jacobian_store, load
from ep.storage.schema import ARRAYS
from tests.fixtures import tiny

WORDS = [
    "cat",
    "sat",
    "bird",
    "sang",
    "old",
    "garden",
    "child",
    "moon",
    "two",
    "three",
    "five",
    "door",
]
NEW = {name for name in LENSES if name == "point_lift" or LENSES[name].is_jacobian}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path: Path) -> LanguageModel:
    return load(str(tiny.gemma(tmp_path / "gemma")), device="cpu")


@pytest.fixture
def config(tmp_path: Path, model: LanguageModel) -> BuildConfig:
    generator = random.Random(0)
    texts = [" ".join(generator.choices(WORDS, k=30)) for _ in range(40)]
    (tmp_path / "t.json").write_text(json.dumps(texts))
    return BuildConfig(
        model=model.name,
        text=(str(tmp_path / "t.json"),),
        layers=(1,),
        percentiles=(5.0,),
        out=str(tmp_path / "out"),
        batch=16,
        calibration=300,
        lens_prompts=2,
    )


def without(dictionary: Dictionary, path: Path) -> Path:
    """Save a dictionary as an earlier version would have: without the newer read-outs."""
    arrays = {
        name: dictionary.column(name)
        for name in (*ARRAYS, "vocabulary_pieces")
        if name in dictionary
        and not name.startswith(("vocabulary_offsets", "vocabulary_bytes"))
        and not any(name.startswith(f"lens_{kind}_") for kind in NEW)
    }
    info = {
        name: value
        for name, value in dictionary.info.items()
        if name not in ("first_lens", "lens_scores", "jacobian", "weights")
    }
    return storage.save(Dictionary(MemorySource(arrays), info, len(dictionary)), path)


def test_a_build_fits_its_lens_and_an_old_file_gets_the_same_read_outs(
    cache: Path, config: BuildConfig, model: LanguageModel, tmp_path: Path
) -> None:
    steps = list(build(config))
    assert steps[0].lens_seconds is not None
    assert [s.stage for s in steps if s.stage in ("assign", "lens", "write")][-2:] == [
        "lens",
        "write",
    ]
    built = ep.open(steps[-1].files[0])
    found = jacobian_store.find(model)
    assert found is not None and found.n_prompts == 2
    assert built.info["jacobian"]["n_prompts"] == 2
    assert not (config.folder / STATE).exists()
    assert {f"lens_{stored}_ids" for kind in LENSES.values() for stored in kind.stored} <= {
        name for name in ARRAYS if name in built
    }
    assert built.first_lens == built.info["first_lens"]

    old = without(built, tmp_path / "old.ep.h5")
    bytes_before = old.read_bytes()
    assert set(add_lenses(old, model)) == NEW
    again = ep.open(old)
    for name in (name for name in ARRAYS if name in built):
        np.testing.assert_array_equal(again.column(name), built.column(name), err_msg=name)
    for name in ("first_lens", "lens_scores", "jacobian"):
        assert again.info[name] == built.info[name]
    storage.check(old)
    # adding twice changes nothing, and another lens is used at once
    stored = old.read_bytes()
    assert stored != bytes_before
    assert add_lenses(old, model) == ()
    assert old.read_bytes() == stored
    other = type(found)({1: -found.matrices[1]}, found.fingerprint, 9, found.origin)
    jacobian_store.save(other, jacobian_store.place(found.fingerprint))
    assert set(add_lenses(old, model)) == {name for name in NEW if name != "point_lift"}
    assert ep.open(old).info["jacobian"]["n_prompts"] == 9


def test_a_build_replaces_no_lens_and_uses_one_that_is_large_enough(
    cache: Path, config: BuildConfig
) -> None:
    from dataclasses import replace

    list(build(config))
    more = replace(config, lens_prompts=3, out=config.out + "-3")
    with pytest.raises(ConfigError, match="2 prompts for layers 1"):
        list(build(more))
    fewer = list(build(replace(config, lens_prompts=1, out=config.out + "-1")))
    assert "lens" not in {step.stage for step in fewer}


def test_without_a_lens_the_lift_alone_is_added_and_other_weights_are_refused(
    cache: Path,
    config: BuildConfig,
    model: LanguageModel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from dataclasses import replace

    built = ep.open(list(build(replace(config, lens_prompts=None)))[-1].files[0])
    assert "jacobian" not in built.info
    old = without(built, tmp_path / "old.ep.h5")
    before = old.read_bytes()
    other = load(str(tiny.gemma(tmp_path / "wider", n_layers=5)), device="cpu")
    with pytest.raises(ModelError, match="other weights"):
        add_lenses(old, other)
    assert old.read_bytes() == before
    assert main(["lens", "add", str(old), "--model", model.name]) == 0
    assert "added point_lift;" in capsys.readouterr().err
    assert main(["lens", "score", str(old), "--against", str(old), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["lens"] for row in rows["lenses"]} >= {"exemplar_up", "point_lift_up"}
    assert all(row["agreement"]["own"] == 1.0 for row in rows["lenses"])
    assert main(["lens", "score", str(old)]) == 0
    assert "best: " in capsys.readouterr().out
    assert main(["info", str(old)]) == 0
    out = capsys.readouterr().out
    assert out.count("first_lens") == 1 and "lens_scores" not in out
