"""What people and models do to the labels of a dictionary, one edit at a time: made here, checked
here, never changed.

An edit is a small JSON object, documented in `docs/labels.md`; the file is the list of all edits,
so nothing said is ever lost and any edit can be taken back. It knows no file, and not what the
labels are once all edits are applied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ep.errors import RequestError

Edit = dict[str, Any]
LONGEST = 10_000
"""Characters a label or a note may have."""
LONGEST_NAME = 200
HAND, AUTOMATIC, MODEL, PUBLISHED = "hand", "automatic", "model:", "published"


@dataclass(frozen=True)
class Score:
    """How well readers can tell a region's excerpts by a label (balanced accuracy), of n excerpts
    asked about.

    value, low, high: in [0, 1], the 95 % interval around the value.
    control: the same for another region's label on the same excerpts; None when it was not asked.
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
    """Gives a region a label. replaces: the id of the label it takes the place of, unless that one
    is locked.
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
    """Takes a label away, by its id; a locked one stays."""
    return {"do": "remove", "region": int(region), "label": label}


def lock(region: int, label: int, on: bool = True) -> Edit:
    """Locks a label, so that it stays the best and nothing replaces or removes it; or unlocks
    it.
    """
    return {"do": "lock", "region": int(region), "label": label, "on": on}


def note(region: int, text: str) -> Edit:
    """Sets the note of a region; an empty text takes it away."""
    return {"do": "note", "region": int(region), "text": clean(text).strip()}


def put(name: str, regions: Iterable[int] = ()) -> Edit:
    """Puts regions at the end of a named list, those it holds already stay where they are; makes
    the list.
    """
    return {"do": "put", "list": _name(name), "regions": [int(k) for k in regions]}


def take(name: str, regions: Iterable[int]) -> Edit:
    """Takes regions off a list."""
    return {"do": "take", "list": _name(name), "regions": [int(k) for k in regions]}


def order(name: str, regions: Iterable[int]) -> Edit:
    """Brings a list into this order; regions it holds that are not named here follow as they
    were.
    """
    return {"do": "order", "list": _name(name), "regions": [int(k) for k in regions]}


def describe(name: str, text: str) -> Edit:
    """Sets the note of a list."""
    return {"do": "describe", "list": _name(name), "text": clean(text).strip()}


def drop(name: str) -> Edit:
    """Takes a whole list away."""
    return {"do": "drop", "list": _name(name)}


def undo(edit: int) -> Edit:
    """Takes back the edit with this id; an undo can be taken back too."""
    return {"do": "undo", "edit": edit}


def clean(text: str) -> str:
    """The text with half characters (lone surrogates), which no file and no screen can hold, made
    visible.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _name(text: str) -> str:
    return " ".join(clean(text).split())


# -- checking --------------------------------------------------------------------------------------


def check(edit: Any, regions: int) -> Edit:
    """The edit, cleaned, when it is one that can be applied to a dictionary of so many regions;
    else RequestError.

    Edits of a kind this version does not know are let through: they are kept and have no effect.
    """
    if not isinstance(edit, dict) or not isinstance(edit.get("do"), str):
        raise RequestError("an edit is an object with a text 'do'")
    rules = RULES.get(edit["do"])
    if rules is None:
        return edit
    required, optional = rules
    for field, rule in (required | optional).items():
        if field not in edit:
            if field in required:
                raise RequestError(f"the edit {edit['do']!r} has no {field!r}")
            continue
        if (wrong := rule(edit[field])) is not None:
            raise RequestError(f"{field!r} {wrong}")
    for k in (edit["region"],) if "region" in edit else edit.get("regions", ()):
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


def _text(longest: int, empty: bool = False) -> Rule:
    def rule(value: Any) -> str | None:
        if not isinstance(value, str):
            return "is not a text"
        if not value.strip() and not empty:
            return "is empty: write a few words"
        return (
            None
            if len(value) <= longest
            else f"has {len(value):,} characters: at most {longest:,} are kept"
        )

    return rule


def _whole(value: Any) -> str | None:
    return (
        None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0
        else "is not a whole number"
    )


def _share(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return None if number and 0 <= value <= 1 else "is not a number from 0 to 1"


def _interval(value: Any) -> str | None:
    fine = (
        isinstance(value, list)
        and len(value) == 2
        and not any(map(_share, value))
        and value[0] <= value[1]
    )
    return None if fine else "is not a pair of rising numbers from 0 to 1"


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
"""For every kind of edit: the fields it must have and those it may have, with what must be true of
each.
"""
