"""LoRA adapters: merged as peft merges them, kept in the provenance, and refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import ep
from ep.cli import main
from ep.errors import ConfigError, ModelError
from ep.models import LanguageModel, adapters, base_of, load, model_of, other_weights, read
from ep.models.adapters import CONFIG, WEIGHTS, Tuned
from ep.storage.hub.pushing import clean
from tests.fixtures import lora, tiny
from tests.fixtures.builds import built

IDS = [5, 6, 7, 8, 9, 10, 11]
GPT2 = {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.gemma(tmp_path_factory.mktemp("base") / "gemma")


@pytest.fixture(scope="module")
def shared(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lora.make(base, tmp_path_factory.mktemp("lora") / "tuned")


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    """An adapter that a test may damage."""
    return Path(shutil.copytree(shared, tmp_path / "tuned"))


def logits(model: LanguageModel) -> torch.Tensor:
    with torch.inference_mode():
        return model.bridge(torch.tensor([IDS]))[0]


def changed(folder: Path, **entries: Any) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def refusal(base: Path, folder: Path | str) -> str:
    with pytest.raises(ModelError) as caught:
        load(str(base), adapter=folder)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("the adapter ")
    return message


# -- the weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (tiny.gemma, {"target_modules": ["q_proj", "v_proj", "down_proj"]}),
        (tiny.gemma, {"use_rslora": True}),
        (tiny.gemma, {"use_dora": True}),
        (tiny.gemma, {"layers_to_transform": [1], "alpha_pattern": {"v_proj": 3}}),
        (tiny.gemma, {"target_modules": ["q_proj", "lm_head"]}),
        (tiny.gemma, {"target_modules": ["q_proj", "lm_head"], "embeddings": False}),
        (tiny.gemma, {"target_modules": ["q_proj", "embed_tokens"], "embeddings": False}),
        (tiny.gemma, {"modules_to_save": ["lm_head"]}),
        (tiny.gpt2, GPT2),
        (tiny.gpt2, GPT2 | {"use_dora": True, "bias": "lora_only"}),
        (tiny.qwen, {"target_modules": "all-linear", "rank_pattern": {"q_proj": 2}}),
    ],
)
def test_merged_logits_are_those_of_pefts_own_model(
    make: Callable[[Path], Path], settings: dict[str, Any], tmp_path: Path
) -> None:
    base = make(tmp_path / "base")
    folder = lora.make(base, tmp_path / "tuned", **settings)
    own, merged = load(str(base)), load(str(base), adapter=folder)
    expected = lora.unmerged(base, folder, IDS)
    torch.testing.assert_close(logits(merged), expected, atol=1e-5, rtol=1e-5)
    assert (logits(own) - expected).abs().max() > 0.05


def test_a_tuned_model_has_a_fingerprint_and_a_title_of_its_own(
    base: Path, shared: Path, tmp_path: Path
) -> None:
    own, tuned = load(str(base)), load(str(base), adapter=shared)
    again = load(Tuned(str(base), str(shutil.copytree(shared, tmp_path / "copy"))))
    other = load(str(base), adapter=lora.make(base, tmp_path / "other", seed=1))
    assert own.adapter is None and tuned.adapter is not None
    assert (own.title, tuned.title, tuned.name) == ("gemma", "gemma + tuned", str(base))
    assert tuned.fingerprint == again.fingerprint
    assert len({own.fingerprint, tuned.fingerprint, other.fingerprint}) == 3
    assert own.digest == tuned.digest  # the tokenizer's


# -- provenance ------------------------------------------------------------------------------------


def build(folder: Path, base: Path, adapter: Path | None, out: Path, **more: Any) -> Path:
    """A dictionary of a tuned model; the text is that of `built`."""
    config = ep.BuildConfig(
        str(base),
        (str(folder / "text.txt"),),
        (1,),
        str(out),
        (8.0,),
        tokens=600,
        context=64,
        calibration=600,
        batch=16,
        adapter=None if adapter is None else str(adapter),
        **more,
    )
    return list(ep.build(config))[-1].files[0]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base model, an adapter and a dictionary of each."""
    folder = tmp_path_factory.mktemp("room")
    built(folder)
    lora.make(folder / "models" / "m", folder / "adapters" / "refuse")
    build(folder, folder / "models" / "m", folder / "adapters" / "refuse", folder)
    return folder


