"""Refines a finished dictionary: removes, merges and re-anchors regions, and counts survival.

    1 plan: which regions go, and where their members go (prune first, then merge)
    2 re-anchor: the exemplar of each region becomes the member nearest to the region's mean
    3 count again: members, excerpts and rivals of the new exemplars over the whole stream
    4 survival: in how many other seeds each region is found again
    5 describe: lenses, surroundings, names and provenance

The result is a dictionary of its own, with a family of its own; the origin is never changed. Where
the stream is not at hand, members stay with their regions and their counts add up, and arrays that
would need every activation are left out (`refined` in `docs/format.md`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.describing import stored_passages, vocabulary
from ep.errors import ConfigError, RequestError
from ep.lensing import provenance, read_outs, with_choice
from ep.method.dictionary import Dictionary
from ep.method.refine import Plan, at_random, combine
from ep.method.source import AddedSource, MemorySource
from ep.method.surroundings import surround
from ep.progress import Report, silent
from ep.refining_passes import Passes, recounted
from ep.rereading import Reader, stored_tokens
from ep.storage.file import digest
from ep.storage.schema import ARRAYS
from ep.studies import surviving
from ep.studies.names import with_names
from ep.studies.rates import Rate
from ep.studies.refinement import NEEDED, figures, has_figures
from ep.studies.refining import Rules, plan, unstable

if TYPE_CHECKING:
    from ep.models import LanguageModel

NOTHING, EXCERPTS, WHOLE = "nothing", "stored excerpts", "whole stream"
"""What a refinement reads again."""
_KINDS_OF_MEANS = ("mean", "point_lift", "jacobian")
"""Lenses that read mean directions, which change where regions merge."""
_FLAT = ("vocabulary_offsets", "vocabulary_bytes")
"""Arrays of the file that are one array of pieces in memory."""
_LIFTS = ("point_lift", "jacobian_lift")
"""Lenses that are compared with all other regions."""


@dataclass(frozen=True, eq=False)
class Refined:
    """A refined dictionary in memory, and the ids in it of the regions that rules flagged."""

    dictionary: Dictionary
    flagged: tuple[int, ...] = ()


def refine(
    origin: Dictionary,
    rules: Rules,
    model: LanguageModel | None = None,
    reader: Reader | None = None,
    others: Sequence[Dictionary] = (),
    report: Report = silent,
) -> Refined:
    """Return a refined dictionary; the origin stays as it is.

    model: the dictionary's own; without it lenses that changed are left out.
    reader: its activations, which re-anchoring needs; members are counted again over a whole one.
    others: dictionaries of other seeds, on which survival is counted.
    report: called with a message and a share; an exception that it raises ends the work.

    Raises ConfigError and RequestError for rules that cannot be applied, before any long work.
    """
    check(origin, rules, _reads(reader), len(others))
    found = None
    if others:
        surviving.refuse_others(origin, others)
        found = surviving.survived(origin, others, rules.cutoff, report)
    named = unstable(origin, rules, found, len(others)) if rules.prunes else None
    made = plan(origin, rules, named)
    report("adding up the regions", 0.0)
    arrays = _arrays(origin)
    new = combine(arrays, made)
    passes = Passes(origin, made, new, rules.reanchor, _random(rules, made, origin))
    if reader is not None:
        new |= passes.run(reader, report)
        new = recounted(new, passes, reader.is_whole)
    facts = _facts(origin, rules, made, passes, reader)
    facts["figures"] = _figures(origin, rules, made, new, passes)
    new |= _text(origin, arrays, new, reader)
    info = _info(origin, rules, facts)
    has_changed = made.changes or rules.reanchor
    new |= _lenses(arrays, new, origin, info, model) if has_changed else _stored_lenses(arrays)
    report("arranging and naming the regions", 0.95)
    weight = new.get("count_voronoi", new.get("count_arrival", np.ones(len(made))))
    around, kept = surround(new["exemplars"], weight, int(origin.info.get("seed") or 0))
    info["variance_kept"] = kept
    whole = {n: arrays[n] for n in ("center", "metric_scale", "metric_matrix") if n in arrays}
    new = whole | new | around
    dictionary = Dictionary(MemorySource(new), info, len(made))
    dictionary = _with_survival(dictionary, others, rules, found, report)
    dictionary = with_names(dictionary)
    facts["missing"] = sorted(
        n for n in ARRAYS if n in origin and n not in dictionary and n not in (*_FLAT, "survived")
    )
    if has_changed and model is not None:
        dictionary = with_choice(dictionary)
    flagged: tuple[int, ...] = ()
    if rules.flag and named is not None:
        flagged = tuple(np.unique(made.target[named & (made.target >= 0)]).tolist())
    return Refined(dictionary, flagged)


def check(origin: Dictionary, rules: Rules, reads: str, n_others: int) -> None:
    """Raise ConfigError or RequestError where the rules cannot be applied.

    reads: what will be read again, one of NOTHING, EXCERPTS and WHOLE. n_others: number of other
    seeds that there will be.
    """
    if origin.law.extra:
        raise RequestError(
            "refining compares regions by cosines, and this dictionary is euclidean: refine one of "
            "another --metric"
        )
    if not rules.kinds and not rules.flag and not n_others:
        raise ConfigError(
            "nothing is to be refined: give a rule to prune, merge or re-anchor, or other seeds"
        )
    if rules.reanchor and reads == NOTHING:
        raise RequestError("re-anchoring reads members: it needs the dictionary's model")
    if rules.reanchor and "count_arrival" not in origin:
        raise RequestError("the file has no sums of members, so it has no means to anchor on")
    if rules.prunes and not n_others:
        unstable(origin, rules)
    earlier = origin.info.get("refined") or {}
    if reads == WHOLE and any((earlier.get("left_out") or {}).values()):
        raise RequestError(
            "this file was refined and left members out, so they cannot be told from the stream: "
            "refine its origin with all rules at once"
        )


def _reads(reader: Reader | None) -> str:
    """Return what a reader reads, as the provenance states it."""
    return NOTHING if reader is None else WHOLE if reader.is_whole else EXCERPTS


def _random(rules: Rules, made: Plan, origin: Dictionary) -> Plan | None:
    """Return the control of the plan; None where it changes nothing or more than one rule ran."""
    if len(rules.kinds) != 1 or not made.changes:
        return None
    return at_random(made, int(origin.info.get("seed") or 0))


def _facts(
    origin: Dictionary, rules: Rules, made: Plan, passes: Passes, reader: Reader | None
) -> dict[str, Any]:
    """Return the entry `refined` of the provenance, without its figures."""
    left = made.target < 0
    counts = ("count_arrival", "count_voronoi")
    earlier = dict(origin.info.get("refined") or {})
    earlier.pop("origin_ids", None)
    return {
        "origin": digest(origin),
        "origin_file": origin.path.name if origin.path else None,
        "origin_family": origin.info.get("family"),
        "origin_title": origin.info.get("title"),
        "kinds": list(rules.kinds),
        "rules": rules.given(),
        "regions": [len(origin), len(made)],
        "merged": int((made.parts - 1).sum()),
        "left_out_regions": int(left.sum()),
        "left_out": {n: int(origin.column(n)[left].sum()) for n in counts if n in origin},
        "reanchored": passes.moved,
        "read": _reads(reader),
        "members": "counted again" if _reads(reader) == WHOLE else "added up",
        "agreement": passes.agreement,
        "origin_ids": made.kept.tolist(),
        **({"earlier": earlier} if earlier else {}),
    }


def _figures(
    origin: Dictionary, rules: Rules, made: Plan, new: Mapping[str, np.ndarray], passes: Passes
) -> dict[str, Any]:
    """Return the figures before, after and of the control, on the members that are known best."""
    if passes.figures:
        return passes.figures
    if not has_figures(origin):
        return {}
    arrays = {name: origin.column(name) for name in NEEDED}
    found: dict[str, Any] = {"basis": "members at arrival", "before": figures(arrays)}
    found["after"] = figures({name: new[name] for name in NEEDED})
    control = passes.control
    if control is not None:
        found["control"] = figures(combine(arrays, control))
    elif passes.drawn is not None:
        found["control"] = figures({n: new[n] for n in NEEDED} | {"exemplars": passes.drawn})
    if "control" in found:
        found["control_is"] = passes.control_is
    return found


def _arrays(origin: Dictionary) -> dict[str, np.ndarray]:
    """Return every array of a dictionary, the vocabulary's bytes as pieces."""
    arrays = {n: origin.column(n) for n in ARRAYS if n in origin and n not in _FLAT}
    if "vocabulary_pieces" in origin:
        arrays["vocabulary_pieces"] = origin.column("vocabulary_pieces")
    return arrays


