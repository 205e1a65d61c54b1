"""What a build measures on the head of its stream, before it founds the first region."""

from __future__ import annotations

from collections.abc import Generator

from ep.method.calibration import Calibration, Thresholds
from ep.method.moments import MetricSum
from ep.method.outliers import Measured, Spread
from ep.reporting import Progress
from ep.streaming import Stream


def calibrate(
    stream: Stream,
) -> Generator[Progress, None, tuple[dict[int, Calibration], dict[int, Measured]]]:
    """Measure the centre of each layer, then θ of each percentile; return both, by layer.

    They are measured on the head of the stream (protocol 1.1, 1.2), which is read twice: θ is a
    percentile of distances between directions from the finished centre. A cap on the norm is a
    multiple of a median, for which the head is read once more before.
    """
    config, before = stream.config, 0
    yield Progress("calibrate", 0)
    for before in stream.limit_norms():
        yield Progress("calibrate", before)
    total = before
    sums = {layer: MetricSum(stream.model.width, config.metric) for layer in config.layers}
    for done, parts in stream.head():
        for layer, part in parts.items():
            sums[layer].update(part.x)
        total = before + 2 * done
        yield Progress("calibrate", before + done)  # the text may have fewer than `calibration`
    thresholds = {
        layer: Thresholds(layer_sum.metric(), config.percentiles, config.protocol, config.seed)
        for layer, layer_sum in sums.items()
    }
    spreads = {layer: Spread(of_layer.metric.center) for layer, of_layer in thresholds.items()}
    for done, parts in stream.head():
        for layer, part in parts.items():
            thresholds[layer].update(part.x)
            spreads[layer].update(part.x)
        yield Progress("calibrate", (before + total) // 2 + done, total)
    calibrations = {layer: of_layer.calibration() for layer, of_layer in thresholds.items()}
    measured = {
        layer: Measured(outliers, spreads[layer].largest(), stream.sieves[layer])
        for layer, outliers in stream.outliers.items()
    }
    return calibrations, measured
