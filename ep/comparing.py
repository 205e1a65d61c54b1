"""Two dictionaries and their two models on the same inputs: prompts at the last token, stored
passages, round trips.

Joins what reads (models) to what is asked (studies); used by the Compare page and by `ep match`.
Knows no screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.models import LanguageModel
from ep.models.together import Positions, pieces, positions, recut, turns
from ep.studies import final_token, inputs
from ep.studies.matching import Match
from ep.studies.prompts import Prompts
from ep.studies.rates import Rate, rate_of

MOST_REGIONS = 2000
"""Regions of a round trip: of a larger dictionary a seeded sample."""
PASSAGES = 300
"""Stored passages read of either dictionary."""
LONGEST = 24
"""Places before a prompt's last token that are told apart."""
Told = Callable[[float], None]
Pair = tuple[Dictionary, Dictionary]
Models = tuple[LanguageModel, LanguageModel]


@dataclass(frozen=True, eq=False)
class Final:
    """Both dictionaries on the same prompts.

    a, b: how each separates; gap: AUROC of A minus that of B, with its interval. leads: 0 when A
    separates better, else
    1. regions: of A and of B: the leader's that holds most behaving prompts, and the other's
    nearest to it, with their cosine; without a matching both hold most, and the cosine is None.
    held_by: held-out (behaving, other) prompts in the two. places: of all behaving prompts, the
    share in either at 0, 1, … tokens before the last. chosen: prompts of the choice; held: those of
    the measure.
    """

    a: final_token.Separation
    b: final_token.Separation
    gap: tuple[float, float, float]
    leads: int
    regions: tuple[int, int]
    cosine: float | None
    held_by: tuple[tuple[Rate, Rate], tuple[Rate, Rate]]
    places: tuple[np.ndarray, np.ndarray]
    chosen: int
    held: Prompts


def final(
    pair: Pair, models: Models, chosen: Prompts, held: Prompts, found: Match | None, told: Told
) -> Final:
    """Reads all prompts as user turns with both models. found: the matching of the pair, None
    across widths.

    told(share) rises to 1; what it raises ends the work. RequestError unless both sets hold
    labelled prompts of both kinds, ModelError when a model does not fit.
    """
    if not (chosen.labelled and held.labelled):
        raise RequestError(
            "some prompts have no label: say of each whether it should show the behaviour"
        )
    labels = [np.array(one.labels, bool) for one in (chosen, held)]
    read, regions, separated = [], [], []
    for side, (dictionary, model) in enumerate(zip(pair, models, strict=True)):
        at = turns(
            model, [*chosen.texts, *held.texts], _layer(dictionary), _part(told, side / 2, 0.5)
        )
        region = dictionary.assign(at.x).region
        last = region[at.back == 0]
        n = len(chosen)
        separated.append(
            final_token.separate(last[:n], labels[0], last[n:], labels[1], len(dictionary))
        )
        read.append(at)
        regions.append(region)
    one, other = separated
    leads = int(other.auroc > one.auroc)
    shown, cosine = _shown((one.region, other.region), leads, found)
    behaving = np.flatnonzero(np.concatenate(labels))
    held_by, places = [], []
    for at, region, wanted in zip(read, regions, shown, strict=True):
        inside = region[at.back == 0][len(chosen) :] == wanted
        held_by.append((rate_of(inside[labels[1]]), rate_of(inside[~labels[1]])))
        places.append(_places(at, region, wanted, behaving))
    gap = final_token.gap(one, other, labels[1])
    sides = (held_by[0], held_by[1]), (places[0], places[1])
    return Final(one, other, gap, leads, shown, cosine, *sides, len(chosen), held)


def _shown(
    most: tuple[int, int], leads: int, found: Match | None
) -> tuple[tuple[int, int], float | None]:
    """The leader's region that holds most, and the other's nearest to it, as (of A, of B), with
    their cosine.
    """
    if found is None:
        return most, None
    side = (found.a, found.b)[leads]
    there = int(side.nearest[most[leads]])
    shown = (most[0], there) if leads == 0 else (there, most[1])
    return shown, float(side.nearest_cosine[most[leads]])


def _places(at: Positions, region: np.ndarray, wanted: int, prompts: np.ndarray) -> np.ndarray:
    kept = np.isin(at.text, prompts)
    return final_token.from_end(region[kept], at.text[kept], at.back[kept], wanted, LONGEST)


TOKENS, ENDS, LAST = "tokens", "ends", "last"
"""Which positions of a text are compared: each token, those where tokens of both end, or the last
one only.
"""


@dataclass(frozen=True, eq=False)
class Shared:
    """Both relations through inputs.

    texts: read; by: TOKENS, ENDS or LAST; read: positions of A and of B from which the shared ones
    come.
    """

    together: inputs.Together
    trip: inputs.RoundTrip | None
    texts: int
    by: str
    read: tuple[int, int]


