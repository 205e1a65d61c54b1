"""The settings of a build, as one frozen dataclass that is checked when it is made.

The options of `ep build` and the provenance inside a file are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ep.errors import ConfigError

PERCENTILES = (1.0, 2.0, 4.0, 8.0, 10.0)
"""The default percentiles p, those of the paper."""

CONTEXT = 128
"""The default context in tokens, for models that can read as much."""

RIVAL_BUDGET = 1e13
"""The default of `BuildConfig.rival_budget`, in multiply-adds."""

TokenPositions = Literal["all", "final"]
"""Which tokens of a passage are streamed.

"all": every token but BOS and those of the chat template. "final": the last token of each passage.
"""

CalibrationProtocol = Literal["paper", "global"]
"""How θ is measured.

"paper": the mean over batches of each batch's own percentile. "global": the percentile of one
sample of the whole stream.
"""

MetricName = Literal["centred", "uncentred", "standardised", "whitened", "euclidean"]
"""How activations are compared: by a cosine in one of four spaces, or by Euclidean distance.

See `ep.method.metrics`.
"""
METRICS: tuple[MetricName, ...] = get_args(MetricName)

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
"""The dtype a model runs in; "auto" is that of the checkpoint where the device supports it."""


LATER: Mapping[str, Any] = {
    "skip_first": 0,
    "norm_cap": None,
    "adapter": None,
    "metric": "centred",
    "text_weights": None,
    "deduplicate": False,
}
"""Settings that earlier versions did not have, with the value at which they change nothing.

