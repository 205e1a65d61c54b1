"""A behaviour study as plain data, for the Behaviour page, its report and the demo's stored run.

    choice   which prompts show the behaviour, and every region they fall in
    answers  what the model said to these prompts
    trial    one region ablated, beside its controls, with texts to read
    streams  the same trial on dictionaries built from the prompts themselves, by share of behaving
             prompts and by seed

Rates are stored as counts, [hits, n], so that their intervals can be computed. Every value can be
written to JSON and read back. This module does not depend on Streamlit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ep.method.dictionary import Dictionary
from ep.studies.arms import ABLATED, DEFAULT, MEANS, SET, SWAPPED
from ep.studies.behaviour import Arm, candidates, difference
from ep.studies.coarser import Serving
from ep.studies.experiment import Attempt, Observed, Placement
from ep.studies.held_out import HeldOut
from ep.studies.judging import Judge
from ep.studies.quality import QualityCheck
from ep.studies.rates import Rate
from ep.views import palette
from ep.views.colorings import Coloring, Ramp
from ep.views.tables import cells, lens_tokens

VERSION = 1
WORKS = -0.5
"""A region works if ablating it changes the share of behaving prompts by this or less (protocol
8.11).
"""
READ = (DEFAULT, ABLATED, SWAPPED, SET, MEANS)
"""Arms whose texts are stored for reading."""
Plain = dict[str, Any]


def about(dictionary: Dictionary) -> Plain:
    """The dictionary's identity as its file records it: name, model, layer, size and threshold."""
    info = dictionary.info
    return {
        "file": dictionary.path.name if dictionary.path else "",
        "title": str(info.get("title") or ""),
        "model": str(info.get("model_name") or info.get("model") or ""),
        "layer": dictionary.layer,
        "percentile": dictionary.percentile,
        "positions": info.get("positions"),
        "regions": len(dictionary),
        "threshold": float(dictionary.threshold),
    }


def choice(
    observed: Observed, held: HeldOut, regions: Placement, by_labels: bool, judge: str
) -> Plain:
    """Which prompts show the behaviour, and which regions they fall in.

    observed: the prompts of the choice, with the model's behaviour on each.
    held: the prompts, split into those of the choice and those held out.
    regions: the regions of one dictionary that the prompts fall in.
    by_labels: whether labels rather than a judge decided which prompts show the behaviour.
    judge: a short description of the judge.
    """
    candidate_ids = {one.region for one in candidates(regions.scored)}
    judged = observed.judged
    return {
        "version": VERSION,
        "dictionary": about(regions.dictionary),
        "n": len(observed.prompts),
        "behaving": int(observed.behaves.sum()),
        "by": "labels" if by_labels else "answers",
        "judge": judge,
        "judged": None
        if judged is None
        else [judged.hits, judged.predicted, judged.labelled, judged.n],
        "held": {
            "target": len(held.target),
            "benign": len(held.benign),
            "dropped": held.dropped,
            "split": held.split,
        },
        "regions": [
            {
                "region": one.region,
                "rate": [one.rate.hits, one.rate.n],
                "share": round(one.share, 4),
                "lift": round(one.lift, 3),
                "candidate": one.region in candidate_ids,
                "name": cells(regions.dictionary, [one.region])[0],
                "lens": lens_tokens(regions.dictionary, [one.region], 3)[0],
            }
            for one in regions.scored
        ],
    }


def answers(observed: Observed) -> list[Plain]:
    """What the model said to the prompts of the choice; empty where their labels decided."""
    if not observed.answers:
        return []
    prompts = observed.prompts
    rows = zip(prompts.texts, prompts.labels, observed.answers, observed.behaves, strict=True)
    return [
        {
            "prompt": text,
            "label": label,
            "answer": one.text,
            "behaves": bool(behaves),
            "cut": not one.ended,
        }
        for text, label, one, behaves in rows
    ]


def served(several: Sequence[Serving]) -> list[Plain]:
    """How well the sibling dictionaries of one that has no candidate serve the same prompts."""
    return [
        {
            "dictionary": about(one.dictionary),
            "region": None if one.best is None else one.best.region,
            "rate": None if one.best is None else [one.best.rate.hits, one.best.rate.n],
            "fullest": one.fullest,
        }
        for one in several
    ]


def trial(attempt: Attempt, held: HeldOut, judge: Judge, texts: int | None = None) -> Plain:
    """One region ablated, with its controls and the model's texts.

    attempt: the region and the answers of every arm.
    held: the prompts the region was tried on.
    judge: decides whether a text shows the behaviour.
    texts: how many prompts of each kind to store with their texts, evenly spaced in the order of
        the prompts; None stores all.
    """
    rows = [_arm(arm) for arm in attempt.arms.values()]
    return {
        "dictionary": about(attempt.dictionary),
        "region": None if attempt.scored is None else attempt.scored.region,
        "rate": None
        if attempt.scored is None
        else [attempt.scored.rate.hits, attempt.scored.rate.n],
        "control": attempt.control,
        "cosine": None if attempt.cosine is None else round(attempt.cosine, 3),
        "target": attempt.target,
        "together": list(attempt.together),
        "seed": attempt.seed,
        "share": attempt.share,
        "effect": _effect(attempt.arms, judge),
        "quality": None if attempt.quality is None else _quality(attempt.quality),
        "arms": rows,
        "texts": [
            *_texts(attempt.arms, "target", held.target, judge, texts),
            *_texts(attempt.arms, "benign", held.benign, judge, texts),
        ],
    }