def shared(pair: Pair, models: Models, told: Told, texts: Sequence[str] = ()) -> Shared:
    """The same texts read by both models, and the round trip of the regions' founding passages.

    texts: read instead of the passages stored in the files. Positions are compared one by one where
    the tokenizers are the same, and where tokens of both end where they are not: there both models
    have read the same text. Where a dictionary was built on last tokens, those are. The round trip
    is None where a file does not hold founding passages. RequestError without any text.
    """
    by = TOKENS if models[0].digest == models[1].digest else ENDS
    if any(d.info.get("positions") == "final" for d in pair):
        by = LAST
    rows = (
        [[m.tokens.encode(text) for text in texts] for m in models]
        if texts
        else _stored(pair, models)
    )
    if not rows[0]:
        raise RequestError("neither file stores passages with tokens: give texts to read")
    both, places = [], []
    for side, (dictionary, model) in enumerate(zip(pair, models, strict=True)):
        at = positions(
            model,
            rows[side],
            _layer(dictionary),
            _part(told, 0.25 * side, 0.25),
            only_last=by == LAST,
        )
        both.append(dictionary.assign(at.x).region)
        places.append(at.text)
    read = len(both[0]), len(both[1])
    if by == ENDS:
        first, second = _meeting(models, rows, places)
        both = [both[0][first], both[1][second]]
    table = inputs.together(both[0], both[1], (len(pair[0]), len(pair[1])))
    return Shared(table, _trip(pair, models, _part(told, 0.5, 0.5)), len(rows[0]), by, read)


def _meeting(
    models: Models, rows: Sequence[Sequence[list[int]]], texts: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Of every position of A and of B, those at which both models have read the same text. texts:
    of each position.
    """
    starts = [np.searchsorted(text, np.arange(len(rows[0]))) for text in texts]
    found: list[list[np.ndarray]] = [[np.zeros(0, np.int64)], [np.zeros(0, np.int64)]]
    for number, ids in enumerate(zip(*rows, strict=True)):
        cut = [pieces(model, row[: model.context]) for model, row in zip(models, ids, strict=True)]
        for side, at in enumerate(inputs.meeting(*cut)):
            found[side].append(starts[side][number] + at)
    return [np.concatenate(at) for at in found]


def _trip(pair: Pair, models: Models, told: Told) -> inputs.RoundTrip | None:
    """The founding passage of each region to the other model, and from the region found there back
    again.
    """
    if not all("founder_passage" in d and "passage_ids" in d for d in pair):
        return None
    a, b = pair
    regions = np.sort(np.random.default_rng(0).permutation(len(a))[:MOST_REGIONS])
    there = _cross(a, models[0], regions, b, models[1], _part(told, 0.0, 0.5))
    met, at = np.unique(there, return_inverse=True)
    back = _cross(b, models[1], met, a, models[0], _part(told, 0.5, 0.5))[at]
    return inputs.round_trip(regions, there, back)


def _cross(
    here: Dictionary,
    mine: LanguageModel,
    regions: np.ndarray,
    there: Dictionary,
    other: LanguageModel,
    told: Told,
) -> np.ndarray:
    """The region of `there` in which the founding token of each region of `here` falls, its passage
    cut off after it.

    The models are causal: what came after the token had no part in its activation.
    """
    rows = [_in_other(mine, other, _founding(here, int(region))) for region in regions]
    found = positions(other, rows, _layer(there), told, only_last=True)
    return there.assign(found.x).region


def _founding(dictionary: Dictionary, region: int) -> list[int]:
    passage, position = (
        int(dictionary.row(f"founder_{part}", region)) for part in ("passage", "position")
    )
    return _passage(dictionary, int(np.searchsorted(dictionary.column("passage_ids"), passage)))[
        : position + 1
    ]


def _passage(dictionary: Dictionary, row: int) -> list[int]:
    start, stop = (int(at) for at in dictionary.column("passage_offsets")[row : row + 2])
    return dictionary.column("passage_tokens")[start:stop].tolist()


def _stored(pair: Pair, models: Models) -> list[list[list[int]]]:
    """A seeded sample of both files' passages, as token ids of the first model and of the
    second.
    """
    rows: list[list[list[int]]] = [[], []]
    known: set[tuple[int, ...]] = set()
    for dictionary, mine in zip(pair, models, strict=True):
        if "passage_ids" not in dictionary:
            continue
        chosen = np.random.default_rng(0).permutation(len(dictionary.column("passage_ids")))[
            :PASSAGES
        ]
        for row in np.sort(chosen):
            ids = _passage(dictionary, int(row))
            if len(ids) > 1 and tuple(ids) not in known:
                known.add(tuple(ids))
                for side, model in enumerate(models):
                    rows[side].append(_in_other(mine, model, ids))
    return rows


def _in_other(mine: LanguageModel, other: LanguageModel, ids: list[int]) -> list[int]:
    """Token ids as another model cuts the same text."""
    return ids if mine.digest == other.digest else recut(mine, other, ids)


def _layer(dictionary: Dictionary) -> int:
    return int(dictionary.info["layer"])


def _part(told: Told, start: float, width: float) -> Told:
    return lambda share: told(start + width * share)
