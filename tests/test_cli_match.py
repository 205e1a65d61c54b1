"""`ep match`: what it prints, writes and refuses; and two models on the same inputs, on the bundled
demo.
"""

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
from ep.models.together import recut
from ep.studies import matching as study
from ep.studies.prompts import Prompts
from ep.views import snippets_two
from tests.fixtures import tiny
from tests.fixtures.builds import built
from tests.fixtures.commands import ran
from tests.fixtures.demo import opened
from tests.fixtures.dictionaries import synthetic

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"
TUNED, BASE = (
    str(DEMO / "dictionaries" / "all-tokens" / f"{name}-L2-p16.ep.h5") for name in ("tuned", "base")
)


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
    assert facts["null"] == {"a": None, "b": None}
    assert facts["levels"] == [0.7, 0.7]


def test_the_table_names_both_and_the_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, TUNED, BASE, "--basis", "exemplar", "--centre", "common", "--limit", "3"
    )
    assert code == 0
    for text in (
        "tuned L2 p16",
        "base L2 p16",
        "approximation",
        "persisted",
        "moved",
        "only",
        "Without another seed",
    ):
        assert text in out
    assert len(out.strip().splitlines()) == 14


def test_a_dictionary_with_itself_holds_the_same_regions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run(capsys, TUNED, TUNED)
    assert code == 0
    assert "both have the same regions" in out


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


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """A and B, and another seed of each, in folders of their own; the files name no text."""
    folder = tmp_path_factory.mktemp("seeds")
    paths = []
    for name, seed, model, of in (
        ("a", 1, "m", 0),
        ("b", 2, "n", 0),
        ("a9", 3, "m", 9),
        ("b9", 4, "n", 9),
    ):
        made = synthetic(60, 16, seed=seed, model_name=model, title=name)
        made.info |= {"seed": of, "corpus": {"name": "x.txt", "digest": "d"}, "n_activations": 500}
        path = folder / (name if of else "") / f"{name}.ep.h5"
        path.parent.mkdir(exist_ok=True)
        ep.save(made, path)
        paths.append(path)
    return tuple(paths)


def test_each_side_has_its_null(
    capsys: pytest.CaptureFixture[str], seeds: tuple[Path, ...], tmp_path: Path
) -> None:
    a, b, a9, b9 = map(str, seeds)
    page, rows = tmp_path / "r.html", tmp_path / "r.csv"
    code, out, _ = run(capsys, a, b, "--null", b9, "--null", a9, "--json", "--report", str(page))
    null = json.loads(out)["null"]
    assert code == 0
    for side, path, other in (("a", a, a9), ("b", b, b9)):
        expected = study.null(ep.open(path), ep.open(other), "mean")
        assert null[side]["level"] == pytest.approx(expected.level)
        assert null[side]["persisted"]["n"] == expected.persisted().hits
    assert "another seed of B" in page.read_text()
    code, out, _ = run(capsys, a, b, "--null", b9, "--report", str(rows))
    assert code == 0
    assert "null of B" in out
    assert "null of A" not in out
    assert "another_seed_b" in rows.read_text().splitlines()[0]


