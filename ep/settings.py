"""The settings of a build, each with its documentation, its default and the choices there are.

What is done with them is in `ep.config`, what they may be in `ep.settings_checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal, get_args

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


ExtractorName = Literal["bridge", "transformers", "vllm"]
"""What runs the model: TransformerLens' bridge, plain transformers or vLLM; see `ep.models`."""


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
class Settings:
    """What to build, from which model and text, and when to stop; unchecked.

    Every field but `extra` is an option of `ep build`; `python -m ep build --help` prints them all.
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

    extractor: ExtractorName = setting(
        "what runs the model: TransformerLens' bridge, plain transformers, which gives the same "
        "activations a little faster, or vLLM on a GPU, which rounds otherwise, so that its "
        "dictionaries are a family of their own",
        "bridge",
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

    rounds_otherwise: bool = False
    """Whether the extractor was found to differ from the bridge in the last bits; not an option."""
