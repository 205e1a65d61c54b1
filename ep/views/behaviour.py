"""A run of a behaviour study as plain data: what the page draws, a report holds and the stored run
of the demo is.

    choice   who shows the behaviour, and every region that holds prompts
    trial    one region taken out, beside its controls, with texts to read
    streams  the same on dictionaries of the prompts' own, by share of behaving prompts and seed

Counts are kept, never rates: [hits, n]. Everything is what `json` reads and writes. Knows no
screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ep.method.dictionary import Dictionary
from ep.studies.behaviour import Arm, candidates, difference
from ep.studies.experiment import ABLATED, DEFAULT, SWAPPED, Attempt, Found, Observed
from ep.studies.holding import Held
from ep.studies.judging import Judge
from ep.studies.quality import USUAL, QualityCheck
from ep.studies.rates import Rate
from ep.views import palette
from ep.views.colorings import Coloring, Ramp
from ep.views.tables import lens_tokens

VERSION = 1
WORKS = -0.5
"""A region works when taking it out lowers the behaviour by at least half (protocol 8.11)."""
READ = (DEFAULT, ABLATED, SWAPPED)
"""Arms whose texts are kept to be read."""
Plain = dict[str, Any]


def about(dictionary: Dictionary) -> Plain:
    """Which dictionary it was, in the words of its file."""
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


def choice(observed: Observed, held: Held, found: Found, by_labels: bool, judge: str) -> Plain:
    """Who shows the behaviour and where. judge: its description in a few words."""
    kept = {one.region for one in candidates(found.scored)}
    judged = observed.judged
    return {
        "version": VERSION,
        "dictionary": about(found.dictionary),
        "n": len(observed.prompts),
        "behaving": int(observed.behaves.sum()),
        "by": "labels" if by_labels else "answers",
        "judge": judge,
        "judged": None if judged is None else [judged.hits, judged.said, judged.labelled, judged.n],
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
                "candidate": one.region in kept,
                "lens": lens_tokens(found.dictionary, [one.region], 3)[0],
            }
            for one in found.scored
        ],
    }


def trial(attempt: Attempt, held: Held, judge: Judge, texts: int | None = None) -> Plain:
    """One region taken out. texts: how many prompts of either kind to keep for reading; None keeps
    all.

    Kept texts are spread over the prompts in their order.
    """
    made = attempt.dictionary
    rows = [_arm(arm) for arm in attempt.arms.values()]
    return {
        "dictionary": about(made),
        "region": None if attempt.scored is None else attempt.scored.region,
        "rate": None
        if attempt.scored is None
        else [attempt.scored.rate.hits, attempt.scored.rate.n],
        "control": attempt.control,
        "cosine": None if attempt.cosine is None else round(attempt.cosine, 3),
        "target": attempt.target,
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
    return {"arm": arm.name, **counts, "moved": round(arm.moved, 3)}


def _rates(arm: Arm) -> tuple[tuple[str, Rate], ...]:
    return ("behaves", arm.behaves), ("complies", arm.complies), ("intact", arm.intact)


def _effect(arms: Mapping[str, Arm], judge: Judge) -> list[float] | None:
    """[value, low, high] of the paired change of the behaviour by the ablation."""
    changed = next((arms[name] for name in (ABLATED, SWAPPED) if name in arms), None)
    if changed is None:
        return None
    said = [[judge(one.text) for one in arm.target] for arm in (changed, arms[DEFAULT])]
    return [round(part, 3) for part in difference(said[0], said[1])]


def _texts(
    arms: Mapping[str, Arm], kind: str, prompts: Sequence[str], judge: Judge, most: int | None
) -> list[Plain]:
    kept = np.arange(len(prompts))
    if most is not None and most < len(prompts):
        kept = np.unique(np.linspace(0, len(prompts) - 1, most).round().astype(int))
    said = {name: getattr(arms[name], kind) for name in READ if name in arms}
    return [
        {
            "kind": kind,
            "prompt": prompts[i],
            "said": {name: answers[i].text for name, answers in said.items()},
            "behaves": [name for name, answers in said.items() if judge(answers[i].text)],
        }
        for i in kept.tolist()
        if said
    ]


def verdict(tried: Plain) -> str:
    """One word or two for an attempt.

    "works": the behaviour falls by half or more and coherent compliance rises by as much. "loses
    coherence": only the first holds; the words of the behaviour are gone and no answer has come in
    their place. "little": neither.
    """
    if tried["effect"] is None or tried["effect"][0] > WORKS:
        return "little"
    before, after = (Rate(*row["complies"]).value or 0.0 for row in tried["arms"][:2])
    return "works" if after - before >= -WORKS else "loses coherence"


# -- what is said of it ----------------------------------------------------------------------------


def summary(choice: Plain) -> str:
    """ "201 of 500 prompts show it, by 26 phrases (precision 1.00, recall 0.99 against the labels,
    n = 500)".
    """
    by = "by their labels" if choice["by"] == "labels" else f"by {choice['judge']}"
    text = f"{choice['behaving']:,} of {choice['n']:,} prompts show it, {by}"
    if choice["judged"]:
        hits, said, labelled, n = choice["judged"]
        precision = f"{hits / said:.2f}" if said else "–"
        recall = f"{hits / labelled:.2f}" if labelled else "–"
        text += f" (against the labels: precision {precision}, recall {recall}, n = {n:,})"
    return text


def sentences(tried: Plain, held: Plain) -> list[str]:
    """What has to be said beside the numbers."""
    out = []
    if tried["effect"]:
        value, low, high = tried["effect"]
        out.append(
            f"Paired change of the behaviour: {_signed(value)} ({_signed(low)} to {_signed(high)}, "
            "bootstrap)."
        )
    if tried["control"] is None:
        out[-1:] = [*out[-1:], "No quiet region points elsewhere: there is no matched control."]
    else:
        out.append(
            f"The matched region is {tried['control']}, at cosine {_signed(tried['cosine'])}: a "
            "control must point "
            "elsewhere, or ablating it ablates the same axis."
        )
    if tried["quality"]:
        limit, passed = tried["quality"], Rate(*tried["quality"]["spoiled"])
        out.append(
            f"Coherent answers surprise the unchanged model by at most {limit['mean']:.2f} nats a "
            "token and "
            f"{limit['worst']:.1f} at any one: {USUAL:.0%} of its own answers, sampled, stay below "
            "either (n = "
            f"{limit['n']:,}). With two neighbouring tokens swapped {passed.hits:,} of "
            f"{passed.n:,} still pass."
        )
    if held["dropped"]:
        several = "prompts were" if held["dropped"] > 1 else "prompt was"
        out.append(f"{held['dropped']:,} held-out {several} also used for the choice and left out.")
    if held["split"]:
        out.append("No held-out prompts were given: 30 % of the labelled ones were held back.")
    return out


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


# -- what is drawn of it ---------------------------------------------------------------------------


def coloring(dictionary: Dictionary, regions: Sequence[Plain]) -> Coloring:
    """Each region by the share of its prompts that behave so; grey where no prompt falls."""
    rate = np.full(len(dictionary), np.nan)
    for row in regions:
        if 0 <= row["region"] < len(rate):
            rate[row["region"]] = row["rate"][0] / row["rate"][1]
    there, grey = np.isfinite(rate)[:, None], palette.rgb([palette.OTHER])
    light, dark = (
        np.where(there, palette.ramp_colors(rate, night), grey).astype(np.uint8)
        for night in (False, True)
    )
    ramp = Ramp("behaviour rate of its prompts", "0", "1", missing=int((~there).sum()))
    return Coloring("behaviour", "Behaviour rate", light, dark, ramp=ramp)


def region_table(regions: Sequence[Plain]) -> pa.Table:
    """One row a region that holds prompts: counts, rate with its Wilson interval, share, lift."""
    rows = []
    for one in regions:
        rate = Rate(*one["rate"])
        low, high = rate.interval or (None, None)
        named = {"region": one["region"], "n": rate.n, "behaving": rate.hits, "rate": rate.value}
        rows.append(
            {**named, "low": low, "high": high, "share": one["share"], "lift": one["lift"]}
            | {"candidate": one["candidate"], "lens": " ".join(one["lens"])}
        )
    return pa.Table.from_pylist(rows)


def arm_table(trials: Sequence[Plain]) -> pa.Table:
    """One row an arm of every trial, rates with their intervals; seed and share are null for a
    dictionary's file.
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
            rows.append({**row, "moved": arm["moved"]})
    return pa.Table.from_pylist(rows)


def text_table(tried: Plain) -> pa.Table:
    """One row a prompt: what every arm that is kept wrote, and whether it shows the behaviour."""
    return pa.Table.from_pylist(
        [
            {"kind": one["kind"], "prompt": one["prompt"]}
            | dict(one["said"])
            | {f"{name} behaves": name in one["behaves"] for name in one["said"]}
            for one in tried["texts"]
        ]
    )
