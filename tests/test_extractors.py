"""Laws of what runs a model: all give the same activations, and a dictionary knows what did."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ep
from ep import caching
from ep.cli import main
from ep.config import BuildConfig
from ep.errors import ConfigError, EPError, FailureError, ModelError
from ep.models import Assembly, LanguageModel, load
from ep.models.extraction import BridgeRunner, Part, Runner
from ep.models.plain import PlainRunner
from ep.models.probing import rounds_otherwise
from ep.models.runners import runner_of
from ep.models.vllm_states import VllmRunner
from ep.storage.file import header
from tests.fixtures import lora, tiny
from tests.fixtures.vllm_engine import Engine

ROOT = Path(__file__).resolve().parent.parent
REAL = {
    "stories": ROOT.parent / "shared/real/stories260K-hf",
    "demo": ROOT / "data/demo/models/base",
}
EXACT = ("gemma", "qwen", "opt", "mamba", "demo", "stories")
"""Models of which the bridge splits no weights."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models, and a text."""
    folder = tmp_path_factory.mktemp("extractors")
    for name in ("gemma", "gpt2", "qwen", "opt", "mamba"):
        getattr(tiny, name)(folder / name)
    (folder / "t.json").write_text(json.dumps(tiny.passages(120)))
    return folder


@pytest.fixture(scope="module")
def gemma(folder: Path) -> LanguageModel:
    return load(str(folder / "gemma"))


@pytest.fixture(autouse=True)
def no_files_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Whatever a test does, nothing stays in the system's folder for temporary files."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield
    assert not [path for path in place.iterdir() if path.name.startswith(".ep-vllm")]


def parts(model: LanguageModel, layers: tuple[int, ...], count: int = 24) -> list[Part]:
    passages = [ep.Passage(n, text) for n, text in enumerate(tiny.passages(count))]
    batches = model.tokens.batches(passages, 8, 40)
    return [part for batch in batches for part in Assembly(model, batch, layers).parts()]


def settings(folder: Path, out: str, **changes: Any) -> BuildConfig:
    base: dict[str, Any] = {
        "model": str(folder / "gemma"),
        "text": (str(folder / "t.json"),),
        "layers": (1,),
        "percentiles": (8.0,),
        "out": str(folder / out),
        "batch": 16,
        "calibration": 200,
    }
    return BuildConfig(**(base | changes))


def built(config: BuildConfig, resume: bool = False) -> Path:
    return list(ep.build(config, resume, replace=not resume))[-1].files[0]


def interrupted(config: BuildConfig) -> None:
    """Leave the state of a build that was stopped in its stream, and no file."""
    steps = ep.build(config, replace=True)
    for step in steps:
        if step.stage == "stream" and step.done:
            break
    steps.close()
    for path in config.folder.glob("*.ep.h5"):
        path.unlink()


# -- plain transformers ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", EXACT)
def test_plain_transformers_give_every_bit_of_the_bridge(
    folder: Path, name: str, dtype: str
) -> None:
    place = REAL.get(name, folder / name)
    if not place.is_dir():
        pytest.skip(f"{place.name} is not here")
    model = load(str(place), dtype=dtype)
    plain, bridge = PlainRunner(model), BridgeRunner(model)
    layers = tuple(range(model.n_layers))
    for part in parts(model, layers):
        own, other = plain.run(part), bridge.run(part)
        assert {n: x.tobytes() for n, x in own.items()} == {
            n: x.tobytes() for n, x in other.items()
        }
        assert own[0].shape == (part.keep.sum(), model.width)
    assert not rounds_otherwise(model, layers, plain.run, "transformers")


def test_a_plain_copy_shares_the_weights_and_has_no_part_of_the_bridge(
    gemma: LanguageModel,
) -> None:
    plain = PlainRunner(gemma).plain
    homes = {type(module).__module__.split(".")[0] for module in plain.modules()}
    assert homes == {"transformers", "torch"}
    theirs = {one.data_ptr() for one in gemma.bridge.original_model.parameters()}
    assert {one.data_ptr() for one in plain.parameters()} <= theirs
    assert not any(one.requires_grad for one in plain.parameters())


