"""Writes a refined dictionary to its file, with the labels of the regions that are left."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ep.config import is_model_path
from ep.describing import portable
from ep.errors import ConfigError, DictionaryFileError
from ep.method.dictionary import Dictionary
from ep.refining import Refined
from ep.storage import edits, labelfile
from ep.storage.edits import RULES, Edit
from ep.storage.labels import Labels
from ep.storage.replacing import save_over
from ep.storage.schema import SUFFIX
from ep.storage.sidecar import LABELS, beside

UNSTABLE = "unstable"
"""The name of the list of flagged regions."""


def check_target(origin: Dictionary, path: Path, replace: bool) -> None:
    """Raise ConfigError where a refined dictionary cannot be written to a path.

    replace: whether a file that is there may be replaced; never the origin itself.
    """
    if not path.name.endswith(SUFFIX) or path.name == SUFFIX:
        raise ConfigError(f"{path.name} is no name of a dictionary: give one ending in {SUFFIX}")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}: create it, or name another file")
    if origin.path is not None and path.exists() and path.samefile(origin.path):
        raise ConfigError(f"{path.name} is the file to refine: name another one")
    if path.exists() and not replace:
        raise ConfigError(f"{path.name} exists: name another file, or give --replace")


def save_refined(refined: Refined, origin: Dictionary, path: Path) -> Path:
    """Write a refined dictionary and return its path; the origin's file stays as it is.

    Labels, notes and lists of the origin go with the regions whose exemplar stayed. Flagged regions
    are put on the list UNSTABLE. Errors as `ep.save`.
    """
    dictionary = refined.dictionary
    dictionary.info.update(_places(origin, path))
    carried = _carried(origin, dictionary)
    save_over(dictionary, path)
    if carried:
        labels = beside(path, LABELS)
        with labelfile.locked(labels):
            labelfile.write(labels, labelfile.about(dictionary), carried)
    if refined.flagged:
        Labels.open(path).save(edits.put(UNSTABLE, refined.flagged), by="ep refine")
    return path


def _places(origin: Dictionary, path: Path) -> dict[str, Any]:
    """Return the entries that are paths relative to the file, as seen from the new one."""
    if origin.path is None:
        return {}
    here, there = origin.path.resolve().parent, path.resolve().parent
    found: dict[str, Any] = {}
    model = str(origin.info.get("model") or "")
    if model and is_model_path(here / model):
        found["model"] = portable(str(here / model), there)
    adapter = origin.info.get("adapter")
    if isinstance(adapter, dict) and (here / str(adapter.get("path") or "")).is_dir():
        folder = os.path.relpath((here / str(adapter.get("path"))).resolve(), there)
        found["adapter"] = adapter | {"path": Path(folder).as_posix()}
    return found


def _carried(origin: Dictionary, dictionary: Dictionary) -> list[Edit]:
    """Return the edits of the origin's labels, about the new ids; those of regions gone are not."""
    if origin.path is None:
        return []
    try:
        labels = Labels.open(origin.path, origin)
    except DictionaryFileError:
        return []
    new = {old: k for k, old in enumerate(dictionary.info["refined"]["origin_ids"])}
    return [edit for one in _standing(labels) if (edit := _renumbered(one, new)) is not None]


def _standing(labels: Labels) -> Sequence[Edit]:
    return () if labels.problem else labels.standing


def _renumbered(edit: Edit, new: dict[int, int]) -> Edit | None:
    """Return an edit with the new ids of its regions; None where it is about one that is gone."""
    required, _ = RULES[edit["do"]]  # a field that its kind does not have means nothing
    if "region" in required:
        return edit | {"region": new[edit["region"]]} if edit["region"] in new else None
    if "regions" in required:
        return edit | {"regions": [new[k] for k in edit["regions"] if k in new]}
    return edit
