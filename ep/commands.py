"""What each command does: open, ask, print. Every reading command prints a table for people or, with --json, JSON."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ep.errors import EPError, InputError


def app(arguments: argparse.Namespace) -> None:
    """Serve the explorer until interrupted."""
    from ep.serving import serve

    serve(arguments.host, arguments.port, open_browser=not arguments.no_browser)


def build(arguments: argparse.Namespace) -> None:
    """Build dictionaries, drawing progress on stderr; the written files go to stdout."""
    from ep.building import build
    from ep.config import BuildConfig

    names = set(BuildConfig.__dataclass_fields__)
    given = {key: value for key, value in vars(arguments).items() if key in names and value is not None}
    config = BuildConfig(**given)
    steps = build(config, resume=arguments.resume)
    with _polite_interrupt() as asked_to_stop, _progress_bar() as show:
        for progress in steps:
            show(progress)
            if asked_to_stop() and progress.stage != "done":
                steps.close()
                raise InterruptedBuild(f"interrupted: the state is kept in {config.out}; go on with --resume")
    for path in progress.files:
        print(path)
    if progress.truncated:
        print(f"{progress.truncated:,} passages were longer than {config.context} tokens and cut", file=sys.stderr)


class InterruptedBuild(EPError):
    """Ctrl-C during a build, after the state was kept."""

    exit_code = 130


def info(arguments: argparse.Namespace) -> None:
    """What a dictionary is: sizes and provenance."""
    from ep import storage

    if arguments.check:
        storage.check(arguments.file)
    dictionary = storage.open(arguments.file)
    facts = {"regions": len(dictionary), "width": dictionary.width, **dictionary.info}
    if arguments.digest:
        facts["digest"] = storage.digest(dictionary)
    if arguments.json:
        print(json.dumps(facts, indent=1))
        return
    for name, value in facts.items():
        print(f"{name:18} {_plain(value)}")


def regions(arguments: argparse.Namespace) -> None:
    """A table of regions."""
    from ep import storage
    from ep.views.search import Index
    from ep.views.text import label

    dictionary = storage.open(arguments.file)
    everything = range(len(dictionary))
    chosen = Index(dictionary).find(arguments.find).regions.tolist() if arguments.find else list(everything)
    column, descending = SORTS[arguments.sort]
    if column in dictionary:
        values = dictionary.column(column)
        chosen.sort(key=lambda k: values[k], reverse=descending)
    rows = [_region_row(dictionary, k) for k in chosen[: arguments.limit or None]]
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'region':>7} {'voronoi':>9} {'arrival':>9} {'coherence':>9}  lens of the exemplar")
    for row in rows:
        lens = " ".join(label(token) for token in row["lens"][:6])
        counts = f"{_count(row['count_voronoi'])} {_count(row['count_arrival'])}"
        print(f"{row['region']:>7} {counts} {row['coherence']:>9.2f}  {lens}")


SORTS = {
    "members": ("count_voronoi", True),
    "arrival": ("count_arrival", True),
    "coherence": ("coherence", True),
    "distance": ("mean_distance", False),
    "id": ("founded_at", False),
}


def _region_row(dictionary: Any, k: int) -> dict[str, Any]:
    names = ("count_voronoi", "count_arrival", "coherence", "mean_distance")
    row = {name: dictionary.column(name)[k].item() if name in dictionary else None for name in names}
    return {"region": k, **row, "lens": [score.token for score in dictionary.lens(k)]}


def region(arguments: argparse.Namespace) -> None:
    """Everything stored about one region."""
    from ep import storage
    from ep.views.text import label

    dictionary = storage.open(arguments.file)
    region = dictionary.region(arguments.id)
    if arguments.json:
        print(json.dumps(_region_json(region), indent=1))
        return
    print(f"region {region.id} of {len(dictionary):,}")
    for name, value in region.columns.items():
        print(f"{name:22} {_plain(value)}")
    for name, scores in region.lens.items():
        print(f"{name:22} {' '.join(label(score.token) for score in scores)}")
    print(f"{'nearest':22} {' '.join(f'{k} ({d:.2f})' for k, d in region.nearest)}")
    for excerpt in ([region.founder] if region.founder else []) + list(region.excerpts):
        before, after = (
            "".join(excerpt.pieces[: excerpt.marked])[-40:],
            "".join(excerpt.pieces[excerpt.marked + 1 :])[:30],
        )
        marked = f"{before and label(before)}[{label(excerpt.token)}]{after and label(after)}"
        print(f"{excerpt.band:8} {excerpt.distance:.3f}  {marked}")


def _region_json(region: Any) -> dict[str, Any]:
    excerpts = ([region.founder] if region.founder else []) + list(region.excerpts)
    return {
        "region": region.id,
        **{name: value.item() for name, value in region.columns.items()},
        "lens": {name: [[s.token, s.value] for s in scores] for name, scores in region.lens.items()},
        "tokens": [[s.token, int(s.value)] for s in region.tokens],
        "next_tokens": [[s.token, int(s.value)] for s in region.next_tokens],
        "nearest": [[k, distance] for k, distance in region.nearest],
        "excerpts": [
            {
                "band": e.band,
                "passage": e.passage,
                "position": e.position,
                "distance": e.distance,
                "tokens": list(e.pieces),
            }
            for e in excerpts
        ],
    }


def assign(arguments: argparse.Namespace) -> None:
    """The region of every token of a prompt, read with the dictionary's own model."""
    from ep import models, storage
    from ep.views.text import label

    dictionary = storage.open(arguments.file)
    model = models.load(arguments.model or models.model_of(dictionary.info, arguments.file))
    models.check_fits(model, dictionary.info, dictionary.width)
    if not arguments.prompt.strip():
        raise InputError("the prompt is empty: give some text")
    turn = [{"role": "user", "content": arguments.prompt}]
    prompt = model.encode_prompt(turn if arguments.chat else arguments.prompt)
    layer = int(dictionary.info["layer"])
    regions, distances, _ = dictionary.assign(models.read(model, prompt.ids, [layer])[layer])
    rows: list[dict[str, Any]] = [
        {
            "position": position,
            "token": model.tokens.piece(token).decode("utf-8", "replace"),
            "region": int(region),
            "distance": float(distance),
            "within": bool(distance <= dictionary.threshold),
            "lens": [score.token for score in dictionary.lens(int(region))],
            "template": template,
        }
        for position, (token, template, region, distance) in enumerate(
            zip(prompt.ids, prompt.is_template, regions, distances, strict=True)
        )
    ]
    if prompt.truncated:
        print(f"ep: the prompt was cut to the model's context of {model.context} tokens", file=sys.stderr)
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'token':<18} {'region':>7} {'distance':>8}  lens of the exemplar (θ = {dictionary.threshold:.3f})")
    for row in rows:
        lens = " ".join(label(token) for token in row["lens"][:5])
        beyond = " " if row["within"] else "*"
        print(f"{label(row['token']):<18} {row['region']:>7} {row['distance']:>7.3f}{beyond}  {lens}")


