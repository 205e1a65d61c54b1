"""What a card of the gallery says of a family of dictionaries, as data for `gallery.js`.

Everything here is text from files of strangers: it is passed on as plain text, cut to a length that
fits, and drawn with `textContent` alone. Nothing is opened; the provenance says all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from ep.method.metrics import DEFAULT, name_of
from ep.public import is_public
from ep.storage import Entry, Family, Shelf
from ep.storage.hub import in_bytes
from ep.text import plain
from ep.views import outliers
from ep.views.tables import model_name
from pages.shared import loading, messages
from pages.shared.frame import short_count

TINY, REAL, UNKNOWN = "tiny demo model", "real model", "model not stated"
KINDS = {
    TINY: "One of the two small models made for the demo, of 1.7 million parameters: quick to try "
    "everything with, and far more regular than a real language model.",
    REAL: "A language model that others made and use.",
    UNKNOWN: "The file does not say which model it is of.",
}
BUNDLED = "Bundled with the explorer: it cannot be renamed or deleted."
FIXED = "This server is public: nothing on it is renamed or deleted"
MOST_CELLS = 60
"""Dictionaries that the selector of one card shows; a family may consist of hundreds of copies."""
POSITIONS = {"final": "last token of each passage"}
"""What is said of the positions that were read; of all of them, nothing."""


def is_bundled(entry: Entry) -> bool:
    """Return whether a dictionary came with the explorer."""
    return any(entry.path.is_relative_to(folder) for folder in (loading.REAL, loading.DEMO))


def is_fixed(entry: Entry) -> bool:
    """Return whether visitors may not change or delete a dictionary: a bundled one, and any on a
    public server.
    """
    return is_public() or is_bundled(entry)


def kind(entry: Entry) -> str:
    """Return which kind of model a dictionary is of, by its provenance: one of `KINDS`.

    It is of a tiny model if it names one of the demo's, or has the tokenizer that the bundled
    dictionaries of those have, as a copy in another place does.
    """
    if not (entry.info.get("model") or entry.info.get("model_name")):
        return UNKNOWN
    if _names_demo(entry.path, str(entry.info.get("model") or ""), loading.DEMO):
        return TINY
    hashes = _demo_tokenizers(loading.shelf(), loading.DEMO)
    return TINY if entry.info.get("tokenizer_hash") in hashes else REAL


@lru_cache(maxsize=4096)
def _names_demo(path: Path, model: str, demo: Path) -> bool:
    if not model.startswith((".", "/")):
        return False
    try:
        return (path.resolve().parent / model).resolve().is_relative_to(demo / "models")
    except (OSError, ValueError, RuntimeError):
        return False


@lru_cache(maxsize=2)
def _demo_tokenizers(shelf: Shelf, demo: Path) -> frozenset[str]:
    """Return the hashes of the tokenizers of the tiny models, from the bundled dictionaries."""
    named = (
        entry.info.get("tokenizer_hash")
        for entry in shelf.entries
        if entry.path.is_relative_to(demo)
        and _names_demo(entry.path, str(entry.info.get("model") or ""), demo)
    )
    return frozenset(str(value) for value in named if value)


def built(entry: Entry) -> float:
    """Return when a dictionary was built, in seconds since 1970: as it states, else its file."""
    try:
        moment = datetime.fromisoformat(str(entry.info.get("created") or ""))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        return entry.modified_ns / 1e9


def summary(family: Family) -> list[str]:
    """Return what a family is, in a few phrases: model, text, tokens, positions, width, metric."""
    info = family.entries[0].info
    corpus = info.get("corpus")
    counts = [value for e in family.entries if (value := e.info.get("n_activations"))]
    parts = [
        model_name(info, ""),
        str(info.get("quantization") or ""),
        str(corpus.get("name") or "") if isinstance(corpus, Mapping) else "",
        f"{short_count(int(max(counts)))} tokens" if counts else "",
        POSITIONS.get(str(info.get("positions")), ""),
        "chat" if info.get("chat") else "",
        f"{_span(e.width for e in family.entries)} dimensions",
        "" if name_of(info) == DEFAULT else f"{name_of(info)} metric",
    ]
    return [cut(part) for part in parts if part]


def card(family: Family, picked: str, is_open: bool, picture: str | None) -> dict[str, Any]:
    """Return the card of a family for `gallery.js`.

    picked: the key of the dictionary that the selector has chosen. is_open: whether one of the
    family is open. picture: a data URL; "" while it is being drawn, None where there is none.
    """
    entry = next(e for e in family.entries if e.key == picked)
    bundled = is_bundled(family.entries[0])
    shown, model = _shown(family, picked), kind(entry)
    return {
        "id": family.id,
        "title": cut(loading.title(family.id), 120),
        "kind": model,
        "about": " · ".join(summary(family)),
        "kindAbout": KINDS[model],
        "facts": _facts(family, bundled),
        "warning": _stopped(family),
        "percentiles": sorted({_p(e) for e in shown}, key=_number),
        "rows": _rows(shown),
        "more": len(family.entries) - len(shown),
        "picked": _place(entry),
        "pickedKey": picked,
        "regions": f"{entry.size:,} regions",
        "isOpen": is_open,
        "picture": picture,
        "notes": _notes(family),
        "locked": BUNDLED if bundled else f"{FIXED}." if is_public() else "",
        "files": len(family.entries),
    }


def _shown(family: Family, picked: str) -> list[Entry]:
    shown = list(family.entries[:MOST_CELLS])
    if all(entry.key != picked for entry in shown):
        shown[-1] = next(entry for entry in family.entries if entry.key == picked)
    return shown


def _rows(entries: list[Entry]) -> list[dict[str, Any]]:
    """Return the selector's rows: a layer, and for each dictionary its percentile, key and K."""
    layers: dict[str, list[dict[str, Any]]] = {}
    largest = max((entry.size for entry in entries), default=1)
    for entry in entries:
        cells = layers.setdefault("–" if entry.layer is None else f"{entry.layer}", [])
        cells.append(
            {
                "key": entry.key,
                "p": _p(entry),
                "k": short_count(entry.size),
                "share": round((entry.size / max(largest, 1)) ** 0.35, 3),
                "about": f"{_place(entry)}: {entry.size:,} regions, {in_bytes(entry.bytes)}",
                "stopped": not entry.info.get("complete", True),
            }
        )
    return [{"layer": layer, "cells": cells} for layer, cells in layers.items()]


