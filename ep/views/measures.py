"""Numbers and categories of every region, which the map can be coloured by.

Each is computed for all K regions together from the dictionary's arrays, with the definitions of
`docs/format.md` and protocol 6.1 (stability). Categories of tokens depend on the kinds of their
characters only, never on meaning. Colours are assigned in `colorings`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ep.method.dictionary import Dictionary
from ep.studies import survival
from ep.views import tables

if TYPE_CHECKING:
    from ep.storage.labels import Labels

NO_LIST, NO_LABEL, NO_TOKEN = "in no list", "no label", "no token"
SCRIPTS = (
    *("LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI"),
    *("HANGUL", "HIRAGANA", "KATAKANA", "THAI", "ARMENIAN", "GEORGIAN"),
)


def _two(value: float) -> str:
    return f"{value:.2f}"


def _whole(value: float) -> str:
    return f"{round(value):,}"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _factor(value: float) -> str:
    return f"{2.0**value:.2g}×"


@dataclass(frozen=True)
class Number:
    """A quantity with one number per region.

    title: its name in the list of colourings.
    about: its name on the ramp, with the unit; {distance} stands for the name of a distance in the
        metric of the dictionary.
    needs: names of the arrays it is computed from.
    values: computes it from a dictionary: (K,) float, NaN where a region has no value.
    text: formats a value.
    is_log: whether the ramp is logarithmic.
    middle: the neutral value, which belongs in the middle of the ramp; None if there is none.
    """

    title: str
    about: str
    needs: tuple[str, ...]
    values: Callable[[Dictionary], np.ndarray]
    text: Callable[[float], str] = _two
    is_log: bool = False
    middle: float | None = None

    def fits(self, dictionary: Dictionary) -> bool:
        """Whether the dictionary has every array it is computed from."""
        return all(name in dictionary for name in self.needs)


@dataclass(frozen=True)
class Category:
    """A category with one text per region.

    title: its name in the list of colourings.
    values: computes it from a dictionary and its labels: K texts.
    fits: whether a dictionary and its labels have what it is computed from.
    grey: the value that stands for "none", drawn grey.
    """

    title: str
    values: Callable[[Dictionary, Labels | None], Sequence[str]]
    fits: Callable[[Dictionary, Labels | None], bool]
    grey: str = ""


def _column(name: str) -> Callable[[Dictionary], np.ndarray]:
    return lambda dictionary: dictionary.column(name).astype(np.float64)


def _with_members(name: str) -> Callable[[Dictionary], np.ndarray]:
    """A column that has no meaning, and becomes NaN, for regions without Voronoi members."""

    def values(dictionary: Dictionary) -> np.ndarray:
        column = dictionary.column(name).astype(np.float64)
        return np.where(dictionary.column("count_voronoi") > 0, column, np.nan)

    return values


def stability(dictionary: Dictionary) -> np.ndarray:
    """(K,) stability D = log10(N·c²) of N arrival members with coherence c (protocol 6.1).

    NaN where N or c is 0.
    """
    count, coherence = (
        dictionary.column(n).astype(np.float64) for n in ("count_arrival", "coherence")
    )
    product = count * coherence**2
    return np.log10(product, out=np.full(len(product), np.nan), where=product > 0)


def survival_share(dictionary: Dictionary) -> np.ndarray:
    """(K,) share of the other seeds in which the region survived; NaN where it is not known."""
    found = survival.share(dictionary)
    return np.full(len(dictionary), np.nan) if found is None else found


def contested(dictionary: Dictionary) -> np.ndarray:
    """(K,) share in [0, 1] of the examined members with a margin below 0.1·θ to their rival.

    NaN where no member was examined.
    """
    examined, n_contested = (
        dictionary.column(n).astype(np.float64) for n in ("rival_seen", "contested")
    )
    return np.divide(n_contested, examined, out=np.full(len(examined), np.nan), where=examined > 0)


def moved(dictionary: Dictionary) -> np.ndarray:
    """(K,) log2 of the ratio of Voronoi members to arrival members.

    Positive where the region gained members after their arrival, negative where it lost some to
    regions founded later; NaN where it has none of either.
    """
    voronoi, arrival = (
        dictionary.column(n).astype(np.float64) for n in ("count_voronoi", "count_arrival")
    )
    has_both = (voronoi > 0) & (arrival > 0)
    ratio = voronoi / np.where(has_both, arrival, 1)
    return np.log2(ratio, out=np.full(len(ratio), np.nan), where=has_both)


def _nearest(dictionary: Dictionary) -> np.ndarray:
    """(K,) distance to the nearest other exemplar; NaN in a dictionary of one region."""
    return np.where(
        dictionary.column("nearest_ids")[:, 0] >= 0,
        dictionary.column("nearest_distances")[:, 0].astype(float),
        np.nan,
    )


NUMBERS: Mapping[str, Number] = {
    "members": Number(
        "Members",
        "Voronoi members, log scale",
        ("count_voronoi",),
        _column("count_voronoi"),
        _whole,
        is_log=True,
    ),
    "arrival": Number(
        "Members at arrival",
        "members at arrival, log scale",
        ("count_arrival",),
        _column("count_arrival"),
        _whole,
        is_log=True,
    ),
    "moved": Number(
        "Gained or lost since arrival",
        "Voronoi ÷ arrival members",
        ("count_voronoi", "count_arrival"),
        moved,
        _factor,
        middle=0.0,
    ),
    "coherence": Number(
        "Coherence", "coherence ‖Σû‖/N, at arrival", ("coherence",), _column("coherence")
    ),
    "stability": Number(
        "Stability D",
        "stability D = log10(N·c²), N at arrival",
        ("count_arrival", "coherence"),
        stability,
    ),
    "survival": Number(
        "Survival over seeds",
        "share of the other seeds that find the region again",
        ("survived",),
        survival_share,
        _share,
    ),
    "distance": Number(
        "Mean distance",
        "mean {distance} of members to the exemplar",
        ("mean_distance", "count_voronoi"),
        _with_members("mean_distance"),
    ),
    "farthest": Number(
        "Farthest member",
        "{distance} of the farthest member",
        ("max_distance", "count_voronoi"),
        _with_members("max_distance"),
    ),
    "nearest": Number(
        "Nearest region",
        "{distance} to the nearest exemplar",
        ("nearest_ids", "nearest_distances"),
        _nearest,
    ),
    "agreement": Number(
        "Exemplar and mean",
        "cosine of exemplar and mean direction",
        ("exemplar_mean_cosine",),
        _column("exemplar_mean_cosine"),
    ),
    "contested": Number(
        "Contested share",
        "members a second exemplar nearly takes",
        ("contested", "rival_seen"),
        contested,
        _share,
    ),
    "founded": Number(
        "Founded at",
        "activations streamed before it was founded, log scale",
        ("founded_at",),
        _column("founded_at"),
        _whole,
        is_log=True,
    ),
}
"""The numbers by the name they have in a link."""


# -- tokens ----------------------------------------------------------------------------------------


@lru_cache(maxsize=65536)
def kind(token: str) -> str:
    """The kind of a token by its characters.

    One of "word" (begins a word), "Capitalised word", "inside a word", "Capitalised, no space",
    "number", "punctuation", "symbol", "special" ("<…>"), "whitespace" and "no token" (empty).
    """
    text = token.strip()
    if not text:
        return "whitespace" if token else NO_TOKEN
    if text.startswith("<") and text.endswith(">") and len(text) > 2:
        return "special"
    classes = {unicodedata.category(c)[0] for c in text}
    if "N" in classes and not classes & {"L", "M"}:
        return "number"
    if not classes & {"L", "M"}:
        return "punctuation" if "P" in classes else "symbol"
    if token[0].isspace() or token[0] == "▁":
        return "Capitalised word" if text[0].isupper() else "word"
    return "Capitalised, no space" if text[0].isupper() else "inside a word"


@lru_cache(maxsize=65536)
def script(token: str) -> str:
    """The script of a token's first letter, such as "Latin" or "Han".

    "another script" for one that is not in `SCRIPTS`, "no letter" for a token without letters.
    """
    for character in token:
        if not character.isalpha():
            continue
        word = unicodedata.name(character, "OTHER").split()[0]
        if word in SCRIPTS:
            return word.capitalize()
        return "Han" if word == "CJK" else "another script"
    return "no letter"


def _of_top_token(
    classify: Callable[[str], str],
) -> Callable[[Dictionary, Labels | None], Sequence[str]]:
    def values(dictionary: Dictionary, labels: Labels | None) -> Sequence[str]:
        ids = tables.token_ids(dictionary)
        if ids is None:
            return [NO_TOKEN] * len(dictionary)
        return _classified(dictionary, ids[:, 0], classify)

    return values


def _founders(dictionary: Dictionary, labels: Labels | None) -> Sequence[str]:
    return _classified(dictionary, dictionary.column("founder_token"), kind)


def _classified(
    dictionary: Dictionary, ids: np.ndarray, classify: Callable[[str], str]
) -> Sequence[str]:
    """The class of each token id (K,); `classify` is called once per distinct id."""
    distinct, inverse = np.unique(ids, return_inverse=True)
    words = np.array(
        [classify(dictionary.piece(i)) if i >= 0 else NO_TOKEN for i in distinct.tolist()], object
    )
    return list(words[inverse])


# -- labels and lists ------------------------------------------------------------------------------


def _sources(dictionary: Dictionary, labels: Labels | None) -> Sequence[str]:
    """The source of each region's label: "by hand", the name of a model, or "automatic"."""
    if labels is None:
        return [NO_LABEL] * len(dictionary)
    names = {"hand": "by hand", "automatic": "automatic"}
    sources = labels.sources()
    return [
        names.get(source, source.removeprefix("model:").partition("@")[0])
        if (source := sources.get(k, ""))
        else NO_LABEL
        for k in range(len(dictionary))
    ]


def _lists(dictionary: Dictionary, labels: Labels | None) -> Sequence[str]:
    """The name of the list that each region is in; of several, the oldest."""
    out = [NO_LIST] * len(dictionary)
    for name, listed in reversed(list(labels.lists.items() if labels else ())):
        for region in listed.regions:
            out[region] = name
    return out


CATEGORIES: Mapping[str, Category] = {
    "kind": Category(
        "Kind of top token",
        _of_top_token(kind),
        lambda d, _: tables.token_ids(d) is not None,
        NO_TOKEN,
    ),
    "script": Category(
        "Script of top token",
        _of_top_token(script),
        lambda d, _: tables.token_ids(d) is not None,
        NO_TOKEN,
    ),
    "founder": Category(
        "Kind of founding token", _founders, lambda d, _: "founder_token" in d, NO_TOKEN
    ),
    "labels": Category("Who named it", _sources, lambda _, labels: labels is not None, NO_LABEL),
    "lists": Category("Lists", _lists, lambda _, labels: bool(labels and labels.lists), NO_LIST),
}
"""The categories by the name they have in a link."""
