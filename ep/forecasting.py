"""What a build will give and cost, measured on a small head of its stream.

The head is read once and clustered at several percentiles, each in `ORDERS` orders of its passages.
K after N activations is then extrapolated from K after n/4, n/2 and n. Heaps' law K = a·n^b holds
with a b that falls as the text is used up, so two extrapolations bound it: b stays what it was over
the last doubling, or goes on falling, twice as fast. Their geometric mean is the prediction; the
interval reaches from one to the other, and further by twice the spread of b between the orders.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from math import ceil, exp, log, log2
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from ep.config import CONTEXT, BuildConfig
from ep.errors import ActivationError, CorpusError
from ep.method.calibration import Calibration, calibrate
from ep.method.laws import law_of
from ep.reporting import Key
from ep.storage.hub.texts import corpus_of
from ep.streaming import Stream
from ep.text import split_text

if TYPE_CHECKING:
    from ep.models import LanguageModel
    from ep.models.tokens import TokenBatch

HEAD = 4_000
"""Activations of the head."""
FEWEST = 200
"""Activations below which nothing is extrapolated."""
BATCH = 16
"""Largest number of passages in a batch of the head."""
LADDER = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Percentiles measured beside those asked for, so that one can be found for a wanted K."""
ORDERS = 4
BYTES_PER_VALUE = 16
"""Memory of one coordinate of a region: its exemplar, the search index and two sums."""
PREVIEW_PASSAGES, PREVIEW_TOKENS = 3, 40


@dataclass(frozen=True)
class Prediction:
    """K of one dictionary.

    threshold: θ as measured on the head. head: K after the head. regions: K predicted after the
    whole stream. low, high: the interval.
    """

    threshold: float
    head: int
    regions: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """What a build will give and cost.

    n: activations of the head. total: those of the whole stream, as far as can be told.
    is_counted: whether `total` is the budget, not an estimate from the number of passages.
    predictions: by layer and percentile, those of `LADDER` included.
    per_second: activations that the model reads in a second.
    seconds: the build's estimated time without a lens. memory, disk: its estimated bytes beside
    the model. preview: the tokens of the first passages.
    """

    n: int
    total: int
    is_counted: bool
    predictions: Mapping[Key, Prediction]
    per_second: float
    seconds: float
    memory: float
    disk: float
    preview: tuple[tuple[str, ...], ...]

    def percentile_for(self, layer: int, regions: float) -> float | None:
        """Return the percentile at which a layer has a wanted K, between those measured.

        It is interpolated on logarithmic scales, to two digits; None beyond the ladder.
        """
        points = sorted(
            (log(max(1.0, one.regions)), log(key[1]))
            for key, one in self.predictions.items()
            if key[0] == layer
        )
        wanted = log(max(1.0, regions))
        if not points or not points[0][0] <= wanted <= points[-1][0]:
            return None
        sizes, percentiles = zip(*points, strict=True)
        found = exp(float(np.interp(wanted, sizes, percentiles)))
        return float(f"{found:.2g}")


@dataclass(frozen=True)
class _Head:
    """The head of the stream: activations (n, d) by layer, in batches, and their passages."""

    batches: Mapping[int, list[np.ndarray]]
    passages: Mapping[int, np.ndarray]
    first: TokenBatch
    per_second: float
    per_passage: float
    n_rows: int


def forecast(
    config: BuildConfig, model: LanguageModel, size: int = HEAD
) -> Generator[float, None, Forecast]:
    """Measure the head of a build's stream; yield the share done, and return the forecast.

    size: activations of the head. A cap on the norm is not applied to it.

    Raises ModelError for a layer that the model lacks, ConfigError for a context that it cannot
    read, and CorpusError for a text that cannot be used or is too short.
    """
    model.check_layers(config.layers)
    config = config.fitted(model.context - (model.tokens.bos is not None))
    head = yield from _read(replace(config, batch=min(config.batch, BATCH)), model, size)
    n = min(map(len, head.passages.values()))
    if n < FEWEST:
        raise CorpusError(
            f"the text gave {n:,} activations: a forecast needs at least {FEWEST}; give more text"
        )
    total = config.tokens or max(n, ceil(head.n_rows * head.per_passage))
    predictions: dict[Key, Prediction] = {}
    for done, layer in enumerate(config.layers):
        calibration = _calibrated(config, list(_grouped(head.batches[layer], config.batch)))
        ladder = tuple(calibration.thresholds)
        rows = calibration.metric.rows(np.concatenate(head.batches[layer])[:n])
        orders = _orders(head.passages[layer][:n], config.seed)
        for step, p in enumerate(ladder):
            predictions[layer, p] = _predict(calibration, p, rows, orders, total)
            yield 0.5 + 0.5 * (done + (step + 1) / len(ladder)) / len(config.layers)
    asked = [predictions[layer, p] for layer in config.layers for p in config.percentiles]
    values = sum(one.regions for one in asked) * model.width
    # stored while the build runs, in the precision of the model
    activations = total * len(config.layers) * model.width * (4 if model.dtype == "float32" else 2)
    return Forecast(
        n,
        total,
        config.tokens is not None,
        predictions,
        head.per_second,
        total / head.per_second,
        values * BYTES_PER_VALUE,
        values * 8 + (0 if config.cache_bytes == 0 else activations),
        _preview(head.first, model),
    )