At that value they do not enter what decides a build, so that earlier files stay in its family.
"""

GGUF = ".gguf"
"""The extension of a file that holds a whole model, as llama.cpp reads it."""


def is_model_path(model: str | Path) -> bool:
    """Return whether a model is local: the path of a directory or of a GGUF file that exists."""
    path = Path(model)
    return path.is_dir() or (path.suffix.lower() == GGUF and path.is_file())


def model_name(model: str, adapter: str | Path | None = None) -> str:
    """Return a model's Hub name, or the name of its directory or GGUF file without the path.

    adapter: folder of an adapter, whose name follows.
    """
    if adapter:
        return f"{model_name(model)} + {Path(adapter).expanduser().resolve().name}"
    if not is_model_path(model):
        return model
    path = Path(model).resolve()
    return path.name if path.is_dir() else path.stem


def setting(help: str, default: Any = MISSING, flag: str = "", metavar: str | None = None) -> Any:
    """Return a dataclass field that is also an option of `ep build`.

    help: the documentation of both the field and the option.
    default: the default value; a field without one is required.
    flag: the option's name without dashes, if it is not the field's.
    metavar: how the help of the option names its value.
    """
    metadata = {"help": help, "flag": flag, "metavar": metavar}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class BuildConfig:
    """What to build, from which model and text, and when to stop.

    Every field but `extra` is an option of `ep build`; `python -m ep build --help` prints them all.
    Raises ConfigError for a value that is out of range or contradicts another.
    """

    model: str = setting("Hub name, local directory or .gguf file of the model")

    text: Sequence[str] = setting(
        "file or folder of text, or hf://datasets/OWNER/NAME[@REVISION][:CONFIG[:SPLIT]] on the "
        "Hub, of which no more is read than the build needs; repeatable",
        metavar="FILE",
    )

    layers: Sequence[int] = setting(
        "block whose residual stream, after the block, is partitioned, counted from 0; repeatable: "
        "all layers share one forward pass",
        flag="layer",
    )

    out: str = setting(
        "folder for the .ep.h5 files, one for each layer and percentile", metavar="DIR"
    )

    percentiles: Sequence[float] = setting(
        "p between 0 and 100: θ is the p-th percentile of pairwise distances, so that a smaller p "
        "gives more and finer regions; repeatable",
        PERCENTILES,
        flag="percentile",
    )

    tokens: int | None = setting(
        "activations to stream, exact for any batch size; without it, the whole text", None
    )

    context: int | None = setting(
        "tokens read of each passage, not counting BOS; longer passages are cut, and how much of "
        f"the text that is will be reported (default {CONTEXT}, or all that the model can read if "
        "that is less)",
        None,
    )

    positions: TokenPositions = setting(
        "all tokens, or only the final one of each passage; never BOS or the chat template", "all"
    )

    skip_first: int = setting(
        "leave out the first N tokens of every passage, not counting BOS: in many models the first "
        "is an attention sink",
        0,
        metavar="N",
    )

    norm_cap: float | None = setting(
        "leave out activations whose norm is more than R times the median of the calibration (‖x‖, "
        "before centring); the head of the stream is then read once more",
        None,
        metavar="R",
    )

    chat: bool = setting(
        "treat plain texts as user turns, through the model's chat template", False
    )

    field_name: str | None = setting(
        'key or column that holds the text, when it is not "text" or "messages"', None, flag="field"
    )

    strict: bool = setting(
        "refuse a text with a row that cannot be used, before the work begins, and activations "
        "that are not finite; without it, such rows and activations are left out and counted",
        False,
    )

    text_weights: Sequence[float] | None = setting(
        "how often passages are drawn from a text, beside those of the others; give one for each "
        "--text, in the same order. Without any, the texts are read as one",
        None,
        flag="weight",
        metavar="W",
    )

    deduplicate: bool = setting(
        "leave out passages with the text of one before them, whitespace aside; takes 10 to 15 "
        "bytes of memory for each passage",
        False,
    )

    protocol: CalibrationProtocol = setting(
        "how θ is measured: the paper's mean over batches, or the percentile of one global sample",
        "paper",
    )

    metric: MetricName = setting(
        "how activations are compared: by the cosine about their centre (the paper's), as they "
        "are, with each dimension divided by its spread, or whitened; or by the Euclidean "
        "distance, which keeps their length",
        "centred",
    )

    calibration: int = setting(
        "activations that measure centre and θ, from the head of the stream", 200_000
    )

    batch: int = setting(
        "passages in a batch; affects only θ under protocol paper and the rule of quiet batches",
        128,
    )

    stop_rate: float | None = setting(
        "stop once the number of new regions per activation is below this: the upper bound of its "
        "95 % interval over one window",
        None,
    )

    stop_window: int = setting("activations in one window of the stop rate", 50_000)

    quiet_batches: int | None = setting(
        "the paper's stopping rule: stop after this many batches in a row without a new region; "
        "depends on the batch size",
        None,
    )

    rival_budget: float = setting(
        "multiply-adds to spend on the second-nearest regions of a dictionary's members; where all "
        "members would cost more, a seeded share of them is examined; does not affect the regions",
        RIVAL_BUDGET,
    )

    lens_prompts: int | None = setting(
        "fit a Jacobian lens of the layers on so many prompts of the text, before the regions are "
        "described, and keep it for other builds of the model; 100 are usable (default: use the "
        "lens that the model has, if any)",
        None,
        metavar="N",
    )

    cache: str = setting(
        "disk space in --out for activations while a build runs, such as 20G, so that the model "
        "runs once for every token; 0 stores none (default: half of the space that is free)",
        "auto",
        metavar="SIZE",
    )

    keep_activations: bool = setting(
        "keep the activations in the cache folder, for later builds of the same model, text and "
        "layers with other percentiles, metrics or seeds; `ep cache` lists and removes them",
        False,
    )

    seed: int = setting("seed of the shuffle, the global sample, the excerpts and the groups", 0)

    device: str = setting("auto, cpu, cuda, cuda:N or mps", "auto")

    dtype: Dtype = setting(
        "dtype the model runs in; the regions of its activations are computed exactly in any case",
        "auto",
    )

    revision: str | None = setting("the Hub revision of the model", None)

    adapter: str | None = setting(
        "folder of a LoRA adapter in peft's format, which is merged into the model",
        None,
        metavar="DIR",
    )

    ray: str | None = setting(
        'run the model on the machines of a Ray cluster: HOST:PORT of its head, "auto" for the one '
        'that this machine is part of, or "local" for processes of this machine',
        None,
        metavar="ADDRESS",
    )

    ray_workers: int | None = setting(
        "copies of the model that run on the cluster (default: one for each GPU; without GPUs, one "
        "for each machine)",
        None,
        metavar="N",
    )

    title: str = setting(
        "title of the dictionaries on screen; made from the names of model and text if empty", ""
    )

    extra: dict[str, Any] = field(default_factory=dict)
    """Further entries for the provenance of the files, as JSON values; not an option."""

    def __post_init__(self) -> None:
        for name in ("text", "layers", "percentiles"):
            object.__setattr__(self, name, _tuple(getattr(self, name)))
        if self.text_weights is not None:
            object.__setattr__(self, "text_weights", tuple(map(float, _tuple(self.text_weights))))
        object.__setattr__(self, "percentiles", tuple(sorted({float(p) for p in self.percentiles})))
        object.__setattr__(self, "layers", tuple(sorted({int(layer) for layer in self.layers})))
        _check(self)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    def deciding(self) -> dict[str, Any]:
        """The settings that determine the result.

        Builds with equal ones on equal text and model give equal dictionaries.
        """
        left_out = {"out", "text", "title", "extra", "device", "rival_budget", "lens_prompts"}
        left_out |= {"strict", "cache", "keep_activations", "ray", "ray_workers"}
        return {
            key: value
            for key, value in self.as_dict().items()
            if key not in left_out and (key, value) not in LATER.items()
        }

    @property
    def calibration_budget(self) -> int:
        """Activations that are measured: never more than the build streams."""
        return self.calibration if self.tokens is None else min(self.calibration, self.tokens)

    @property
    def cache_bytes(self) -> int | None:
        """Bytes that `cache` allows; None for what fits."""
        return None if self.cache == "auto" else size_of(self.cache)

    def sifting(self) -> dict[str, Any]:
        """The settings that leave activations out, as entries of the provenance; empty without."""
        settings = {"skip_first": self.skip_first, "norm_cap": self.norm_cap}
        return {name: value for name, value in settings.items() if value}

    def drawing(self) -> dict[str, Any]:
        """The settings that choose passages, as entries of the provenance; empty without."""
        weights = {"text_weights": list(self.text_weights)} if self.text_weights is not None else {}
        return weights | ({"deduplicate": True} if self.deduplicate else {})

    def fitted(self, longest: int) -> BuildConfig:
        """Return these settings with a context that a model can read.

        longest: tokens that the model can read of one passage, not counting BOS. Raises ConfigError
            for a larger context.
        """
        if self.context is not None and self.context > longest:
            raise ConfigError(
                f"context is {self.context}: {self.model_name} can read {longest} tokens of a "
                "passage, not counting BOS; choose at most that"
            )
        fitted = replace(self, context=self.context or min(CONTEXT, longest))
        if self.skip_first >= (fitted.context or 0):
            raise ConfigError(
                f"skip_first is {self.skip_first}: nothing remains of passages of "
                f"{fitted.context} tokens; choose a smaller number, or a larger context"
            )
        return fitted

    def coarser(self, percentile: float) -> tuple[float, ...]:
        """The larger percentiles of this build in rising order; empty for the largest."""
        return tuple(p for p in self.percentiles if p > percentile)

    @property
    def folder(self) -> Path:
        """The output folder as a path."""
        return Path(self.out)

    @property
    def model_name(self) -> str:
        """The model's Hub name, or the name of its folder or file without the path.

        That of an adapter follows.
        """
        return model_name(self.model, self.adapter)

    def file_name(self, layer: int, percentile: float) -> str:
        """The file name for one layer and percentile, such as tuned-L4-p2.ep.h5."""
        stem = (
            re.sub(r"[^A-Za-z0-9._-]+", "-", self.model_name.split("/")[-1]).strip("-.") or "model"
        )
        kind = "-final" if self.positions == "final" else ""
        kind += "" if self.metric == "centred" else f"-{self.metric}"
        return f"{stem}-L{layer}{kind}-p{percentile:g}.ep.h5"


_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([kmgt]?)(?:i?b)?", re.IGNORECASE)


def size_of(text: str) -> int | None:
    """Return a size such as "20G", "1.5 GB" or "0" in bytes; None where it is not one.

    Prefixes are powers of 1,000.
    """
    match = _SIZE.fullmatch(text.replace(" ", ""))
    if match is None:
        return None
    return int(float(match[1]) * 1000 ** " kmgt".index(match[2].lower() or " "))


def _tuple(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str | int | float) else tuple(value)


def _alternatives(choices: Any) -> str:
    """The values of a Literal, joined for a message."""
    return " or ".join(map(repr, get_args(choices)))


def _check(config: BuildConfig) -> None:
    """Raise ConfigError for the first setting that is out of range or contradicts another."""
    every = _of_the_files, _of_the_reading, _of_the_calibration, _of_the_stopping, _of_the_workers
    for rules in every:
        for is_valid, message in rules(config):
            if not is_valid:
                raise ConfigError(message)


Rules = Sequence[tuple[bool, str]]
"""Whether each rule is kept, and what to say where it is not."""


def _of_the_files(config: BuildConfig) -> Rules:
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


def _of_the_workers(config: BuildConfig) -> Rules:
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
    )


def _of_the_reading(config: BuildConfig) -> Rules:
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


def _of_the_calibration(config: BuildConfig) -> Rules:
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


def _of_the_stopping(config: BuildConfig) -> Rules:
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
