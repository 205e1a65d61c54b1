"""The files of a model: a local directory, a GGUF file, or a Hub repository in the local cache.

Only this module uses the network. Everything after it works on a directory, so a model that is
local or cached never waits for the Hub. The content of the files is left to `loading.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ep.config import GGUF
from ep.errors import ModelError

LENS_FILE = "ep-lens.safetensors"
"""The name of a Jacobian lens in its model's folder; the file holds no weights of the model."""
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_NEVER = ["*/*"]  # sub-folders contain other formats of the same weights
_TEXT_FILES = ["*.json", "*.model", "*.txt", "*.jinja", "*.tiktoken"]
_TOKENIZER_FILES = (
    "tokenizer.json",
    "*.model",
    "vocab.json",
    "vocab.txt",
    "*.tiktoken",
    "tekken.json",
)


@dataclass(frozen=True)
class ModelSource:
    """A model's files on this machine."""

    directory: Path
    """The directory of config.json, the weights and the tokenizer; or of the GGUF file."""
    revision: str | None
    """The Hub commit of the files; None for local ones."""
    gguf: Path | None = None
    """The GGUF file that holds all of the model; None where there are weights of another kind."""


def find(name_or_path: str, revision: str | None = None) -> ModelSource:
    """Return the files of a model: a local one, or a Hub repository, cached or downloaded.

    name_or_path: path of a directory or of a GGUF file, or a Hub name. A directory without other
        weights may hold one GGUF file.
    revision: a Hub branch, tag or commit.

    Raises ModelError, in one line, for anything that is not a model, for a directory with several
    GGUF files, and for a Hub model that is unknown, gated or out of reach.
    """
    path = Path(name_or_path).expanduser()
    if not name_or_path.strip():
        raise ModelError(
            "no model was named; give a model directory or a Hub name such as google/gemma-2-2b"
        )
    if path.is_dir():
        if not _has_weights(path) and (gguf := _only_gguf(path, name_or_path)):
            return ModelSource(path, None, gguf)
        return ModelSource(_checked(path, name_or_path), None)
    if path.exists():
        if path.suffix.lower() == GGUF:
            return ModelSource(path.parent, None, path)
        raise ModelError(
            f"{name_or_path} is a file; expected a model directory, a {GGUF} file or a Hub name "
            "(owner/model)"
        )
    if _looks_local(name_or_path, path):
        raise ModelError(
            f"no such directory or file: {name_or_path}; expected a model directory, a {GGUF} file "
            "or a Hub name (owner/model)"
        )
    cached = _cached(name_or_path, revision)
    directory = cached or _downloaded(name_or_path, revision)
    return ModelSource(_checked(directory, name_or_path), directory.name)


def _looks_local(name: str, path: Path) -> bool:
    """Return whether a name that does not exist was meant as a path.

    Such a name is refused immediately, without a request to the Hub.
    """
    if not _HUB_NAME.fullmatch(name) or path.suffix.lower() == GGUF:
        return True
    return "/" in name and Path(path.parts[0]).is_dir()


def _only_gguf(directory: Path, name: str) -> Path | None:
    """Return the GGUF file of a directory, None without one; ModelError if there are several."""
    files = sorted(path for path in directory.iterdir() if path.suffix.lower() == GGUF)
    if len(files) > 1:
        names = ", ".join(path.name for path in files[:8])
        more = f" and {len(files) - 8} more" if len(files) > 8 else ""
        raise ModelError(f"{name} holds {len(files)} GGUF files: name one of them ({names}{more})")
    return files[0] if files else None


def _checked(directory: Path, name: str) -> Path:
    """Return the directory; ModelError where it lacks the config, weights or a tokenizer."""
    if not (directory / "config.json").is_file():
        raise ModelError(
            f"{name} has no config.json: not a model directory (expected config.json, weights, "
            "tokenizer)"
        )
    if not _has_weights(directory):
        raise ModelError(
            f"{name} has a config.json but no weights (expected *.safetensors, *.bin or one "
            f"*{GGUF} beside it)"
        )
    if not any(any(directory.glob(pattern)) for pattern in _TOKENIZER_FILES):
        raise ModelError(
            f"{name} has no tokenizer (expected tokenizer.json or tokenizer.model beside "
            "config.json)"
        )
    return directory


def _has_weights(directory: Path) -> bool:
    found = (path for pattern in ("*.safetensors", "*.bin") for path in directory.glob(pattern))
    return any(path.name != LENS_FILE for path in found)


def _cached(name: str, revision: str | None) -> Path | None:
    """Return the cached snapshot if it contains a config and weights, else None."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        directory = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    complete = (directory / "config.json").is_file() and _has_weights(directory)
    return directory if complete else None


def _downloaded(name: str, revision: str | None) -> Path:
    """Download a snapshot: safetensors, or .bin weights where there are none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    def fetch(weights: str) -> Path:
        patterns = [*_TEXT_FILES, weights]
        return Path(
            snapshot_download(
                name, revision=revision, allow_patterns=patterns, ignore_patterns=_NEVER
            )
        )

    try:
        directory = fetch("*.safetensors")
        return directory if _has_weights(directory) else fetch("*.bin")
    except GatedRepoError as error:
        raise ModelError(
            f"{name} is gated: accept its licence at https://huggingface.co/{name} and log in with "
            "`hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{name} is neither a directory here nor a model on the Hub (or it is private)"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{name} has no revision {revision!r} on the Hub") from error
    except OSError as error:  # every way of not reaching the Hub, offline mode included
        raise ModelError(
            f"{name} is not a directory here and not in the local cache, and the Hub cannot be "
            "reached; give a model directory, or connect and try again"
        ) from error
