"""Which settings of a build are in range, and do not contradict one another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_args

from ep.errors import ConfigError
from ep.settings import (
    METRICS,
    CalibrationProtocol,
    ExtractorName,
    MetricName,
    Settings,
    TokenPositions,
)

_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([kmgt]?)(?:i?b)?", re.IGNORECASE)


def size_of(text: str) -> int | None:
    """Return a size such as "20G", "1.5 GB" or "0" in bytes; None where it is not one.

    Prefixes are powers of 1,000.
    """
    match = _SIZE.fullmatch(text.replace(" ", ""))
    if match is None:
        return None
    return int(float(match[1]) * 1000 ** " kmgt".index(match[2].lower() or " "))


def _alternatives(choices: Any) -> str:
    """The values of a Literal, joined for a message."""
    return " or ".join(map(repr, get_args(choices)))


def check(config: Settings) -> None:
    """Raise ConfigError for the first setting that is out of range or contradicts another."""
    every = _of_the_files, _of_the_reading, _of_the_calibration, _of_the_stopping, _of_the_workers
    for rules in every:
        for is_valid, message in rules(config):
            if not is_valid:
                raise ConfigError(message)


Rules = Sequence[tuple[bool, str]]
"""Whether each rule is kept, and what to say where it is not."""


def _of_the_files(config: Settings) -> Rules:
    """Which files a build reads and writes."""
    return (
        (bool(config.text), "text is empty: name at least one file or folder"),
        (
            config.text_weights is None or len(config.text_weights) == len(config.text),
            f"text_weights is {list(config.text_weights or ())}: expected one for each of the "
            f"{len(config.text)} texts",
        ),
        (
            all(0 < weight < float("inf") for weight in config.text_weights or ()),
            f"text_weights is {list(config.text_weights or ())}: expected numbers above 0",
        ),
        (bool(config.layers), "layers is empty: name at least one layer"),
        (
            all(layer >= 0 for layer in config.layers),
            f"layers is {list(config.layers)}: expected block numbers from 0",
        ),
        (bool(config.percentiles), "percentiles is empty: name at least one"),
        (
            all(0 < p < 100 for p in config.percentiles),
            f"percentiles is {list(config.percentiles)}: all must be strictly between 0 and 100",
        ),
    )


def _of_the_reading(config: Settings) -> Rules:
    """Which activations it reads."""
    return (
        (
            config.tokens is None or config.tokens >= 1,
            f"tokens is {config.tokens}: expected at least 1, or none",
        ),
        (
            config.context is None or config.context >= 2,
            f"context is {config.context}: expected at least 2 tokens",
        ),
        (
            config.skip_first >= 0,
            f"skip_first is {config.skip_first}: expected a number of tokens from 0",
        ),
        (
            config.norm_cap is None or 1 < config.norm_cap < float("inf"),
            f"norm_cap is {config.norm_cap}: expected more than 1 times the median norm, or none",
        ),
        (
            config.positions in get_args(TokenPositions),
            f"positions is {config.positions!r}: expected {_alternatives(TokenPositions)}",
        ),
    )


def _of_the_calibration(config: Settings) -> Rules:
    """How centre and θ are measured, and what is measured of the members."""
    return (
        (
            config.protocol in get_args(CalibrationProtocol),
            f"protocol is {config.protocol!r}: expected {_alternatives(CalibrationProtocol)}",
        ),
        (
            config.metric in METRICS,
            f"metric is {config.metric!r}: expected {_alternatives(MetricName)}",
        ),
        (
            config.calibration >= 2,
            f"calibration is {config.calibration}: expected at least 2 activations",
        ),
        (
            config.cache == "auto" or size_of(config.cache) is not None,
            f"cache is {config.cache!r}: expected a size such as 20G, or 0 for none",
        ),
        (config.batch >= 1, f"batch is {config.batch}: expected at least 1 passage"),
        (
            config.protocol == "global" or config.positions == "all" or config.batch >= 2,
            "batch is 1 with positions 'final': protocol 'paper' needs at least 2 passages",
        ),
        (
            0 <= config.rival_budget < float("inf"),
            f"rival_budget is {config.rival_budget}: expected a finite number from 0",
        ),
    )


def _of_the_stopping(config: Settings) -> Rules:
    """When the stream stops."""
    return (
        (
            config.stop_rate is None or 0 < config.stop_rate < 1,
            f"stop_rate is {config.stop_rate}: expected a rate strictly between 0 and 1",
        ),
        (
            config.stop_window >= 100,
            f"stop_window is {config.stop_window}: expected at least 100 activations",
        ),
        (
            config.stop_rate is None or 3.0 / config.stop_window < config.stop_rate,
            # With no new region in n activations, the 95 % interval of the rate ends at 3 / n.
            f"stop_rate is {config.stop_rate}, too small for stop_window {config.stop_window}: a "
            f"window without new regions shows a rate below {3.0 / config.stop_window:.2g} at "
            "best; use a larger window",
        ),
        (
            config.lens_prompts is None or config.lens_prompts >= 1,
            f"lens_prompts is {config.lens_prompts}: expected at least 1, or none",
        ),
        (
            config.quiet_batches is None or config.quiet_batches >= 1,
            f"quiet_batches is {config.quiet_batches}: expected at least 1, or none",
        ),
    )


def _of_the_workers(config: Settings) -> Rules:
    """Where the model runs."""
    return (
        (
            config.ray_workers is None or config.ray_workers >= 1,
            f"ray_workers is {config.ray_workers}: expected at least 1, or none",
        ),
        (
            config.ray_workers is None or config.ray is not None,
            f"ray_workers is {config.ray_workers}, but ray is not given: name the address of a "
            'cluster, or "local"',
        ),
        (
            config.extractor in get_args(ExtractorName),
            f"extractor is {config.extractor!r}: expected {_alternatives(ExtractorName)}",
        ),
        (
            config.extractor != "vllm" or config.adapter is None,
            "extractor is vllm, which loads a model from its files, without the adapter: give "
            "another extractor, or a model into which it is merged",
        ),
    )
