"""The glossary: every term of the screens once, looked up by its key or by the name of a figure.

The Glossary page lists the terms, and every explanation of a figure, a column or a control comes
from here, so that a term means the same everywhere. The words are in `terms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ep.views import terms
from ep.views.terms import Term

TERMS: Mapping[str, Term] = MappingProxyType(
    {term.key: term for term in (*terms.ALL, *terms.lenses(), *terms.readouts())}
)
"""Every term by its key, in the order of the page within each group."""
GROUPS = tuple(dict.fromkeys(term.group for term in TERMS.values()))
"""The headings of the page, in order."""
_BY_LABEL = {label.casefold(): term for term in TERMS.values() for label in term.labels}


def define(key: str, detail: str = "") -> str:
    """Return the definition of a term, as plain text.

    key: one of `TERMS`; KeyError for an unknown one. detail: a sentence on the place that shows it,
    such as how many were counted; appended with a full stop.
    """
    text = TERMS[key].text
    return f"{text} {_sentence(detail)}" if detail else text


def named(label: str) -> Term | None:
    """Return the term that a label on a screen stands for, or None.

    What follows a comma in the label may say more about the case: "θ, cosine" stands for θ.
    """
    text = label.casefold()
    return _BY_LABEL.get(text) or _BY_LABEL.get(text.partition(",")[0])


def hint(label: str, detail: str = "") -> str:
    """Return what explains a figure of this name: the definition of its term, if the glossary has
    one, and the detail.
    """
    term = named(label)
    return detail if term is None else define(term.key, detail)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
