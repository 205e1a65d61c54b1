"""What refining a dictionary's regions is worth, beside the same changes at random.

    python -m benchmarks.refining MODEL TEXT LAYER PERCENTILE [OUT.md]

Reads the text with the model once, up to 900 passages. Three dictionaries are built from the first
600 passages in three orders (up to 40,000 activations each, own calibration), and all are refined
by each rule. The last 300 passages are held out from everything. For each rule and its control:

- K, and on the held-out activations the mean cosine with the mean direction of the region they fall
  into, and with its exemplar (interval: bootstrapped over regions);
- survival: the share of regions that another seed, refined alike, finds again (one to one by
  means, and by exemplars, cosine at least 0.7; Wilson's interval over all ordered pairs of seeds,
  which are not independent);
- the adjusted mutual information of two seeds' regions on the held-out activations (mean of the
  three pairs), which corrects for chance agreement at another K.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from pathlib import Path

import numpy as np

from ep.config import BuildConfig
from ep.corpus import Corpus
from ep.method.calibration import Thresholds
from ep.method.central import Preferred, draw, nearness
from ep.method.leaders import Leaders
from ep.method.members import ArrivalMembers, Events
from ep.method.metrics import Metric
from ep.method.moments import MetricSum
from ep.method.pairing import pair
from ep.method.recount import index_of
from ep.method.refine import Plan, at_random, combine, merging, pruning
from ep.models import load
from ep.streaming import Stream
from ep.studies.matching import CUTOFF
from ep.studies.rates import Rate
from ep.studies.refinement import ratio
from ep.studies.stability import strength

PASSAGES, HELD_OUT, SEEDS = 900, 300, 3
ACTIVATIONS, CALIBRATION, BATCH = 40_000, 12_000, 128
FACTOR, SHARE = (1.05, 1.1), (0.2, 0.4)
Change = Callable[["Seed"], "Seed"]


@dataclass(frozen=True)
class Seed:
    """One dictionary: its arrays, and the directions of its stream."""

    seed: int
    threshold: float
    arrays: dict[str, np.ndarray]
    stream: np.ndarray

    def on(self, plan: Plan) -> Seed:
        """Return it with its regions changed by a plan."""
        return replace(self, arrays=combine(self.arrays, plan))


def read(model: str, text: str, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """Return raw activations (n, d) of the first passages, and the number (n,) of each one's."""
    config = BuildConfig(model, (text,), (layer,), ".", (2.0,), batch=32)
    loaded = load(model)
    x, passage = [], []
    for batch, harvest in Stream(config, loaded, Corpus((text,), 0), 128).batches():
        x.append(harvest.x[layer])
        number = {int(p): i for i, p in enumerate(batch.passage)}
        done = sum(map(len, passage)) and int(passage[-1].max()) + 1
        passage.append(np.array([done + number[int(p)] for p in harvest.events.passage]))
        if passage[-1].max() >= PASSAGES:
            break
    return np.concatenate(x), np.concatenate(passage)


