"""`ep steer`: four continuations of one batch, the same as the backend's, and one line for every
mistake.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ep
from ep.cli import main
from ep.studies.steering import COLUMNS, Setting, default_strength, finished
from tests.fixtures import tiny
from tests.fixtures.commands import output, refused
from tests.fixtures.dictionaries import synthetic

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("steer")
    model = tiny.gemma(folder / "gemma")
    digest = ep.load(str(model)).digest
    ep.save(
        synthetic(30, 32, layer=2, model=str(model), tokenizer_hash=digest, typical_norm=4.0),
        folder / "d.ep.h5",
    )
    return str(folder / "d.ep.h5")


def test_the_columns_are_those_of_the_backend(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "steer",
        file,
        "3",
        "--prompt",
        "The cat sat",
        "--strength",
        "2",
        "--tokens",
        "9",
        "--seed",
        "5",
    ]
    found = json.loads(output(capsys, *asked, "--json"))
    dictionary = ep.open(file)
    model = ep.load(ep.model_of(dictionary))
    setting = Setting("The cat sat", regions=(3,), strength=2.0, tokens=9, seed=5)
    run = finished(ep.steer(dictionary, model, setting))
    assert [column["ids"] for column in found["columns"]] == [
        list(one.ids) for one in run.continuations
    ]
    assert [column["name"] for column in found["columns"]] == list(COLUMNS)
    assert (
        found["columns"][2]["moved"] == pytest.approx(2, rel=1e-3)
        and found["columns"][0]["moved"] == 0
    )
    page = output(capsys, *asked)
    assert "change 8.0 of 8.0 requested" in page and "Control: +2.00 in a random direction" in page


@pytest.mark.parametrize("mode", ["ablate", "swap", "clamp"])
def test_every_mode(file: str, capsys: pytest.CaptureFixture[str], mode: str) -> None:
    more = [
        "--target",
        "7",
        "--basis",
        "mean",
        "--reference",
        "4",
        "--scope",
        "generated",
        "--layers",
        "1-2",
        "--chat",
    ]
    out = output(
        capsys, "steer", file, "3", "5", "--prompt", "Sing", "--mode", mode, "--tokens", "4", *more
    )
    assert out.count("log-prob") == 4 and "3 and 5 projected out" in out
    said = out.split("Steered: ")[1].split("change ")[1]
    moved, asked = (float(word) for word in said.split(" requested")[0].split(" of "))
    assert moved == asked > 0


def test_without_a_strength_it_is_the_default_one(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dictionary = ep.open(file)
    for mode in ("add", "clamp", "ablate"):
        out = output(
            capsys,
            "steer",
            file,
            "3",
            "--prompt",
            "Sing",
            "--tokens",
            "2",
            "--mode",
            mode,
            "--json",
        )
        strength = json.loads(out)["setting"]["strength"]
        assert strength == default_strength(dictionary, [3], mode=mode)


def test_mistakes_are_one_line(
    file: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for said, *arguments in (
        ("there is no prompt", "3", "--prompt", " "),
        ("region", "99", "--prompt", "a"),
        ("layers 0 to 3", "3", "--prompt", "a", "--layers", "9"),
        ("choose that region", "3", "--prompt", "a", "--mode", "swap"),
        ("strength nan", "3", "--prompt", "a", "--strength", "nan"),
        ("expected 1 to 256", "3", "--prompt", "a", "--tokens", "0"),
        ("reference 'x'", "3", "--prompt", "a", "--reference", "x"),
        ("--chat", "3", "--prompt", "a", "--system", "b"),
        ("context", "3", "--prompt", "cat " * 400),
    ):
        assert said in refused(capsys, 2, "steer", file, *arguments), arguments
    ep.save(
        synthetic(20, 16, layer=1, model=str(Path(file).parent / "gemma")),
        tmp_path / "narrow.ep.h5",
    )
    assert "16 wide" in refused(
        capsys, 2, "steer", str(tmp_path / "narrow.ep.h5"), "3", "--prompt", "a"
    )
    assert main(["steer", file, "3", "--prompt", "a", "--tokens", "2"]) == 0
