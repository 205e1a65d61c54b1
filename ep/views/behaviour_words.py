"""A behaviour study in sentences, for the Behaviour page, its report and the command line.

The plain data are those of `ep.views.behaviour`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ep.studies.arms import ABLATED, MEANS, SET
from ep.studies.behaviour import FEWEST, LEAST_RATE
from ep.studies.quality import USUAL
from ep.studies.rates import Rate
from ep.views.behaviour import Plain


def summary(choice: Plain) -> str:
    """One sentence on how many prompts show the behaviour, and who decided.

    For example "201 of 500 prompts show it, by 26 phrases (against the labels: precision 1.00,
    recall 0.99, n = 500)".
    """
    by = "by their labels" if choice["by"] == "labels" else f"by {choice['judge']}"
    text = f"{choice['behaving']:,} of {choice['n']:,} prompts show it, {by}"
    if choice["judged"]:
        hits, positives, labelled, n = choice["judged"]
        precision = f"{hits / positives:.2f}" if positives else "–"
        recall = f"{hits / labelled:.2f}" if labelled else "–"
        text += f" (against the labels: precision {precision}, recall {recall}, n = {n:,})"
    return text


def alike(choice: Plain) -> str:
    """A sentence where all prompts behave alike, so that no region stands out; else empty."""
    behaving, n = choice["behaving"], choice["n"]
    if 0 < behaving < n:
        return ""
    if behaving:
        return (
            f"All of the {n:,} prompts show it, so no region stands out: add prompts that do not, "
            "or use another judge."
        )
    return (
        f"None of the {n:,} prompts show it: this model does not do it here, so no region can "
        "carry it and none is taken out. Its answers say what it does instead."
    )


def nothing(choice: Plain, tried: Plain) -> str:
    """Why no region was taken out, and which p of the same family would serve, in a few sentences.

    choice: of the prompts. tried: a trial without a region, with the entry "served" where siblings
    were looked at.
    """
    if text := alike(choice):
        return text
    fullest = max((one["rate"][1] for one in choice["regions"]), default=0)
    if fullest < FEWEST:
        why = (
            f"The regions are too fine for {choice['n']:,} prompts: the fullest holds {fullest}, "
            f"and a candidate needs {FEWEST}."
        )
    else:
        why = (
            f"No region may carry it: none holds {FEWEST} prompts or more of which "
            f"{LEAST_RATE:.0%} show the behaviour."
        )
    return f"{why} {_siblings(tried.get('served'))}".strip()


def _siblings(served: Sequence[Plain] | None) -> str:
    """A sentence on which siblings have a candidate for the same prompts, with its counts."""
    if served is None:
        return ""
    if not served:
        return "No other p of this family is on the shelf at this layer."
    serves = [one for one in served if one["rate"] is not None]
    if not serves:
        tried = ", ".join(f"{one['dictionary']['percentile']:g}" for one in served)
        return f"No other p of this family on the shelf would serve ({tried} tried)."
    best = max(serves, key=lambda one: one["rate"][0])
    others = [f"{one['dictionary']['percentile']:g}" for one in serves if one is not best]
    hits, n = best["rate"]
    also = f"; p = {', '.join(others)} would too" if others else ""
    return (
        f"p = {best['dictionary']['percentile']:g} of the same family would serve: its region "
        f"{best['region']} holds {n:,} of these prompts, of which {hits:,} show it{also}."
    )


def told(choice: Plain, tried: Plain | None) -> list[str]:
    """Sentences on a trial, or on why there is none; empty before it was made."""
    if tried is None:
        return [text] if (text := alike(choice)) else []
    if tried["region"] is None:
        return [nothing(choice, tried)]
    return sentences(tried, choice["held"])


def sentences(tried: Plain, held: Plain) -> list[str]:
    """Sentences to read with a trial's numbers: its effect, its control and its limits.

    tried: a trial, see `trial`.
    held: the entry "held" of the choice, see `choice`.
    """
    out = []
    if tried["effect"]:
        value, low, high = tried["effect"]
        out.append(
            f"Paired change of the behaviour: {_signed(value)} ({_signed(low)} to {_signed(high)}, "
            "bootstrap)."
        )
    if tried["control"] is None:
        out.append("No quiet region points elsewhere: there is no matched control.")
    else:
        out.append(
            f"The matched region is {tried['control']}, at cosine {_signed(tried['cosine'])}: a "
            "control must point elsewhere, or ablating it ablates the same axis."
        )
    if text := _wider(tried):
        out.append(text)
    if tried["quality"]:
        out.append(_coherent(tried["quality"]))
    if text := _cut(tried["arms"]):
        out.append(text)
    if held["dropped"]:
        several = "prompts were" if held["dropped"] > 1 else "prompt was"
        out.append(f"{held['dropped']:,} held-out {several} also used for the choice and left out.")
    if held["split"]:
        out.append("No held-out prompts were given: 30 % of the labelled ones were held back.")
    return out


def _wider(tried: Plain) -> str:
    """How the region compares with the set of regions and with the difference of means."""
    left = {arm["arm"]: Rate(*arm["behaves"]).value for arm in tried["arms"]}
    if MEANS not in left or ABLATED not in left:
        return ""
    text = f"The behaviour is left in {_share(left[ABLATED])} of answers without the region"
    if SET in left:
        n = len(tried["together"])
        several = f"the {n} regions" if n > 1 else "the region"
        text += f", in {_share(left[SET])} without the raw means of {several} of the set"
    return (
        f"{text}, and in {_share(left[MEANS])} without the difference of means, which needs no "
        "dictionary."
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def swept(trials: Sequence[Plain]) -> str:
    """One sentence on where a sweep over layers leaves least of the behaviour, by each arm."""
    best = []
    for arm, name in ((SET, "a set of regions"), (MEANS, "the difference of means")):
        left = [
            (Rate(*row["behaves"]).value or 0.0, one["dictionary"]["layer"])
            for one in trials
            for row in one["arms"]
            if row["arm"] == arm
        ]
        if left:
            value, layer = min(left)
            best.append(f"{name} leaves least at layer {layer} ({value:.2f})")
    return f"Of the layers tried, {', '.join(best)}." if best else ""


def _coherent(limit: Plain) -> str:
    """A sentence on the limits of a coherent answer, and on the control that should fail."""
    passed = Rate(*limit["spoiled"])
    return (
        f"Coherent answers surprise the unchanged model by at most {limit['mean']:.2f} nats per "
        f"token on average and {limit['worst']:.1f} nats at any one token: {USUAL:.0%} of its own "
        f"sampled answers stay below each limit (n = {limit['n']:,}). With two neighbouring tokens "
        f"swapped, {passed.hits:,} of {passed.n:,} still pass."
    )


def _cut(arms: Sequence[Plain]) -> str:
    """A sentence on the answers that were cut at the length limit; empty without any."""
    cut = [(one["arm"], *one["cut"]) for one in arms if one.get("cut", [0])[0]]
    if not cut:
        return ""
    counts = ", ".join(f"{name} {hits:,} of {n:,}" for name, hits, n in cut)
    return f"Cut at the length limit, and judged by what there is: {counts} answers."


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
