"""Tokens: one BOS, true masks, exact bytes, template tokens told from what people wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from ep.errors import ChatError, ModelError
from ep.models import LanguageModel, Tokens, load
from tests.fixtures import tiny

STORIES = Path(__file__).resolve().parent.parent.parent / "shared/real/stories260K-hf"
CHAT = [
    {"role": "user", "content": "How do I bake a cake?"},
    {"role": "assistant", "content": "With flour — and a model."},
    {"role": "user", "content": "user\n"},
]


@dataclass(frozen=True)
class Text:
    id: int
    text: str = ""
    messages: tuple[dict[str, str], ...] | None = None


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LanguageModel]:
    made = {
        name: getattr(tiny, name)(tmp_path_factory.mktemp(name))
        for name in ("gemma", "gpt2", "qwen")
    }
    return {name: load(str(directory)) for name, directory in made.items()}


@pytest.fixture(params=["gemma", "gpt2", "qwen"])
def tokens(request: pytest.FixtureRequest, models: dict[str, LanguageModel]) -> Tokens:
    return models[request.param].tokens


def joined(tokens: Tokens, ids: list[int]) -> str:
    return b"".join(map(tokens.piece, ids)).decode()


def test_exactly_one_bos_where_there_is_one(tokens: Tokens) -> None:
    for text in [*tiny.TEXTS, ""]:
        ids = tokens.encode(text)
        assert ids.count(tokens.bos) == (tokens.bos is not None)
        if tokens.bos is not None:
            assert ids[0] == tokens.bos
            bos = tokens.tokenizer.bos_token
            assert tokens.encode(bos + text) == tokens.encode(bos + bos + text) == ids


def test_joined_pieces_are_the_text(tokens: Tokens) -> None:
    for text in tiny.TEXTS:
        ids = tokens.encode(text)
        assert joined(tokens, ids[tokens.bos is not None :]) == text


def test_special_tokens_keep_their_written_form(models: dict[str, LanguageModel]) -> None:
    gemma, gpt2 = models["gemma"].tokens, models["gpt2"].tokens
    assert [gemma.piece(id) for id in (0, 1, 2, 4)] == [
        b"<pad>",
        b"<eos>",
        b"<bos>",
        b"<start_of_turn>",
    ]
    assert gpt2.piece(0) == b"<|endoftext|>"
    assert models["qwen"].tokens.piece(405) == b"<unused 405>"


def test_byte_fallback_pieces_are_single_bytes(models: dict[str, LanguageModel]) -> None:
    gemma = models["gemma"].tokens
    ids = gemma.encode("東")[1:]
    assert [gemma.piece(id) for id in ids] == [bytes([byte]) for byte in "東".encode()]


def test_a_lone_surrogate_does_not_stop_a_build(tokens: Tokens) -> None:
    assert tokens.encode("a\ud800b") == tokens.encode("a?b")


@pytest.mark.skipif(not STORIES.is_dir(), reason="the real Llama checkpoint is not here")
def test_sentencepiece_dummy_space_is_the_only_difference() -> None:
    tokens = Tokens(AutoTokenizer.from_pretrained(STORIES))
    for text in tiny.TEXTS:
        assert joined(tokens, tokens.encode(text)[1:]) == " " + text


def test_batches_have_true_masks(tokens: Tokens) -> None:
    passages = [Text(7 * n, text) for n, text in enumerate(tiny.TEXTS)]
    seen = []
    for batch in tokens.batches(passages, batch_size=3, context=20):
        assert batch.ids.shape == batch.mask.shape == batch.keep.shape
        for row, passage in enumerate(batch.passage):
            ids = tokens.encode(passages[passage // 7].text)
            limit = 20 + (tokens.bos is not None)
            assert batch.ids[row][batch.mask[row]].tolist() == ids[:limit]
            assert batch.mask[row].tolist() == sorted(batch.mask[row].tolist(), reverse=True)
            assert batch.truncated[row] == (len(ids) > limit)
            assert batch.keep[row].sum() == min(len(ids), limit) - (tokens.bos is not None)
            assert batch.keep[row, 0] == (tokens.bos is None)
        seen += batch.passage.tolist()
    assert seen == [passage.id for passage in passages]


def test_eos_inside_a_text_and_bos_as_pad_are_counted(models: dict[str, LanguageModel]) -> None:
    """W2: with BOS = EOS = pad, counting ids that are not pad loses tokens."""
    tokens = models["gpt2"].tokens
    batch = next(
        tokens.batches(
            [Text(0, "a<|endoftext|>b<|endoftext|>"), Text(1, "a much longer text than that")]
        )
    )
    assert batch.ids[0][batch.mask[0]].tolist() == [
        0,
        *tokens.encode("a")[1:],
        0,
        *tokens.encode("b")[1:],
        0,
    ]
    assert batch.keep[0].sum() == 4


def test_passages_without_tokens_are_left_out(models: dict[str, LanguageModel]) -> None:
    tokens = models["qwen"].tokens
    batch = next(tokens.batches([Text(0, ""), Text(1, "a")]))
    assert batch.passage.tolist() == [1]
    assert list(tokens.batches([Text(0, "")])) == []


@pytest.mark.parametrize("size", [1, 2, 100])
def test_batches_count_every_passage_and_every_token_cut(tokens: Tokens, size: int) -> None:
    """A passage without tokens is in no batch (Qwen adds no BOS), but it was read all the same."""
    texts = ["", "", *tiny.TEXTS[:4], "", *tiny.TEXTS[4:]]
    batches = list(tokens.batches([Text(n, text) for n, text in enumerate(texts)], size, 5))
    lengths = [len(tokens.encode(text)) for text in texts]
    assert sum(batch.n_passages for batch in batches) == len(texts)
    assert sum(batch.n_tokens + batch.n_cut for batch in batches) == sum(lengths)
    assert batches[0].n_passages >= min(size, len(texts))


@pytest.mark.parametrize("name", ["gemma", "qwen"])
@pytest.mark.parametrize("add_generation_prompt", [False, True])
def test_chat_is_the_template_with_one_bos(
    name: str, add_generation_prompt: bool, models: dict[str, LanguageModel]
) -> None:
    """W3: the template writes a BOS of its own."""
    tokens = models[name].tokens
    ids, is_template = tokens.chat(CHAT, add_generation_prompt)
    rendered = tokens.tokenizer.apply_chat_template(
        CHAT, tokenize=False, add_generation_prompt=add_generation_prompt
    )
    assert joined(tokens, ids) == rendered
    assert ids.count(tokens.bos) == (tokens.bos is not None)
    assert is_template[0]
    assert is_template[-1]
    assert len(ids) == len(is_template)


@pytest.mark.parametrize("name", ["gemma", "qwen"])
def test_content_tokens_are_what_people_wrote(name: str, models: dict[str, LanguageModel]) -> None:
    """W4: everything else is template, even where a message repeats the template's words."""
    tokens = models[name].tokens
    ids, is_template = tokens.chat(CHAT, add_generation_prompt=True)
    strip = str.strip if name == "gemma" else str
    content = [id for id, template in zip(ids, is_template, strict=True) if not template]
    assert joined(tokens, content) == "".join(strip(message["content"]) for message in CHAT)