def _p(entry: Entry) -> str:
    return "–" if entry.percentile is None else f"{entry.percentile:g}"


def _number(text: str) -> float:
    return float("inf") if text == "–" else float(text)


def _place(entry: Entry) -> str:
    """Return where a dictionary stands in its family: "layer 10, p = 2"."""
    layer = "no layer stated" if entry.layer is None else f"layer {entry.layer}"
    return layer if entry.percentile is None else f"{layer}, p = {entry.percentile:g}"


def _facts(family: Family, bundled: bool) -> list[str]:
    """Return size on disk, date, and the number of files."""
    entries = family.entries
    newest = datetime.fromtimestamp(max(built(entry) for entry in entries), UTC)
    count = len(entries)
    facts = [
        in_bytes(sum(entry.bytes for entry in entries)),
        f"built {newest.day} {newest:%b %Y}",
        "1 file" if count == 1 else f"{count} files",
    ]
    if not _stopped(family):
        facts.append("complete")
    return [*facts, "bundled, read-only"] if bundled else facts


def _stopped(family: Family) -> str:
    """Return which dictionaries are not what they could be; "" where all are complete."""
    stopped = sum(not entry.info.get("complete", True) for entry in family.entries)
    if stopped:
        part = "the build" if stopped == len(family.entries) else f"{stopped} of them"
        return f"incomplete: {part} stopped early"
    bare = [e for e in family.entries if "published" in e.info and "completed" not in e.info]
    return "as published: no token ids, no logit lens" if bare else ""


def _notes(family: Family) -> list[str]:
    """Return the sentences below "More": what is unlike the rest, and where the files are."""
    entries = family.entries
    told = [messages.sentence(line) for line in outliers.of_family([e.info for e in entries])]
    folders = sorted({str(entry.path.parent) for entry in entries})
    where = folders[0] if len(folders) == 1 else f"{folders[0]} and {len(folders) - 1} more folders"
    return [*(plain(line) for line in told), f"In {plain(where)}."]


def _span(values: Iterable[int]) -> str:
    low, *rest = sorted(set(values))
    return f"{low:,}" if not rest else f"{low:,} – {rest[-1]:,}"


def cut(value: object, longest: int = 60) -> str:
    """Return a text on one line, with its control characters visible, cut to a length."""
    text = plain(str(value))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
