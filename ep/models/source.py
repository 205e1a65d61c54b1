"""The files of a model: a local directory, a GGUF file, a package, or a repository of the Hub.

Everything after this works on a directory; `downloads.py` alone uses the network. The content of
the files is left to `loading.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ep.config import GGUF, is_model_path
from ep.errors import ModelError
from ep.models import downloads, gguf, packaged
from ep.models.adapters import CONFIG as ADAPTER

LENS_FILE = "ep-lens.safetensors"
"""The name of a Jacobian lens in its model's folder; the file holds no weights of the model."""
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
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

    name_or_path: path of a directory or of a GGUF file, a name of `packaged.PACKAGES`, or a Hub
        name. A directory or a repository
        without other weights may hold one GGUF file; of several in a repository, one is named as
        OWNER/REPO/FILE.gguf.
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
    if packaged.is_packaged(name_or_path):
        file = packaged.located(name_or_path)
        return ModelSource(file.parent, None, file)
    found = downloads.cached(name_or_path, revision)
    found = found or downloads.downloaded(name_or_path, revision)
    if found.suffix.lower() == GGUF:
        below = found.parts[found.parts.index("snapshots") :]  # snapshots, the commit, the file
        return ModelSource(found.parent, below[1], found)
    return ModelSource(_checked(found, name_or_path), found.name)


def files_of(name: str, revision: str | None) -> Path:
    """Return the directory with config and weights of a model that was loaded, converted or not.

    name, revision: those that a `LanguageModel` states. Errors as `find`.
    """
    found = find(name, revision)
    return gguf.converted(found.gguf, name).directory if found.gguf else found.directory


def is_here(name: str) -> bool:
    """Return whether a model needs no network: it is a local path, an installed package, or whole
    in the Hub's cache.
    """
    if is_model_path(name):
        return True
    if packaged.is_packaged(name):
        return packaged.find(name) is not None
    try:
        return not _looks_local(name, Path(name)) and downloads.cached(name, None) is not None
    except (OSError, ValueError):  # a name the Hub could not have
        return False


def _looks_local(name: str, path: Path) -> bool:
    """Return whether a name that does not exist was meant as a path.

    Such a name is refused immediately, without a request to the Hub.
    """
    is_file = downloads.is_file(name) and not name.startswith((".", "~"))
    if not is_file and (not _HUB_NAME.fullmatch(name) or path.suffix.lower() == GGUF):
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
    if (directory / ADAPTER).is_file():  # which transformers would merge without a word
        beside = "beside the model: move it to a folder of its own, and give that"
        alone = "and no model: give the model it was trained on, and this folder"
        place = beside if (directory / "config.json").is_file() else alone
        raise ModelError(f"{name} holds an adapter ({ADAPTER}) {place} with --adapter")
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