def test_templates_that_print_contents_twice_stripped_or_not(
    models: dict[str, LanguageModel],
) -> None:
    tokens = Tokens(AutoTokenizer.from_pretrained(models["qwen"].name))
    tokens.tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.content | trim }}|{{ m.content }}]{{ m.role }}:{% endfor %}"
    )
    ids, is_template = tokens.chat([{"role": "user", "content": " a]b "}])
    content = [id for id, template in zip(ids, is_template, strict=True) if not template]
    assert joined(tokens, ids) == "[a]b| a]b ]user:"
    assert joined(tokens, content) == "a]b a]b "


BRANCHES = {
    "before": "{% if '?' in m.content %}[question] {% endif %}{{ m.content }}",
    "after": "{{ m.content | trim }}{% if '?' in m.content %} [question]{% endif %}",
    "long": "{{ m.content }}{% if m.content | length > 9 %} [long]{% endif %}",
    "thought": "{{ m.content.split('</think>')[-1] }}",
    "refusal": "{% if '?' in m.content %}{{ raise_exception('no questions') }}{% endif %}"
    "{{ m.content }}",
    "start": "{% if m.content.startswith('Why') %}[why] {% endif %}{{ m.content }}",
    "upper": "{{ m.content | upper }}",
}


@pytest.mark.parametrize("name", BRANCHES)
@pytest.mark.parametrize(
    "content", ["a", "Why? ", " a longer one", "<think>b?</think>c", "x|\n<y>"]
)
def test_a_template_that_changes_with_contents_is_located_or_refused(
    models: dict[str, LanguageModel], name: str, content: str
) -> None:
    """What counts as content is the message's own text, never the template's."""
    tokens = Tokens(AutoTokenizer.from_pretrained(models["qwen"].name))
    tokens.tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>" + BRANCHES[name] + "|\n{% endfor %}"
    )
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "a"}] * 2
    reason = tokens.refusal(messages)
    if name in ("before", "after", "thought"):
        assert reason == ""
    if name == "refusal":
        assert ("no questions" in reason) == ("?" in content)
    if reason:
        with pytest.raises(ChatError):
            tokens.chat(messages)
        return
    ids, is_template = tokens.chat(messages)
    assert joined(tokens, ids) == tokens.tokenizer.apply_chat_template(messages, tokenize=False)
    found = joined(tokens, [id for id, own in zip(ids, is_template, strict=True) if not own])
    own = content.split("</think>")[-1] if name == "thought" else content
    assert found == ((own.strip() if name == "after" else own) + "a") * 2


