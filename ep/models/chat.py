"""Rendering of chat messages with a tokenizer's template, and the spans of the message contents.

The template is known by its output alone: the same messages are rendered a second time with marks
in place of their contents, and the text around the marks is the template's. This works for any
template that prints contents as they are or stripped, in any order, once or twice. Spans are
counted in characters, not tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ep.errors import ModelError

Message = Mapping[str, str]
"""One message: {"role": "user" | "assistant" | "system", "content": text}."""

_MARK = "xQ{}Qx"
_MARKS = re.compile(r"xQ(\d+)Qx")


def render(
    tokenizer: Any, messages: Sequence[Message], add_generation_prompt: bool
) -> tuple[str, list[range]]:
    """Return the rendered text and the character ranges of the message contents, in their order.

    Raises ModelError where the tokenizer has no chat template, where the template refuses the
    messages (Gemma allows no system role), or where it changes contents so much that they cannot be
    located.
    """
    messages = [dict(message) for message in messages]
    rendered = _apply(tokenizer, messages, add_generation_prompt)
    marked = [{**message, "content": _MARK.format(n)} for n, message in enumerate(messages)]
    frame = _MARKS.split(_apply(tokenizer, marked, add_generation_prompt))
    # re.split alternates between the text around the marks and the numbers within them
    literals, order = frame[::2], [int(n) for n in frame[1::2]]
    return rendered, _spans(rendered, literals, [messages[n]["content"] for n in order])


def _apply(tokenizer: Any, messages: Sequence[Message], add_generation_prompt: bool) -> str:
    """Render messages with the template; ModelError where there is none or it refuses them."""
    from jinja2 import TemplateError

    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(
            "this model has no chat template; give plain text, or use an instruction-tuned model"
        )
    try:
        return tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )
    except (TemplateError, ValueError, TypeError) as error:
        raise ModelError(
            f"the chat template refuses these messages: {error}; change their roles or order"
        ) from error


def _spans(rendered: str, literals: list[str], contents: list[str]) -> list[range]:
    """Locate the contents in `rendered` = literal, content, literal, content, …, literal."""
    for strip in (str.strip, str, str.rstrip, str.lstrip):
        guess = _assembled(literals, [strip(content) for content in contents])
        if guess[0] == rendered:
            return guess[1]
    # templates that strip some contents but not others: take the shortest contents that fit
    pattern = "(.*?)".join(re.escape(literal) for literal in literals)
    match = re.fullmatch(pattern, rendered, flags=re.DOTALL)
    if match is None:
        raise ModelError(
            "the chat template rewrites message contents, so they cannot be told from its own text"
        )
    return [range(*match.span(n + 1)) for n in range(len(contents))]


def _assembled(literals: Iterable[str], contents: list[str]) -> tuple[str, list[range]]:
    """Join literals and contents; return the text and the spans of the contents in it."""
    text, spans = "", []
    for literal, content in zip(literals, [*contents, ""], strict=True):
        text += literal
        spans.append(range(len(text), len(text) + len(content)))
        text += content
    return text, spans[:-1]
