"""Jacobian lenses in files: writing, reading, and finding the one of a model.

A file is safetensors with one float32 matrix "J.<layer>" for each layer, and everything else as
JSON in the header. float32 keeps what was measured: a fit can be merged with another and gives what
one fit of both would have given.

The lens of a model lies in its own folder as `LENS_FILE`, where people put it, or in the folder of
lenses beside the converted models, where `ep lens fit` puts it under its weights' fingerprint.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import ModelError, StorageError
from ep.leftovers import unfinished
from ep.models import conversions
from ep.models.adapters import Named, parts, with_adapter
from ep.models.jacobian import JacobianLens
from ep.models.loading import LanguageModel
from ep.models.source import LENS_FILE

FORMAT = "ep-jacobian-lens"
VERSION = 1
ENDING = ".safetensors"
_ENTRY = "ep"
"""The entry of the header that holds the JSON."""
_PREFIX = "J."
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError)
"""What reading a file raises whose content makes no sense."""


def folder() -> Path:
    """Return the folder of fitted and imported lenses, which need not exist."""
    return conversions.folder() / "lenses"


def place(fingerprint: str) -> Path:
    """Return where the lens of some weights lies in that folder."""
    return folder() / f"{fingerprint}{ENDING}"


def beside(named: Named) -> Path:
    """Return where people put the lens of a model: in its folder, or that of its adapter."""
    model, adapter = parts(named)
    own = Path(adapter or model).expanduser()
    return (own.parent if own.is_file() else own) / LENS_FILE


def find(model: LanguageModel) -> JacobianLens | None:
    """Return the lens of a model, or None: that in its own folder, or else in `folder`.

    Only a lens of the same weights is taken. Raises ModelError for a file that is damaged.
    """
    adapter = str(model.adapter.folder) if model.adapter else None
    for path in (beside(with_adapter(model.name, adapter)), place(model.fingerprint)):
        if path.is_file():
            lens = load(path)
            if lens.fingerprint == model.fingerprint:
                return lens
    return None


def save(lens: JacobianLens, path: str | os.PathLike[str]) -> Path:
    """Write a lens in one rename and return the path; missing folders are created.

    Raises StorageError where it cannot be written.
    """
    target = Path(path)
    about = {
        "format": FORMAT,
        "version": VERSION,
        "weights": lens.fingerprint,
        "n_prompts": lens.n_prompts,
        "origin": dict(lens.origin),
    }
    tensors = {
        f"{_PREFIX}{layer}": np.ascontiguousarray(lens.matrices[layer], np.float32)
        for layer in lens.layers
    }
    write_tensors(target, tensors, {_ENTRY: json.dumps(about)}, "the lens")
    return target


def write_tensors(
    path: Path, tensors: Mapping[str, np.ndarray], metadata: dict[str, str], what: str
) -> None:
    """Write a safetensors file in one rename; missing folders are created.

    what: the content in words, for the StorageError where it cannot be written.
    """
    from safetensors.numpy import save as packed

    partial = unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            # save_file would hide the system's error number
            file.write(packed(dict(tensors), metadata))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"{what} cannot be written to {path} ({error.strerror or error}): make room there or "
            "name another file"
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> JacobianLens:
    """Return the lens in a file.

    Raises ModelError for a file that is missing, damaged, of a newer version, or no lens.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    try:
        with safe_open(file, framework="numpy") as opened:
            about = _about(file, opened.metadata())
            matrices = {
                _layer(name): np.asarray(opened.get_tensor(name), np.float32)
                for name in opened.keys()  # noqa: SIM118  (the file is no mapping)
            }
            return JacobianLens(
                dict(sorted(matrices.items())),
                str(about["weights"]),
                int(about["n_prompts"]),
                dict(about["origin"]),
            )
    except (*_DAMAGE, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ModelError(
            f"{file} cannot be read as a Jacobian lens ({reason.splitlines()[0][:120]}): fit or "
            "import it again"
        ) from error


def _layer(name: str) -> int:
    """Return the layer of a matrix; ValueError for a name of another kind."""
    if not name.startswith(_PREFIX):
        raise ValueError(f"unexpected tensor {name[:40]!r}")
    return int(name.removeprefix(_PREFIX))


def _about(file: Path, metadata: dict[str, str] | None) -> dict[str, Any]:
    """Return the JSON of a file's header; ModelError for a file of another kind or version."""
    entry = (metadata or {}).get(_ENTRY)
    about = json.loads(entry) if entry else {}
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ModelError(
            f"{file} is not a Jacobian lens of this program: a published one (.pt) is converted "
            "with `ep lens import`"
        )
    if not isinstance(about["version"], int) or about["version"] > VERSION:
        raise ModelError(f"{file} was written by a newer version of this program: update it")
    return about


@dataclass(frozen=True)
class Stored:
    """A lens in a file, without its matrices; without layers, the file is damaged."""

    path: Path
    size: int
    """Bytes on the disk."""
    model: str = ""
    layers: tuple[int, ...] = ()
    n_prompts: int = 0


def files() -> list[Path]:
    """Return the files in the folder of lenses, by name."""
    try:
        return sorted(path for path in folder().iterdir() if path.suffix == ENDING)
    except OSError:
        return []


def listed() -> tuple[Stored, ...]:
    """Return what the folder of lenses holds, by name of the file."""
    return tuple(stored(path) for path in files())


def stored(path: Path) -> Stored:
    """Return what a file holds; only its header is read."""
    from safetensors import SafetensorError, safe_open

    size = path.stat().st_size
    try:
        with safe_open(path, framework="numpy") as opened:
            about = _about(path, opened.metadata())
            layers = sorted(_layer(name) for name in opened.keys())  # noqa: SIM118
        model = str(about["origin"].get("model", ""))
        return Stored(path, size, model, tuple(layers), int(about["n_prompts"]))
    except (*_DAMAGE, ModelError, SafetensorError):
        return Stored(path, size)