def test_a_plain_pass_ends_behind_the_deepest_layer_and_leaves_no_hook(
    gemma: LanguageModel,
) -> None:
    runner, ran = PlainRunner(gemma), []
    blocks = runner.plain.model.layers
    handles = [
        block.register_forward_pre_hook(lambda *_, n=n: ran.append(n))
        for n, block in enumerate(blocks)
    ]
    handles.append(gemma.bridge.blocks[0].register_forward_pre_hook(lambda *_: ran.append(-1)))
    try:
        got = runner.run(parts(gemma, (2, 0))[0])
        assert list(got) == [2, 0] and ran == [0, 1, 2]
    finally:
        for handle in handles:
            handle.remove()
    assert not any(block._forward_hooks for block in blocks)


def test_an_adapter_is_in_the_plain_copy_too(folder: Path) -> None:
    adapter = lora.make(folder / "gemma", folder / "adapter")
    model = load(str(folder / "gemma"), adapter=adapter)
    part = parts(model, (1, 3))[0]
    own, other = PlainRunner(model).run(part), BridgeRunner(model).run(part)
    base = BridgeRunner(load(str(folder / "gemma"))).run(part)
    assert all(own[n].tobytes() == other[n].tobytes() != base[n].tobytes() for n in (1, 3))


@pytest.mark.slow
def test_equal_bits_are_one_family_and_one_digest(folder: Path) -> None:
    bridge, plain = settings(folder, "bridge"), settings(folder, "plain", extractor="transformers")
    assert bridge.deciding() == plain.deciding()
    files = [built(config) for config in (bridge, plain)]
    assert ep.digest(files[0]) == ep.digest(files[1])
    infos = [header(path)[0] for path in files]
    assert infos[0]["family"] == infos[1]["family"]
    assert [info.get("extractor") for info in infos] == [None, "transformers"]
    interrupted(settings(folder, "mixed", percentiles=(8.0,)))
    mixed = built(settings(folder, "mixed", extractor="transformers"), resume=True)
    assert ep.digest(mixed) == ep.digest(files[0])


@pytest.mark.slow
def test_other_bits_are_another_family_and_are_not_mixed(folder: Path) -> None:
    """TransformerLens splits GPT-2's joint projection, which moves the last bit."""
    model = {"model": str(folder / "gpt2")}
    bridge = settings(folder, "split", **model)
    plain = settings(folder, "joint", extractor="transformers", **model)
    infos = [header(built(config))[0] for config in (bridge, plain)]
    assert infos[0]["family"] != infos[1]["family"]
    with pytest.raises(ConfigError, match="or extractor: choose another --out"):
        list(ep.build(settings(folder, "split", extractor="transformers", **model)))
    interrupted(settings(folder, "stopped", **model))
    with pytest.raises(ConfigError, match="other values of extractor"):
        built(settings(folder, "stopped", extractor="transformers", **model), resume=True)


def test_stored_activations_of_other_bits_are_not_taken(folder: Path, gemma: LanguageModel) -> None:
    own, plain = (settings(folder, "o", extractor=name) for name in ("bridge", "transformers"))
    other = settings(folder, "o", extractor="vllm")
    found = [caching.facts(config, gemma, "digest") for config in (own, plain, other)]
    assert found[0] == found[1] != found[2]


# -- what is not the same model --------------------------------------------------------------------


class Wrong(BridgeRunner):
    """Runs another layer than was asked for."""

    def run(self, part: Part) -> dict[int, np.ndarray]:
        deeper = Part(part.rows, part.ids, part.mask, part.keep, tuple(n + 1 for n in part.layers))
        return {n - 1: x for n, x in super().run(deeper).items()}


