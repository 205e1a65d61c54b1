"""Reads the JSON beside a published file leniently: known entries of the right type are used.

Its `config` contains every argument of the command that built the dictionary, including keys for
remote services, so entries are copied one by one. A file that cannot be read is treated as empty.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MAX_BYTES = 16 * 2**20
MAX_STEPS = 10_000
"""Points of the growth curve that are read."""
MODEL_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
FILE_NAME = re.compile(r"(?P<short>[A-Za-z0-9][\w.-]*?)_layer(?P<layer>\d{1,4})(_labelled)?")
FOLDER_NAME = re.compile(
    r"(?P<short>[A-Za-z0-9][\w.-]*?)_L(?P<layer>\d{1,4})_p(?P<percentile>\d{1,2}(?:[.p]\d{1,6})?)(_.*)?"
)
OWNERS = {
    "gemma": "google",
    "llama": "meta-llama",
    "meta-llama": "meta-llama",
    "qwen": "Qwen",
    "pythia": "EleutherAI",
}
"""Owners of models that the reference calls by their short names."""

CORPUS = "monology/pile-uncopyrighted"
"""The corpus of every file with `discovery_config` (protocol 1.8)."""


def beside(path: Path) -> Path | None:
    """Return the metadata file beside a published dictionary; None when there is none."""
    candidate = path.with_name(f"{path.stem.removesuffix('_labelled')}_metadata.json")
    return candidate if candidate.is_file() else None


def load(path: Path | None) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one if the file is too large or not JSON."""
    if path is None:
        return {}
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        parsed = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def describe(path: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance of a published file from its metadata and from its path.

    path: the published file, whose name and folders may contain model, layer and percentile.
    metadata: the JSON object of `load`.

    Entries that are not stated are absent.
    """
    names = _from_names(path)
    config, discovery_config, discovery = (
        _object(metadata, key) for key in ("config", "discovery_config", "discovery")
    )
    either = [discovery_config, config]
    layer = _first_whole(either, "layer", 0, 1000)
    layer = names.get("layer") if layer is None else layer
    short = _first_name(either, "model_short") or names.get("short")
    extractor = _first_text(either, "extractor") or ""
    saturated = discovery.get("saturated")
    info: dict[str, Any] = {
        "model": _full(_first_name(either, "model") or short),
        "model_short": short,
        "layer": layer,
        "hook": None if layer is None else _first_hook(either) or f"blocks.{layer}.hook_resid_post",
        "percentile": _percentile(either, names),
        "context": _first_whole(either, "context_length", 1, 2**20),
        "positions": "final" if "final" in extractor else "all",
        "corpus": {"name": CORPUS} if discovery_config else None,
        "protocol": "paper",
        "batch": _first_whole(either, "model_batch_size", 1, 2**20),
        "seed": _first_whole(either, "seed", -(2**62), 2**62),
        "n_calibration": _first_whole(either, "calibration_tokens", 1, 2**62),
        "n_activations": _first_whole([discovery], "n_activations", 0, 2**62),
        "n_tokens": _first_whole([metadata], "n_tokens", 0, 2**62),
        "n_passages": _first_whole([metadata], "n_prompts", 0, 2**62),
        "sampling": _first_text(either, "sampling_mode"),
        "saturated": saturated if isinstance(saturated, bool) else None,
        "growth": _growth(discovery.get("snapshots")) or None,
        "wall_time_s": _number(discovery.get("elapsed_s")),
        "metadata_regions": _first_whole([discovery], "n_partitions", 0, 2**62),
    }
    if info["saturated"]:
        info["stop_reason"] = "quiet batches"
    return {key: value for key, value in info.items() if value is not None}


def _from_names(path: Path) -> dict[str, Any]:
    """Short model name, layer and percentile from the names of a file and its folders."""
    names: dict[str, Any] = {}
    if match := FILE_NAME.fullmatch(path.stem):
        names = {"short": match["short"], "layer": int(match["layer"])}
    for folder in (path.parent, path.parent.parent):
        if match := FOLDER_NAME.fullmatch(folder.name):
            names.setdefault("short", match["short"])
            names.setdefault("layer", int(match["layer"]))
            names["percentile"] = float(match["percentile"].replace("p", "."))
            break
    return names


def _full(name: str | None) -> str | None:
    """The Hub name of a model that may be given by its short name."""
    if name is None or "/" in name:
        return name
    owner = OWNERS.get(re.split(r"[-\d.]", name.lower())[0])
    return f"{owner}/{name}" if owner else name


def _percentile(sources: Iterable[Mapping[str, Any]], names: Mapping[str, Any]) -> float | None:
    for source in sources:
        value = _number(source.get("percentile"))
        if value is not None and 0 < value < 100:
            return value
    value = names.get("percentile")
    return value if value is not None and 0 < value < 100 else None


def _growth(snapshots: Any) -> list[list[int]]:
    """[activations, regions] along the build, up to the first entry that is not valid."""
    steps: list[list[int]] = []
    for item in snapshots[:MAX_STEPS] if isinstance(snapshots, list) else []:
        activations, regions = (
            _whole(item.get(key)) if isinstance(item, dict) else None
            for key in ("n_acts", "n_partitions")
        )
        if activations is None or regions is None:
            break
        if steps and (activations < steps[-1][0] or regions < 0):
            break
        steps.append([activations, regions])
    return steps


# -- single entries --------------------------------------------------------------------------------


def _object(source: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = source.get(key)
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15
    return float(value) if plain and math.isfinite(value) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _first_whole(sources: Iterable[Mapping[str, Any]], key: str, low: int, high: int) -> int | None:
    for source in sources:
        value = _whole(source.get(key))
        if value is not None and low <= value <= high:
            return value
    return None


def _first_text(sources: Iterable[Mapping[str, Any]], key: str) -> str | None:
    """A short word, such as the name of a mode."""
    for source in sources:
        value = source.get(key)
        if isinstance(value, str) and re.fullmatch(r"[\w-]{1,40}", value):
            return value
    return None


def _first_name(sources: Iterable[Mapping[str, Any]], key: str) -> str | None:
    """A model's name; a path is not accepted, since it would be looked for on this machine."""
    for source in sources:
        value = source.get(key)
        if isinstance(value, str) and MODEL_NAME.fullmatch(value):
            return value
    return None


def _first_hook(sources: Iterable[Mapping[str, Any]]) -> str | None:
    for source in sources:
        value = source.get("hook_name")
        if isinstance(value, str) and re.fullmatch(r"blocks\.\d{1,4}\.[\w.]{1,60}", value):
            return value
    return None
