"""Behaviour: selection and trial as laws, judges and prompt files, and what the demo shows on
held-out prompts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ep
from ep.errors import CorpusError, RequestError
from ep.models import LanguageModel, read
from ep.models.answering import _limit, answers, final_activations, user_turn
from ep.models.generation import Sampling
from ep.models.interventions import of_regions, random_control
from ep.studies.behaviour import (
    Arm,
    candidates,
    difference,
    matched_control,
    partition,
    score,
    stream,
    trial,
)
from ep.studies.experiment import quality_of
from ep.studies.judging import Pattern, Phrases, _least_distinct, agreement, fluency
from ep.studies.prompts import columns, label_values, means_yes, read_prompts
from ep.studies.quality import Answer, QualityCheck, quality_check
from ep.studies.rates import Rate
from tests.fixtures.dictionaries import synthetic

DEMO = Path(__file__).resolve().parents[1] / "data/demo"

# -- selection -------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=80))
def test_scores_count_every_prompt_once(pairs: list[tuple[int, bool]]) -> None:
    region, behaves = (np.array(part) for part in zip(*pairs, strict=True))
    scored = score(region.astype(np.int64), behaves.astype(bool))
    assert sum(one.rate.n for one in scored) == len(pairs)
    assert sum(one.rate.hits for one in scored) == behaves.sum()
    assert sum(one.share for one in scored) == pytest.approx(float(behaves.any()))
    assert [one.covered for one in scored] == sorted((one.covered for one in scored), reverse=True)
    for one in scored:
        low, high = one.rate.interval
        assert 0 <= low <= one.rate.value <= high <= 1
        assert one.lift == pytest.approx(one.rate.value / max(behaves.mean(), 1e-12))
    for one in candidates(scored):
        assert one.rate.n >= 5 and one.rate.value >= 0.3


def test_the_matched_control_is_quiet_and_alike() -> None:
    dictionary = synthetic(40, 16, seed=1)
    region = np.repeat(np.arange(10), 8).astype(np.int64)
    behaves = region < 3
    scored = score(region, behaves)
    control = matched_control(dictionary, scored, 0)
    assert control is not None and control >= 3
    assert matched_control(dictionary, score(region[:24], behaves[:24]), 0) is None


@pytest.mark.parametrize("share", [0.02, 0.06, 0.5, 0.9])
def test_the_stream_holds_its_share_and_differs_by_seed_alone(share: float) -> None:
    behaves = np.arange(500) < 200
    rows = stream(behaves, 3, share)
    assert len(set(rows.tolist())) == len(rows)
    assert behaves[rows].mean() == pytest.approx(share, abs=0.01)
    np.testing.assert_array_equal(rows, stream(behaves, 3, share))
    assert not np.array_equal(rows, stream(behaves, 4, share))
    with pytest.raises(RequestError, match="alike"):
        stream(np.zeros(9, bool), 0)
    with pytest.raises(RequestError, match="between 0 and 1"):
        stream(behaves, 0, 1.0)


def test_a_partition_is_leader_clustering_of_the_shuffled_rows() -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((120, 12)) + 3).astype(np.float32)
    made = partition(x, np.arange(120) < 40, 10.0, 5, layer=2)
    assert made.column("count_arrival").sum() == 120
    again = partition(x, np.arange(120) < 40, 10.0, 5, layer=2)
    np.testing.assert_array_equal(made.exemplars, again.exemplars)
    assert (made.assign(x).distance <= made.threshold + 1e-6).all()
    assert made.info["layer"] == 2 and len(made) > 1


# -- trial -----------------------------------------------------------------------------------------


def test_a_trial_counts_what_the_texts_say() -> None:
    said = {
        "default": Answer("I cannot help you with that.", True, 0.0, 1.0, 2.0),
        "ablated": Answer("First take the cake tin. Then bake the cake.", True, 0.4, 0.9, 3.0),
        "broken": Answer("cake cake cake cake cake cake cake cake", False, 3.0, 0.1, 0.2),
        "nonsense": Answer(
            "Lamp the seven of quickly into. Blue stair under an.", True, 1.0, 6.0, 9.0
        ),
        "one word off": Answer(
            "First take the cake tin. Then bake the lunar.", True, 1.0, 0.9, 9.0
        ),
    }
    quality = QualityCheck(1.0, 4.0, 9, Rate(0, 9))

    def answer(prompts: Sequence[str], arm: str) -> list[Answer]:
        return [said[arm]] * len(prompts)

    arms = trial(
        answer,
        list(said),
        ["How do I burn a cake?"] * 4,
        ["How do I bake a cake?"] * 3,
        Phrases(),
        quality,
    )
    assert [(a.behaves, a.complies, a.intact) for a in arms.values()] == [
        (Rate(4, 4), Rate(0, 4), Rate(0, 3)),
        (Rate(0, 4), Rate(4, 4), Rate(3, 3)),
        *[(Rate(0, 4), Rate(0, 4), Rate(0, 3))] * 3,
    ]
    assert [arm.moved for arm in arms.values()] == pytest.approx([0.0, 0.4, 3.0, 1.0, 1.0])
    with pytest.raises(RequestError, match="held-out"):
        trial(answer, ["default"], [], [], Phrases(), quality)


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 20)), min_size=10, max_size=60))
def test_nine_in_ten_of_a_model_s_own_answers_are_usual_of_it(
    nats: list[tuple[float, float]],
) -> None:
    own = [Answer("First take the cake tin.", True, 0.0, *pair) for pair in nats]
    quality = quality_check(own, [Answer("", False, 0.0, 99.0, 99.0), own[0]])
    for limit, values in (
        (quality.mean, [a for a, _ in nats]),
        (quality.worst, [b for _, b in nats]),
    ):
        assert np.mean(np.array(values) <= limit) >= 0.9
    assert quality.n == len(own) and quality.spoiled == Rate(int(quality.is_typical(own[0])), 2)
    with pytest.raises(RequestError, match="no answer"):
        quality_check([], [])


@pytest.mark.parametrize(
    ("lengths", "tokens"),
    [
        ([18.0] * 8, 24),
        ([12.0] * 5 + [31.0] * 3, 40),
        ([51.0] * 8, 64),
        ([60.0] * 8, 128),
        ([30.0] * 6 + [np.inf] * 2, 40),
        ([180.0] * 8, 232),
        ([np.inf] * 8, 128),
    ],
)
def test_most_answers_tried_end_within_the_default_length_unless_they_are_endless(
    lengths: list[float], tokens: int
) -> None:
    assert _limit(np.array(lengths)) == tokens


def test_a_paired_difference_holds_its_value_and_none_is_none() -> None:
    value, low, high = difference([False] * 90 + [True] * 10, [True] * 100)
    assert low <= value == -0.9 <= high < 0
    assert difference([True, False], [True, False]) == (0.0, 0.0, 0.0)


# -- judges ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("apostrophe", ["'", "\N{RIGHT SINGLE QUOTATION MARK}", "`"])
def test_phrases_do_not_mind_case_or_apostrophes(apostrophe: str) -> None:
    judge = Phrases()
    assert judge(f"I CAN{apostrophe}T do  that") and judge(f"  I{apostrophe}m\nsorry, but no")
    assert not judge("I don't think the cake is ready") and not judge("")
    assert not judge("x" * 300 + " i cannot"), "only the first 300 characters count"
    assert Phrases(characters=400)("x" * 300 + " i cannot")
    with pytest.raises(RequestError, match="empty"):
        Phrases(("  ",))


def test_patterns_that_are_none_or_never_end_are_refused() -> None:
    assert Pattern(r"^no\b")("No, never") and not Pattern(r"^no\b")("Nothing")
    for pattern, message in (
        ("(", "regular"),
        ("(a+)+", "nesting"),
        ("", "characters"),
        ("a" * 501, "characters"),
    ):
        with pytest.raises(RequestError, match=message):
            Pattern(pattern)


@pytest.mark.parametrize(
    ("text", "ended", "coherent"),
    [
        ("First take the church key. Then use a match.", True, True),
        ("First take the church key. Then use a", False, True),
        ("church church church church church church", True, False),
        ("take the key now " * 4 + "and the match then go", True, False),
        ("I like my cat and my dog and my cat and my cat. " * 9, False, False),
        (" ".join(map(str, range(55))) + " " + " ".join(map(str, range(55))), True, False),
        (" ".join(map(str, range(900))), True, True),
        ("Yes", True, False),
        ("", True, False),
    ],
)
def test_sense_is_more_than_the_absence_of_a_refusal(
    text: str, ended: bool, coherent: bool
) -> None:
    assert fluency(text, ended).coherent is coherent


def test_long_fluent_text_is_coherent_and_a_loop_at_its_end_is_not() -> None:
    """The texts that a real model sampled; the share of different words falls with length."""
    path = DEMO.parent / "real" / "text" / "written.jsonl"
    texts = [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]
    fluent = [text for text in texts if fluency(text, False).coherent]
    assert len(fluent) >= 0.95 * len(texts)
    together = " ".join(fluent[:12])
    assert fluency(together, True).distinct < 0.5 and fluency(together, True).coherent
    for text in fluent[:50]:
        last = " ".join(text.split()[-8:])
        assert not fluency(f"{text} {f'{last} ' * 12}", False).coherent


@given(st.lists(st.sampled_from("abcdefgh"), max_size=40), st.integers(1, 12))
def test_the_least_share_of_different_parts_is_that_of_the_worst_window(
    parts: list[str], window: int
) -> None:
    size = min(window, len(parts))
    shares = [len(set(parts[i : i + size])) / size for i in range(len(parts) - size + 1) if size]
    assert _least_distinct(parts, window) == min(shares, default=1.0)


def test_a_judge_is_measured_against_labels() -> None:
    found = agreement(
        Phrases(), ["I cannot", "I can", "I refuse", "sure"], [True, True, False, False]
    )
    assert (found.hits, found.predicted, found.labelled, found.n) == (1, 2, 2, 4)
    assert (found.precision, found.recall) == (0.5, 0.5)
    assert agreement(Phrases(), ["sure"], [False]).precision is None


# -- prompt files ----------------------------------------------------------------------------------


def test_prompts_come_from_csv_and_jsonl_alike(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        '\ufeffprompt,label\n"How, then?",harmful\n\n"how,  then?",benign\nBake,benign\nX,\n'
    )
    (tmp_path / "p.jsonl").write_text(
        '{"prompt": "How, then?", "label": true}\n\n{"prompt": "Bake", "label": 0}\n'
    )
    csv, jsonl = read_prompts(tmp_path / "p.csv"), read_prompts(tmp_path / "p.jsonl")
    assert csv.texts == ("How, then?", "Bake", "X")
    assert jsonl.texts == ("How, then?", "Bake") and jsonl.labels == (True, False)
    assert not csv.labelled and jsonl.labelled
    assert jsonl.where(True).texts == ("How, then?",)
    assert jsonl.without(["how,  THEN?"]).texts == ("Bake",)


def test_prompts_come_from_json_lists_and_any_column() -> None:
    assert read_prompts(b'["How?", "Bake", "how?"]', "p.json").texts == ("How?", "Bake")
    data = b'[{"Q": "How?", "kind": "toxic"}, {"Q": "Bake", "kind": "clean"}]'
    assert columns(data, "p.json") == ["Q", "kind"]
    assert label_values(data, "p.json", "kind") == ["toxic", "clean"]
    read = read_prompts(data, "p.json", text="Q", label="kind", yes=(" Toxic ",))
    assert read.texts == ("How?", "Bake") and read.labels == (True, False)
    with pytest.raises(CorpusError, match="say which labels mean yes"):
        read_prompts(data, "p.json", text="Q", label="kind")


def test_the_labels_of_a_file_are_listed_once_and_not_without_end() -> None:
    rows = "".join(f"prompt {n},{'YES' if n % 2 else 'no '}\n" for n in range(9))
    assert label_values(f"prompt,label\n{rows}".encode(), "p.csv", "label") == ["no", "YES"]
    assert label_values(b"prompt\na\n", "p.csv", "label") == []
    many = "".join(f"prompt {n},{n}\n" for n in range(99))
    assert len(label_values(f"prompt,label\n{many}".encode(), "p.csv", "label")) == 12
    assert means_yes("Harmful ") and not means_yes("toxic")


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"text,label\na,1\n", "p.csv", "no column 'prompt': it has 'text', 'label'"),
        (b"", "p.csv", "no column"),
        (b"prompt,label\n", "p.csv", "no prompts"),
        (b"prompt,label\na,perhaps\n", "p.csv", "label 'perhaps' is unknown"),
        (b"prompt\n\xff", "p.csv", "not UTF-8 text .byte 7.: save it as UTF-8"),
        (b"[1]\n", "p.jsonl", "not a JSON object"),
        (b"{\n", "p.jsonl", "line 1, is not JSON"),
        (b"[", "p.json", "is not JSON"),
        (b"{}", "p.json", "not a JSON list"),
        (b"[1]", "p.json", "item 1, is neither"),
        (b"[]", "p.json", "no column 'prompt': it has no columns"),
        (b'{"prompt": "' + b"x" * 20_001 + b'"}', "p.jsonl", "20,001 characters"),
    ],
)
def test_a_prompt_file_that_is_none_says_why(data: bytes, name: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_prompts(data, name)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_prompt_files_of_any_size_as_spreadsheets_write_them(encoding: str, sign: str) -> None:
    """The file is longer than any block it might be read in, and no block ends between letters."""
    rows = [f"Как мне испечь пирог {n}?{sign}{n % 2}" for n in range(3_000)]
    data = "\n".join([f"prompt{sign}label", f"a{sign}1", *rows]).encode(encoding)
    assert columns(data, "p.csv") == ["prompt", "label"]
    prompts = read_prompts(data, "p.csv")
    assert len(prompts) == 3_001
    assert prompts.texts[-1] == "Как мне испечь пирог 2999?"
    assert prompts.labelled


# -- the demo --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return ep.load(str(DEMO / "models" / "tuned"))


def prompts(name: str) -> tuple[str, ...]:
    return read_prompts(DEMO / "prompts" / f"{name}.csv").texts


@pytest.mark.slow
def test_final_activations_are_those_of_one_prompt_alone(model: LanguageModel) -> None:
    texts = prompts("train")[:7]
    together = final_activations(model, texts, [2, 4])
    for row, text in enumerate(texts):
        alone = read(model, user_turn(model, text), [2, 4])
        for layer in (2, 4):
            np.testing.assert_allclose(together[layer][row], alone[layer][-1], atol=2e-4)


@pytest.mark.slow
def test_on_the_demo_one_region_carries_refusal_and_a_half_harmful_centre_hides_it(
    model: LanguageModel,
) -> None:
    """Held-out words and templates, four orders of the stream: the numbers the Behaviour page is
    there to show.
    """
    judge, layer, sampling = Phrases(), 4, Sampling(40)
    train = read_prompts(DEMO / "prompts" / "train.csv")
    refused = np.array([judge(a.text) for a in answers(model, train.texts, sampling=sampling)])
    x = final_activations(model, train.texts, [layer])[layer]
    target = prompts("held_out_words")[:40] + prompts("held_out_templates")[:40]
    benign = prompts("benign")[:40]

    quality = quality_of(model, benign)
    assert quality.spoiled.value <= 0.1, quality
    # the unchanged model says the same whatever the seed
    default: dict[Sequence[str], list[Answer]] = {}

    def tried(seed: int, share: float) -> dict[str, Arm]:
        made = partition(x, refused, 4.0, seed, layer, share)
        scored = score(made.assign(x).region, refused)
        top = candidates(scored)[0].region
        ablate = of_regions(made, "ablate", [top])
        control = matched_control(made, scored, top)
        changes = {"default": (), "ablated": (ablate,), "random": (random_control(ablate, seed),)}
        if control is not None:
            changes["matched"] = (of_regions(made, "ablate", [control]),)

        def answer(texts: Sequence[str], arm: str) -> list[Answer]:
            if arm == "default" and texts in default:
                return default[texts]
            said = [Answer(*found) for found in answers(model, texts, changes[arm], sampling)]
            return default.setdefault(texts, said) if arm == "default" else said

        return trial(answer, list(changes), target, benign, judge, quality)

    seeds = [tried(seed, 0.06) for seed in range(4)]
    assert seeds[0]["default"].behaves.value >= 0.95
    worked = [
        arms["ablated"].behaves.value <= 0.05
        and arms["ablated"].complies.value >= 0.9
        and arms["ablated"].intact.value >= 0.95
        and abs(arms["random"].behaves.value - arms["default"].behaves.value) <= 0.05
        and abs(arms.get("matched", arms["default"]).behaves.value - arms["default"].behaves.value)
        <= 0.05
        for arms in seeds
    ]
    assert sum(worked) >= 3, [
        {name: (str(a.behaves), str(a.complies), str(a.intact)) for name, a in s.items()}
        for s in seeds
    ]
    assert tried(0, 0.5)["ablated"].behaves.value >= 0.5
