"""The files of models on the Hub: in the local cache, or downloaded to it.

Only this module uses the network. A model that is whole in the cache never waits for the Hub, and a
download that was interrupted is completed. A repository may hold GGUF files alone; of several, one
is named as OWNER/REPO/FILE.gguf.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ep.config import GGUF
from ep.errors import ModelError
from ep.models.adapters import shown
from ep.models.weights import weight_files

_NEVER = ["*/*"]  # sub-folders contain other formats of the same weights
_TEXT_FILES = ["*.json", "*.model", "*.txt", "*.jinja", "*.tiktoken"]
_WEIGHTS = ("*.safetensors", "*.bin")
_FILE = re.compile(r"([\w.-]+/[\w.-]+)/(.+\.gguf)", re.IGNORECASE)
_PART = re.compile(r"-\d{5}-of-(\d{5})(?=\.gguf$)", re.IGNORECASE)
_MOST_LISTED = 8


def is_file(name: str) -> bool:
    """Return whether a name is that of a GGUF file on the Hub, OWNER/REPO/FILE.gguf."""
    return _FILE.fullmatch(name) is not None


def cached(name: str, revision: str | None) -> Path | None:
    """Return a model in the cache, whole: its snapshot folder or GGUF file; None if it is not.

    name: OWNER/REPO or OWNER/REPO/FILE.gguf.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if (match := _FILE.fullmatch(name)) is not None:
        try:
            found = hf_hub_download(match[1], match[2], revision=revision, local_files_only=True)
        except LocalEntryNotFoundError:
            return None
        return Path(found)
    for weights in _WEIGHTS:
        folder = _snapshot(name, revision, [*_TEXT_FILES, weights], offline=True)
        if folder is not None and _is_whole(folder, name):
            return folder
    folder = _snapshot(name, revision, [f"*{GGUF}"], offline=True, never=[])
    files = [] if folder is None else sorted(folder.rglob(f"*{GGUF}"))
    return files[0] if len(files) == 1 and not _PART.search(files[0].name) else None


def downloaded(name: str, revision: str | None) -> Path:
    """Download a model, and return its snapshot folder or GGUF file.

    It is the safetensors of a repository; or without any its GGUF file; or else its .bin weights.

    Raises ModelError, in one line, where the Hub refuses or cannot be reached, for a repository
    with several GGUF files, and for one that is split into parts, before it is downloaded.
    """
    from huggingface_hub import HfApi, hf_hub_download

    match = _FILE.fullmatch(name)
    repository = match[1] if match else name
    with _short_errors(name, revision):
        if match is None:
            folder = _snapshot(name, revision, [*_TEXT_FILES, _WEIGHTS[0]])
            if folder is not None and any(folder.glob(_WEIGHTS[0])):
                return folder
        files = HfApi().list_repo_files(repository, revision=revision)
        choices = [file for file in files if file.lower().endswith(GGUF)]
        if match is None and not choices:
            return _snapshot(name, revision, [*_TEXT_FILES, _WEIGHTS[1]]) or Path()
        file = _chosen(repository, choices, match[2] if match else None)
        return Path(hf_hub_download(repository, file, revision=revision))


def _chosen(repository: str, files: Sequence[str], wanted: str | None) -> str:
    """Return the GGUF file to download; ModelError if it is not clear which, or it is in parts."""
    models = {  # of several parts, the first
        f"{_PART.sub('', file)} in {int(part[1])} parts"
        if (part := _PART.search(file))
        else file: file
        for file in sorted(files, reverse=True)
    }
    if wanted is None and len(models) == 1:
        wanted = next(iter(models.values()))
    if wanted is None or wanted not in files:
        names = sorted(models)
        listed = ", ".join(map(shown, names[:_MOST_LISTED]))
        more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
        lacks = f"{repository} has no {shown(wanted)}" if wanted else repository
        raise ModelError(
            f"{lacks}: it holds {len(names)} models as GGUF: name one of them, as "
            f"{repository}/FILE{GGUF} ({listed}{more})"
        )
    if part := _PART.search(wanted):
        raise ModelError(
            f"{repository}/{shown(wanted)} is one of {int(part[1])} parts: download them, join "
            "them with `llama-gguf-split --merge`, and give the result"
        )
    return wanted


def _snapshot(
    name: str,
    revision: str | None,
    patterns: list[str],
    offline: bool = False,
    never: list[str] | None = None,
) -> Path | None:
    """Return the snapshot folder with the files of these patterns, downloaded unless `offline`.

    Offline it is None where the cache lacks the folder, or is known to lack some of the files.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=patterns,
                ignore_patterns=_NEVER if never is None else never,
                local_files_only=offline,
            )
        )
    except LocalEntryNotFoundError:
        if offline:
            return None
        raise


def _is_whole(folder: Path, name: str) -> bool:
    """Return whether a folder has a config and all of its weights."""
    try:
        return (folder / "config.json").is_file() and bool(weight_files(folder, name))
    except ModelError:  # an index that names files which are not there
        return False


@contextmanager
def _short_errors(name: str, revision: str | None) -> Iterator[None]:
    """Turn the ways of not getting a model from the Hub into a ModelError of one line."""
    from huggingface_hub.errors import (
        GatedRepoError,
        IncompleteSnapshotError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
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
    except IncompleteSnapshotError as error:
        raise ModelError(
            f"{name} is in the local cache only in part, as of an interrupted download, and the "
            "Hub cannot be reached: connect and try again, which completes it"
        ) from error
    except OSError as error:  # every other way of not reaching the Hub, offline mode included
        raise ModelError(
            f"{name} is not a directory here and not in the local cache, and the Hub cannot be "
            "reached; give a model directory, or connect and try again"
        ) from error