@pytest.mark.parametrize("name", ["gemma", "qwen"])
def test_contents_that_look_like_marks_or_like_the_template_are_located(
    name: str, models: dict[str, LanguageModel]
) -> None:
    tokens = models[name].tokens
    for content in ("xQ0Qx", "xQ1Qx xQ0Qx", f"xQ{'9' * 5_000}Qx", "assistant\n", ""):
        messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "b"}]
        assert tokens.refusal(messages) == ""
        ids, is_template = tokens.chat(messages)
        found = [id for id, own in zip(ids, is_template, strict=True) if not own]
        assert joined(tokens, found) == (content.strip() if name == "gemma" else content) + "b"


def test_what_a_template_says_is_one_short_line(models: dict[str, LanguageModel]) -> None:
    tokens = Tokens(AutoTokenizer.from_pretrained(models["qwen"].name))
    tokens.tokenizer.chat_template = "{{ raise_exception('\\x1b[31m a\\nb' * 500) }}"
    reason = tokens.refusal(CHAT)
    assert reason.isprintable()
    assert len(reason) < 300


def test_chats_that_cannot_be_rendered(models: dict[str, LanguageModel]) -> None:
    with pytest.raises(ModelError, match="no chat template"):
        models["gpt2"].tokens.chat(CHAT)
    with pytest.raises(ModelError, match="no chat template"):
        models["gpt2"].tokens.refusal(CHAT)
    with pytest.raises(ModelError, match="System role not supported"):
        models["gemma"].tokens.chat([{"role": "system", "content": "x"}])
    tokens = Tokens(AutoTokenizer.from_pretrained(models["qwen"].name))
    tokens.tokenizer.chat_template = "{% for m in messages %}{{ m.content | upper }}{% endfor %}"
    with pytest.raises(ModelError, match="rewrites message contents"):
        tokens.chat([{"role": "user", "content": "abc"}])


def test_chat_batches_keep_content_only_and_open_the_reply_for_final(
    models: dict[str, LanguageModel],
) -> None:
    tokens = models["gemma"].tokens
    answered = (CHAT[0], CHAT[1])
    passages = [
        Text(0, messages=(CHAT[0],)),
        Text(1, "plain text beside it"),
        Text(2, messages=answered),
    ]
    batch = next(tokens.batches(passages))
    assert joined(tokens, batch.ids[0][batch.keep[0]].tolist()) == CHAT[0]["content"]
    assert joined(tokens, batch.ids[1][batch.keep[1]].tolist()) == "plain text beside it"
    assert joined(tokens, batch.ids[0][batch.mask[0]].tolist()).endswith("<start_of_turn>model\n")
    assert joined(tokens, batch.ids[2][batch.mask[2]].tolist()).endswith("model.<end_of_turn>\n")


def test_prompts_are_cut_to_the_context_and_say_so(models: dict[str, LanguageModel]) -> None:
    model = models["gpt2"]
    short, long = model.encode_prompt("a text"), model.encode_prompt("a text " * 100)
    assert not short.truncated
    assert short.is_template == [True] + [False] * (len(short.ids) - 1)
    assert long.truncated
    assert len(long.ids) == len(long.is_template) == model.context
    chat: Any = models["gemma"].encode_prompt(CHAT[:1])
    assert joined(models["gemma"].tokens, chat.ids).endswith("model\n")
    assert np.array(chat.is_template).sum() < len(chat.ids)
