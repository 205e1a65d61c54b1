"""The fingerprint of weights: equal for the same model, another after any training, and said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import ep
from ep.cli import main
from ep.errors import ConfigError
from ep.models import LanguageModel, load, other_weights
from ep.models.fingerprint import fingerprint
from ep.studies.judging import Phrases
from tests.fixtures import tiny
from tests.fixtures.builds import built


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.gpt2(tmp_path / "model")


def of(folder: Path) -> str:
    return fingerprint(folder, "a model")


def trained(folder: Path) -> None:
    """Change every number a little, as a step of training does."""
    weights = load_file(folder / "model.safetensors")
    changed = {name: tensor * 1.001 for name, tensor in weights.items()}
    save_file(changed, folder / "model.safetensors", {"format": "pt"})


def one_matrix(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["transformer.h.1.mlp.c_proj.weight"] *= 1.001
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def configured(folder: Path) -> None:
    """Keep the weights, and change what is computed with them."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"layer_norm_epsilon": 1e-3}))


@pytest.mark.parametrize("change", [trained, one_matrix, configured])
def test_another_model_has_another_fingerprint(
    folder: Path, change: Callable[[Path], None]
) -> None:
    before = of(folder)
    change(folder)
    assert of(folder) != before


def test_files_saved_anew_have_the_same_fingerprint(folder: Path, tmp_path: Path) -> None:
    """A copy, one divided into parts, and one saved by another version of transformers."""
    before = of(folder)
    assert load(str(folder)).fingerprint == before and len(before) == 64
    assert of(Path(shutil.copytree(folder, tmp_path / "copy"))) == before
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for part, own in parts.items():
        save_file({name: weights[name] for name in own}, folder / part)
    index = {"weight_map": {name: part for part, own in parts.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    config = json.loads((folder / "config.json").read_text())
    config |= {"transformers_version": "9.9", "_name_or_path": "elsewhere"}
    (folder / "config.json").write_text(json.dumps(dict(reversed(config.items()))))
    assert of(folder) == before


def test_commands_say_when_the_weights_are_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = built(tmp_path, make=tiny.gpt2)
    model = tmp_path / "models" / "m"
    capsys.readouterr()
    commands = (
        ["assign", str(path), "--prompt", "The cat"],
        ["steer", str(path), "0", "--prompt", "The cat", "--tokens", "2"],
    )
    for command in commands:
        assert main(command) == 0
        assert capsys.readouterr().err == ""
    trained(model)
    for command in commands:
        assert main(command) == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("ep: the weights of m are not those of m, on which this dictionary")


def test_from_python_too_other_weights_are_said(tmp_path: Path) -> None:
    """`ep.steer` and `ep.sweep` warn where the weights are others, and say nothing where not."""
    dictionary = ep.open(built(tmp_path, make=tiny.gpt2))
    setting = ep.Setting("The cat", regions=(0,), tokens=2)

    def run(model: LanguageModel) -> None:
        assert list(ep.steer(dictionary, model, setting))
        ep.sweep(dictionary, model, setting, ["The cat", "A bird"], Phrases(("x",)), (0.5,))

    run(load(ep.model_of(dictionary)))  # a warning is an error in these tests
    trained(tmp_path / "models" / "m")
    changed = load(ep.model_of(dictionary))
    with pytest.warns(UserWarning) as said:
        run(changed)
    assert [str(w.message) for w in said] == [other_weights(changed, dictionary)] * 2
    assert list(ep.steer(dictionary, changed, setting, warn=False))


def test_a_file_without_fingerprint_says_nothing(tmp_path: Path) -> None:
    dictionary = ep.open(built(tmp_path, make=tiny.gpt2))
    model = load(ep.model_of(dictionary))
    assert other_weights(model, dictionary) is None
    older = {name: value for name, value in dictionary.info.items() if name != "weights"}
    trained(tmp_path / "models" / "m")
    changed = load(ep.model_of(dictionary))
    assert other_weights(changed, dictionary) is not None
    path = ep.save(ep.Dictionary(dictionary.source, older, len(dictionary)), tmp_path / "o.ep.h5")
    assert other_weights(changed, ep.open(path)) is None
    assert ep.storage.digest(ep.open(path)) == ep.storage.digest(dictionary)


def test_a_build_is_not_continued_on_other_weights(folder: Path, tmp_path: Path) -> None:
    lines = [f"the {n % 7} cats, {n % 5} birds and {n % 3} moons of {n}" for n in range(99)]
    (tmp_path / "text.jsonl").write_text("".join(json.dumps({"text": x}) + "\n" for x in lines))
    config = ep.BuildConfig(
        str(folder),
        (str(tmp_path / "text.jsonl"),),
        (1,),
        str(tmp_path / "out"),
        (8.0,),
        calibration=100,
        batch=8,
    )
    steps = ep.build(config)
    next(step for step in steps if step.stage == "stream" and step.done)
    steps.close()
    whole = (folder / "model.safetensors").read_bytes()
    trained(folder)
    with pytest.raises(ConfigError, match="other values of weights of the model"):
        next(ep.build(config, resume=True))
    (folder / "model.safetensors").write_bytes(whole)
    assert list(ep.build(config, resume=True))[-1].stage == "done"
