"""Laws of texts that are mixed by weights, and of texts without their duplicates."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

import ep
from ep.building import build
from ep.cli import main
from ep.config import BuildConfig
from ep.corpus import Corpus, Passage
from ep.errors import ConfigError
from ep.mixing import Mix
from ep.seen import Seen
from tests.fixtures import tiny


def text(path: Path, rows: list[str]) -> Path:
    path.write_text(json.dumps(rows))
    return path


def mix(folder: Path, sizes: list[int], weights: list[float], seed: int = 0) -> Mix:
    files = [
        text(folder / f"{n}.json", [f"{n} {i}" for i in range(k)]) for n, k in enumerate(sizes)
    ]
    return Mix([Corpus([f], seed) for f in files], [f.name for f in files], weights, seed)


def sources(passages: list[Passage]) -> Counter[str]:
    return Counter(passage.text.split()[0] for passage in passages)


def test_passages_are_drawn_in_proportion_to_the_weights(tmp_path: Path) -> None:
    n = 2_000
    drawn = sources(list(islice(mix(tmp_path, [n, n, n], [3, 1, 1]), n)))
    for source, share in {"0": 0.6, "1": 0.2, "2": 0.2}.items():
        assert abs(drawn[source] / n - share) < 4 * (share * (1 - share) / n) ** 0.5


def test_every_iteration_and_every_beginning_of_one_is_the_same(tmp_path: Path) -> None:
    mixed = mix(tmp_path, [40, 30], [1, 2])
    whole = list(mixed)
    assert whole == list(mixed) and list(islice(mixed, 17)) == whole[:17]
    assert whole != list(mix(tmp_path, [40, 30], [1, 2], seed=1))
    assert whole != list(mix(tmp_path, [40, 30], [2, 2]))


def test_every_passage_comes_once_and_its_id_depends_on_neither_seed_nor_weights(
    tmp_path: Path,
) -> None:
    one, other = mix(tmp_path, [40, 10], [1, 50]), mix(tmp_path, [40, 10], [2, 1], seed=5)
    assert {p.id: p.text for p in one} == {p.id: p.text for p in other}
    assert sorted(p.text for p in one) == sorted(
        [f"0 {i}" for i in range(40)] + [f"1 {i}" for i in range(10)]
    )


def test_the_others_go_on_in_their_proportions_when_one_has_ended(tmp_path: Path) -> None:
    mixed = mix(tmp_path, [30, 3_000, 3_000], [10, 3, 1])
    first = list(islice(mixed, 2_000))
    rest = sources(first[200:])
    assert rest["0"] == 0 and sources(first)["0"] == 30
    assert abs(rest["1"] / rest.total() - 0.75) < 0.05
    _, facts = mixed.survey_until(2_000)
    assert [one["ended"] for one in facts["mixed"]] == [True, False, False]
    assert [one["passages"] for one in facts["mixed"]] == [sources(first)[s] for s in "012"]


def test_the_digest_covers_the_weights_and_a_text_alone_keeps_its_own(tmp_path: Path) -> None:
    digests = [mix(tmp_path, [5, 5], weights).digest() for weights in ([1, 1], [1, 2], [2, 1])]
    assert len(set(digests)) == 3
    plain = BuildConfig(model="m", text=("a", "b"), layers=(1,), out="o")
    assert not {"text_weights", "deduplicate"} & plain.deciding().keys()
    weighted = BuildConfig(model="m", text=("a", "b"), layers=(1,), out="o", text_weights=(1, 2))
    assert weighted.deciding()["text_weights"] == [1.0, 2.0]


def test_survey_counts_all_and_refused_passages_are_not_drawn(tmp_path: Path) -> None:
    mixed = mix(tmp_path, [30, 30], [1, 1])
    *_, survey = mixed.survey(lambda passage: "is odd" if passage.text == "1 3" else "")
    assert (survey.rows, survey.unusable, survey.refused) == (60, 1, {7})
    assert survey.first == "1.json item 4 is odd"
    assert len(list(mixed)) == 59 and 7 not in {p.id for p in mixed}


@pytest.mark.parametrize("weights", [(1,), (1, 2, 3), (1, 0), (1, float("nan")), ()])
def test_weights_that_do_not_fit_the_texts_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="text_weights is"):
        BuildConfig(model="m", text=("a", "b"), layers=(1,), out="o", text_weights=weights)


# -- builds ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.gemma(tmp_path_factory.mktemp("gemma")))


def test_a_mixed_build_resumes_without_a_trace_and_says_what_it_drew(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tiny.passages(100)
    a = text(tmp_path / "a.json", [*rows, *rows[:5]])
    b = text(tmp_path / "b.json", tiny.passages(20, seed=1))
    arguments = ["build", model, "--text", str(a), "--text", str(b), "--layer", "2"]
    arguments += ["--percentile", "5", "--batch", "16", "--calibration", "300"]
    arguments += ["--weight", "1", "--weight", "3", "--deduplicate"]
    assert main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    said = capsys.readouterr()
    assert "5 of 125 rows have the text of another" in said.err
    assert "passages read: 100 from a.json, 20 from b.json, which ended" in said.err
    whole = ep.open(said.out.strip())
    assert [one["passages"] for one in whole.info["corpus"]["mixed"]] == [100, 20]
    assert whole.info["text_weights"] == [1.0, 3.0] and whole.info["deduplicate"] is True
    config = BuildConfig(
        model=model, text=(str(a), str(b)), layers=(2,), percentiles=(5.0,), batch=16,
        calibration=300, text_weights=(1, 3), deduplicate=True, out=str(tmp_path / "cut"),
    )  # fmt: skip
    steps = build(config)
    for progress in steps:
        if progress.stage == "assign" and progress.done > 300:
            break
    steps.close()
    cut = ep.open(list(build(config, resume=True))[-1].files[0])
    assert ep.digest(cut.path) == ep.digest(whole.path)
    assert cut.info["corpus"] == whole.info["corpus"]
    assert main([*arguments[:-5], "--out", str(tmp_path / "whole")]) == 2
    assert "with another text and another text weights and another deduplicate" in (
        capsys.readouterr().err
    )


# -- duplicates ------------------------------------------------------------------------------------


def test_the_first_of_equal_texts_stays(tmp_path: Path) -> None:
    rows = ["one  two", "x", "one two\n", "One two", " x ", "e\u0301", "\u00e9", ""]
    corpus = Corpus([text(tmp_path / "t.json", rows)], None, deduplicate=True)
    assert [p.id for p in corpus] == [p.id for p in corpus] == [0, 1, 3, 5]
    *_, survey = corpus.survey()
    assert (survey.rows, survey.empty, survey.duplicates, survey.unusable) == (8, 1, 3, 0)
    assert survey.left_out() == {"empty": 1, "duplicates": 3}
    assert len(list(Corpus([text(tmp_path / "t.json", rows)], None))) == 7
    chats = Corpus([text(tmp_path / "t.json", rows)], None, chat=True, deduplicate=True)
    assert [p.id for p in chats] == [0, 1, 3, 5]


def test_a_duplicate_in_another_of_the_mixed_texts_is_left_out(tmp_path: Path) -> None:
    files = [
        text(tmp_path / f"{n}.json", ["shared", *[f"{n} {i}" for i in range(9)]]) for n in "ab"
    ]
    mixed = Mix([Corpus([f], 0, deduplicate=True) for f in files], ["a", "b"], [1, 1], 0)
    assert Counter(p.text for p in mixed)["shared"] == 1 and len(list(mixed)) == 19
    *_, survey = mixed.survey()
    assert survey.duplicates == 1


def test_a_table_knows_every_text_in_10_to_15_bytes_for_each() -> None:
    seen, known = Seen(), set()
    generator = random.Random(0)
    for _ in range(20_000):
        number = generator.randrange(12_000)
        assert seen.add(Passage(0, f"text {number}")) == (number not in known)
        known.add(number)
        if len(known) > 900:  # beyond the smallest table
            assert 10 <= seen.n_bytes / len(seen) <= 15.1
    assert len(seen) == len(known)
