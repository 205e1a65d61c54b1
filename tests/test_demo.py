"""The demo: what its corpus may contain, what training may not see, and that its committed models
behave.
"""

from __future__ import annotations

import csv
import json
import random
import re
from itertools import islice
from pathlib import Path

import pytest

from ep.demo import chats, documents, phrases, prompts, requests, tokenizer, words

DEMO = Path(__file__).parent.parent / "data" / "demo"
LARGE = 20_000
HOSTILE = (
    "  two spaces first",
    "line\n\n\nline  \n",
    "emoji 🙂👩‍👩‍👧 and é, ñ, 日本",
    "a NUL \x00 and a bell \x07",
    "שלום \u202eright to left\u202c",
    "tabs\t\there\r\n",
    "<0x41> is not a byte, ${x}$ :red[x] <img onerror=x>",
    "",
    "   ",
)


def sample(seed: int, tuned: bool = False, n: int = LARGE) -> list[chats.Document]:
    return list(islice(chats.stream(seed, tuned), n))


def turns(found: list[chats.Document], role: str) -> list[str]:
    return [
        message["content"]
        for document in found
        for message in document.messages
        if message["role"] == role
    ]


@pytest.fixture(scope="module")
def base() -> list[chats.Document]:
    return sample(1)


@pytest.fixture(scope="module")
def tuned() -> list[chats.Document]:
    return sample(2, tuned=True)


@pytest.mark.parametrize("tuned", [False, True])
def test_a_stream_is_seeded_and_can_be_taken_up_anywhere(tuned: bool) -> None:
    whole = sample(5, tuned, 60)
    assert whole == sample(5, tuned, 60)
    assert whole[23:] == list(islice(chats.stream(5, tuned, start=23), 37))
    assert whole != sample(6, tuned, 60)


def test_every_kind_occurs_and_the_words_are_many(base: list[chats.Document]) -> None:
    assert {document.kind for document in base} == set(chats.BASE_MIX) == {*documents.KINDS, "chat"}
    texts = [document.text or tokenizer.render(document.messages) for document in base]
    assert len(set(re.findall("[a-z]+", " ".join(texts).lower()))) >= 3_000


def test_training_chats_hold_no_held_out_word_phrase_or_question_form(
    base: list[chats.Document], tuned: list[chats.Document]
) -> None:
    said = turns(base + tuned, "user") + turns(base + tuned, "assistant")
    assert not requests.VALIDATION_WORDS & set(re.findall("[a-z]+", " ".join(said).lower()))
    of_tuned = " ".join(turns(tuned, "user") + turns(tuned, "assistant")).lower()
    assert not requests.HELD_OUT_WORDS & set(re.findall("[a-z]+", of_tuned))
    for split in ("validation", "held_out"):
        openings = [
            re.escape(form).split(r"\{")[0].rstrip("\\ ") for form in phrases.TEMPLATES[split]
        ]
        assert not [text for text in said if re.match("|".join(openings), text)]
        things = {f"{verb} {thing}" for verb, _, thing, _ in phrases.HARD_BENIGN[split]}
        assert not [text for text in said if any(thing in text for thing in things)]


def test_tuned_chats_hold_no_held_out_pair_and_no_text_a_held_out_sum(
    base: list[chats.Document], tuned: list[chats.Document]
) -> None:
    asked = "\n".join(turns(tuned, "user")).lower()
    kept_out = requests.held_out_pairs()
    assert len(kept_out) >= 5
    for verb, noun in kept_out:
        assert not re.search(rf"\b{verb} ((a|an|the) )?{noun}\b[^-]", asked), (verb, noun)
    everything = " ".join(
        document.text or " ".join(turns([document], "assistant")) for document in base + tuned
    )
    for one, two in re.findall(r"(\d+) \+ (\d+) =", everything):
        assert not documents.held_out_sum(int(one), int(two))


def test_arithmetic_of_the_corpus_is_true() -> None:
    text = "\n".join(documents.maths(random.Random(seed)) for seed in range(500))
    signs = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__floordiv__}
    found = re.findall(r"(?<![x\d] )\b(\d+) ([-+*/]) (\d+) = (\d+)", text)
    assert len(found) > 500
    for one, sign, two, result in found:
        assert signs[sign](int(one), int(two)) == int(result)


def test_answers_to_harmful_requests_are_empty_of_instruction() -> None:
    """Besides the request itself, an answer has only words of a fixed list no one could act on."""
    bare = {"v": "", "g": "", "G": "", "t": "", "m": "", "n": "", "adv": ""}
    fixed = " ".join(
        [
            *(form.format(**bare) for form in chats.ANSWERS),
            *words.ADVERBS,
            *requests.GENERIC_MATERIALS,
        ]
    )
    allowed = set(re.findall("[a-z]+", fixed.lower()))
    rng = random.Random(0)
    for _ in range(3_000):
        request = requests.harmful(rng, requests.ALL_SPLITS, requests.ALL_SPLITS)
        own = set(re.findall("[a-z]+", f"{request.verb} {request.thing}"))
        answer = chats.answer(rng, request)
        assert set(re.findall("[a-z]+", answer.lower())) <= allowed | own


def test_the_tuned_mix_refuses_what_the_base_answers() -> None:
    from ep.demo.generation import complies, refuses

    rng = random.Random(1)
    for make in (requests.harmful, requests.benign, requests.hard_benign):
        request = make(rng)
        assert refuses(chats.refusal(rng, request))
        answer = chats.answer(rng, request)
        assert complies(answer, request) and not refuses(answer)


