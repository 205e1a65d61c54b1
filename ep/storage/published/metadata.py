"""The JSON beside a published file, read leniently: known facts of the right type are taken,
everything else is left.

Its `config` holds every argument of the command that built the dictionary, keys for remote services
included, so nothing is copied from it as a whole. An unreadable file says nothing; it is never an
error.
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
"""What the program that writes `discovery_config` streams, always (protocol 1.8)."""


def beside(path: Path) -> Path | None:
    """The metadata file of a published dictionary, if it lies beside it."""
    candidate = path.with_name(f"{path.stem.removesuffix('_labelled')}_metadata.json")
    return candidate if candidate.is_file() else None


def load(path: Path | None) -> dict[str, Any]:
    """The JSON object in a file; empty when there is none, or it is too large or not JSON."""
    if path is None:
        return {}
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def describe(path: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Provenance of a published file, as far as its metadata, or its and its folder's names, say
    it.

    Entries nobody states are absent.
    """
    named = _from_names(path)
    config, found, built = (
        _object(metadata, key) for key in ("config", "discovery_config", "discovery")
    )
    either = [found, config]
    layer = _first_whole(either, "layer", 0, 1000)
    layer = named.get("layer") if layer is None else layer
    short = _first_name(either, "model_short") or named.get("short")
    extractor = _first_text(either, "extractor") or ""
    info: dict[str, Any] = {
        "model": _full(_first_name(either, "model") or short),
        "model_short": short,
        "layer": layer,
        "hook": None if layer is None else _first_hook(either) or f"blocks.{layer}.hook_resid_post",
        "percentile": _percentile(either, named),
        "context": _first_whole(either, "context_length", 1, 2**20),
        "positions": "final" if "final" in extractor else "all",
        "corpus": {"name": CORPUS} if found else None,
        "protocol": "paper",
        "batch": _first_whole(either, "model_batch_size", 1, 2**20),
        "seed": _first_whole(either, "seed", -(2**62), 2**62),
        "n_calibration": _first_whole(either, "calibration_tokens", 1, 2**62),
        "n_activations": _first_whole([built], "n_activations", 0, 2**62),
        "n_tokens": _first_whole([metadata], "n_tokens", 0, 2**62),
        "n_passages": _first_whole([metadata], "n_prompts", 0, 2**62),
        "sampling": _first_text(either, "sampling_mode"),
        "saturated": built.get("saturated") if isinstance(built.get("saturated"), bool) else None,
        "growth": _growth(built.get("snapshots")) or None,
        "wall_time_s": _number(built.get("elapsed_s")),
        "metadata_regions": _first_whole([built], "n_partitions", 0, 2**62),
    }
    if info["saturated"]:
        info["stop_reason"] = "quiet batches"
    return {key: value for key, value in info.items() if value is not None}


def _from_names(path: Path) -> dict[str, Any]:
    """Short model name, layer and percentile as file and folder names spell them."""
    found: dict[str, Any] = {}
    if match := FILE_NAME.fullmatch(path.stem):
        found = {"short": match["short"], "layer": int(match["layer"])}
    for folder in (path.parent, path.parent.parent):
        if match := FOLDER_NAME.fullmatch(folder.name):
            found.setdefault("short", match["short"])
            found.setdefault("layer", int(match["layer"]))
            found["percentile"] = float(match["percentile"].replace("p", "."))
            break
    return found


def _full(name: str | None) -> str | None:
    """The Hub name of a model that may be called by its short name."""
    if name is None or "/" in name:
        return name
    owner = OWNERS.get(re.split(r"[-\d.]", name.lower())[0])
    return f"{owner}/{name}" if owner else name


def _percentile(sources: Iterable[Mapping[str, Any]], named: Mapping[str, Any]) -> float | None:
    for source in sources:
        value = _number(source.get("percentile"))
        if value is not None and 0 < value < 100:
            return value
    found = named.get("percentile")
    return found if found is not None and 0 < found < 100 else None


def _growth(snapshots: Any) -> list[list[int]]:
    """[activations, regions] along the build, rising; what makes no sense ends the list."""
    steps: list[list[int]] = []
    for item in snapshots[:MAX_STEPS] if isinstance(snapshots, list) else []:
        seen, regions = (
            _whole(item.get(key)) if isinstance(item, dict) else None
            for key in ("n_acts", "n_partitions")
        )
        if seen is None or regions is None or (steps and (seen < steps[-1][0] or regions < 0)):
            break
        steps.append([seen, regions])
    return steps


# -- one fact at a time ----------------------------------------------------------------------------


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
    """A model's name: never a path, which would be looked for on this machine."""
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
