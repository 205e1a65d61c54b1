"""What a region is called, wherever it is named: on maps, chips, tables, the command line, exports.

A region's name is its best label: by hand, else by a model, else the one published in the file,
else the automatic one (`ep.studies.naming`). Lens tokens are no name; they stand beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ep.method.dictionary import Dictionary
from ep.method.source import AddedSource
from ep.storage.labels import Labels, published_in
from ep.studies import grouping
from ep.studies.naming import WORDED, as_arrays, automatic, compute
from ep.text import plain

LONGEST_SHORT = 18
"""Characters of a short name, for a chip or a label on the map."""
LONGEST_CELL = 60
"""Characters of a name in a table, whose columns show as much as they have room for."""
LONGEST_LINE = 240
"""Characters of a whole name where it is shown on hover."""
_JOINED = re.compile(r"(?<=\")( / | → | after | before |, lens |, in texts with | )(?=\")")
"""What stands between the quoted tokens of an automatic label."""
_BESIDE = re.compile(r"(?<=\")( → | after | before |, lens |, in texts with )(?=\")")
"""What stands between the head of an automatic label and what is around the members."""


def names(
    dictionary: Dictionary,
    regions: Sequence[int] | np.ndarray | None = None,
    labels: Labels | None = None,
) -> list[str]:
    """Return the names of all regions, or of the given ones in their order.

    labels: the labels of people and models; without them the published and the automatic ones name.

    Names may have any length and any characters; `short` makes them fit for display.
    """
    ids = np.arange(len(dictionary)) if regions is None else np.asarray(regions, np.int64)
    given = (
        published_in(dictionary.info.get("published_labels"), len(dictionary))
        if labels is None
        else labels.texts(automatic=False)
    )
    computed = automatic(dictionary, ids.tolist())
    return [given.get(k, text) for k, text in zip(ids.tolist(), computed, strict=True)]


def name(dictionary: Dictionary, region: int, labels: Labels | None = None) -> str:
    """Return the name of one region, as `names` does."""
    if labels is not None and (stored := labels.stored(dictionary.check(region))):
        return stored[0].text
    return names(dictionary, [region])[0] if labels is None else automatic(dictionary, [region])[0]


def with_names(dictionary: Dictionary) -> Dictionary:
    """Return the dictionary with the automatic names of its regions and groups, to be stored.

    They are computed from its other arrays, whether it had names before or not.
    """
    info = dict(dictionary.info)
    if "neighbourhood" in dictionary and all(groups := grouping.compute(dictionary)):
        info["group_names"] = groups
    source = AddedSource(dictionary.source, as_arrays(compute(dictionary)))
    return Dictionary(source, info, len(dictionary), dictionary.path)


def short(name: str, longest: int = LONGEST_SHORT) -> str:
    """Return a name as one line of at most `longest` characters.

    The tokens of an automatic label lose their quotation marks and surrounding spaces, and where
    there is no room for all, the first ones stay. Other names are cut between words.
    """
    line = one_line(name.removeprefix(WORDED))
    quoted = line.removeprefix("lens ")
    if len(quoted) < 3 or not quoted.startswith('"') or not quoted.endswith('"'):
        return _cut(line, longest)
    parts = _JOINED.split(quoted)
    text = line[: len(line) - len(quoted)] + _bare(parts[0])
    if len(text) > longest:
        return _cut(text, longest)
    for joint, token in zip(parts[1::2], parts[2::2], strict=True):
        more = text + (joint if joint.strip() else " / ") + _bare(token)
        if len(more) > longest or (len(more) == longest and token is not parts[-1]):
            return text if len(text) == longest else f"{text}…"
        text = more
    return text


def heads(name: str) -> list[str]:
    """Return the words at the head of an automatic label; of another label, the label itself."""
    head = _BESIDE.split(name)[0]
    return [word[1:-1] if word[:1] == word[-1:] == '"' else word for word in head.split(" / ")]


def is_placed(name: str) -> bool:
    """Return whether an automatic label also says what is around the members."""
    return _BESIDE.search(name) is not None


def one_line(name: str) -> str:
    """Return a whole name as one line, with control characters visible, for a tooltip."""
    return _cut(" ".join(plain(name[: 4 * LONGEST_LINE]).split()), LONGEST_LINE)


def _bare(token: str) -> str:
    """Return a quoted token without its quotation marks and the spaces around it."""
    return token[1:-1].strip() or token


def _cut(text: str, longest: int) -> str:
    """Return a text cut to at most `longest` characters, between words if there is a place."""
    if len(text) <= longest:
        return text
    head = text[: longest - 1]
    words = head.rpartition(" ")[0]
    kept = words if not text[longest - 1].isspace() and len(words) > longest // 3 else head
    return f"{kept.rstrip(' /→') or kept}…"
