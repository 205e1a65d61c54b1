"""Edits of the labels of a dictionary by people and models: their construction and validation.

An edit is a small JSON object, described in `docs/labels.md`. The label file is the list of all
edits, so nothing is ever lost and any edit can be undone. Files, and the labels that result from
the edits, are handled in `ep.storage.labelfile` and `ep.storage.labels`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ep.errors import RequestError

Edit = dict[str, Any]
"""An edit as a JSON object."""
LONGEST = 10_000
"""The largest number of characters in a label or a note."""
LONGEST_NAME = 200
"""The largest number of characters in the name of a list or a source."""
HAND, AUTOMATIC, MODEL, PUBLISHED = "hand", "automatic", "model:", "published"
"""The sources of a label; MODEL is the prefix of a model's."""


@dataclass(frozen=True)
class Score:
    """How well a label lets readers recognise a region's excerpts, measured as balanced accuracy.

    value: balanced accuracy, in [0, 1].
    n: number of excerpts judged.
    low, high: the 95 % interval around the value, in [0, 1].
    control: the value for another region's label on the same excerpts; None if it was not measured.
    """

    value: float
    n: int
    low: float
    high: float
    control: float | None = None


def label(
    region: int,
    text: str,
    source: str = HAND,
    score: Score | None = None,
    replaces: int | None = None,
    locked: bool = False,
) -> Edit:
    """Give a region a label.

    region: the region's id.
    text: the label.
    source: "hand", "model:NAME@HOST" or "automatic".
    score: how good the label is, if it was measured.
    replaces: id of the label it replaces, unless that one is locked.
    locked: whether the new label is locked.
    """
    edit: Edit = {
        "do": "label",
        "region": int(region),
        "text": clean(text).strip(),
        "source": clean(source),
    }
    if score is not None:
        edit |= {"score": score.value, "n": score.n, "interval": [score.low, score.high]}
        if score.control is not None:
            edit["control"] = score.control
    if replaces is not None:
        edit["replaces"] = replaces
    if locked:
        edit["locked"] = True
    return edit


def remove(region: int, label: int) -> Edit:
    """Remove a label, by its id, from a region; a locked one stays."""
    return {"do": "remove", "region": int(region), "label": label}


def lock(region: int, label: int, on: bool = True) -> Edit:
    """Lock a label by its id, or unlock it.

    A locked label stays the best one, and nothing replaces or removes it.
    """
    return {"do": "lock", "region": int(region), "label": label, "on": on}


def note(region: int, text: str) -> Edit:
    """Set the note of a region; an empty text removes it."""
    return {"do": "note", "region": int(region), "text": clean(text).strip()}


def put(name: str, regions: Iterable[int] = ()) -> Edit:
    """Append regions to a named list, which is created if it does not exist.

    Regions already on the list keep their places.
    """
    return {"do": "put", "list": _name(name), "regions": [int(k) for k in regions]}


def take(name: str, regions: Iterable[int]) -> Edit:
    """Remove regions from a list."""
    return {"do": "take", "list": _name(name), "regions": [int(k) for k in regions]}


def order(name: str, regions: Iterable[int]) -> Edit:
    """Set the order of a list.

    Regions of the list that are not given follow in their present order.
    """
    return {"do": "order", "list": _name(name), "regions": [int(k) for k in regions]}


def describe(name: str, text: str) -> Edit:
    """Set the note of a list."""
    return {"do": "describe", "list": _name(name), "text": clean(text).strip()}


def drop(name: str) -> Edit:
    """Delete a list."""
    return {"do": "drop", "list": _name(name)}


def undo(edit: int) -> Edit:
    """Undo the edit with this id; an undo can be undone as well."""
    return {"do": "undo", "edit": edit}


def clean(text: str) -> str:
    """Replace lone surrogates, which cannot be stored or displayed, by a visible character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _name(text: str) -> str:
    """Return a list's name with white space normalised."""
    return " ".join(clean(text).split())


# -- checking --------------------------------------------------------------------------------------


