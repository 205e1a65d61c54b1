"""The code a page shows runs as it stands, in a fresh interpreter, and prints what the page
shows.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import ep
from ep.method.dictionary import Dictionary
from ep.models.endpoint import Endpoint
from ep.studies import experiment
from ep.studies.between import between, neighbours, path
from ep.studies.held_out import hold_out
from ep.studies.judging import Pattern
from ep.studies.llm_judge import LLMJudge
from ep.studies.naming import automatic
from ep.studies.prompts import read_prompts
from ep.views import snippets
from ep.views.layouts import coordinates
from ep.views.search import Index
from ep.views.snippets_behaviour import Files, behaviour
from pages.behaviour.bundled import files_of
from tests.fixtures.commands import ran
from tests.fixtures.demo import opened
from tests.fixtures.dictionaries import HOSTILE, synthetic

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "data" / "demo" / "dictionaries" / "all-tokens"
TEXT = "Lily went to the harbour."


@pytest.fixture(scope="module")
def demo() -> Dictionary:
    return opened("tuned-L4-p4.ep.h5")


def test_the_atlas(demo: Dictionary) -> None:
    out = ran(snippets.atlas(demo))
    members = demo.column("count_voronoi")
    place = coordinates(demo, "pca-sphere")
    assert repr(demo) in out
    for k in np.argsort(-members, kind="stable")[:20]:
        assert f"{k} {members[k]} {place[k].round(3)}" in out
    assert str([s.token for s in demo.lens(5)[:4]]) in ran(snippets.atlas(demo, "pca-flat", [5, 9]))


def test_a_region(demo: Dictionary) -> None:
    out = ran(snippets.region(demo, 17))
    region = demo.region(17)
    assert f"count_voronoi {region.count_voronoi}" in out
    assert all(repr("".join(e.pieces)) in out for e in region.excerpts)
    assert str([(k, round(d, 3)) for k, d in region.nearest]) in out


def test_a_search(demo: Dictionary) -> None:
    found = Index(demo).find("cake", dict(enumerate(automatic(demo))))
    assert len(found)
    assert found.summary() in ran(snippets.search(demo, "cake"))


def test_a_list_of_regions(demo: Dictionary) -> None:
    out = ran(snippets.listed(demo, np.array([3, 1])))
    assert out.startswith("3 ") and "\n1 " in out and str([s.token for s in demo.lens(1)]) in out


def test_between(demo: Dictionary) -> None:
    found = between(demo.basis("mean"), 3, 40)
    out = ran(snippets.between(demo, 3, 40, "mean"))
    assert f"{1 - found.distance:.3f}, regions between: {len(found)}" in out
    for k, a, b in zip(found.regions, found.from_a, found.to_b, strict=True):
        assert f"{k} {1 - a:.3f} {1 - b:.3f}" in out


def test_a_path(demo: Dictionary) -> None:
    vectors = demo.basis("exemplar")
    assert str(path(vectors, neighbours(vectors), 3, 40, k=4, weighted=True)) in ran(
        snippets.path(demo, 3, 40, k=4, weighted=True)
    )


def test_resolution(demo: Dictionary) -> None:
    ladder = [opened("tuned-L4-p8.ep.h5"), demo]
    out = ran(snippets.resolution(ladder, 1, 12))
    assert "p = 8, nearest region" in out and "p = 4, nearest region 12 at cosine 1.000" in out


@pytest.mark.slow
def test_a_prompt_and_its_meaning(demo: Dictionary) -> None:
    out = ran(snippets.prompt(demo, TEXT))
    assert "' harbour'" in out and len(out.splitlines()) > 5
    assert "'How'" in ran(
        snippets.prompt(demo, "How do I bake a cake?", chat=True, system="Be brief.")
    )
    model = ep.load(ep.model_of(demo))
    prompt = model.encode_prompt(TEXT)
    x = ep.read(model, prompt.ids, [4])[4]
    for region, distance in zip(*demo.assign(x)[:2], strict=True):
        assert f"{region:6} {distance:.2f}" in out
    ranked = ep.rank(demo, x[1:])
    assert f"{ranked.regions[0]} {ranked.score[0]:.2f} {ranked.nearest[0]}" in ran(
        snippets.meaning(demo, TEXT)
    )


@pytest.mark.slow
def test_every_layer_of_a_prompt(demo: Dictionary) -> None:
    out = ran(snippets.lens_grid(demo, TEXT, False, "", "logit", 296))
    model = ep.load(ep.model_of(demo))
    grid = ep.lens_grid(model, TEXT)
    for layer, best in enumerate(grid.ids[:, :, 0].tolist()):
        assert f"{layer} logit {[grid.pieces[i] for i in best]}" in out
    assert str(ep.token_ranks(model, grid.prompt_ids, 296)) in out


def test_hostile_text_stays_a_literal(tmp_path: Path) -> None:
    file = tmp_path / "a'); import os; os._exit(3); ('.ep.h5"
    ep.save(synthetic(20, 8, hostile=True), file)
    dictionary = ep.open(file)
    dictionary.path = file
    for text in HOSTILE:
        ran_code = snippets.search(dictionary, text[:200])
        compile(ran_code, "shown", "exec")
        compile(snippets.prompt(dictionary, text, chat=True, system=text), "shown", "exec")
        code = snippets.lens_grid(dictionary, text, True, text, "jacobian", None)
        compile(code, "shown", "exec")
    assert ran(snippets.search(dictionary, "'); raise SystemExit(3) #")).startswith("no region")


def test_files_of_the_project_are_named_from_its_folder(demo: Dictionary) -> None:
    assert "file = 'data/demo/dictionaries/all-tokens/tuned-L4-p4.ep.h5'" in snippets.opening(demo)


@pytest.mark.slow
def test_a_behaviour_study_of_files_of_ones_own(tmp_path: Path) -> None:
    """The prompts are in the visitor's folder under hostile names; the judge, the basis and the
    region are as set.
    """
    rows = read_prompts(ROOT / "data/demo/prompts/train.csv")
    for name, part in (("it's\" own\n.csv", slice(0, None, 8)), ("new.csv", slice(1, None, 25))):
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(["asked", "kind"])
            out.writerows(zip(rows.texts[part], map(int, rows.labels[part]), strict=True))
    last = opened("../last-token/tuned-L4-final-p4.ep.h5")
    files = Files("it's\" own\n.csv", ("new.csv",), (), "asked", "kind", ("1",))
    judge = Pattern(r"\bi (am|must|cannot)\b")
    link = tmp_path / "data"
    link.symlink_to(ROOT / "data")
    out = ran(
        behaviour(last, files, judge, tokens=16, basis="mean", swap=False, region=36), tmp_path
    )

    read = partial(read_prompts, text="asked", label="kind", yes=["1"])
    held = hold_out(read(tmp_path / files.choice), read(tmp_path / "new.csv"), None)
    model = ep.load(str(ROOT / "data/demo/models/tuned"))
    found = experiment.place(last, experiment.observe(model, held.choice, 4, judge, 16))
    tried = experiment.Bench(model, held, judge, 16, "mean").attempt(found, 36)
    for arm in tried.arms.values():
        assert (
            f"{arm.name:17} {arm.behaves}  {arm.complies}  {arm.intact}  moved {arm.moved:.2f}"
            in out
        )


def test_code_of_a_judge_asked_elsewhere_compiles_and_holds_no_key(demo: Dictionary) -> None:
    endpoint = Endpoint("http://localhost:9/v1", 'it\'s the "model"', "secret-key")
    code = behaviour(
        demo,
        files_of("demo"),
        LLMJudge(endpoint.ask, 'says "no"\nor ends'),
        endpoint=endpoint,
        by_labels=True,
    )
    compile(code, "shown", "exec")
    assert (
        "secret-key" not in code
        and repr(endpoint.model) in code
        and repr('says "no" or ends') in code
    )