def test_other_activations_are_refused_in_one_line(gemma: LanguageModel) -> None:
    with pytest.raises(ModelError, match="at layer 1 they differ by .* more than rounding") as e:
        rounds_otherwise(gemma, (1, 2), Wrong(gemma).run, "it")
    assert "\n" not in str(e.value)

    def broken(part: Part) -> dict[int, np.ndarray]:
        return {n: np.full_like(x, np.nan) for n, x in BridgeRunner(gemma).run(part).items()}

    with pytest.raises(ModelError, match="nan % of their length"):
        rounds_otherwise(gemma, (1,), broken, "it")


def test_an_unknown_extractor_and_a_pair_that_cannot_be_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="expected 'bridge' or 'transformers' or 'vllm'"):
        settings(folder, "o", extractor="sglang")
    with pytest.raises(ConfigError, match="without the adapter"):
        settings(folder, "o", extractor="vllm", adapter="a")


# -- vLLM, by an engine that behaves as documented -------------------------------------------------


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    made.install(monkeypatch)
    return made


@pytest.mark.parametrize("has_loader", [True, False])
def test_states_of_vllm_come_back_row_by_row(
    gemma: LanguageModel, monkeypatch: pytest.MonkeyPatch, has_loader: bool
) -> None:
    Engine(has_loader=has_loader).install(monkeypatch)
    runner, bridge = VllmRunner(gemma, (3, 1), 64), BridgeRunner(gemma)
    for part in parts(gemma, (3, 1)):
        own, other = runner.run(part), bridge.run(part)
        assert list(own) == [3, 1]
        for layer in part.layers:
            np.testing.assert_allclose(own[layer], other[layer], rtol=0, atol=2e-5)
    files = list(Path(runner._folder).iterdir())
    runner.close()
    assert not files and not Path(runner._folder).exists()


def test_only_what_is_wanted_is_run_and_given(gemma: LanguageModel, engine: Engine) -> None:
    runner = VllmRunner(gemma, (1, 3), 64)
    [part] = parts(gemma, (3,), count=4)
    keep = part.keep.copy()
    keep[0], keep[1, :-1] = False, False
    some = Part(part.rows, part.ids, part.mask, keep, (3,))
    got, expected = runner.run(some), BridgeRunner(gemma).run(some)
    assert list(got) == [3] and got[3].shape == (keep.sum(), gemma.width)
    np.testing.assert_allclose(got[3], expected[3], rtol=0, atol=2e-5)
    wanted = [row for row in range(4) if keep[row].any()]
    assert engine.texts == [part.ids[row][part.mask[row]].tolist() for row in wanted]
    nothing = Part(part.rows, part.ids, part.mask, np.zeros_like(keep), (1, 3))
    assert {n: x.shape for n, x in runner.run(nothing).items()} == {1: (0, 32), 3: (0, 32)}
    runner.close()


def test_the_engine_is_asked_for_what_is_documented(gemma: LanguageModel, engine: Engine) -> None:
    VllmRunner(gemma, (3, 1, 3), 17_000).close()
    [asked] = engine.started
    config = asked["speculative_config"]["draft_model_config"]["hf_config"]
    assert config == {"eagle_aux_hidden_state_layer_ids": [2, 4]}
    assert asked["max_model_len"] == asked["max_num_batched_tokens"] == 17_001
    assert not asked["enable_prefix_caching"] and asked["dtype"] == "float32"
    assert Path(asked["model"]) == Path(gemma.name)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"lost": 1}, r"instead of \(\d+, 1, 32\)"),
        ({"silent": True}, "wrote no hidden states"),
        ({"refuses": ValueError("no such\narchitecture")}, r"cannot run gemma \(no such arch"),
        ({"refuses": RuntimeError()}, r"cannot run gemma \(RuntimeError\)"),
        ({"version": "0.17.3"}, "0.17.3 is installed: hidden states need 0.18"),
        ({"has_gpu": False}, "finds none here"),
        ({"shift": 1}, "at layer 1 they differ by"),
        ({"scale": 1.01}, "at layer 1 they differ by 1 %"),
    ],
)
def test_an_engine_that_does_otherwise_is_one_line_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], words: str
) -> None:
    Engine(**fault).install(monkeypatch)
    config = settings(folder, "fault", extractor="vllm")
    with pytest.raises((ModelError, FailureError), match=words) as e:
        list(ep.build(config, replace=True))
    assert "\n" not in str(e.value) and not list(config.folder.glob("*"))


