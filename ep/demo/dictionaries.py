"""The demo's dictionaries: four families, each made by one ordinary build.

base, tuned              both models on the mixed corpus, every content token
base-final, tuned-final  both models on mostly benign chat prompts, the last token before a reply
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ep.building import build
from ep.config import BuildConfig

PERCENTILES = (1.0, 2.0, 4.0, 8.0, 10.0, 16.0)
FINAL_PERCENTILES = (2.0, 4.0, 8.0, 10.0, 16.0)
LAYERS = (2, 4)
# More activations would give more regions, and a larger clone: the demo is 47 MB, keep it under 50.
MIXED_ACTIVATIONS = 75_000
MIXED_CALIBRATION = 40_000


def configs(out: Path) -> Iterator[BuildConfig]:
    """The build settings of every family. out: data/demo."""
    for name in ("tuned", "base"):
        model = str(out / "models" / name)
        yield BuildConfig(
            model=model,
            text=(str(out / "text" / "mixed.jsonl"),),
            layers=LAYERS,
            percentiles=PERCENTILES,
            out=str(out / "dictionaries" / "all-tokens"),
            tokens=MIXED_ACTIVATIONS,
            calibration=MIXED_CALIBRATION,
            device="cpu",
            title=f"Demo {name} · all tokens",
        )
        yield BuildConfig(
            model=model,
            text=(str(out / "text" / "chat.jsonl"),),
            layers=LAYERS,
            percentiles=FINAL_PERCENTILES,
            out=str(out / "dictionaries" / "last-token"),
            positions="final",
            device="cpu",
            title=f"Demo {name} · last prompt token",
        )


def make(out: Path, say: Callable[[str], None]) -> None:
    """Build every family into folders of out/dictionaries, replacing existing files.

    out: data/demo. say: takes a line of progress.
    """
    for config in configs(out):
        regions = []
        for progress in build(config, replace=True):
            regions = [
                f"layer {layer} p {p:g}: {k:,}" for (layer, p), k in progress.regions.items()
            ]
        say(f"{config.title}: {', '.join(regions)} regions")
