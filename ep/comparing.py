"""Compares two dictionaries by running their two models on the same inputs.

`final` compares them on prompts, at the last token; `shared` compares them on texts, position by
position, and by round trips of founding passages. Used by the Compare page and by `ep match`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.sieve import sieve_of
from ep.models import LanguageModel
from ep.models.together import Positions, pieces, positions, recut, turns
from ep.studies import final_token, inputs
from ep.studies.matching import Match
from ep.studies.prompts import Prompts
from ep.studies.rates import Rate, rate_of

MOST_REGIONS = 2000
"""Regions of A in a round trip; of a larger dictionary, a seeded sample is taken."""
PASSAGES = 300
"""Stored passages read of each dictionary; of more, a seeded sample is taken."""
LONGEST = 24
"""Positions before a prompt's last token for which a share is computed."""
ShareReport = Callable[[float], None]
"""Called with the share of the work done in [0, 1]; an exception it raises stops the work."""
Pair = tuple[Dictionary, Dictionary]
Models = tuple[LanguageModel, LanguageModel]


@dataclass(frozen=True, eq=False)
class Final:
    """Both dictionaries on the same prompts.

    a, b: how well each separates behaving from other prompts.
    gap: AUROC of A minus that of B, with its interval.
    leads: which dictionary separates better: 0 for A, 1 for B.
    regions: one region of A and one of B. In the leading dictionary it is the region with the most
        behaving prompts; in the other, the region nearest to that one. Without a matching it is the
        region with the most behaving prompts in both.
    cosine: the cosine between the two regions; None without a matching.
    held_by: for each of the two regions, its rates of held-out behaving and of held-out other
        prompts.
    places: for each of the two regions, the share of behaving prompts that are in it at 0, 1, …
        tokens before the last.
    chosen: number of prompts on which the regions were chosen.
    held: the held-out prompts, on which the rates are measured.
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
    pair: Pair,
    models: Models,
    chosen: Prompts,
    held: Prompts,
    match: Match | None,
    report: ShareReport,
) -> Final:
    """Compare two dictionaries on prompts, which both models read as user turns.

    chosen: labelled prompts on which the regions are chosen.
    held: labelled prompts on which they are measured.
    match: the matching of the two dictionaries; None when their widths differ.
    report: called with a share that rises to 1.

    Raises RequestError unless both sets have labelled prompts of both kinds, and ModelError when a
    model does not fit its dictionary.
    """
    if not (chosen.labelled and held.labelled):
        raise RequestError(
            "some prompts have no label: label each with whether it should show the behaviour"
        )
    labels = [np.array(one.labels, bool) for one in (chosen, held)]
    both_read, regions, separations = [], [], []
    for side, (dictionary, model) in enumerate(zip(pair, models, strict=True)):
        read = turns(
            model, [*chosen.texts, *held.texts], _layer(dictionary), _part(report, side / 2, 0.5)
        )
        region = dictionary.assign(read.x).region
        last = region[read.back == 0]
        n = len(chosen)
        separations.append(
            final_token.separate(last[:n], labels[0], last[n:], labels[1], len(dictionary))
        )
        both_read.append(read)
        # what a build left out is in no region, but the last token is what is asked about
        counts = _inside(dictionary, model, read) | (read.back == 0)
        regions.append(np.where(counts, region, -1))
    a, b = separations
    leads = int(b.auroc > a.auroc)
    compared, cosine = _compared_regions((a.region, b.region), leads, match)
    behaving = np.flatnonzero(np.concatenate(labels))
    held_by, places = [], []
    for read, region, k in zip(both_read, regions, compared, strict=True):
        inside = region[read.back == 0][len(chosen) :] == k
        held_by.append((rate_of(inside[labels[1]]), rate_of(inside[~labels[1]])))
        places.append(_places(read, region, k, behaving))
    gap = final_token.gap(a, b, labels[1])
    sides = (held_by[0], held_by[1]), (places[0], places[1])
    return Final(a, b, gap, leads, compared, cosine, *sides, len(chosen), held)


def _compared_regions(
    most: tuple[int, int], leads: int, match: Match | None
) -> tuple[tuple[int, int], float | None]:
    """The fields `regions` and `cosine` of `Final`.

    most: the regions of A and of B with the most behaving prompts.
    """
    if match is None:
        return most, None
    side = (match.a, match.b)[leads]
    nearest = int(side.nearest[most[leads]])
    regions = (most[0], nearest) if leads == 0 else (nearest, most[1])
    return regions, float(side.nearest_cosine[most[leads]])


def _places(read: Positions, region: np.ndarray, k: int, prompts: np.ndarray) -> np.ndarray:
    """The field `places` of `Final` for region `k`.

    region: (t,) the region of each position in `read`.
    prompts: indices of the texts to take into account.
    """
    selected = np.isin(read.text, prompts)
    return final_token.from_end(
        region[selected], read.text[selected], read.back[selected], k, LONGEST
    )


TOKENS, ENDS, LAST = "tokens", "ends", "last"
"""Which positions of a text are compared: all tokens, those where a token of both models ends, or
only the last.
"""


@dataclass(frozen=True, eq=False)
class Shared:
    """The relation of two dictionaries through shared inputs.

    together: the regions into which shared positions fall.
    trip: the round trip of founding passages; None where a file has none.
    texts: number of texts read.
    by: which positions are compared: TOKENS, ENDS or LAST.
    read: number of positions of A and of B from which the shared ones were taken.
    nulls: A, and B, with another seed of it on its own positions; None without one.
    """

    together: inputs.CoAssignment
    trip: inputs.RoundTrip | None
    texts: int
    by: str
    read: tuple[int, int]
    nulls: tuple[inputs.CoAssignment | None, inputs.CoAssignment | None] = (None, None)


def shared(
    pair: Pair,
    models: Models,
    report: ShareReport,
    texts: Sequence[str] = (),
    others: tuple[Dictionary | None, Dictionary | None] = (None, None),
) -> Shared:
    """Compare two dictionaries on the same texts and by round trips of founding passages.

    texts: the texts to read; by default a sample of the passages stored in both files.
    report: called with a share that rises to 1.
    others: of A and of B, a dictionary of the same setting and another seed, for the nulls.

    With one tokenizer, all positions are compared. With two, those at which a token of both models
    ends, because there both have read the same text. When a dictionary was built on last tokens,
    only the last position of each text is compared. Positions that one of the builds left out are
    not compared. Raises RequestError when there is no text.
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
    both, text_of, inside = [], [], []
    nulls: list[inputs.CoAssignment | None] = []
    for side, (dictionary, model) in enumerate(zip(pair, models, strict=True)):
        read = positions(
            model,
            rows[side],
            _layer(dictionary),
            _part(report, 0.25 * side, 0.25),
            only_last=by == LAST,
        )
        both.append(dictionary.assign(read.x).region)
        text_of.append(read.text)
        within = _inside(dictionary, model, read)
        inside.append(within)
        nulls.append(_null(dictionary, both[-1][within], others[side], read.x[within]))
    n_read = len(both[0]), len(both[1])
    first = second = np.arange(len(both[0]))
    if by == ENDS:
        first, second = _meeting(models, rows, text_of)
    kept = inside[0][first] & inside[1][second]  # what one build left out has no region there
    both = [both[0][first[kept]], both[1][second[kept]]]
    table = inputs.co_assignment(both[0], both[1], (len(pair[0]), len(pair[1])))
    trip = _round_trip(pair, models, _part(report, 0.5, 0.5))
    return Shared(table, trip, len(rows[0]), by, n_read, (nulls[0], nulls[1]))


