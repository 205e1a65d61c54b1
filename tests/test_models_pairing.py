"""A dictionary finds its own model, and no other model passes for it."""

from __future__ import annotations

from pathlib import Path

import pytest

import ep
from ep.errors import ModelError
from ep.models import check_fits, model_of
from tests.fixtures import tiny


def test_a_model_beside_the_file_comes_before_the_hub(tmp_path: Path) -> None:
    (tmp_path / "models" / "m").mkdir(parents=True)
    (tmp_path / "dictionaries").mkdir()
    file = tmp_path / "dictionaries" / "d.ep.h5"
    assert model_of({"model": "../models/m"}, file) == str((tmp_path / "models" / "m").resolve())
    assert model_of({"model": "org/name"}, file) == "org/name"


@pytest.mark.parametrize("name", ["", "../models/gone", "/nowhere/gone"])
def test_a_model_that_is_gone_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="which model|not beside"):
        model_of({"model": name}, tmp_path / "d.ep.h5")


def test_only_the_dictionarys_own_model_fits(tmp_path: Path) -> None:
    model = ep.load(str(tiny.gemma(tmp_path / "gemma")))
    info = {"model": "gemma", "layer": 1, "tokenizer_hash": model.digest}
    check_fits(model, info, model.width)
    with pytest.raises(ModelError, match="64 wide"):
        check_fits(model, info, 64)
    with pytest.raises(ModelError, match="no layer 9"):
        check_fits(model, info | {"layer": 9}, model.width)
    with pytest.raises(ModelError, match="another tokenizer"):
        check_fits(model, info | {"tokenizer_hash": "other"}, model.width)
