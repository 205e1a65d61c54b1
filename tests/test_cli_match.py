"""`ep match`: what it prints, writes and refuses; and two models on the same inputs, on the bundled demo."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

import ep
import ep.studies.prompts
from ep import comparing
from ep.cli import main
from ep.models import load
from ep.studies import matching as study
from ep.studies.prompts import Prompts
from tests.fixtures.dictionaries import synthetic

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"
TUNED, BASE = (str(DEMO / "dictionaries" / "all-tokens" / f"{name}-L2-p16.ep.h5") for name in ("tuned", "base"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["match", *arguments])
    return code, *capsys.readouterr()


def test_json_counts_every_region(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, TUNED, BASE, "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["basis"] == "mean"
    for side, size in zip("ab", facts["K"], strict=True):
        assert sum(one["n"] for one in facts[side].values()) == size
    assert 0.9 < facts["centres"]["cosine"] < 1
    assert facts["null"] is None


def test_the_table_names_both_and_the_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, TUNED, BASE, "--basis", "exemplar", "--centre", "common", "--limit", "3")
    assert code == 0
    for text in ("tuned L2 p16", "base L2 p16", "approximation", "persisted", "moved", "only", "Without another seed"):
        assert text in out
    assert len(out.strip().splitlines()) == 14


def test_a_dictionary_with_itself_holds_the_same_regions(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, TUNED, TUNED)
    assert code == 0
    assert "the two hold the same regions" in out


def test_a_report_is_html_or_csv(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page, table = tmp_path / "r.html", tmp_path / "r.csv"
    assert run(capsys, TUNED, BASE, "--report", str(page))[0] == 0
    assert run(capsys, TUNED, BASE, "--report", str(table))[0] == 0
    assert page.read_text().startswith("<!doctype html>")
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"), newline="")))
    a, b = ep.open(TUNED), ep.open(BASE)
    found = study.match(a, b, "mean")
    cosine = {int(r["region_a"]): float(r["cosine"]) for r in rows if r["region_a"] and r["cosine"]}
    assert len(cosine) == len(found.a.matched)
    assert all(abs(found.a.cosine[k] - value) < 1e-6 for k, value in cosine.items())
    assert run(capsys, TUNED, BASE, "--report", str(tmp_path / "r.pdf"))[0] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((TUNED, "{narrow}"), "match them through inputs"),
        ((TUNED, BASE, "--cutoff", "2"), "cutoff is 2"),
        ((TUNED, BASE, "--null", BASE), "no other seed"),
        ((TUNED, "missing.ep.h5"), "missing.ep.h5"),
        ((TUNED, "{narrow}", "--texts", "-"), "model"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    narrow = tmp_path / "narrow.ep.h5"
    ep.save(synthetic(size=20, width=16), narrow)
    code, out, error = run(capsys, *(argument.format(narrow=narrow) for argument in arguments))
    assert code in (1, 2)
    assert not out
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_inputs_relate_the_demo_models_and_a_model_with_itself_returns_everything(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = run(capsys, TUNED, TUNED, "--texts", "-", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["round_trip"]["returns"] == facts["round_trip"]["n"] == len(ep.open(TUNED))
    assert facts["in_mutually_best_regions"] == 1
    texts = tmp_path / "texts.txt"
    texts.write_text("How do I bake a cake?\nThe capital of France is Paris.\nAnna has 12 apples and gets 5 more.\n")
    code, out, _ = run(capsys, TUNED, BASE, "--texts", str(texts), "--json")
    facts = json.loads(out)
    assert code == 0
    assert 10 < facts["positions"] < 60
    assert 0 < facts["by_chance"] <= facts["in_mutually_best_regions"] < 1


@pytest.mark.slow
def test_the_demo_tells_prompts_apart_at_the_final_token_in_the_tuned_model_only() -> None:
    names = ("train", "held_out_both", "benign")
    sets = [ep.studies.prompts.read_prompts(DEMO / "prompts" / f"{name}.csv") for name in names]
    chosen = Prompts(sets[0].texts[::3], sets[0].labels[::3])
    held = (sets[1] + sets[2]).without(chosen.texts)
    pair = tuple(ep.open(DEMO / "dictionaries" / "all-tokens" / f"{m}-L4-p2.ep.h5") for m in ("tuned", "base"))
    models = (load(str(DEMO / "models" / "tuned")), load(str(DEMO / "models" / "base")))
    found = comparing.final((pair[0], pair[1]), models, chosen, held, study.match(*pair, "mean"), lambda share: None)
    assert found.leads == 0
    assert found.a.auroc > 0.85
    assert found.b.auroc < 0.6
    assert found.gap[1] > 0.25
    assert found.gap[1] <= found.gap[0] <= found.gap[2]
    assert found.held_by[0][0].value > 0.8
    assert np.nan_to_num(found.places[0]).max() <= 1