@pytest.mark.slow
def test_a_build_by_vllm_is_a_family_of_its_own_and_is_not_mixed(
    folder: Path, engine: Engine
) -> None:
    ours = built(settings(folder, "ours"))
    theirs = built(settings(folder, "theirs", extractor="vllm"))
    infos = [header(path)[0] for path in (ours, theirs)]
    assert infos[0]["family"] != infos[1]["family"] and infos[1]["extractor"] == "vllm"
    pair = [ep.open(path) for path in (ours, theirs)]
    assert len(pair[0]) == len(pair[1])
    np.testing.assert_allclose(pair[0].exemplars, pair[1].exemplars, atol=1e-4)
    interrupted(settings(folder, "begun"))
    with pytest.raises(ConfigError, match="other values of extractor"):
        built(settings(folder, "begun", extractor="vllm"), resume=True)
    assert not list(folder.glob("*/.ep-vllm*"))


@pytest.mark.slow
def test_vllm_needs_room_for_the_token_that_it_generates(folder: Path, engine: Engine) -> None:
    with pytest.raises(ConfigError, match="can read 254 tokens"):
        built(settings(folder, "long", extractor="vllm", context=255))
    assert built(settings(folder, "long", extractor="transformers", context=255)).exists()


def test_without_vllm_one_line_says_what_to_install(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = ["build", str(folder / "gemma"), "--text", str(folder / "t.json"), "--layer", "1"]
    assert main([*build, "--out", str(folder / "none"), "--extractor", "vllm"]) != 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "pip install 'ep-explorer[vllm]'" in said


# -- what is opened is closed ----------------------------------------------------------------------


class Counted:
    """A runner that counts how often it was closed."""

    def __init__(self, inner: Runner) -> None:
        self.inner, self.closed = inner, 0

    def run(self, part: Part) -> Any:
        return self.inner.run(part)

    def close(self) -> None:
        self.closed += 1
        self.inner.close()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Counted]:
    """The runners of the builds of a test."""
    found: list[Counted] = []

    def counted(*arguments: Any) -> Counted:
        found.append(Counted(runner_of(*arguments)))
        return found[-1]

    monkeypatch.setattr("ep.models.runners.runner_of", counted)
    return found


def test_a_build_closes_what_ran_its_model(folder: Path, made: list[Counted]) -> None:
    built(settings(folder, "closed", extractor="transformers"))
    assert [one.closed for one in made] == [1]


@pytest.mark.parametrize("place", ["ep.building.Ladder", "ep.opening.existing.refuse_other_family"])
def test_a_build_that_fails_to_open_closes_it_too(
    folder: Path, made: list[Counted], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise EPError("no")

    monkeypatch.setattr(place, fails)
    steps = ep.build(settings(folder, "fails", extractor="transformers"))
    with pytest.raises(EPError, match="no"):
        next(steps)
    assert [one.closed for one in made] == [1]


@pytest.mark.slow
def test_a_build_that_cannot_be_continued_closes_it_too(folder: Path, made: list[Counted]) -> None:
    interrupted(settings(folder, "half"))
    with pytest.raises(ConfigError, match="other values of seed"):
        built(settings(folder, "half", extractor="transformers", seed=7), resume=True)
    assert [one.closed for one in made] == [1]
