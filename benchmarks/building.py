"""A build, compared with the same build without stored activations, and with a bare forward pass.

Two layers and four percentiles of one stream. Without stored activations the model runs for every
pass over the text: twice to calibrate, once to found regions, once to assign members. The bare
forward pass is plain transformers, cut behind the deepest layer, over the same tokens in the same
parts; nothing is taken from it. All digests are compared. The model is loaded in advance.

    python -m benchmarks.building [MODEL TEXT TOKENS LAYER LAYER]

Without arguments it measures the demo model; the table of a real one is measured by hand.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import ep
from ep import caching, models
from ep.config import BuildConfig
from ep.corpus import Corpus
from ep.models import Assembly, LanguageModel, TokenBatch, harvest, load

MODEL, TEXT = "data/demo/models/base", "data/demo/text/mixed.jsonl"
TOKENS, LAYERS, PERCENTILES, ROUNDS = 20_000, (2, 4), (1.0, 2.0, 4.0, 8.0), 3


def run(
    model: str = MODEL,
    text: str = TEXT,
    tokens: int = TOKENS,
    layers: tuple[int, ...] = LAYERS,
    rounds: int = ROUNDS,
) -> list[dict[str, Any]]:
    """Return a row for each rival; the builds and passes are run in turn."""
    loaded = load(model)
    with _loaded(loaded):
        _build(model, text, tokens // 10, layers, "auto")  # compiles the code that both use
        batches = list(_batches(loaded, text, tokens))
        bare = _bare(model, loaded, batches, layers)
        bare()
        times = []
        for _ in range(rounds):
            ours, plain = (_build(model, text, tokens, layers, size) for size in ("auto", "0"))
            if ours["digests"] != plain["digests"]:
                raise SystemExit("the two builds differ")
            extraction = _seconds(lambda: [harvest(loaded, batch, layers) for batch in batches])
            times.append((ours, plain, extraction, _seconds(bare)))
    name = f"{Path(model).name}, {tokens:,} activations, layers {layers}, p = {PERCENTILES}"

    def row(what: str, ratios: list[float], target: float, at_most: bool = False) -> dict[str, Any]:
        ratio = round(statistics.median(ratios), 2)
        return {"what": what, "ratio": ratio, "target": target, "at_most": at_most, "model": name}

    seconds = {
        "build_s": round(statistics.median(ours["seconds"] for ours, *_ in times), 1),
        "without_s": round(statistics.median(plain["seconds"] for _, plain, *_ in times), 1),
        "bare_s": round(statistics.median(bare for *_, bare in times), 1),
    }
    return [
        row(
            "a build against the same without stored activations, equal digests",
            [plain["seconds"] / ours["seconds"] for ours, plain, *_ in times],
            2.5,
        )
        | seconds,
        row(
            "the build against plain transformers cut at the deepest layer",
            [ours["seconds"] / bare for ours, _, _, bare in times],
            1.3,
            at_most=True,
        ),
        row(
            "extraction alone against plain transformers cut at the deepest layer",
            [bare / extraction for *_, extraction, bare in times],
            0.9,
        ),
        row(
            "writing, of the whole build",
            [ours["writing"] / ours["seconds"] for ours, *_ in times],
            0.1,
            at_most=True,
        ),
    ]


@contextmanager
def _loaded(model: LanguageModel) -> Iterator[None]:
    """Let builds use a model that is loaded already, and nothing that earlier builds have kept."""
    load, kept_folder = models.load, caching.kept_folder
    with tempfile.TemporaryDirectory() as empty:
        models.load = lambda *_, **__: model
        caching.kept_folder = lambda _: Path(empty) / "none"
        try:
            yield
        finally:
            models.load, caching.kept_folder = load, kept_folder


def _build(
    model: str, text: str, tokens: int, layers: tuple[int, ...], cache: str
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out:
        config = BuildConfig(model, (text,), layers, out, PERCENTILES, tokens=tokens, cache=cache)
        start, writing = time.perf_counter(), 0.0
        for progress in ep.build(config):
            if progress.stage == "write" and not writing:
                writing = time.perf_counter()
        end = time.perf_counter()
        return {
            "seconds": end - start,
            "writing": end - writing,
            "digests": [ep.digest(path) for path in progress.files],
        }


def _batches(model: LanguageModel, text: str, tokens: int) -> Iterator[TokenBatch]:
    """The batches that a build reads: those up to its budget."""
    read = 0
    for batch in model.tokens.batches(iter(Corpus((text,), 0)), 128, 128):
        yield batch
        read += int(batch.keep.sum())
        if read >= tokens:
            return


def _bare(
    path: str, model: LanguageModel, batches: list[TokenBatch], layers: tuple[int, ...]
) -> Any:
    """Plain transformers over the same parts, cut behind the deepest layer."""
    import torch
    from transformers import AutoModelForCausalLM

    from ep.models import gguf
    from ep.models.source import find

    file = find(path).gguf
    folder = gguf.converted(file, path).directory if file else path
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    plain.model.layers = torch.nn.ModuleList(islice(plain.model.layers, max(layers) + 1))
    parts = [part for batch in batches for part in Assembly(model, batch, layers).parts()]

    def forward() -> None:
        with torch.inference_mode():
            for part in parts:
                ids, mask = torch.from_numpy(part.ids), torch.from_numpy(part.mask).long()
                plain.model(input_ids=ids, attention_mask=mask, use_cache=False)

    return forward


def _seconds(action: Any) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    given = sys.argv[1:]
    rows = run(given[0], given[1], int(given[2]), tuple(map(int, given[3:]))) if given else run()
    for row in rows:
        print(json.dumps(row))
