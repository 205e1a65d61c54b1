"""Rendering of chat messages with a tokenizer's template, and the spans of the message contents.

The template is known by its output alone: the same messages are rendered a second time with marks
in place of their contents, and the text around the marks is the template's. Where that text differs
from the first rendering, because the template changes with what messages say, they are rendered
once more with marks around their contents.

This works for templates that print contents whole, stripped or in part, in any order, once or
twice. A span is accepted only if its text is in the message. Spans are counted in characters, not
tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ep.errors import ChatError, ModelError
from ep.text import one_line

Message = Mapping[str, str]
"""One message: {"role": "user" | "assistant" | "system", "content": text}."""

_MARK = "xQ{}Qx"
_MARKS = re.compile(r"xQ(\d{1,9})Qx")


def render(
    tokenizer: Any, messages: Sequence[Message], add_generation_prompt: bool
) -> tuple[str, list[range]]:
    """Return the rendered text and the character ranges of the message contents, in their order.

    Raises ModelError where the tokenizer has no chat template, and ChatError where the template
    refuses the messages (Gemma allows no system role) or changes contents so that they cannot be
    located.
    """
    messages = [dict(message) for message in messages]
    rendered = _apply(tokenizer, messages, add_generation_prompt)
    for is_around in (False, True):
        marked = [
            {**message, "content": _marked(n, message["content"] if is_around else None)}
            for n, message in enumerate(messages)
        ]
        parts = _MARKS.split(_apply(tokenizer, marked, add_generation_prompt))
        literals, order = _frame(parts, is_around)
        if set(order) <= set(range(len(messages))):
            spans = _spans(rendered, literals, [messages[n]["content"] for n in order])
            if spans is not None:
                return rendered, spans
    raise ChatError(
        "the chat template rewrites message contents, or its own text changes with them, so they "
        "cannot be told apart"
    )


def _apply(tokenizer: Any, messages: Sequence[Message], add_generation_prompt: bool) -> str:
    """Render messages with the template; ModelError without one, ChatError if it refuses them."""
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
        raise ChatError(
            f"the chat template refuses these messages: {one_line(str(error))}; change their roles "
            "or order"
        ) from error


def _marked(number: int, content: str | None) -> str:
    """The mark of a message: in place of its content (None), or on both sides of it."""
    mark = _MARK.format(number)
    return mark if content is None else f"{mark}{content}{mark}"


def _frame(parts: list[str], is_around: bool) -> tuple[list[str], list[int]]:
    """Return the template's own texts, and the numbers of the messages between them.

    parts: a rendering with marks, split at these: texts alternate with the numbers in the marks.
    is_around: whether marks are on both sides of contents.
    """
    if not is_around:
        return parts[::2], [int(n) for n in parts[1::2]]
    # literal, number, content, number, literal, …
    before, after = parts[1::4], parts[3::4]
    return (parts[::4], [int(n) for n in before]) if before == after else ([], [-1])


def _spans(rendered: str, literals: list[str], contents: list[str]) -> list[range] | None:
    """Locate the contents in `rendered` = literal, content, literal, content, …, literal.

    Returns None where they do not alternate like this.
    """
    if not rendered.startswith(literals[0]):
        return None
    spans, at = [], len(literals[0])
    for number, (content, literal) in enumerate(zip(contents, literals[1:], strict=True), 1):
        is_last = number == len(contents)
        end = _end(rendered, at, content, literal, is_last)
        if end is None:
            return None
        spans.append(range(at, end))
        at = end + len(literal)
    return spans if at == len(rendered) else None


def _end(rendered: str, at: int, content: str, literal: str, is_last: bool) -> int | None:
    """Return where the content that starts at `at` ends, followed by a literal; None if nowhere.

    is_last: whether the literal must end the text.
    """
    for strip in (str, str.rstrip, str.lstrip, str.strip):
        end = at + len(strip(content))
        if rendered.startswith(strip(content) + literal, at) and (
            not is_last or end + len(literal) == len(rendered)
        ):
            return end
    # a part of the content, as where a template leaves out what a model thought
    if is_last:
        end = len(rendered) - len(literal) if rendered.endswith(literal) else -1
    else:
        end = rendered.find(literal, at)
    return end if at <= end and rendered[at:end] in content else None