def _text(
    origin: Dictionary,
    arrays: Mapping[str, np.ndarray],
    new: Mapping[str, np.ndarray],
    reader: Reader | None,
) -> dict[str, np.ndarray]:
    """Return the passages that founders and excerpts refer to, and the vocabulary."""
    kept = {n: a for n, a in arrays.items() if n.startswith(("vocabulary_", "plain_"))}
    referring = [new[n] for n in ("founder_passage", "excerpt_passage") if n in new]
    if "passage_ids" not in arrays or not referring:
        return kept | {n: a for n, a in arrays.items() if n.startswith("passage_")}
    needed = np.unique(np.concatenate(referring))
    ids = needed.tolist()
    tokens = stored_tokens(origin, ids) if reader is None else reader.passages(ids)
    return kept | stored_passages(needed, tokens)


def _lenses(
    arrays: Mapping[str, np.ndarray],
    new: Mapping[str, np.ndarray],
    origin: Dictionary,
    info: dict[str, Any],
    model: LanguageModel | None,
) -> dict[str, np.ndarray]:
    """Return the read-outs, computed again with the model, or those that are still right."""
    if model is not None:
        from ep.models import check_fits, find_lens

        layer, jacobian = check_fits(model, origin), find_lens(model)
        merged = {"center": arrays["center"], **new}
        radius = origin.typical_norm
        found = read_outs(model, merged, origin.metric, layer, radius, jacobian)
        info.pop("jacobian", None)
        info |= provenance(jacobian, layer)
        return found | vocabulary(model, {**new, **found})
    kept = np.asarray(info["refined"]["origin_ids"], np.int64)
    is_merged = bool(info["refined"]["merged"])
    gone = _KINDS_OF_MEANS if is_merged else _LIFTS
    for name in ("first_lens", "lens_scores", *(("jacobian",) if is_merged else ())):
        info.pop(name, None)
    return {
        name: array[kept]
        for name, array in _stored_lenses(arrays).items()
        if not name.removeprefix("lens_").startswith(gone)
    }


