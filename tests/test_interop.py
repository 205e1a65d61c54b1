"""Other tools' formats: what is written computes what the dictionary computes, within each format's
own limits.

The peers' own code is asked in an environment of its own: see `tests/peers` and `make peers`.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from safetensors.numpy import load_file

import ep
from ep.cli import main
from ep.errors import ConfigError, StorageError, UnknownRegion
from ep.method.readouts import FEATURES, decode
from ep.models.interventions import of_regions
from ep.models.saebench import Readout
from ep.storage.interop import gguf, neuronpedia, packed, saelens
from tests.fixtures.dictionaries import synthetic

DEMO = Path(__file__).resolve().parents[1] / "data/demo/dictionaries/all-tokens/tuned-L4-p2.ep.h5"


@pytest.fixture(scope="module")
def dictionary() -> ep.Dictionary:
    return synthetic(200, 24, seed=5, hostile=True, layer=4, typical_norm=30.0)


def around(dictionary: ep.Dictionary, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    near = dictionary.exemplars[rng.integers(len(dictionary), size=n)]
    noise = rng.standard_normal((n, dictionary.width)) / np.sqrt(dictionary.width)
    return (dictionary.center + 20 * (near + 0.5 * noise)).astype(np.float32)


# -- SAELens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("basis", ["exemplar", "mean"])
def test_the_saelens_folder_computes_the_same_active_region(
    dictionary: ep.Dictionary, tmp_path: Path, basis: str
) -> None:
    saelens.write(dictionary, tmp_path / "sae", basis)
    weights, config = (
        load_file(tmp_path / "sae" / saelens.WEIGHTS),
        json.loads((tmp_path / "sae/cfg.json").read_text()),
    )
    assert {name: array.shape for name, array in weights.items()} == {
        "W_enc": (24, 200),
        "W_dec": (200, 24),
        "b_enc": (200,),
        "b_dec": (24,),
    }
    assert (config["architecture"], config["k"], config["d_in"], config["d_sae"]) == (
        "topk",
        1,
        24,
        200,
    )
    x = around(dictionary, 1000)
    active = np.argmax((x - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"], axis=1)
    expected = (
        dictionary.assign(x).region
        if basis == "exemplar"
        else np.argmin(dictionary.distances(x, basis), axis=1)
    )
    np.testing.assert_array_equal(active, expected)


def test_a_folder_is_written_whole_or_not_at_all(dictionary: ep.Dictionary, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="k = 0"):
        saelens.write(dictionary, tmp_path / "sae", k=0)
    with pytest.raises(KeyError, match="basis"):
        saelens.write(dictionary, tmp_path / "sae", basis="both")
    saelens.write(dictionary, tmp_path / "sae")
    before = (tmp_path / "sae" / saelens.CONFIG).read_bytes()
    with pytest.raises(StorageError, match="exists already"):
        saelens.write(dictionary, tmp_path / "sae", k=3)
    assert (tmp_path / "sae" / saelens.CONFIG).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["sae"]


# -- GGUF ------------------------------------------------------------------------------------------


def test_a_control_vector_reads_back(dictionary: ep.Dictionary, tmp_path: Path) -> None:
    path = gguf.write(dictionary, 17, tmp_path / "v.gguf", strength=-2.0, model_hint="gemma2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reader's own, about memory maps
        reader = GGUFReader(path)
    fields = {
        name: field.contents()
        for name, field in reader.fields.items()
        if not name.startswith("GGUF.")
    }
    assert fields["general.architecture"] == "controlvector"
    assert fields["controlvector.model_hint"] == "gemma2"
    assert (fields["ep.region"], fields["ep.strength"]) == (17, -2.0)
    (tensor,) = reader.tensors
    assert tensor.name == "direction.4" and tensor.data.dtype == np.float32
    np.testing.assert_allclose(tensor.data, -2.0 * 30.0 * dictionary.exemplars[17], rtol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["v.gguf"]


def test_what_a_control_vector_cannot_hold_is_refused(
    dictionary: ep.Dictionary, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="block 1"):
        gguf.write(synthetic(8, 4, layer=0), 0, tmp_path / "v.gguf")
    with pytest.raises(ConfigError, match="finite"):
        gguf.write(dictionary, 0, tmp_path / "v.gguf", strength=float("nan"))
    with pytest.raises(UnknownRegion):
        gguf.write(dictionary, 200, tmp_path / "v.gguf")
    with pytest.raises(StorageError, match="cannot be written"):
        gguf.write(dictionary, 0, tmp_path / "missing" / "v.gguf")
    assert not list(tmp_path.iterdir())


# -- Neuronpedia -----------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [1.0, -1.5, 7.0, 0.0])
def test_a_neuronpedia_vector_steers_by_the_same_step(
    dictionary: ep.Dictionary, strength: float
) -> None:
    request = json.loads(
        json.dumps(neuronpedia.vector(dictionary, 3, "gemma-2-2b", strength=strength))
    )
    step = request["vectorDefaultSteerStrength"] * np.array(request["vector"])
    np.testing.assert_allclose(step, strength * 30.0 * dictionary.exemplars[3], rtol=1e-6)
    assert -100 <= request["vectorDefaultSteerStrength"] <= 100
    assert set(request) == {
        *(
            "modelId",
            "layerNumber",
            "hookType",
            "vector",
            "vectorDefaultSteerStrength",
            "vectorLabel",
        ),
    }


def test_neuronpedia_features_keep_the_published_limits(dictionary: ep.Dictionary) -> None:
    labels = {0: "x" * 2000, 1: " ", 2: "<b>sorry</b>"}
    batches = list(neuronpedia.features(dictionary, range(200), "Gemma-2-2B", "4-EP-p2", labels))
    found = [feature for batch in batches for feature in batch["features"]]
    assert {len(batch["features"]) <= 128 for batch in batches} == {True}
    assert {batch["modelId"] for batch in batches} == {"gemma-2-2b"}
    assert len({feature["index"] for feature in found}) == len(found)
    assert [f["index"] for f in found] == [k for k in range(200) if dictionary.excerpts(k)]
    for feature in found:
        assert 0 <= feature["density"] <= 1
        assert len(feature["topLogits"]) <= 20 and all(
            logit["token"] for logit in feature["topLogits"]
        )
        assert all(1 <= len(e["text"]) <= 512 for e in feature.get("explanations", []))
        for activation, excerpt in zip(
            feature["activations"], dictionary.excerpts(feature["index"]), strict=True
        ):
            tokens, values = activation["tokens"], activation["values"]
            assert 1 <= len(tokens) == len(values) <= 1024 and all(tokens)
            assert max(values) == pytest.approx(1 - excerpt.distance) == values[excerpt.marked]
    assert "explanations" not in found[1]


def test_a_long_passage_is_cut_around_its_token() -> None:
    excerpt = ep.Excerpt(0, 2900, tuple(f"t{i}" for i in range(3000)), 0.25, "near")
    activation = neuronpedia._activation(excerpt)
    assert len(activation["tokens"]) == 1024
    assert activation["tokens"][int(np.argmax(activation["values"]))] == "t2900"


# -- SAEBench --------------------------------------------------------------------------------------


@pytest.mark.parametrize("basis", ["exemplar", "mean"])
@pytest.mark.parametrize("readout", FEATURES)
def test_the_object_for_saebench_computes_our_readouts(
    dictionary: ep.Dictionary, readout: str, basis: str
) -> None:
    x, rows = around(dictionary, 50), dictionary.basis(basis)
    module = Readout(dictionary, readout, basis, k=3)
    options = {"k": 3} if readout in ("topk", "topk_norm") else {}
    expected = FEATURES[readout](x, dictionary.center, rows, **options)
    found = module.encode(torch.from_numpy(x).reshape(5, 10, -1)).reshape(50, -1).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-4)
    np.testing.assert_allclose(
        module(torch.from_numpy(x)).numpy(),
        decode(expected, dictionary.center, rows),
        rtol=1e-3,
        atol=2e-2,
    )
    assert module.check_decoder_norms()
    assert module.cfg.to_dict()["hook_layer"] == 4


def test_an_unknown_readout_is_refused(dictionary: ep.Dictionary) -> None:
    with pytest.raises(ConfigError, match="read-out"):
        Readout(dictionary, "softmax")
    with pytest.raises(ConfigError, match="k = 0"):
        Readout(dictionary, k=0)


# -- as files --------------------------------------------------------------------------------------


def test_the_command_writes_each_format(
    dictionary: ep.Dictionary, tmp_path: Path, capsys: object
) -> None:
    file = tmp_path / "d.ep.h5"
    ep.save(dictionary, file)
    for target, ending, more in (
        ("saelens", "d-saelens", []),
        ("neuronpedia", "d-neuronpedia.json", []),
        (
            "neuronpedia",
            "d-region-3-neuronpedia.json",
            ["--region", "3", "--model-id", "gemma-2-2b"],
        ),
        ("gguf", "d-region-3.gguf", ["--region", "3", "--strength", "2"]),
    ):
        assert main(["export", str(file), "--to", target, *more]) == 0
        assert capsys.readouterr().out.strip() == str(tmp_path / ending)
        assert (tmp_path / ending).exists()
    assert (
        json.loads((tmp_path / "d-region-3-neuronpedia.json").read_text())["modelId"]
        == "gemma-2-2b"
    )
    for arguments in (["--to", "gguf"], ["--to", "gguf", "--region", "999"], ["--to", "saelens"]):
        assert main(["export", str(file), *arguments]) in (1, 2)
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_browser_gets_the_same_bytes(dictionary: ep.Dictionary, tmp_path: Path) -> None:
    assert (
        packed.control_vector(dictionary, 3)
        == gguf.write(dictionary, 3, tmp_path / "v.gguf").read_bytes()
    )
    assert json.loads(packed.vector(dictionary, 3, "x"))["vectorLabel"] == "x"
    assert sum(len(batch["features"]) for batch in json.loads(packed.features(dictionary))) > 0
    with zipfile.ZipFile(io.BytesIO(packed.autoencoder(dictionary))) as archive:
        assert sorted(archive.namelist()) == ["sae/cfg.json", "sae/sae_weights.safetensors"]
        assert archive.testzip() is None


def test_a_direction_that_leaves_is_the_step_that_steering_takes(tmp_path: Path) -> None:
    """Also where a file does not say its typical norm, as published ones do not."""
    silent = synthetic(8, 12, layer=3)
    silent.info.pop("typical_norm", None)
    step = of_regions(silent, "add", [5], 2.0)
    request = neuronpedia.vector(silent, 5, "m", strength=2.0)
    sent = request["vectorDefaultSteerStrength"] * np.array(request["vector"])
    np.testing.assert_allclose(sent, step.strength * step.norm * step.directions[0], rtol=1e-5)
    assert step.norm == pytest.approx(float(np.linalg.norm(silent.center)))
