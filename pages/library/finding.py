"""Searching and sorting the families of the shelf."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import streamlit as st

from ep.errors import EPError
from ep.storage import Entry, Family
from ep.storage.labels import Labels
from ep.storage.sidecar import LABELS, beside
from ep.views.tables import model_name
from pages.library import cards
from pages.shared import loading

NEWEST, NAME, LARGEST, REGIONS, LAYER = "newest", "name", "size", "k", "layer"
ORDERS = {
    NEWEST: "Newest first",
    NAME: "Name",
    LARGEST: "Size on disk",
    REGIONS: "Most regions K",
    LAYER: "Layer",
}
_BY: dict[str, Callable[[Family], Any]] = {
    NEWEST: lambda family: -max(cards.built(entry) for entry in family.entries),
    NAME: lambda family: loading.title(family.id).casefold(),
    LARGEST: lambda family: -sum(entry.bytes for entry in family.entries),
    REGIONS: lambda family: -max(entry.size for entry in family.entries),
    LAYER: lambda family: family.layers or (10**9,),
}


def ordered(families: Iterable[Family], order: str) -> list[Family]:
    """Return families in one of `ORDERS`; those that are equal in it stay as on the shelf."""
    return sorted(families, key=_BY[order])


def found(families: Iterable[Family], query: str) -> list[Family]:
    """Return the families that have every word of a query.

    A word may be part of the title, the model, the text, the name of a file, the layer or the
    percentile ("layer 10", "p = 2"), or a label that somebody gave to a region.
    """
    words = query.casefold().split()
    if not words:
        return list(families)
    return [family for family in families if _has(family, words)]


def _has(family: Family, words: list[str]) -> bool:
    text = _text(family)
    missing = [word for word in words if word not in text]
    if not missing:
        return True
    labels = " ".join(_labels(entry) for entry in family.entries)
    return all(word in labels for word in missing)


def _text(family: Family) -> str:
    parts = [loading.title(family.id), *cards.summary(family)]
    for entry in family.entries:
        parts += [entry.path.name, model_name(entry.info), f"layer {entry.layer} l{entry.layer}"]
        if entry.percentile is not None:
            parts.append(f"p = {entry.percentile:g} p{entry.percentile:g}")
    return " ".join(parts).casefold()


def _labels(entry: Entry) -> str:
    """Return the labels of a dictionary as one text; files without a label file are not opened."""
    try:
        stamp = beside(entry.path, LABELS).stat().st_mtime_ns
    except OSError:
        return ""
    return _label_texts(entry, str(entry.path), entry.modified_ns, stamp)


@st.cache_resource(show_spinner=False, max_entries=512)
def _label_texts(_entry: Entry, path: str, modified: int, stamp: int) -> str:
    """Read the labels; they are cached until the dictionary or its label file changes."""
    try:
        texts = Labels.open(path).texts(automatic=False)
    except EPError:
        return ""
    return " ".join(texts.values()).casefold()