def _stored_lenses(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if name.startswith("lens_")}


def _info(origin: Dictionary, rules: Rules, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the provenance: the origin's, with a family and a title of its own."""
    info = dict(origin.info)
    for name in ("survival", "group_names"):
        info.pop(name, None)
    text = json.dumps([facts["origin"], asdict(rules), facts["read"]], sort_keys=True)
    info["family"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    done = ", ".join(
        {"prune": "pruned", "merge": "merged"}.get(k, "re-anchored") for k in rules.kinds
    )
    info["title"] = f"{origin.info.get('title') or 'Dictionary'} · {done or 'survival'}"
    return info | {"refined": facts}


def _with_survival(
    dictionary: Dictionary,
    others: Sequence[Dictionary],
    rules: Rules,
    before: np.ndarray | None,
    report: Report,
) -> Dictionary:
    """Return the dictionary with the column of survival, and the rates before and after."""
    if not others or before is None:
        return dictionary
    # means decide survival, and re-anchoring leaves them
    changed = len(dictionary) != len(before)
    after = surviving.survived(dictionary, others, rules.cutoff, report) if changed else before
    info = dictionary.info | {"survival": surviving.provenance(others, rules.cutoff)}
    rates = info["refined"].setdefault("figures", {})
    for when, found in (("before", before), ("after", after)):
        rate = Rate(int(found.sum()), len(found) * len(others))
        figure = [rate.value, *(rate.interval or (0.0, 1.0))]
        rates.setdefault(when, {"regions": len(found)})["survival"] = figure
    return Dictionary(AddedSource(dictionary.source, {"survived": after}), info, len(dictionary))
