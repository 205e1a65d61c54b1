"""Fitting Jacobian lenses: the mean over prompts, stopped and resumed, merged, kept and found."""

from __future__ import annotations

import json
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import ep
from ep.corpus import Corpus
from ep.errors import ConfigError, CorpusError, ModelError, StorageError
from ep.models import LanguageModel, load
from ep.models.jacobian import JacobianLens, merged
from ep.models.jacobian_fit import FitSettings, fit_lens, fitting, seconds_expected
from ep.models.jacobian_rows import prompt_jacobian
from ep.models.jacobian_store import find, folder, listed, place, save
from ep.models.jacobian_store import load as load_lens
from ep.models.jacobian_text import lens_prompts
from ep.models.source import LENS_FILE
from tests.fixtures import tiny
from tests.fixtures.gguf_files import llama

TOKENS, LAYERS = 24, (0, 2)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LanguageModel]:
    made = {
        "gemma": tiny.gemma(tmp_path_factory.mktemp("gemma")),
        "llama": llama(tmp_path_factory.mktemp("llama")),
        "qwen": tiny.qwen(tmp_path_factory.mktemp("qwen")),
    }
    return {name: load(str(directory), device="cpu") for name, directory in made.items()}


@pytest.fixture
def gemma(models: dict[str, LanguageModel]) -> LanguageModel:
    return models["gemma"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EP_CACHE", str(tmp_path / "cache"))


def text_of(tmp_path: Path, rows: int = 30) -> Path:
    path = tmp_path / "text.jsonl"
    texts = [f"{n}: {tiny.TEXTS[n % len(tiny.TEXTS)]}" for n in range(rows)]
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    return path


def corpus_of(tmp_path: Path, seed: int = 0) -> Corpus:
    return Corpus([text_of(tmp_path)], seed)


def same(a: JacobianLens, b: JacobianLens, tolerance: float = 0) -> None:
    assert a.layers == b.layers
    for layer in a.layers:
        np.testing.assert_allclose(
            a.matrices[layer], b.matrices[layer], rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("name", ["gemma", "llama"])
def test_a_lens_is_the_mean_over_its_prompts(
    name: str, models: dict[str, LanguageModel], tmp_path: Path
) -> None:
    model, corpus = models[name], corpus_of(tmp_path)
    layers = range(model.n_layers - 1)
    lens = ep.fit_lens(model, corpus, layers, prompts=3, tokens=TOKENS)
    each = [prompt_jacobian(model, ids, layers) for ids in lens_prompts(model, corpus, 3, TOKENS)]
    for layer in layers:
        mean = np.mean([one[layer] for one in each], axis=0)
        np.testing.assert_allclose(lens.matrices[layer], mean, rtol=1e-6, atol=1e-7)
    x = np.random.default_rng(0).standard_normal((5, model.width)).astype(np.float32)
    np.testing.assert_allclose(lens.transport(0, x), x @ lens.matrices[0].T, rtol=1e-6)
    assert (lens.n_prompts, lens.fingerprint) == (3, model.fingerprint)
    assert lens.origin["digest"] == corpus.digest()
    same(lens, fit_lens(model, corpus, layers, prompts=3, tokens=TOKENS))


def test_all_layers_are_the_default(gemma: LanguageModel, tmp_path: Path) -> None:
    lens = fit_lens(gemma, corpus_of(tmp_path), prompts=1, tokens=TOKENS)
    assert lens.layers == tuple(range(gemma.n_layers))


def test_merged_fits_are_one_fit_of_all(gemma: LanguageModel, tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    whole = fit_lens(gemma, corpus, LAYERS, prompts=5, tokens=TOKENS)
    parts = [
        fit_lens(gemma, corpus, LAYERS, prompts=n, tokens=TOKENS, skip=skip)
        for n, skip in ((2, 0), (1, 2), (2, 3))
    ]
    for lens in (merged(parts), merged([parts[1], merged([parts[2], parts[0]])])):
        same(lens, whole, 1e-6)
        assert lens.n_prompts == 5 and len(lens.origin["parts"]) == 3
        assert lens.origin["digest"] == corpus.digest()


def test_what_is_not_one_fit_cannot_be_merged(
    models: dict[str, LanguageModel], tmp_path: Path
) -> None:
    gemma, corpus = models["gemma"], corpus_of(tmp_path)

    def fitted(model: LanguageModel = gemma, seed: int = 0, **settings: int) -> JacobianLens:
        options = {"prompts": 2, "tokens": TOKENS} | settings
        return fit_lens(model, corpus_of(tmp_path, seed), [0], **options)

    first = fitted()
    for other, why in (
        (fitted(models["llama"]), "weights are not the same"),
        (fitted(tokens=TOKENS + 1, skip=2), "tokens of a prompt are not the same"),
        (fit_lens(gemma, corpus, [1], 2, TOKENS, 2), "layers are not the same"),
        (fitted(skip=1), "both have prompt 1 of the same text; fit with --skip 2"),
        (fitted(seed=1, skip=2), "fit with one seed"),
        (JacobianLens(first.matrices, first.fingerprint, 0, first.origin), "how many prompts"),
    ):
        with pytest.raises(ModelError, match=why):
            merged([first, other])


@pytest.mark.parametrize("stop", [1, 6, 9])
def test_a_resumed_fit_is_one_that_never_stopped(
    stop: int, gemma: LanguageModel, tmp_path: Path
) -> None:
    corpus, state = corpus_of(tmp_path), tmp_path / "state"
    settings = FitSettings(LAYERS, 3, TOKENS)
    whole = fit_lens(gemma, corpus, LAYERS, prompts=3, tokens=TOKENS)
    steps = fitting(gemma, corpus, settings, state)
    done = [step.done for step in islice(steps, stop)][-1]
    steps.close()
    assert state.exists() == (done > 0)
    *_, last = fitting(gemma, corpus, settings, state, resume=done > 0)
    assert last.lens is not None and last.share == 1.0
    same(last.lens, whole)


def test_a_fit_can_be_continued_with_more_prompts(gemma: LanguageModel, tmp_path: Path) -> None:
    corpus, state = corpus_of(tmp_path), tmp_path / "state"
    list(fitting(gemma, corpus, FitSettings(LAYERS, 1, TOKENS), state))
    *_, last = fitting(gemma, corpus, FitSettings(LAYERS, 3, TOKENS), state, resume=True)
    assert last.lens is not None
    same(last.lens, fit_lens(gemma, corpus, LAYERS, prompts=3, tokens=TOKENS))


def test_another_fit_is_not_continued(models: dict[str, LanguageModel], tmp_path: Path) -> None:
    gemma, corpus, state = models["gemma"], corpus_of(tmp_path), tmp_path / "state"
    settings = FitSettings((0,), 1, TOKENS)
    with pytest.raises(ConfigError, match="no unfinished fit"):
        next(fitting(gemma, corpus, settings, state, resume=True))
    list(fitting(gemma, corpus, settings, state))
    for model, other, why in (
        (models["llama"], settings, "other values of weights"),
        (gemma, FitSettings((0, 1), 1, TOKENS), "other values of layers"),
        (gemma, FitSettings((0,), 1, TOKENS + 1), "other values of tokens"),
        (gemma, FitSettings((0,), 1, TOKENS, 1), "other values of skip"),
    ):
        with pytest.raises(ConfigError, match=why):
            next(fitting(model, corpus, other, state, resume=True))
    with pytest.raises(ConfigError, match="other values of seed"):
        next(fitting(gemma, corpus_of(tmp_path, 1), settings, state, resume=True))
    whole = state.read_bytes()
    for damaged in (b"", whole[:100], whole[:-40], b"x" * 500):
        state.write_bytes(damaged)
        with pytest.raises(ConfigError, match="damaged"):
            next(fitting(gemma, corpus, settings, state, resume=True))


def test_prompts_are_passages_joined_and_cut(
    models: dict[str, LanguageModel], tmp_path: Path
) -> None:
    path = tmp_path / "short.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"row {n}"}) for n in range(200)))
    for model in models.values():
        tokens = model.tokens
        prompts = lens_prompts(model, Corpus([path], None), 3, 40)
        for ids in prompts:
            assert len(ids) == 40
            assert tokens.bos is None or (ids == tokens.bos).tolist() == [True] + 39 * [False]
        text = b"".join(tokens.piece(int(i)) for i in prompts[0][tokens.bos is not None :])
        assert text.decode().strip().startswith("row 0\n\nrow 1\n\nrow 2")
        later = lens_prompts(model, Corpus([path], None), 2, 40, skip=1)
        np.testing.assert_array_equal(np.stack(later), np.stack(prompts[1:]))


def test_rows_that_cannot_be_used_are_left_out(gemma: LanguageModel, tmp_path: Path) -> None:
    clean = text_of(tmp_path)
    mixed = tmp_path / "mixed.jsonl"
    lines = clean.read_text().splitlines()
    mixed.write_text("\n".join([*lines[:20], '{"text": 3}', '{"text": ""}', *lines[20:]]))
    lens = fit_lens(gemma, Corpus([mixed]), [0], prompts=1, tokens=TOKENS)
    assert (lens.origin["unusable"], lens.origin["empty"]) == (1, 1)
    mixed.write_text("\n".join([lines[0], *5 * ['{"text": 3}'], lines[1]]))
    with pytest.raises(CorpusError, match="cannot be used"):
        fit_lens(gemma, Corpus([mixed]), [0], prompts=1, tokens=TOKENS)


def test_settings_that_cannot_be_are_refused_before_any_work(
    gemma: LanguageModel, tmp_path: Path
) -> None:
    corpus = corpus_of(tmp_path)
    for settings, why in (
        ({"tokens": 17}, "tokens = 17 was given: expected at least 18"),
        ({"prompts": 0}, "prompts = 0 was given"),
        ({"skip": -1}, "skip = -1 was given"),
    ):
        with pytest.raises(ConfigError, match=why):
            FitSettings(**settings)
    with pytest.raises(ModelError, match="no layer 9"):
        fit_lens(gemma, corpus, [9])
    with pytest.raises(ModelError, match="context is 256"):
        fit_lens(gemma, corpus, tokens=300)
    with pytest.raises(CorpusError, match="the text gives [0-9]+ prompts of 24 tokens, and 100"):
        fit_lens(gemma, corpus, [0], tokens=TOKENS)


def test_the_time_expected_grows_with_the_work(gemma: LanguageModel) -> None:
    assert seconds_expected(gemma, FitSettings((gemma.n_layers - 1,))) == 0
    assert seconds_expected(gemma, FitSettings((0,))) > 0


# -- files -----------------------------------------------------------------------------------------


def small(model: LanguageModel | None = None, width: int = 32) -> JacobianLens:
    rng = np.random.default_rng(0)
    matrices = {n: rng.standard_normal((width, width)).astype(np.float32) for n in (3, 1)}
    return JacobianLens(matrices, model.fingerprint if model else "", 7, {"text": ["<b>.txt"]})


def test_a_saved_lens_is_the_same(tmp_path: Path) -> None:
    lens = small()
    again = load_lens(save(lens, tmp_path / "new" / "x.safetensors"))
    same(again, lens)
    assert (again.n_prompts, again.origin, again.layers) == (7, {"text": ["<b>.txt"]}, (1, 3))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.safetensors"]


def test_a_lens_is_found_by_its_weights(gemma: LanguageModel, tmp_path: Path) -> None:
    assert find(gemma) is None
    save(small(), place(gemma.fingerprint))
    assert find(gemma) is None  # it does not say that it is of these weights
    save(small(gemma), place(gemma.fingerprint))
    found = find(gemma)
    assert found is not None and found.fingerprint == gemma.fingerprint
    assert [(row.layers, row.n_prompts) for row in listed()] == [((1, 3), 7)]


def test_the_lens_in_the_model_s_folder_comes_first(tmp_path: Path) -> None:
    model = load(str(tiny.gemma(tmp_path / "model")), device="cpu")
    save(small(model), place(model.fingerprint))
    own = JacobianLens({0: np.eye(32, dtype=np.float32)}, model.fingerprint, 1)
    save(own, tmp_path / "model" / LENS_FILE)
    found = find(model)
    assert found is not None and found.layers == (0,)
    again = load(str(tmp_path / "model"), device="cpu")  # it is not taken for weights
    assert again.fingerprint == model.fingerprint
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights"):
        load(str(tmp_path / "model"))


def test_damaged_and_foreign_files_are_named(gemma: LanguageModel, tmp_path: Path) -> None:
    whole = save(small(gemma), tmp_path / "x.safetensors").read_bytes()
    path = place(gemma.fingerprint)
    path.parent.mkdir(parents=True)
    for damaged in (
        b"",
        whole[:60],
        whole[:-8],
        b"\xff" * 64,
        whole.replace(b"n_prompts", b"x_prompts"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match="cannot be read as a Jacobian lens"):
            find(gemma)
        assert [row.layers for row in listed()] == [()]
    shutil.copy(Path(gemma.name) / "model.safetensors", path)
    with pytest.raises(ModelError, match="not a Jacobian lens of this program"):
        load_lens(path)
    path.write_bytes(whole.replace(b'\\"version\\": 1', b'\\"version\\": 2'))
    with pytest.raises(ModelError, match="newer version"):
        load_lens(path)
    assert folder() == path.parent
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        save(small(), tmp_path / "file" / "x.safetensors")


def test_what_a_lens_cannot_do_is_said() -> None:
    lens = small()
    x = np.zeros((2, 32), np.float32)
    with pytest.raises(ModelError, match="no layer 2: it was fitted for 1, 3"):
        lens.transport(2, x)
    with pytest.raises(ModelError, match="width 31 do not fit"):
        lens.transport(1, x[:, :31])
    with pytest.raises(ModelError, match="at least one layer"):
        JacobianLens({}, "", 1)
    with pytest.raises(ModelError, match="expected"):
        JacobianLens({0: np.eye(3, dtype=np.float32), 1: np.eye(4, dtype=np.float32)}, "", 1)
    with pytest.raises(ModelError, match="not finite"):
        JacobianLens({0: np.full((3, 3), np.inf, np.float32)}, "", 1)