def test_a_null_is_looked_for_in_the_library(
    capsys: pytest.CaptureFixture[str], seeds: tuple[Path, ...], tmp_path: Path
) -> None:
    kept = tmp_path / ".other-seeds" / "one"
    kept.mkdir(parents=True)
    (kept / "a9.ep.h5").write_bytes(seeds[2].read_bytes())
    code, out, error = run(
        capsys, str(seeds[0]), str(seeds[1]), "--library", str(tmp_path), "--json", "--null"
    )
    null = json.loads(out)["null"]
    assert code == 0
    assert null["a"]["name"] == "seed 9"
    assert null["b"] is None
    assert error.startswith("ep: no null for B: the text x.txt is not near its file")
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_null_is_built_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    paths = (str(built(tmp_path, layer)) for layer in (0, 1))
    arguments = (*paths, "--library", str(tmp_path / "library"), "--json", "--null")
    code, out, error = run(capsys, *arguments)
    null = json.loads(out)["null"]
    assert code == 0
    assert error.count("again, seed 1") == 2
    for side in "ab":
        assert 0.3 < null[side]["persisted"]["share"] <= 1
    assert run(capsys, *arguments) == (0, out, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((TUNED, "{narrow}"), "match them by inputs"),
        ((TUNED, BASE, "--cutoff", "2"), "cutoff is 2"),
        ((TUNED, BASE, "--null", BASE), "not another seed"),
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
    texts.write_text(
        "How do I bake a cake?\nThe capital of France is Paris.\nAnna has 12 apples and gets 5 "
        "more.\n"
    )
    rows = [json.dumps({"text": line}) for line in texts.read_text().splitlines() * 4]
    (tmp_path / "texts.jsonl").write_text("\n".join([*rows, '{"body": "x"}']))
    code, _, err = run(capsys, TUNED, BASE, "--texts", str(tmp_path / "texts.jsonl"))
    assert code == 0
    assert "1 of 13 rows cannot be used and are left out; the first: texts.jsonl line 13" in err
    code, out, _ = run(capsys, TUNED, BASE, "--texts", str(texts), "--json")
    facts = json.loads(out)
    assert code == 0
    assert 10 < facts["positions"] < 60
    assert 0 < facts["by_chance"] <= facts["in_mutually_best_regions"] < 1


def test_two_tokenizers_are_compared_where_both_have_read_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one, other = built(tmp_path / "one"), built(tmp_path / "other", make=tiny.gpt2)
    models = [load(str(tmp_path / name / "models" / "m")) for name in ("one", "other")]
    assert models[0].digest != models[1].digest
    code, out, _ = run(capsys, str(one), str(other), "--texts", "-", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["positions_by"] == "ends"
    assert facts["texts"] < facts["positions"] <= min(facts["positions_read"])
    assert facts["round_trip"]["n"] == len(ep.open(one))
    ids = models[0].tokens.encode("one two three")
    again = recut(models[0], models[1], ids)
    assert (
        b"".join(models[1].tokens.piece(i) for i in again).removeprefix(b"<|endoftext|>")
        == b"one two three"
    )


@pytest.mark.slow
def test_the_code_behind_the_views_of_two_runs_and_prints_what_they_show(tmp_path: Path) -> None:
    a, b = opened("tuned-L2-p16.ep.h5"), opened("base-L2-p16.ep.h5")
    lines = (DEMO / "prompts" / "train.csv").read_text().splitlines()
    few = tmp_path / "it's.csv"
    few.write_text("\n".join([lines[0], *lines[1::9]]))
    (tmp_path / "held.csv").write_text("\n".join([lines[0], *lines[2::9]]))
    text = 'it\'s "two" {boats}\n'
    parts = (
        snippets_two.final_token(a, b, folder=str(few)),
        snippets_two.final_token(a, b, folder=str(tmp_path), names=((few.name,), ("held.csv",))),
        snippets_two.prompt(a, b, text),
        snippets_two.shared_inputs(a, b),
    )
    # each stands alone; one interpreter saves a minute
    out = ran("print('--')\n".join(parts)).split("--\n")
    assert all("A better than B by" in part for part in out[:2])
    models = [load(str(DEMO / "models" / name)) for name in ("tuned", "base")]
    assert out[2].count("\n") == sum(len(model.tokens.encode(text)) for model in models)
    assert "in mutually best regions" in out[3]


@pytest.mark.slow
def test_the_demo_tells_prompts_apart_at_the_final_token_in_the_tuned_model_only() -> None:
    names = ("train", "held_out_both", "benign")
    sets = [ep.studies.prompts.read_prompts(DEMO / "prompts" / f"{name}.csv") for name in names]
    chosen = Prompts(sets[0].texts[::3], sets[0].labels[::3])
    held = (sets[1] + sets[2]).without(chosen.texts)
    pair = tuple(
        ep.open(DEMO / "dictionaries" / "all-tokens" / f"{m}-L4-p2.ep.h5")
        for m in ("tuned", "base")
    )
    models = (load(str(DEMO / "models" / "tuned")), load(str(DEMO / "models" / "base")))
    found = comparing.final(
        (pair[0], pair[1]), models, chosen, held, study.match(*pair, "mean"), lambda share: None
    )
    assert found.leads == 0
    assert found.a.auroc > 0.85
    assert found.b.auroc < 0.6
    assert found.gap[1] > 0.25
    assert found.gap[1] <= found.gap[0] <= found.gap[2]
    assert found.held_by[0][0].value > 0.8
    assert np.nan_to_num(found.places[0]).max() <= 1