def _null(
    dictionary: Dictionary, region: np.ndarray, other: Dictionary | None, x: np.ndarray
) -> inputs.CoAssignment | None:
    """How positions x fall into a dictionary, by `region`, and into another seed of it."""
    if other is None or not len(x):
        return None
    return inputs.co_assignment(region, other.assign(x).region, (len(dictionary), len(other)))


def _meeting(
    models: Models, rows: Sequence[Sequence[list[int]]], text_of: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Indices of the positions of A and of B at which both models have read the same text.

    rows: for A and for B, the token ids of each text.
    text_of: for A and for B, the text of each position, in rising order.
    """
    starts = [np.searchsorted(text, np.arange(len(rows[0]))) for text in text_of]
    indices: list[list[np.ndarray]] = [[np.zeros(0, np.int64)], [np.zeros(0, np.int64)]]
    for number, ids in enumerate(zip(*rows, strict=True)):
        tokens = [
            pieces(model, row[: model.context]) for model, row in zip(models, ids, strict=True)
        ]
        for side, offsets in enumerate(inputs.meeting(*tokens)):
            indices[side].append(starts[side][number] + offsets)
    return [np.concatenate(parts) for parts in indices]


def _round_trip(pair: Pair, models: Models, report: ShareReport) -> inputs.RoundTrip | None:
    """Assign the founding texts of regions of A in B, and those of the regions hit in A again."""
    if not all("founder_passage" in d and "passage_ids" in d for d in pair):
        return None
    a, b = pair
    regions = np.sort(np.random.default_rng(0).permutation(len(a))[:MOST_REGIONS])
    in_b = _cross(a, models[0], regions, b, models[1], _part(report, 0.0, 0.5))
    hit, inverse = np.unique(in_b, return_inverse=True)  # several regions of A may hit one of B
    back = _cross(b, models[1], hit, a, models[0], _part(report, 0.5, 0.5))[inverse]
    return inputs.round_trip(regions, in_b, back)


def _cross(
    source: Dictionary,
    source_model: LanguageModel,
    regions: np.ndarray,
    target: Dictionary,
    target_model: LanguageModel,
    report: ShareReport,
) -> np.ndarray:
    """The region of `target` into which the founding token of each region of `source` falls.

    The target's model reads the founding passage up to that token. What follows it is cut off: the
    models are causal, so it had no influence on the activation.
    """
    rows = [
        _retokenized(source_model, target_model, _founding_tokens(source, int(region)))
        for region in regions
    ]
    read = positions(target_model, rows, _layer(target), report, only_last=True)
    return target.assign(read.x).region


def _founding_tokens(dictionary: Dictionary, region: int) -> list[int]:
    """The token ids of a region's founding passage, up to the founding token."""
    passage, position = (
        int(dictionary.row(f"founder_{part}", region)) for part in ("passage", "position")
    )
    return _passage(dictionary, int(np.searchsorted(dictionary.column("passage_ids"), passage)))[
        : position + 1
    ]


def _passage(dictionary: Dictionary, row: int) -> list[int]:
    """The token ids of a stored passage, by its row in `passage_ids`."""
    start, stop = (int(offset) for offset in dictionary.column("passage_offsets")[row : row + 2])
    return dictionary.column("passage_tokens")[start:stop].tolist()


def _stored(pair: Pair, models: Models) -> list[list[list[int]]]:
    """A seeded sample of the passages of both files, as token ids of A's model and of B's."""
    rows: list[list[list[int]]] = [[], []]
    added: set[tuple[int, ...]] = set()
    for dictionary, own_model in zip(pair, models, strict=True):
        if "passage_ids" not in dictionary:
            continue
        sample = np.random.default_rng(0).permutation(len(dictionary.column("passage_ids")))[
            :PASSAGES
        ]
        for row in np.sort(sample):
            ids = _passage(dictionary, int(row))
            if len(ids) > 1 and tuple(ids) not in added:
                added.add(tuple(ids))
                for side, model in enumerate(models):
                    rows[side].append(_retokenized(own_model, model, ids))
    return rows


def _retokenized(model: LanguageModel, other: LanguageModel, ids: list[int]) -> list[int]:
    """The token ids that `other` gives the text that `ids` are in `model`."""
    return ids if model.digest == other.digest else recut(model, other, ids)


def _inside(dictionary: Dictionary, model: LanguageModel, read: Positions) -> np.ndarray:
    """(t,) True at the positions that the build of a dictionary would have kept."""
    sieve = sieve_of(dictionary.info, model.tokens.bos is not None)
    return sieve.reasons(read.x, read.position) == 0


def _layer(dictionary: Dictionary) -> int:
    return int(dictionary.info["layer"])


def _part(report: ShareReport, start: float, width: float) -> ShareReport:
    """A report for the part of the work that begins at the share `start` and takes `width`."""
    return lambda share: report(start + width * share)
