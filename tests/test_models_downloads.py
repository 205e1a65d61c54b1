"""Models on the Hub, through the real client against a server on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from ep.errors import ModelError
from ep.models import conversions, load
from ep.models.source import find, is_here
from tests.fixtures import gguf_files, tiny
from tests.fixtures.hub_server import HubServer, asked

NAME = "someone/model"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    monkeypatch.setenv(conversions.VARIABLE, str(tmp_path / "converted"))
    with asked(monkeypatch, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("gguf")
    original = gguf_files.llama(folder / "llama")
    return gguf_files.write(original, folder / "tiny.Q8_0.gguf", "Q8_0").read_bytes()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    """A model whose weights are in three files, as a repository holds it, and more than is read."""
    folder = tiny.gpt2(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {f"model-0000{n + 1}-of-00003.safetensors": names[n::3] for n in range(3)}
    for part, own in parts.items():
        save_file({name: weights[name] for name in own}, folder / part, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: p for p, own in parts.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {
        "README.md": b"# A model",
        "onnx/model.onnx": b"x" * 2000,
    }


def refusal(name: str) -> str:
    with pytest.raises(ModelError) as caught:
        find(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def downloads(hub: HubServer) -> list[str]:
    return [path for method, path, _ in hub.asked if method == "GET" and "/resolve/" in path]


def test_a_repository_with_one_gguf_file_is_a_model(hub: HubServer, gguf: bytes) -> None:
    sha = hub.add(NAME, {"README.md": b"# GGUF", "tiny.Q8_0.gguf": gguf})
    assert not is_here(NAME)
    model = load(NAME)
    assert (model.name, model.quantization, model.revision) == (NAME, "Q8_0", sha)
    hub.asked.clear()
    assert is_here(NAME) and find(NAME).gguf is not None and hub.asked == []
    assert find(f"{NAME}/tiny.Q8_0.gguf").gguf == find(NAME).gguf and hub.asked == []


def test_of_several_gguf_files_one_is_named(hub: HubServer, gguf: bytes) -> None:
    parts = {f"big-0000{n}-of-00002.gguf": b"GGUF" for n in (1, 2)}
    hub.add(NAME, {"a.gguf": gguf, "deep/b.gguf": gguf, "config.json": b"{}"} | parts)
    message = refusal(NAME)
    assert f"{NAME}: it holds 3 models as GGUF: name one of them, as {NAME}/FILE.gguf" in message
    assert "(a.gguf, big.gguf in 2 parts, deep/b.gguf)" in message
    assert "has no c.gguf: it holds 3 models" in refusal(f"{NAME}/c.gguf")
    assert "is one of 2 parts: download them, join" in refusal(f"{NAME}/big-00002-of-00002.gguf")
    assert not [path for path in downloads(hub) if path.endswith(".gguf")]
    source = find(f"{NAME}/deep/b.gguf")
    assert source.gguf is not None and source.gguf.read_bytes() == gguf
    assert is_here(f"{NAME}/deep/b.gguf") and not is_here(NAME)
    assert refusal(NAME) == message  # also with one of them in the cache


def test_a_repository_with_a_split_gguf_alone_is_refused_unread(hub: HubServer) -> None:
    hub.add(NAME, {f"m-0000{n}-of-00003.gguf": b"GGUF" * 500 for n in (1, 2, 3)})
    assert "m-00001-of-00003.gguf is one of 3 parts" in refusal(NAME)
    assert downloads(hub) == []
    assert "is neither a directory here nor a model on the Hub" in refusal("someone/no/x.gguf")


def test_a_model_that_is_here_does_not_ask(hub: HubServer, files: dict[str, bytes]) -> None:
    """Although the repository has more files than are ever downloaded."""
    hub.add(NAME, files)
    first = load(NAME)
    assert not [path for path in downloads(hub) if "onnx" in path]
    hub.asked.clear()
    assert load(NAME).fingerprint == first.fingerprint and hub.asked == [] and is_here(NAME)


def test_an_interrupted_download_is_completed_or_named(
    hub: HubServer, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(NAME, files)
    folder = find(NAME).directory
    (folder / "model-00002-of-00003.safetensors").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "only in part, as of an interrupted download, and the Hub cannot" in refusal(NAME)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert load(NAME).n_layers == 3
    assert (folder / "model-00002-of-00003.safetensors").is_file()
