"""One bad row never ends a build: it is counted, named and left out, or refused at the start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import ep
from ep import calibrating
from ep.building import build
from ep.cli import main
from ep.config import BuildConfig
from ep.corpus import Corpus, Survey
from ep.errors import ActivationError, CorpusError
from ep.method.outliers import Norms
from ep.method.sieve import LeftOut, Sieve
from ep.models import load
from ep.reporting import Progress
from ep.storage.checkpoint import NAME
from tests.fixtures import tiny
from tests.test_sifting import events

BAD = "東"
"""A character whose embedding is so large that the model's activations overflow."""
Make = Callable[..., BuildConfig]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that overflows on BAD, a text with it in three passages, and the same without."""
    from safetensors.torch import load_file, save_file

    path = tmp_path_factory.mktemp("rows")
    model = tiny.gemma(path / "gemma")
    overflowing = load(str(model), device="cpu").tokens.encode(BAD)[1:]
    weights = load_file(model / "model.safetensors")
    embedding = weights["model.embed_tokens.weight"]
    weights["lm_head.weight"] = embedding.clone()  # the lens reads words that do not overflow
    embedding[overflowing] = 3e38
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    texts = tiny.passages(150)
    (path / "clean.json").write_text(json.dumps(texts))
    for number in (20, 77, 140):
        texts[number] = f"{texts[number]} {BAD} {texts[number]}"
    (path / "t.json").write_text(json.dumps(texts))
    return path


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> Make:
    def make(out: str = "out", text: str = "t.json", **changes: Any) -> BuildConfig:
        base: dict[str, Any] = {
            "model": str(folder / "gemma"),
            "text": (str(folder / text),),
            "layers": (1, 2),
            "percentiles": (2.0, 10.0),
            "out": str(tmp_path / out),
            "batch": 16,
            "calibration": 400,
            "device": "cpu",
        }
        return BuildConfig(**(base | changes))

    return make


def finished(config: BuildConfig, resume: bool = False) -> Progress:
    return list(build(config, resume))[-1]


# -- activations that are not finite ---------------------------------------------------------------


def test_what_is_not_finite_is_left_out_counted_and_said(
    settings: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings()
    last = finished(config)
    dictionary = ep.open(last.files[0])
    model = load(config.model, device="cpu")
    broken, kept = 0, 0
    for batch in model.tokens.batches(Corpus(config.text), 16, 128):
        x = ep.models.harvest(model, batch, [1], check=False).x[1]
        kept += int(np.isfinite(x).all(axis=1).sum())
        broken += int((~np.isfinite(x).all(axis=1)).sum())
    assert broken > 3
    first = next(p.id for p in Corpus(config.text) if BAD in p.text)
    assert dictionary.info["n_activations"] == dictionary.info["n_voronoi"] == kept
    left_out = dictionary.info["left_out"]
    assert left_out["not_finite"] == broken and left_out["first_not_finite"] == first
    assert np.isfinite([dictionary.info["norms"][name] for name in ("median", "largest")]).all()
    arguments = ["build", config.model, "--text", config.text[0], "--layer", "1", "--layer", "2"]
    arguments += ["--calibration", "400", "--batch", "16", "--device", "cpu", "--out", config.out]
    assert main([*arguments, "--percentile", "2", "--percentile", "10"]) == 0
    said = f"values that are not finite ({broken} activations, the first in passage {first})"
    assert f"layer 1: left out of the build: {said}" in capsys.readouterr().err
    assert main(["info", str(last.files[0])]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_what_is_not_finite_does_not_depend_on_the_batch(settings: Make, batch: int) -> None:
    same = {"protocol": "global", "tokens": 900, "calibration": 300}
    for one, other in zip(
        finished(settings("a", **same)).files,
        finished(settings("b", batch=batch, **same)).files,
        strict=True,
    ):
        a, b = ep.open(one), ep.open(other)
        assert a.info["left_out"] == b.info["left_out"] and a.info["left_out"]["not_finite"]
        np.testing.assert_allclose(a.exemplars, b.exemplars, atol=1e-5)
        for name in ("count_arrival", "count_voronoi", "founder_passage", "founder_position"):
            np.testing.assert_array_equal(a.column(name), b.column(name))


@pytest.mark.parametrize("stage", ["stream", "assign"])
def test_resumed_equals_never_stopped(settings: Make, stage: str) -> None:
    whole = [ep.digest(path) for path in finished(settings("whole")).files]
    config, seen = settings("cut"), 0
    steps = build(config)
    for progress in steps:
        seen += progress.stage == stage and progress.done > 0
        if seen == 7:
            break
    steps.close()
    assert (config.folder / NAME).exists()
    assert [ep.digest(path) for path in finished(config, resume=True).files] == whole


def test_a_batch_without_a_finite_activation_changes_nothing(
    settings: Make, tmp_path: Path
) -> None:
    """Passages of one token that overflows, in batches of their own."""
    texts = tiny.passages(40)
    (tmp_path / "a.json").write_text(json.dumps(texts))
    texts[20:20] = [BAD, BAD]
    (tmp_path / "b.json").write_text(json.dumps(texts))
    same = {"protocol": "global", "batch": 2, "calibration": 100, "layers": (1,)}
    one, other = (
        ep.open(finished(settings(name, text=str(tmp_path / f"{name}.json"), **same)).files[0])
        for name in "ab"
    )
    assert sorted(one.column("count_arrival")) and other.info["left_out"]["not_finite"] >= 2
    assert one.info["n_activations"] == other.info["n_activations"]


def test_a_clean_text_and_a_strict_build_of_it_are_as_they_were(settings: Make) -> None:
    plain = finished(settings("a", text="clean.json"))
    strict = finished(settings("b", text="clean.json", strict=True))
    assert "left_out" not in ep.open(plain.files[0]).info
    assert list(map(ep.digest, plain.files)) == list(map(ep.digest, strict.files))
    assert "strict" not in settings(strict=True).deciding()


def test_a_strict_build_refuses_what_is_not_finite(settings: Make) -> None:
    with pytest.raises(ActivationError, match=r"passage \d+, position \d+.* not finite"):
        finished(settings(strict=True))


@pytest.mark.parametrize("most", [10_000, 30])
def test_a_layer_without_a_finite_activation_is_one_line(
    settings: Make, tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrating, "HOPELESS", most)
    (tmp_path / "t.json").write_text(json.dumps([f"{BAD} {text}" for text in tiny.passages(50)]))
    with pytest.raises(ActivationError, match="layer 1 of .*: no activation is finite") as caught:
        finished(settings(text=str(tmp_path / "t.json")))
    assert "\n" not in str(caught.value) and not list((tmp_path / "out").iterdir())


def test_hopeless_is_what_comes_before_the_first_finite_for_any_division() -> None:
    x = np.ones((7, 2), np.float32)
    x[:4, 1] = np.nan
    x[5, 0] = np.inf
    origins = events(np.arange(7))
    for cuts in ([], [2], [4], [1, 5], [3, 4, 5]):
        norms = Norms(0, 0)
        for rows in np.split(np.arange(7), cuts):
            norms.update(Sieve().sift(x[rows], origins[rows]))
        assert norms.hopeless == 4
        assert norms.outliers().n == 2


def test_a_position_or_norm_is_a_reason_beside_values_that_are_not_finite() -> None:
    x = np.array([[np.nan], [1], [np.inf], [9], [-np.inf], [2]], np.float32)
    part = Sieve(1, limit=5.0).sift(x, events(np.arange(6)))
    assert part.reason.tolist() == [1, 0, 3, 2, 3, 0]
    assert part.left_out == LeftOut(1, 1, 2, 0)
    assert [part.until(n).left_out.not_finite for n in (1, 2)] == [0, 2]
    total = LeftOut().plus(LeftOut(0, 0, 1, 7)).plus(LeftOut(1, 0, 1, 9))
    assert total == LeftOut(1, 0, 2, 7)
    assert LeftOut(1, 2).facts({"skip_first": 1}) == {"left_out": {"first": 1, "norm": 2}}
    assert LeftOut().facts({}) == {}


# -- rows ------------------------------------------------------------------------------------------

GOOD = '{"text": "some text"}\n'


def surveyed(path: Path) -> Survey:
    return list(Corpus([path]).survey())[-1]


@pytest.mark.parametrize("number", [0, 7])
def test_a_row_with_other_bytes_is_left_out_wherever_it_is(tmp_path: Path, number: int) -> None:
    bad = "caf\udce9".encode(errors="surrogateescape")
    rows = [f"text {n}".encode() for n in range(12)]
    files = {
        "t.txt": (rows, bad, b""),
        "b.txt": ([row + b"\n" for row in rows], bad + b"\n", b""),
        "t.jsonl": ([b'{"text": "%s"}' % row for row in rows], b'{"text": "%s"}' % bad, b""),
        "t.csv": (rows, bad, b"text\n"),
    }
    for name, (good, other, header) in files.items():
        path = tmp_path / name
        path.write_bytes(header + b"\n".join([*good[:number], other, *good[number:]]))
        found = surveyed(path)
        found.check()
        assert (found.rows, found.unusable) == (13, 1), name
        assert "is not UTF-8" in found.first and found.first.startswith(f"{name} line ")
        assert [p.text.strip() for p in Corpus([path], seed=None)] == [
            f"text {n}" for n in range(12)
        ]
    listed = b", ".join([b'"%s"' % row for row in [*rows[:number], bad, *rows[number:]]])
    (tmp_path / "t.json").write_bytes(b"[%s]" % listed)
    assert surveyed(tmp_path / "t.json").unusable == 1


def test_half_characters_that_json_spells_out_stay(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "cut \\udc80"}\n' + GOOD)
    assert surveyed(path).unusable == 0


def test_a_cell_of_parquet_with_other_bytes_is_left_out(tmp_path: Path) -> None:
    cells = [b"good", b"\xff\xfe", *[b"fine"] * 10]
    buffers = pyarrow.array(cells, pyarrow.binary()).buffers()
    column = pyarrow.Array.from_buffers(pyarrow.string(), len(cells), buffers)
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), tmp_path / "t.parquet")
    found = surveyed(tmp_path / "t.parquet")
    assert (found.rows, found.unusable) == (12, 1)
    assert found.first.startswith("t.parquet row 2 is not UTF-8")


def test_a_file_of_utf16_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("one\ntwo\nthree", encoding="utf-16")
    with pytest.raises(CorpusError, match="not UTF-8 but UTF-16"):
        list(Corpus([path]))


def test_one_bad_row_is_never_too_many_but_all_there_is(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"body": "x"}\n' + GOOD)
    surveyed(path).check()
    path.write_text('{"body": "x"}\n' * 2 + GOOD)
    with pytest.raises(CorpusError, match=r"2 of 3 rows .* \(66\.7%\), and at most 10% may be"):
        surveyed(path).check()
    path.write_text('{"body": "x"}\n')
    with pytest.raises(CorpusError, match="has no 'text', only"):
        surveyed(path)


def test_strict_names_the_first_row_and_how_many_there_are(
    settings: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.jsonl"
    rows = [GOOD] * 40
    rows[5] = rows[30] = '{"text": 7}\n'
    path.write_text("".join(rows))
    arguments = ["build", settings().model, "--text", str(path), "--layer", "1"]
    assert main([*arguments, "--out", str(tmp_path / "o"), "--strict"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "2 of 40 rows with content cannot be used" in said and "strict allows none" in said
    assert "t.jsonl line 6 holds a int" in said
    assert not list((tmp_path / "o").iterdir())
    path.write_text(GOOD * 40 + '{"text": null}\n')
    surveyed(path).check(strict=True)