def check(edit: Any, regions: int) -> Edit:
    """Return a cleaned edit if it can be applied to a dictionary of so many regions.

    Edits of a kind that this version does not know are returned unchanged: they are stored and have
    no effect. So are fields that an edit of its kind does not have, whatever their values. Raises
    RequestError for any other edit that cannot be applied.

    edit: the edit, of any type.
    regions: number of regions of the dictionary, K.
    """
    if not isinstance(edit, dict) or not isinstance(edit.get("do"), str):
        raise RequestError("an edit must be an object with a text 'do'")
    rules = RULES.get(edit["do"])
    if rules is None:
        return edit
    required, optional = rules
    rules_by_field = required | optional
    for field, rule in rules_by_field.items():
        if field not in edit:
            if field in required:
                raise RequestError(f"the edit {edit['do']!r} has no {field!r}")
            continue
        if (fault := rule(edit[field])) is not None:
            raise RequestError(f"{field!r} {fault}")
    named = edit["regions"] if "regions" in rules_by_field else ()
    for k in (edit["region"],) if "region" in rules_by_field else named:
        if not 0 <= k < regions:
            raise RequestError(
                f"region {k} does not exist: this dictionary has regions 0 to {regions - 1}"
            )
    if edit["do"] == "label" and "score" in edit and not {"n", "interval"} <= edit.keys():
        raise RequestError("a 'score' needs its 'n' and its 'interval'")
    return {
        field: clean(value) if isinstance(value, str) else value for field, value in edit.items()
    }


Rule = Callable[[Any], "str | None"]
"""A rule for one field: returns what is wrong with a value, or None."""


def _text(longest: int, empty: bool = False) -> Rule:
    """Return a rule for texts of a limited length."""

    def rule(value: Any) -> str | None:
        if not isinstance(value, str):
            return "is not a text"
        if not value.strip() and not empty:
            return "is empty: write a few words"
        return (
            None
            if len(value) <= longest
            else f"has {len(value):,} characters: at most {longest:,} are allowed"
        )

    return rule


def _whole(value: Any) -> str | None:
    return (
        None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0
        else "is not a whole number"
    )


def _share(value: Any) -> str | None:
    is_number = (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    )
    return None if is_number and 0 <= value <= 1 else "is not a number from 0 to 1"


def _interval(value: Any) -> str | None:
    is_valid = (
        isinstance(value, list)
        and len(value) == 2
        and not any(map(_share, value))
        and value[0] <= value[1]
    )
    return None if is_valid else "is not a pair of rising numbers from 0 to 1"


def _many(value: Any) -> str | None:
    return (
        None
        if isinstance(value, list) and not any(map(_whole, value))
        else "is not a list of whole numbers"
    )


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "is neither true nor false"


_REGION: Mapping[str, Rule] = {"region": _whole}
_LIST: Mapping[str, Rule] = {"list": _text(LONGEST_NAME)}
_SCORE: Mapping[str, Rule] = {
    "score": _share,
    "n": _whole,
    "interval": _interval,
    "control": _share,
}
RULES: Mapping[str, tuple[dict[str, Rule], dict[str, Rule]]] = {
    "label": (
        {**_REGION, "text": _text(LONGEST), "source": _text(LONGEST_NAME)},
        {**_SCORE, "replaces": _whole, "locked": _flag},
    ),
    "remove": ({**_REGION, "label": _whole}, {}),
    "lock": ({**_REGION, "label": _whole, "on": _flag}, {}),
    "note": ({**_REGION, "text": _text(LONGEST, empty=True)}, {}),
    "put": ({**_LIST, "regions": _many}, {}),
    "take": ({**_LIST, "regions": _many}, {}),
    "order": ({**_LIST, "regions": _many}, {}),
    "describe": ({**_LIST, "text": _text(LONGEST, empty=True)}, {}),
    "drop": (dict(_LIST), {}),
    "undo": ({"edit": _whole}, {}),
}
"""The fields that each kind of edit must have and those it may have, with their rules."""