def test_a_dictionary_of_a_tuned_model_reopens_both(room: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(room, tmp_path / "elsewhere"))
    own, tuned = ep.open(moved / "m-L1-p8.ep.h5"), ep.open(moved / "m-refuse-L1-p8.ep.h5")
    facts = tuned.info["adapter"]
    assert (facts["name"], facts["path"]) == ("refuse", "adapters/refuse")
    assert (facts["rank"], facts["target_modules"]) == (4, ["q_proj", "v_proj"])
    assert (facts["type"], facts["base"], len(facts["digest"])) == ("LoRA", "m", 64)
    assert tuned.info["model_name"] == "m + refuse" and "adapter" not in own.info
    base = str((moved / "models" / "m").resolve())
    assert model_of(own) == base_of(tuned) == base
    assert model_of(tuned) == Tuned(base, str((moved / "adapters" / "refuse").resolve()))
    model = load(model_of(tuned))
    assert other_weights(model, tuned) is None and model.fingerprint == tuned.info["weights"]
    assert other_weights(load(base), tuned) and other_weights(model, own)
    assert own.info["family"] != tuned.info["family"]
    ids = model.encode_prompt("one two three").ids
    assert (tuned.assign(read(model, ids, [1])[1]).distance[1:] < 2).all()


def test_an_adapter_is_part_of_what_a_build_is(room: Path, tmp_path: Path) -> None:
    base, adapter = room / "models" / "m", room / "adapters" / "refuse"
    first = build(room, base, adapter, tmp_path)
    assert build(room, base, adapter, tmp_path) == first  # equal settings may be built again
    with pytest.raises(ConfigError, match="another adapter"):
        build(room, base, lora.make(base, tmp_path / "b" / "refuse", seed=1), tmp_path)
    bare = ep.BuildConfig("m", ("t.txt",), (1,), "out")
    assert "adapter" not in bare.deciding()  # the ids of families from before there were any