def demo(arguments: argparse.Namespace) -> None:
    """Rebuild the bundled demo."""
    from ep.demo.recipe import make

    make(Path(arguments.out), say=lambda text: print(text, flush=True))


# -- printing --------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> str:
    if isinstance(value, dict | list):
        text = json.dumps(value)
        return text if len(text) <= 160 else f"{text[:157]}…"
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return str(value)
    return f"{value:,}" if float(value).is_integer() else f"{float(value):.4f}"


def _count(value: int | None) -> str:
    return f"{'–' if value is None else format(value, ','):>9}"


@contextmanager
def _polite_interrupt() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks the build to stop between two batches; the second stops at once."""
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        print("\nep: stopping after this batch; press Ctrl-C again to drop it", file=sys.stderr)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress_bar() -> Iterator[Callable[[Any], None]]:
    """A bar for each stage, on stderr."""
    from tqdm import tqdm

    bar: tqdm | None = None
    stage = ""

    def show(progress: Any) -> None:
        nonlocal bar, stage
        if progress.stage != stage:
            if bar is not None:
                bar.close()
            stage = progress.stage
            unit = " files" if stage == "write" else " activations"
            bar = (
                None
                if stage == "done"
                else tqdm(total=progress.total, desc=stage, unit=unit, unit_scale=stage != "write")
            )
        if bar is not None:
            bar.n = progress.done
            regions = " ".join(f"L{layer}p{p:g}:{k:,}" for (layer, p), k in progress.regions.items())
            bar.set_postfix_str(regions if len(regions) < 60 else f"{sum(progress.regions.values()):,} regions")

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