def built(x: np.ndarray, passage: np.ndarray, percentile: float, seed: int) -> tuple[Seed, Metric]:
    """Build a dictionary from passages in an order of its own; return it and its metric."""
    order = np.random.default_rng(seed).permutation(PASSAGES - HELD_OUT)
    place = np.argsort(order)[passage]
    rows = np.argsort(place, kind="stable")[:ACTIVATIONS]
    starts = np.flatnonzero(np.diff(place[rows] // BATCH)) + 1
    batches, done = np.split(rows, starts), 0
    sums, head = MetricSum(x.shape[1], "centred"), []
    for batch in batches:
        head.append(batch)
        sums.update(x[batch])
        if (done := done + len(batch)) >= CALIBRATION:
            break
    thresholds = Thresholds(sums.metric(), (percentile,), "paper", seed)
    for batch in head:
        thresholds.update(x[batch])
    found = thresholds.calibration()
    leaders, members = Leaders(found.thresholds[percentile], x.shape[1]), ArrivalMembers(x.shape[1])
    directions = found.metric.directions(x[rows])
    members.observe(leaders.partial_fit(directions), directions)
    arrays = {"exemplars": leaders.exemplars, **members.columns()}
    return Seed(seed, found.thresholds[percentile], arrays, directions), found.metric


# -- changes ---------------------------------------------------------------------------------------


def merged(factor: float) -> Change:
    """Merge regions within factor·θ."""
    return lambda one: one.on(
        merging(one.arrays["exemplars"], one.arrays["count_arrival"], factor * one.threshold)
    )


def merged_at_random(factor: float) -> Change:
    """Merge as many regions, drawn at random."""
    return lambda one: one.on(
        at_random(
            merging(one.arrays["exemplars"], one.arrays["count_arrival"], factor * one.threshold),
            one.seed,
        )
    )


def built_coarser(factor: float) -> Change:
    """Build it at factor·θ from the start: what merging has to beat."""

    def change(one: Seed) -> Seed:
        width, theta = one.stream.shape[1], factor * one.threshold
        leaders, members = Leaders(theta, width), ArrivalMembers(width)
        members.observe(leaders.partial_fit(one.stream), one.stream)
        return replace(one, arrays={"exemplars": leaders.exemplars, **members.columns()})

    return change


def pruned(share: float, at_random_: bool = False) -> Change:
    """Remove a share of the regions, the weakest by D or at random; members go to the nearest."""

    def change(one: Seed) -> Seed:
        values = strength(one.arrays["count_arrival"], one.arrays["coherence"])
        if at_random_:
            values = np.random.default_rng(one.seed).random(len(values))
        remove = np.zeros(len(values), bool)
        remove[np.argsort(values, kind="stable")[: int(share * len(values))]] = True
        return one.on(pruning(one.arrays["exemplars"], remove, "nearest"))

    return change


def reanchored(one: Seed, at_random_: bool = False) -> Seed:
    """Replace each exemplar by the member nearest to its region's mean, or by a random one."""
    exemplars, means = one.arrays["exemplars"], one.arrays["mean_directions"]
    region = index_of(exemplars, one.threshold).assign(one.stream).region
    index = np.arange(len(region))
    score = draw(one.seed, index) if at_random_ else nearness(one.stream, region, means)
    best = Preferred(len(exemplars), exemplars.shape[1])
    best.observe(region, score, one.stream, Events(*[index] * 4, index.astype(np.uint64), index))
    new = np.where(best.is_known[:, None], best.rows, exemplars).astype(np.float32)
    return replace(one, arrays=one.arrays | {"exemplars": new})


def changes() -> dict[str, Change]:
    """Return the changes by name, each before its control."""
    found: dict[str, Change] = {}
    found["as built"] = lambda one: one
    for factor in FACTOR:
        found[f"merged within {factor:g} θ"] = merged(factor)
        found[f"– as many merged at random ({factor:g})"] = merged_at_random(factor)
        found[f"– built at {factor:g} θ instead"] = built_coarser(factor)
    found["re-anchored"] = reanchored
    found["– a random member as exemplar"] = lambda one: reanchored(one, True)
    for share in SHARE:
        found[f"weakest {share:.0%} by D removed"] = pruned(share)
        found[f"– as many removed at random ({share:.0%})"] = pruned(share, True)
    return found


# -- figures ---------------------------------------------------------------------------------------


def row(name: str, seeds: list[Seed], held: list[np.ndarray]) -> str:
    """Return the table's row of one change."""
    from sklearn.metrics import adjusted_mutual_info_score

    labels, to_mean, to_exemplar = [], [], []
    for one, x in zip(seeds, held, strict=True):
        exemplars = one.arrays["exemplars"]
        region = index_of(exemplars, one.threshold).assign(x).region
        labels.append(region)
        size, counts = len(exemplars), np.bincount(region, minlength=len(exemplars))
        for rows, figures in ((one.arrays["mean_directions"], to_mean), (exemplars, to_exemplar)):
            sums = np.bincount(region, weights=nearness(x, region, rows), minlength=size)
            figures.append(ratio(sums, counts))
    survival = [_survival(seeds, base) for base in ("mean_directions", "exemplars")]
    ami = [float(adjusted_mutual_info_score(a, b)) for a, b in combinations(labels, 2)]
    sizes = " / ".join(f"{len(one.arrays['exemplars']):,}" for one in seeds)
    figures = [_three(to_mean[0]), _three(to_exemplar[0]), *map(_rate, survival)]
    spread = f"{np.mean(ami):.3f} ({min(ami):.3f} to {max(ami):.3f})"
    return f"| {name} | {sizes} | {' | '.join(figures)} | {spread} |"


def _survival(seeds: list[Seed], base: str) -> Rate:
    hits = total = 0
    for a, b in permutations(seeds, 2):
        pairs = pair(a.arrays[base], b.arrays[base])
        hits += int((pairs.cosine >= CUTOFF).sum())
        total += len(a.arrays[base])
    return Rate(hits, total)


def _three(figure: list[float]) -> str:
    return "{:.3f} ({:.3f} to {:.3f})".format(*figure)


def _rate(rate: Rate) -> str:
    low, high = rate.interval or (0.0, 1.0)
    return f"{rate.value:.3f} ({low:.3f} to {high:.3f})"


HEAD = (
    "| change | K of the three seeds | held-out cosine with mean | held-out cosine with exemplar | "
    "survival by means | survival by exemplars | AMI between seeds |\n|---|---|---|---|---|---|---|"
)


def main(model: str, text: str, layer: str, percentile: str, out: str = "") -> None:
    """Print the table, and append it to a file if one is named."""
    x, passage = read(model, text, int(layer))
    held_out = passage >= PASSAGES - HELD_OUT
    made = [
        built(x[~held_out], passage[~held_out], float(percentile), seed) for seed in range(SEEDS)
    ]
    held = [metric.directions(x[held_out]) for _, metric in made]
    print(f"{Path(model).name}, layer {layer}, p = {percentile}, {len(held[0]):,} held out")
    lines = [HEAD]
    for name, change in changes().items():
        lines.append(row(name, [change(one) for one, _ in made], held))
        print(lines[-1], flush=True)
    if out:
        with Path(out).open("a") as file:
            head = f"## {Path(model).name}, layer {layer}, p = {percentile}"
            about = f"{len(held[0]):,} held-out activations."
            file.write(f"{head}\n\n{about}\n\n" + "\n".join(lines) + "\n\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