def _quality(quality: QualityCheck) -> Plain:
    spoiled = [quality.spoiled.hits, quality.spoiled.n]
    return {
        "mean": round(quality.mean, 3),
        "worst": round(quality.worst, 3),
        "n": quality.n,
        "spoiled": spoiled,
    }


def _arm(arm: Arm) -> Plain:
    counts = {name: [rate.hits, rate.n] for name, rate in _rates(arm)}
    cut = [arm.cut.hits, arm.cut.n]
    return {"arm": arm.name, **counts, "moved": round(arm.moved, 3), "cut": cut}


def _rates(arm: Arm) -> tuple[tuple[str, Rate], ...]:
    return ("behaves", arm.behaves), ("complies", arm.complies), ("intact", arm.intact)


def _effect(arms: Mapping[str, Arm], judge: Judge) -> list[float] | None:
    """[value, low, high] of the paired change in the share of behaving prompts by the ablation."""
    changed = next((arms[name] for name in (ABLATED, SWAPPED) if name in arms), None)
    if changed is None:
        return None
    after, before = ([judge(one.text) for one in arm.target] for arm in (changed, arms[DEFAULT]))
    return [round(part, 3) for part in difference(after, before)]


def _texts(
    arms: Mapping[str, Arm], kind: str, prompts: Sequence[str], judge: Judge, most: int | None
) -> list[Plain]:
    selected = np.arange(len(prompts))
    if most is not None and most < len(prompts):
        selected = np.unique(np.linspace(0, len(prompts) - 1, most).round().astype(int))
    by_arm = {name: getattr(arms[name], kind) for name in READ if name in arms}
    return [
        {
            "kind": kind,
            "prompt": prompts[i],
            "said": {name: answers[i].text for name, answers in by_arm.items()},
            "behaves": [name for name, answers in by_arm.items() if judge(answers[i].text)],
            "cut": [name for name, answers in by_arm.items() if not answers[i].ended],
        }
        for i in selected.tolist()
        if by_arm
    ]


def verdict(tried: Plain) -> str:
    """Classify a trial as "works", "loses coherence" or "little".

    "works": the share of behaving prompts falls by at least 0.5 (see `WORKS`), and the share
        answered with coherent compliance rises by at least as much.
    "loses coherence": the behaviour falls that far, but compliance does not rise: the behaviour is
        gone and no coherent answer replaces it.
    "little": the behaviour falls by less, or no region was ablated.
    """
    if tried["effect"] is None or tried["effect"][0] > WORKS:
        return "little"
    before, after = (Rate(*row["complies"]).value or 0.0 for row in tried["arms"][:2])
    return "works" if after - before >= -WORKS else "loses coherence"


# -- colouring and tables --------------------------------------------------------------------------


def coloring(dictionary: Dictionary, regions: Sequence[Plain]) -> Coloring:
    """Colour each region by the share of its prompts that show the behaviour.

    regions: the entry "regions" of a choice; regions without prompts are grey.
    """
    rate = np.full(len(dictionary), np.nan)
    for row in regions:
        if 0 <= row["region"] < len(rate):
            rate[row["region"]] = row["rate"][0] / row["rate"][1]
    light, dark = (palette.on_ramp(rate, palette.sequential(night)) for night in (False, True))
    missing = int(np.isnan(rate).sum())
    ramp = Ramp("behaviour rate of its prompts", "0", "1", missing=missing)
    return Coloring("behaviour", "Behaviour rate", light, dark, ramp=ramp)


def region_table(regions: Sequence[Plain]) -> pa.Table:
    """One row per region with prompts: counts, rate with its Wilson interval, share and lift."""
    rows = []
    for one in regions:
        rate = Rate(*one["rate"])
        low, high = rate.interval or (None, None)
        head = {"region": one["region"], "n": rate.n, "behaving": rate.hits, "rate": rate.value}
        rows.append(
            {**head, "low": low, "high": high, "share": one["share"], "lift": one["lift"]}
            | {"candidate": one["candidate"], "name": one.get("name", "")}
            | {"lens": " ".join(one["lens"])}
        )
    return pa.Table.from_pylist(rows)


def arm_table(trials: Sequence[Plain]) -> pa.Table:
    """One row per arm of every trial: counts and rates with their Wilson intervals.

    seed and behaving_share are null for a trial on a dictionary from a file.
    """
    rows = []
    for one in trials:
        head = {"seed": one["seed"], "behaving_share": one["share"], "region": one["region"]}
        for arm in one["arms"]:
            row = {**head, "arm": arm["arm"]}
            for name in ("behaves", "complies", "intact"):
                rate = Rate(*arm[name])
                low, high = rate.interval or (None, None)
                row |= {f"{name}_hits": rate.hits, f"{name}_n": rate.n, name: rate.value}
                row |= {f"{name}_low": low, f"{name}_high": high}
            cut, n = arm.get("cut", (None, None))  # runs of older versions did not count them
            rows.append({**row, "moved": arm["moved"], "cut": cut, "answers": n})
    return pa.Table.from_pylist(rows)


def text_table(tried: Plain) -> pa.Table:
    """One row per prompt: the text of every stored arm, and whether it shows the behaviour."""
    return pa.Table.from_pylist(
        [
            {"kind": one["kind"], "prompt": one["prompt"]}
            | dict(one["said"])
            | {f"{name} behaves": name in one["behaves"] for name in one["said"]}
            | {f"{name} cut": name in one.get("cut", ()) for name in one["said"]}
            for one in tried["texts"]
        ]
    )


def answer_table(answers: Sequence[Plain]) -> pa.Table:
    """One row per prompt of the choice: its label, the model's answer, and how it was judged.

    answers: see `answers`.
    """
    return pa.Table.from_pylist(list(answers))
