"""Renders chat messages through a tokenizer's template and tells the template from what people
wrote.

Knows templates only by their output: the same messages are rendered once more with marks in place
of their contents, and what stands around the marks is template. So it works for any template that
prints contents as they are (or stripped), in any order, once or twice. Does not know tokens: spans
are in characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ep.errors import ModelError

Message = Mapping[str, str]
"""{"role": "user" | "assistant" | "system", "content": text}"""

_MARK = "xQ{}Qx"
_MARKS = re.compile(r"xQ(\d+)Qx")


def render(
    tokenizer: Any, messages: Sequence[Message], add_generation_prompt: bool
) -> tuple[str, list[range]]:
    """Rendered text, and the character ranges that are message contents, in order.

    Raises ModelError where the tokenizer has no chat template, the template refuses the messages
    (Gemma: no system role), or it rewrites contents beyond recognition.
    """
    messages = [dict(message) for message in messages]
    rendered = _apply(tokenizer, messages, add_generation_prompt)
    marked = [{**message, "content": _MARK.format(n)} for n, message in enumerate(messages)]
    frame = _MARKS.split(_apply(tokenizer, marked, add_generation_prompt))
    literals, order = frame[::2], [int(n) for n in frame[1::2]]
    return rendered, _spans(rendered, literals, [messages[n]["content"] for n in order])


def _apply(tokenizer: Any, messages: Sequence[Message], add_generation_prompt: bool) -> str:
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
    """Where the contents stand in `rendered` = literal, content, literal, content, ..., literal."""
    for strip in (str.strip, str, str.rstrip, str.lstrip):
        guess = _assembled(literals, [strip(content) for content in contents])
        if guess[0] == rendered:
            return guess[1]
    pattern = "(.*?)".join(re.escape(literal) for literal in literals)
    match = re.fullmatch(pattern, rendered, flags=re.DOTALL)
    if match is None:
        raise ModelError(
            "the chat template rewrites message contents: its own tokens cannot be told from them"
        )
    return [range(*match.span(n + 1)) for n in range(len(contents))]


def _assembled(literals: Iterable[str], contents: list[str]) -> tuple[str, list[range]]:
    text, spans = "", []
    for literal, content in zip(literals, [*contents, ""], strict=True):
        text += literal
        spans.append(range(len(text), len(text) + len(content)))
        text += content
    return text, spans[:-1]
