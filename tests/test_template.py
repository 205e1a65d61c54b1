"""The chat template around passages is recognised without a model, and left out of excerpts that
mark one of its tokens.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import ep
from ep.method.template import template_edges
from ep.views import excerpts
from pages.shared import tokens

DEMO = Path(__file__).resolve().parent.parent / "data" / "demo" / "dictionaries"
TEMPLATES = {
    "gemma": (
        ["<bos>", "<start_of_turn>", "user", "\n"],
        ["<end_of_turn>", "\n", "<start_of_turn>", "model", "\n"],
    ),
    "chatml": (
        ["<|im_start|>", "system", "\n", "You", " help", "<|im_end|>", "\n", "<|im_start|>"]
        + ["user", "\n"],
        ["<|im_end|>", "\n", "<|im_start|>", "assistant", "\n"],
    ),
    "mistral": (["<s>", "[INST]"], ["[/INST]"]),
}
SAID = (["How", " do", " I", " bake", "?"], ["How", " is", " it", "?"], ["How", "?"])


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_what_all_passages_share_and_never_what_they_say(name: str) -> None:
    head, tail = TEMPLATES[name]
    passages = [[*head, *words, *tail] for words in SAID]
    n_head, n_tail = template_edges(passages)
    assert [p[n_head : len(p) - n_tail] for p in passages] == list(SAID)


@pytest.mark.parametrize(
    "passages",
    [[], [["a", "b"]], [["<s>", "a", "</s>"]] * 3, [["a", " cat", "."], ["a", " dog", "."]]],
)
def test_plain_passages_and_equal_ones_have_no_template(passages: list[list[str]]) -> None:
    assert template_edges(passages) == (0, 0)


@pytest.mark.parametrize("name", ["tuned-L4-final-p4", "base-L2-final-p8"])
def test_excerpts_of_last_tokens_show_what_the_user_said(name: str) -> None:
    dictionary = ep.open(DEMO / "last-token" / f"{name}.ep.h5")
    for region in range(0, len(dictionary), 7):
        rows = [excerpts.aligned(excerpt) for excerpt in dictionary.excerpts(region)]
        for row, excerpt in zip(rows, dictionary.excerpts(region), strict=True):
            text = "".join(row.left).removesuffix(excerpts.OMITTED)
            assert text and text in "".join(excerpt.pieces) and "<" not in text
            assert row.token == excerpt.token and not row.right
            assert "".join(excerpts.full(excerpt).left) == "".join(excerpt.pieces[:-1])
        assert 'class="ep-kwic ep-ends"' in tokens.aligned(rows, "#123456")


def test_excerpts_of_other_tokens_are_as_before() -> None:
    dictionary = ep.open(DEMO / "all-tokens" / "tuned-L4-p4.ep.h5")
    every = [e for region in range(40) for e in dictionary.excerpts(region)]
    assert all(excerpt.content is None for excerpt in every)
    assert 'class="ep-kwic"' in tokens.aligned(map(excerpts.aligned, every[:4]), "#123456")
