"""Loading: what is chosen is said, weights are frozen, and everything unusable is one clear
line.
"""

from __future__ import annotations

import json
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from ep.errors import ModelError
from ep.models import LanguageModel, load
from ep.models.devices import dtype_of
from tests.fixtures import tiny

STORIES = Path(__file__).resolve().parent.parent.parent / "shared/real/stories260K-hf"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.gemma(tmp_path_factory.mktemp("gemma"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("loading reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def copy(directory: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(directory, tmp_path / "copy"))


def edit_config(directory: Path, **changes: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def one_line(name: Any, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load(str(name), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    return message


def test_a_loaded_model_says_what_it_is(directory: Path) -> None:
    model = load(str(directory), device="cpu")
    assert (model.width, model.n_layers, model.context) == (32, 4, 256)
    assert model.vocabulary_size == len(model.tokenizer)
    assert (model.device, model.dtype, model.revision) == ("cpu", "float32", None)
    assert model.reason.endswith(".")
    assert "float32 on cpu" in model.reason
    assert len(repr(model)) < 400


def test_the_model_is_frozen_and_in_eval_mode(directory: Path) -> None:
    model = load(str(directory))
    assert not any(
        parameter.requires_grad for parameter in model.bridge.original_model.parameters()
    )
    assert not model.bridge.original_model.training


def test_the_weights_are_those_of_the_checkpoint(directory: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(directory)
    model = load(str(directory))
    assert torch.equal(model.bridge.unembed.original_component.weight, plain.lm_head.weight)
    assert torch.equal(model.bridge.ln_final.original_component.weight, plain.model.norm.weight)


def test_the_tokenizer_digest_is_the_tokenizer_s(
    directory: Path, copy: Path, tmp_path: Path
) -> None:
    first, second, other = (
        load(str(directory)),
        load(str(copy)),
        load(str(tiny.gpt2(tmp_path / "gpt2"))),
    )
    assert first.digest == second.digest != other.digest
    assert len(first.digest) == 64


def test_the_bridge_does_not_touch_our_tokenizer(tmp_path: Path) -> None:
    model = load(str(tiny.qwen(tmp_path)))
    assert model.tokenizer.bos_token is None


def test_an_asked_dtype_is_used(directory: Path) -> None:
    model = load(str(directory), dtype="bfloat16")
    assert model.dtype == "bfloat16"
    assert str(next(model.bridge.original_model.parameters()).dtype) == "torch.bfloat16"
    assert "as requested" in model.reason


@pytest.mark.parametrize(
    ("stored", "device", "chosen"),
    [
        ("bfloat16", "cpu", "float32"),
        ("bfloat16", "mps", "bfloat16"),
        ("float16", "cuda", "float16"),
        ("float32", "cuda", "float32"),
        ("float8_e4m3fn", "cuda", "float32"),
        (None, "cuda", "float32"),
    ],
)
def test_dtype_auto_follows_device_and_checkpoint(
    stored: str | None, device: str, chosen: str
) -> None:
    class Config:
        dtype = stored

    dtype, reason = dtype_of("auto", device, Config())
    assert dtype == chosen
    assert f"{chosen} on {device}: " in reason


def test_layers_out_of_range_name_the_range(directory: Path) -> None:
    model = load(str(directory))
    model.check_layers([0, 3])
    for layers in ([4], [0, -1], []):
        with pytest.raises(ModelError, match="layers 0 to 3"):
            model.check_layers(layers)
    assert model.hook_name(2) == "blocks.2.hook_resid_post"


def test_a_path_that_does_not_exist_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in (
        tmp_path / "nowhere",
        "./nowhere",
        "data/demo/models/nowhere",
        "models/nowhere",
        "~/nowhere/at/all",
    ):
        assert "no such directory" in one_line(name)


def test_a_hub_name_out_of_reach_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def unreachable(*_args: Any, **_options: Any) -> str:
        raise LocalEntryNotFoundError(
            "Connection error, and not in the disk cache.\nA second line."
        )

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    assert "the Hub cannot be reached" in one_line("nobody/no-such-model")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("GatedRepoError", "accept its licence at https://huggingface.co/some/model"),
        ("RepositoryNotFoundError", "neither a directory here nor a model on the Hub"),
        ("RevisionNotFoundError", "no revision 'v9'"),
    ],
)
def test_what_the_hub_refuses_is_said(
    error: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx
    import huggingface_hub
    from huggingface_hub import errors

    def refuse(*_args: Any, local_files_only: bool = False, **_options: Any) -> str:
        if local_files_only:
            raise errors.LocalEntryNotFoundError("not cached")
        response = httpx.Response(403, request=httpx.Request("GET", "https://huggingface.co"))
        raise getattr(errors, error)("refused\nin two lines", response=response)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    assert said in one_line("some/model", revision="v9")


def test_a_hub_model_in_the_cache_is_used_without_asking(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def cached(*_args: Any, local_files_only: bool = False, **_options: Any) -> str:
        assert local_files_only, "the Hub was asked although the model is cached"
        return str(directory)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    model = load("some/model")
    assert (model.name, model.revision) == ("some/model", directory.name)


def test_things_that_are_no_model_directory(tmp_path: Path, copy: Path) -> None:
    (tmp_path / "file.txt").write_text("x")
    assert "is a file" in one_line(tmp_path / "file.txt")
    assert "no config.json" in one_line(tmp_path)
    assert "no model was named" in one_line("")
    (copy / "tokenizer.json").unlink()
    assert "no tokenizer" in one_line(copy)
    (copy / "model.safetensors").unlink()
    assert "no weights" in one_line(copy)


def test_damaged_files_are_named(copy: Path) -> None:
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "model.safetensors is cut short" in one_line(copy)
    weights.write_bytes(whole)
    (copy / "config.json").write_text("{not json")
    assert "cannot be loaded" in one_line(copy)


def test_weights_that_do_not_fit_the_config(copy: Path) -> None:
    edit_config(copy, num_hidden_layers=6, layer_types=None)
    assert "lacks weights" in one_line(copy)
    edit_config(copy, num_hidden_layers=4, intermediate_size=48)
    assert "shapes" in one_line(copy)


def test_architectures_that_cannot_be_used(copy: Path) -> None:
    edit_config(copy, model_type="ctrl", architectures=["CTRLLMHeadModel"])
    assert "CTRLLMHeadModel: TransformerLens does not support" in one_line(copy)
    edit_config(copy, model_type="bert", architectures=["BertForMaskedLM"])
    assert "not a causal language model" in one_line(copy)
    edit_config(copy, model_type="nobody-knows", architectures=["NobodyKnows"])
    assert "cannot be loaded" in one_line(copy)


def test_unknown_devices_and_dtypes(directory: Path) -> None:
    assert "expected auto, cuda" in one_line(directory, device="tpu")
    assert "not available" in one_line(directory, device="cuda:99")
    assert "expected auto, float32" in one_line(directory, dtype="int8")


@pytest.mark.skipif(not STORIES.is_dir(), reason="the real Llama checkpoint is not here")
def test_a_real_llama_without_pad_token() -> None:
    model: LanguageModel = load(str(STORIES))
    assert (model.width, model.n_layers, model.vocabulary_size) == (64, 5, 512)
    assert model.tokenizer.pad_token is None


@pytest.mark.slow
def test_models_asked_for_at_the_same_moment_are_all_loaded(tmp_path: Path) -> None:
    """And the process is as before: a load afterwards works too."""
    folders = [
        tiny.gemma(tmp_path / "one"),
        tiny.gpt2(tmp_path / "two"),
        tiny.gemma(tmp_path / "three"),
    ]
    together = Barrier(len(folders))

    def loaded(folder: Path) -> LanguageModel:
        together.wait()
        return load(str(folder))

    for _ in range(2):
        with ThreadPoolExecutor(len(folders)) as pool:
            models = list(pool.map(loaded, folders))
        assert all(
            not p.is_meta for model in models for p in model.bridge.original_model.parameters()
        )
    load(str(folders[0]))