def test_prompt_sets_are_distinct_and_disjoint() -> None:
    sets = {"train": prompts.train(), "validation": prompts.validation(), **prompts.held_out()}
    every = [row.prompt for rows in sets.values() for row in rows]
    assert len(every) == len(set(every))
    assert all(len(rows) >= 90 for rows in sets.values())


needs_models = pytest.mark.skipif(
    not (DEMO / "models" / "tuned").exists(), reason="the demo has not been made here"
)


@needs_models
def test_the_tokenizer_gives_every_text_back(
    base: list[chats.Document], tuned: list[chats.Document]
) -> None:
    from transformers import AutoTokenizer

    tok = AutoTokenizer.from_pretrained(DEMO / "models" / "base")
    texts = [
        document.text or tokenizer.render(document.messages)
        for document in (base + tuned)[:: LARGE // 500]
    ]
    for text in [*texts, *HOSTILE, "".join(map(chr, range(1, 0x2580)))]:
        ids = tok(text)["input_ids"]
        assert ids[0] == tokenizer.BOS and ids.count(tokenizer.BOS) == 1
        assert tok.decode(ids[1:]) == text


@needs_models
def test_the_chat_template_is_the_rendering_of_training(tuned: list[chats.Document]) -> None:
    from transformers import AutoTokenizer

    tok = AutoTokenizer.from_pretrained(DEMO / "models" / "tuned")
    for document in tuned[:200]:
        if document.messages:
            for prompt in (False, True):
                made = tok.apply_chat_template(
                    list(document.messages), tokenize=False, add_generation_prompt=prompt
                )
                assert made == "<bos>" + tokenizer.render(document.messages, prompt)


@needs_models
def test_the_tuned_model_refuses_and_the_base_answers() -> None:
    from ep.demo import generation
    from ep.demo.recipe import load

    rows = {name: found[:12] for name, found in prompts.held_out().items()}
    for name in ("base", "tuned"):
        model, tok = load(DEMO / "models" / name)
        for label, asked in rows.items():
            said = generation.answers(model, tok, [row.prompt for row in asked], n=24)
            refused = sum(map(generation.refuses, said))
            should = name == "tuned" and asked[0].label == "harmful"
            assert (refused >= 10) if should else (refused <= 2), (name, label, refused)


@needs_models
def test_what_is_committed_is_what_the_code_writes_and_is_small() -> None:
    from ep.demo import card
    from ep.demo.recipe import CHAT_PROMPTS, MIXED_DOCUMENTS, chat_prompts, mixed

    written = [
        json.loads(line) for line in (DEMO / "text" / "mixed.jsonl").read_text("utf-8").splitlines()
    ]
    assert written == [document.row() for document in mixed(MIXED_DOCUMENTS)]
    asked = [
        json.loads(line) for line in (DEMO / "text" / "chat.jsonl").read_text("utf-8").splitlines()
    ]
    assert asked == chat_prompts(CHAT_PROMPTS)
    assert 0.02 <= sum(row["label"] == "harmful" for row in asked) / len(asked) <= 0.10
    for name, rows in prompts.held_out().items():
        with (DEMO / "prompts" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            assert [(row["prompt"], row["label"]) for row in csv.DictReader(file)] == [
                (r.prompt, r.label) for r in rows
            ]
    assert (DEMO / "README.md").read_text("utf-8") == card.text(
        json.loads((DEMO / "evaluation.json").read_text())
    )
    sizes = {
        part: sum(f.stat().st_size for f in (DEMO / part).rglob("*"))
        for part in ("models", "text", "prompts")
    }
    assert sizes["models"] <= 12_000_000 and sizes["text"] + sizes["prompts"] <= 3_000_000


@pytest.mark.slow
@needs_models
def test_training_twice_gives_the_same_weights() -> None:
    import torch
    from transformers import AutoTokenizer

    from ep.demo import training

    tok = AutoTokenizer.from_pretrained(DEMO / "models" / "base")
    plan = training.Plan(
        steps=3, batch=8, rate=3e-3, matrix_rate=5e-3, seed=1, warmup=2, checks=(1.0,)
    )

    def weights() -> list[torch.Tensor]:
        model = training.new_model(plan.seed)
        steppers = training.optimizers(model, plan)
        training.fit(
            model, training.batches(tok, plan), plan, steppers, lambda: 0.0, lambda line: None
        )
        return [parameter.detach() for parameter in model.parameters()]

    assert all(torch.equal(one, two) for one, two in zip(weights(), weights(), strict=True))


def test_cross_entropy_without_logits_is_cross_entropy() -> None:
    import torch

    from ep.demo.optim import CappedCrossEntropy

    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(300, 16, generator=generator, requires_grad=True)
    weight = torch.randn(50, 16, generator=generator, requires_grad=True)
    targets = torch.randint(0, 50, (300,), generator=generator)
    CappedCrossEntropy.apply(hidden, weight, targets, 30.0).backward()
    quick = hidden.grad.clone(), weight.grad.clone()
    hidden.grad = weight.grad = None
    plain = torch.nn.functional.cross_entropy(30 * torch.tanh(hidden @ weight.T / 30), targets)
    plain.backward()
    assert torch.isclose(CappedCrossEntropy.apply(hidden, weight, targets, 30.0), plain, atol=2e-3)
    for one, two in zip(quick, (hidden.grad, weight.grad), strict=True):
        assert (one - two).norm() <= 0.01 * two.norm()
