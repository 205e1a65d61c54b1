"""The dictionaries of the real demo: three families, each made by one ordinary build.

base   the model on its own texts, every token
tuned  the model with the adapter on the same texts, for Compare
final  the tuned model on requests, the last token before its answer, for the region of refusal
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ep.building import build
from ep.config import BuildConfig
from ep.demo.real.model import NAME
from ep.demo.real.requests import SEED, requests

LAYERS = (10, 20)
PERCENTILES = (2.0, 4.0, 8.0, 16.0)
TUNED_PERCENTILES = (2.0, 8.0)
FINAL_LAYER, FINAL_PERCENTILES = 20, (4.0, 8.0, 16.0)
TOKENS, CALIBRATION = 60_000, 30_000
LENS_PROMPTS = 8
"""Prompts of the Jacobian lens of the base model: about two minutes each on two cores."""
HARMFUL_SHARE = 0.06
"""Share of harmful requests among those of the family `final`: with many, the centre would lie half
way to refusal."""


def base(out: Path) -> BuildConfig:
    """Return the build settings of the family `base`. out: data/real."""
    return BuildConfig(
        model=NAME,
        text=(str(out / "text" / "written.jsonl"),),
        layers=LAYERS,
        percentiles=PERCENTILES,
        out=str(out / "dictionaries"),
        tokens=TOKENS,
        calibration=CALIBRATION,
        skip_first=1,  # the model reads no BOS, and its first token is an attention sink
        lens_prompts=LENS_PROMPTS,
        device="cpu",
        title="SmolLM2 135M · its own texts",
    )


def tuned(out: Path) -> BuildConfig:
    """Return the build settings of the family `tuned`. out: data/real."""
    return replace(
        base(out),
        adapter=str(out / "adapter"),
        percentiles=TUNED_PERCENTILES,
        lens_prompts=None,
        title="SmolLM2 135M, tuned to refuse · the same texts",
    )


def final(out: Path) -> BuildConfig:
    """Return the build settings of the family `final`. out: data/real."""
    return BuildConfig(
        model=NAME,
        adapter=str(out / "adapter"),
        text=(str(out / "text" / "requests.jsonl"),),
        layers=(FINAL_LAYER,),
        percentiles=FINAL_PERCENTILES,
        out=str(out / "dictionaries"),
        positions="final",
        device="cpu",
        title="SmolLM2 135M, tuned to refuse · last token of requests",
    )


def configs(out: Path) -> list[BuildConfig]:
    """Return the build settings of each family that can be built: without an adapter, the first.

    out: data/real.
    """
    has_adapter = (out / "adapter").is_dir()
    return [base(out), *((tuned(out), final(out)) if has_adapter else ())]


def chat_rows(written: Path) -> list[dict[str, object]]:
    """Return the requests of the family `final`, as rows with messages and a label.

    written: written.jsonl, whose requests are all harmless. Training requests are added.
    """
    lines = written.read_text(encoding="utf-8").splitlines()
    harmless = [json.loads(line)["request"] for line in lines]
    harmless += [row.prompt for row in requests("train") if row.label == "harmless"]
    harmful = [row.prompt for row in requests("train") if row.label == "harmful"]
    rng = random.Random(f"{SEED}/chat")
    rng.shuffle(harmful)
    few = harmful[: round(len(harmless) * HARMFUL_SHARE / (1 - HARMFUL_SHARE))]
    rows = [(text, "harmless") for text in harmless] + [(text, "harmful") for text in few]
    rng.shuffle(rows)
    return [
        {"messages": [{"role": "user", "content": text}], "label": label} for text, label in rows
    ]


def make(out: Path, say: Callable[[str], None]) -> None:
    """Build the families whose files are not all there, into out/dictionaries.

    Without an adapter there is only the first. out: data/real. say: takes a line of progress.
    """
    for config in configs(out):
        if all(
            (config.folder / config.file_name(layer, p)).is_file()
            for layer in config.layers
            for p in config.percentiles
        ):
            say(f"{config.title}: is there")
            continue
        regions = []
        for progress in build(config, replace=True):
            regions = [
                f"layer {layer} p {p:g}: {k:,}" for (layer, p), k in progress.regions.items()
            ]
        say(f"{config.title}: {', '.join(regions)} regions")
