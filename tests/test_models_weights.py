"""Checkpoints that cannot do the work are one line when they are loaded, before any of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import ep
from ep.errors import ModelError
from ep.models import load, logit_lens, read
from ep.models.generation import Row, generate
from tests.fixtures import tiny
from tests.fixtures.builds import built

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{7:064x}\nsize 99\n"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.gpt2(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def one_line(folder: Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load(str(folder), **options)
    message = str(caught.value)
    assert message.startswith(str(folder)) and "\n" not in message
    return message


def in_parts(folder: Path) -> Path:
    """Divide the weights into two files with an index, and return the second."""
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    parts = {"one.safetensors": names[:5], "two.safetensors": names[5:]}
    for part, own in parts.items():
        save_file({name: weights[name] for name in own}, folder / part, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {n: part for part, own in parts.items() for n in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    return folder / "two.safetensors"


def test_a_pointer_of_git_lfs_is_named(folder: Path) -> None:
    (folder / "onnx.bin").write_text(POINTER)
    assert load(str(folder)).width == 32, "of no concern where there are other weights"
    (folder / "model.safetensors").write_text(POINTER)
    assert "model.safetensors is a pointer of Git LFS" in one_line(folder)
    (folder / "model.safetensors").unlink()
    assert "onnx.bin is a pointer of Git LFS" in one_line(folder)


def test_a_pointer_in_place_of_the_tokenizer_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(POINTER)
    assert "tokenizer.json is a pointer of Git LFS" in one_line(folder)


@pytest.mark.parametrize("left", [-1, 0.5, 100, 4, 0])
def test_weights_cut_anywhere_are_named(folder: Path, left: float) -> None:
    weights = folder / "model.safetensors"
    length = left if left != 0.5 else weights.stat().st_size // 2
    whole = weights.read_bytes()
    weights.write_bytes(whole[: int(length)])
    message = one_line(folder)
    assert "model.safetensors" in message and "download the model again" in message


def test_weights_in_parts_are_checked_each(folder: Path) -> None:
    part = in_parts(folder)
    assert load(str(folder)).width == 32
    part.write_bytes(part.read_bytes()[:-8])
    assert "two.safetensors is cut short" in one_line(folder)
    part.unlink()
    assert "two.safetensors is missing, one of 2 files" in one_line(folder)
    (folder / "model.safetensors.index.json").write_text("[]")
    assert "model.safetensors.index.json is damaged" in one_line(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_numbers_are_named(folder: Path, value: float) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["transformer.h.2.mlp.c_fc.weight"][3, 4] = value
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "not finite numbers in float32, such as transformer.h.2.mlp." in one_line(folder)


def test_weights_too_large_for_the_asked_dtype_are_named(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["transformer.ln_f.weight"][0] = 1e6
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert load(str(folder)).dtype == "float32"
    assert "not finite numbers in float16" in one_line(folder, dtype="float16")


def test_plain_tensors_in_a_pickle_are_read(folder: Path, original: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    ids = [5, 6, 7]
    first, second = (read(load(str(path)), ids, [2])[2] for path in (folder, original))
    np.testing.assert_array_equal(first, second)


class Touch:
    """Unpickled, it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("in_zip", [True, False])
def test_a_pickle_that_would_run_is_not_run(folder: Path, tmp_path: Path, in_zip: bool) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(
        {"x": Touch(tmp_path / "ran")},
        folder / "pytorch_model.bin",
        _use_new_zipfile_serialization=in_zip,
    )
    assert "give the model as safetensors" in one_line(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x02", b"PK\x03\x04 and so on", b"text", b"\x00" * 99]
)
def test_pickles_that_are_none_are_one_line(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    one_line(folder)
    torch.save([1, 2, 3], folder / "pytorch_model.bin")
    one_line(folder)


def test_a_tokenizer_of_a_larger_model_is_named(folder: Path, tmp_path: Path) -> None:
    weights, config = load_file(folder / "model.safetensors"), folder / "config.json"
    weights["transformer.wte.weight"] = weights["transformer.wte.weight"][:300].clone()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config.write_text(json.dumps(json.loads(config.read_text()) | {"vocab_size": 300}))
    assert "an embedding of 300 tokens, and its tokenizer has ids up to" in one_line(folder)


def test_a_special_token_without_embedding_is_refused_where_it_is_used(folder: Path) -> None:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    added = tokenizer["added_tokens"][0] | {"id": 5000, "content": "<image>"}
    tokenizer["added_tokens"].append(added)
    path.write_text(json.dumps(tokenizer))
    model = load(str(folder))
    assert np.isfinite(read(model, model.tokens.encode("a plain text"), [1])[1]).all()
    ids = model.tokens.encode("a text with <image> in it")
    batch = next(iter(model.tokens.batches([Text("a text with <image> in it")])))
    for use in (
        lambda: read(model, ids, [1]),
        lambda: ep.models.harvest(model, batch, [1]),
        lambda: list(generate(model, [Row(tuple(ids))])),
    ):
        with pytest.raises(ModelError, match="no embedding of the token '<image>'"):
            use()


class Text:
    """A passage of plain text."""

    id, messages = 0, None

    def __init__(self, text: str) -> None:
        self.text = text


def test_a_vocabulary_smaller_than_a_lens_is_padded(tmp_path: Path) -> None:
    path = built(tmp_path, make=tiny.letters)
    ep.storage.check(path)
    dictionary = ep.open(path)
    model = load(ep.model_of(dictionary))
    lens = logit_lens(model, dictionary.exemplars)
    ids = dictionary.column("lens_exemplar_up_ids")
    np.testing.assert_array_equal(ids[:, :3], lens.up_ids)
    assert ids.shape[1] == 12 and (ids[:, 3:] == -1).all()
    assert len(dictionary.lens(0)) == 3
    assert {token.token for token in dictionary.lens(0)} == {"a", "b", "c"}
    assert len(ep.automatic(dictionary)) == len(dictionary)


def test_a_model_without_key_value_cache_is_read_and_not_steered(tmp_path: Path) -> None:
    dictionary = ep.open(built(tmp_path, make=tiny.mamba))
    model = load(ep.model_of(dictionary))
    ids = model.tokens.encode("The cat")
    assert len(dictionary.assign(read(model, ids, [1])[1]).region) == len(ids)
    with pytest.raises(ModelError, match="MambaForCausalLM, which has no key-value cache"):
        list(ep.steer(dictionary, model, ep.Setting("The cat", regions=(0,))))