def _calibrated(config: BuildConfig, batches: list[np.ndarray]) -> Calibration:
    """Measure θ of the percentiles asked for, and of those of `LADDER` at which pairs differ.

    Raises ActivationError where the pairs at one that is asked for are all alike.
    """
    beside = sorted(set(LADDER) - set(config.percentiles))
    while True:
        ladder = sorted({*beside, *config.percentiles})
        try:
            return calibrate(batches, ladder, config.protocol, config.seed, config.metric)
        except ActivationError:
            if not beside:
                raise
            beside = beside[1:]  # the finer ones come first


def _read(config: BuildConfig, model: LanguageModel, size: int) -> Generator[float, None, _Head]:
    """Read the head of the stream, yielding the share of the work done."""
    stream = Stream(config, model, corpus_of(config), config.context or CONTEXT)
    for _ in stream.read():
        yield 0.0
    parts: dict[int, list[np.ndarray]] = {layer: [] for layer in config.layers}
    passages: dict[int, list[np.ndarray]] = {layer: [] for layer in config.layers}
    first, n, n_passages, seconds, start = None, 0, 0, 0.0, perf_counter()
    for item in stream.batches():
        if item is None:
            continue
        batch, harvest = item
        seconds += perf_counter() - start
        first = first or batch
        n_passages += batch.n_passages
        for layer, sifted in stream.sifted(harvest).items():
            parts[layer].append(sifted.x)
            passages[layer].append(sifted.events.passage)
        n = min(sum(map(len, of_layer)) for of_layer in parts.values())
        yield 0.5 * min(1.0, n / size)
        if n >= size:
            break
        start = perf_counter()
    if first is None or not n:
        raise CorpusError("the text gave no activations: no passage has tokens beside BOS")
    survey = stream.survey
    return _Head(
        parts,
        {layer: np.concatenate(of_layer) for layer, of_layer in passages.items()},
        first,
        n / max(seconds, 1e-9),
        n / n_passages,
        survey.rows - survey.empty - survey.unusable,
    )


def _grouped(batches: list[np.ndarray], batch: int) -> list[np.ndarray]:
    """Return batches of the head joined to batches of the build, on which θ depends.

    batch: passages in a batch of the build. A last group that is not full is left out, unless it
    is the only one.
    """
    size = max(1, batch // BATCH)
    groups = [np.concatenate(batches[at : at + size]) for at in range(0, len(batches), size)]
    is_short = len(batches) % size != 0 and len(groups) > 1
    return groups[:-1] if is_short else groups


def _orders(passages: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return indices (n,) of the activations in several orders of the passages, theirs first."""
    rng = np.random.default_rng(seed)
    _, numbers = np.unique(passages, return_inverse=True)
    shuffled = [rng.permutation(int(numbers.max()) + 1) for _ in range(ORDERS - 1)]
    return [np.arange(len(passages))] + [
        np.argsort(rank[numbers], kind="stable") for rank in shuffled
    ]


def _predict(
    calibration: Calibration, p: float, rows: np.ndarray, orders: list[np.ndarray], total: int
) -> Prediction:
    """Cluster the head in each order, and extrapolate K."""
    n = len(rows)
    curves = []
    for order in orders:
        law = law_of(calibration.metric.name)
        leaders = law.leaders(calibration.thresholds[p], rows.shape[1] - law.extra, "cpu")
        leaders.partial_fit(rows[order])
        founded = leaders.founded_at
        curves.append([int(np.searchsorted(founded, part)) for part in (n // 4, n // 2, n)])
    regions, low, high = extrapolated(np.array(curves, np.float64), n, total)
    return Prediction(calibration.thresholds[p], curves[0][-1], regions, low, high)


def extrapolated(curves: np.ndarray, n: int, total: int) -> tuple[float, float, float]:
    """Return the predicted K after `total` activations, and its interval.

    curves: (orders, 3) K after n/4, n/2 and n activations. The result is at least the K known, and
    exactly that where nothing more is streamed.
    """
    k = np.maximum(1.0, curves)
    known = float(np.exp(np.log(k[:, 2]).mean()))
    doublings = log2(max(1.0, total / n))
    earlier, last = np.log2(k[:, 1] / k[:, 0]), np.log2(k[:, 2] / k[:, 1])
    b, fall = float(last.mean()), 2 * max(0.0, float((earlier - last).mean()))
    spread = float(last.std(ddof=1)) * doublings if len(k) > 1 else 0.0
    steady = b * doublings
    falling, left = 0.0, doublings
    exponent = b - fall
    while left > 0:
        falling += max(0.0, exponent) * min(1.0, left)
        exponent, left = exponent - fall, left - 1
    middle = known * 2 ** ((steady + falling) / 2)
    low = known * 2 ** max(0.0, falling - 2 * spread)
    high = known * 2 ** (steady + 2 * spread)
    return middle, min(low, middle), max(high, middle)


def _preview(batch: TokenBatch, model: LanguageModel) -> tuple[tuple[str, ...], ...]:
    """Return the first tokens of the first passages, BOS and template included."""
    rows = []
    for row in range(min(PREVIEW_PASSAGES, len(batch.ids))):
        ids = batch.ids[row][batch.mask[row]][:PREVIEW_TOKENS].tolist()
        rows.append(split_text([model.tokens.piece(id) for id in ids]))
    return tuple(rows)
