"""A dictionary finds its own model, and no other model passes for it."""

from __future__ import annotations

from pathlib import Path

import pytest

import ep
from ep.errors import ModelError
from ep.method.dictionary import Dictionary
from ep.models import check_fits, model_of
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic


def at(path: Path | None, **info: object) -> Dictionary:
    dictionary = synthetic(12, 32)
    dictionary.path = path
    dictionary.info |= info
    return dictionary


def test_a_model_beside_the_file_comes_before_the_hub(tmp_path: Path) -> None:
    (tmp_path / "models" / "m").mkdir(parents=True)
    (tmp_path / "dictionaries").mkdir()
    file = tmp_path / "dictionaries" / "d.ep.h5"
    assert model_of(at(file, model="../models/m")) == str((tmp_path / "models" / "m").resolve())
    assert model_of(at(file, model="org/name")) == "org/name"


@pytest.mark.parametrize("name", ["", "../models/gone", "/nowhere/gone"])
def test_a_model_that_is_gone_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="which model|not beside"):
        model_of(at(tmp_path / "d.ep.h5", model=name))


def test_only_the_dictionarys_own_model_fits(tmp_path: Path) -> None:
    model = ep.load(str(tiny.gemma(tmp_path / "gemma")))
    own = {"model": "gemma", "layer": 1, "tokenizer_hash": model.digest}
    assert check_fits(model, at(None, **own)) == 1
    wide = synthetic(12, 64)
    with pytest.raises(ModelError, match="64 wide"):
        check_fits(model, wide)
    with pytest.raises(ModelError, match="no layer 9"):
        check_fits(model, at(None, **own | {"layer": 9}))
    with pytest.raises(ModelError, match="a different tokenizer"):
        check_fits(model, at(None, **own | {"tokenizer_hash": "other"}))
    with pytest.raises(ModelError, match="which layer"):
        check_fits(model, at(None, **own | {"layer": None}))