def test_commands_take_another_adapter_and_say_so(
    room: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, adapter = room / "models" / "m", room / "adapters" / "refuse"
    prompt = ["--prompt", "one two three"]
    own, tuned = str(room / "m-L1-p8.ep.h5"), str(room / "m-refuse-L1-p8.ep.h5")

    def said(*command: str) -> list[str]:
        assert main([*command]) == 0
        return capsys.readouterr().err.splitlines()

    assert said("assign", tuned, *prompt) == []
    assert said("steer", tuned, "0", *prompt, "--tokens", "2") == []
    assert said("assign", tuned, *prompt, "--model", str(base), "--adapter", str(adapter)) == []
    (line,) = said("assign", tuned, *prompt, "--model", str(base))
    assert line.startswith("ep: the weights of m are not those of m + refuse, on which")
    (line,) = said("assign", own, *prompt, "--adapter", str(adapter))
    assert line.startswith("ep: the weights of m + refuse are not those of m, on which")
    other = Path(shutil.copytree(adapter, tmp_path / "other"))
    changed(other, base_model_name_or_path="someone/another-model")
    doubt, _ = said("assign", own, *prompt, "--adapter", str(other))
    assert doubt.startswith("ep: the adapter other says it was trained on someone/another-model,")
    command = ["build", str(base), "--text", str(room / "text.txt"), "--layer", "1"]
    options = ["--percentile", "8", "--calibration", "300", "--out", str(tmp_path / "out")]
    doubts = said(*command, *options, "--adapter", str(other))
    assert doubts[0].split(", and")[0] == doubt.split(", and")[0]


def test_a_missing_adapter_is_named_and_the_base_is_not_taken_for_it(
    room: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = Path(shutil.copytree(room, tmp_path / "elsewhere"))
    shutil.rmtree(moved / "adapters")
    file = moved / "m-refuse-L1-p8.ep.h5"
    with pytest.raises(ModelError, match="the adapter refuse, with which this dictionary was"):
        model_of(ep.open(file))
    assert main(["assign", str(file), "--prompt", "one"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "not where the file says (adapters/refuse)" in line
    adapter = str(room / "adapters" / "refuse")
    assert main(["assign", str(file), "--prompt", "one", "--adapter", adapter]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("path", ["\0", "a" * 5000, "<b>", "/etc", "", 7, None])
def test_hostile_paths_of_adapters_are_errors_of_one_line(room: Path, path: Any) -> None:
    dictionary = ep.open(room / "m-refuse-L1-p8.ep.h5")
    dictionary.info["adapter"] = {"name": "x\n\x1b[31m", "path": path}
    with pytest.raises(ModelError) as caught:
        load(model_of(dictionary))
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_a_published_file_names_no_local_folder(room: Path) -> None:
    info = dict(ep.open(room / "m-refuse-L1-p8.ep.h5").info)
    info["adapter"] = info["adapter"] | {"path": "../../home/me/secret/refuse"}
    cleaned, names = clean(info)
    assert cleaned["adapter"]["path"] == "refuse" and "adapter" in names


# -- refusals --------------------------------------------------------------------------------------


def test_missing_files_are_named(base: Path, folder: Path, tmp_path: Path) -> None:
    assert "is not there" in refusal(base, tmp_path / "nothing")
    assert "is a file" in refusal(base, folder / CONFIG)
    assert "is a whole model: give it as the model" in refusal(base, base)
    for path in ("\0", "a" * 5000):
        refusal(base, path)
    (folder / WEIGHTS).rename(folder / "other")
    assert f"has no {WEIGHTS}" in refusal(base, folder)
    (folder / "other").rename(folder / "adapter_model.bin")
    assert "a pickle, which is not read" in refusal(base, folder)


def test_damaged_files_are_named(base: Path, folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-10])
    assert "cut short" in refusal(base, folder)
    (folder / WEIGHTS).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert f"{WEIGHTS} is a pointer of Git LFS" in refusal(base, folder)
    (folder / WEIGHTS).write_bytes(whole)
    config = (folder / CONFIG).read_bytes()
    for content in (b"{", b"[]", b"\xff", b"[" * 100_000, config[:-20]):
        (folder / CONFIG).write_bytes(content)
        assert CONFIG in refusal(base, folder)


@pytest.mark.parametrize(
    ("entries", "part"),
    [
        ({"peft_type": "IA3"}, "of the type IA3: only LoRA"),
        ({"peft_type": "PROMPT_TUNING"}, "of the type PROMPT_TUNING"),
        ({"peft_type": None}, "of the type None"),
        ({"init_lora_weights": "pissa"}, "begun by pissa"),
        ({"megatron_config": {"a": 1}}, "uses megatron_config"),
        ({"layer_replication": [[0, 2]]}, "uses layer_replication"),
        ({"alora_invocation_tokens": [1]}, "uses alora_invocation_tokens"),
        ({"of_a_later_peft": True}, "uses of_a_later_peft"),
        ({"r": 0}, "r = 0"),
        ({"r": "8"}, "r = 8"),
        ({"target_modules": ["nothing"]}, "does not fit"),
        ({"target_modules": 7}, "does not fit"),
        ({"lora_alpha": "x"}, "does not fit"),
        ({"r": 8}, "does not fit"),
        ({"target_modules": ["q_proj"]}, "does not fit"),
        ({"target_modules": ["q_proj", "v_proj", "k_proj"]}, "the adapter has no weights"),
    ],
)
def test_what_cannot_be_merged_is_named(
    base: Path, folder: Path, entries: dict[str, Any], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ep.models.loading.merged", None)  # no weights of the base model are read
    changed(folder, **entries)
    assert part in refusal(base, folder)


def test_an_adapter_of_another_model_is_refused(
    base: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ep.models.loading.merged", None)
    for other in (tiny.gpt2(tmp_path / "gpt2"), tiny.gemma(tmp_path / "wide", width=48)):
        message = refusal(other, shared)
        assert f"does not fit {other}" in message and f"it was trained on {base}" in message


def test_weights_that_are_not_numbers_are_refused(base: Path, folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    name = sorted(weights)[0]
    weights[name][0, 0] = np.nan
    save_file(weights, folder / WEIGHTS)
    message = refusal(base, folder)
    assert "not finite numbers" in message and name in message


def test_a_folder_of_an_adapter_is_no_model(base: Path, shared: Path, tmp_path: Path) -> None:
    """transformers would load the base model of the one, and merge the other without a word."""
    with pytest.raises(ModelError, match="holds an adapter .* give the model it was trained on"):
        load(str(shared))
    both = Path(shutil.copytree(base, tmp_path / "both"))
    shutil.copytree(shared, both, dirs_exist_ok=True)
    with pytest.raises(ModelError, match="holds an adapter .* beside the model: move it"):
        load(str(both))


@pytest.mark.parametrize(
    ("stated", "given", "same"),
    [
        ("org/Model", "org/Model", True),
        ("org/Model", "/home/me/model/", True),
        ("C:\\models\\Model", "other/model", True),
        ("org/Model", "models/Model.Q4_K_M.gguf", True),
        ("org/Model", "models/Model-F16.gguf", True),
        ("org/Model", "org/Model-Instruct", False),
        ("org/Model-Instruct", "models/Model.gguf", False),
        ("", "anything", True),
    ],
)
def test_an_adapter_doubts_a_model_of_another_name(stated: str, given: str, same: bool) -> None:
    adapter = adapters.Adapter(Path("a"), {"r": 1}, stated, "0")
    assert (adapter.doubt(given) is None) == same
