"""Jacobian lenses in files: writing, reading, and finding the one of a model.

A file is safetensors with one float32 matrix "J.<layer>" for each layer, and everything else as
JSON in the header. float32 keeps what was measured: a fit can be merged with another and gives what
one fit of both would have given. The lens of a model lies in its own folder as `NAME`, where people
put it, or in the folder of lenses beside the converted models, where `ep lens fit` puts it under
the fingerprint of the weights.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import ModelError, StorageError
from ep.models import conversions
from ep.models.jacobian import JacobianLens
from ep.models.loading import LanguageModel

NAME = "ep-lens.safetensors"
"""The name of a lens in its model's own folder."""
FORMAT = "ep-jacobian-lens"
VERSION = 1
ENDING = ".safetensors"
_ENTRY = "ep"
"""The entry of the header that holds the JSON."""
_PREFIX = "J."


def folder() -> Path:
    """Return the folder of fitted and imported lenses, which need not exist."""
    return conversions.folder() / "lenses"


def place(fingerprint: str) -> Path:
    """Return where the lens of some weights lies in that folder."""
    return folder() / f"{fingerprint}{ENDING}"


def find(model: LanguageModel) -> JacobianLens | None:
    """Return the lens of a model, or None: that in its own folder, or else in `folder`.

    Only a lens of the same weights is taken. Raises ModelError for a file that is damaged.
    """
    own = Path(model.name).expanduser()
    for path in (own / NAME, place(model.fingerprint)):
        if path.is_file():
            lens = load(path)
            if lens.fingerprint == model.fingerprint:
                return lens
    return None


def save(lens: JacobianLens, path: str | os.PathLike[str]) -> Path:
    """Write a lens in one rename and return the path; missing folders are created.

    Raises StorageError where it cannot be written.
    """
    from safetensors.numpy import save as packed

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
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(packed(tensors, {_ENTRY: json.dumps(about)}))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise StorageError(
            f"the lens cannot be written to {target} ({error.strerror or error}): make room there "
            "or name another file"
        ) from error
    return target


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
                int(name.removeprefix(_PREFIX)): np.asarray(opened.get_tensor(name), np.float32)
                for name in opened.keys()  # noqa: SIM118  (the file is no mapping)
                if name.startswith(_PREFIX)
            }
            return JacobianLens(
                dict(sorted(matrices.items())),
                str(about["weights"]),
                int(about["n_prompts"]),
                dict(about["origin"]),
            )
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ModelError(
            f"{file} cannot be read as a Jacobian lens ({reason.splitlines()[0][:120]})"
        ) from error


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


def listed() -> Iterator[Path]:
    """Yield the files of the folder of lenses, by name."""
    with suppress(OSError):
        yield from sorted(path for path in folder().iterdir() if path.suffix == ENDING)
