"""Publishes dictionaries as a Hub dataset, in one commit with a card and an index.

Local paths and access tokens are removed from the provenance first, in a copy of the file. Labels
and maps beside a dictionary are not published.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ep.errors import DictionaryFileError, EPError, RequestError
from ep.progress import Report, silent
from ep.storage.file import check
from ep.storage.hub.card import INDEX, MAX_INDEX_BYTES, card, index, read_index
from ep.storage.hub.refusals import refusals
from ep.storage.hub.remote import Hub, Listing, owner_and_name
from ep.storage.output import temporary_folder
from ep.storage.schema import SUFFIX
from ep.storage.shelf import Entry, Shelf
from ep.storage.writing import save

README = "README.md"
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,40}")
_SECRET = re.compile(r"\b(?:hf_|sk-|api_org_)[A-Za-z0-9_-]{16,}")
_PATH = re.compile(
    r"""(?:(?<=[\s"'(=:,;\[])|^)(?:file:/{0,2})?(?:~\w*|\.{1,2}|[A-Za-z]:)?[/\\](?![/\s])"""
    r"""(?:[^\s"'<>|/\\]*[/\\])*([^\s"'<>|/\\]*)"""
)
"""A local path inside a text; its first group is the last name in the path."""
_VERBATIM = ("group_names",)
"""Entries that consist of the model's tokens, where a "/" is a token and not part of a path."""


@dataclass(frozen=True)
class Pushed:
    """What was published, or would be.

    repository: OWNER/REPO.
    files: the paths of the files in the repository.
    card: the README; None when the repository has one by its owner, which is left as it is.
    cleaned: the entries of the provenance that were changed, by the path of the file.
    url: address of the commit; None when nothing was sent.
    """

    repository: str
    files: tuple[str, ...]
    card: str | None
    cleaned: Mapping[str, tuple[str, ...]]
    url: str | None = None


def push(
    source: str | os.PathLike[str],
    repository: str,
    *,
    private: bool = False,
    family: bool = False,
    licence: str | None = None,
    dry_run: bool = False,
    hub: Hub | None = None,
    progress: Report | None = None,
) -> Pushed:
    """Publish a dictionary, its family, or every dictionary in a folder as a Hub dataset.

    source: an `.ep.h5` file, or a folder of them.
    repository: OWNER/REPO, created if it does not exist.
    private: whether to create a private repository; an existing public one is refused.
    family: whether to publish also the files of the same build beside `source`.
    licence: an identifier of the Hub's list, for the card.
    dry_run: whether to return what would be published, without using the network.

    Raises DictionaryFileError for a damaged file, RequestError and ServiceError as `Hub`.
    """
    repository, report = owner_and_name(repository), progress or silent
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise RequestError(
            f"{licence[:40]!r} is not an identifier of a licence: expected one of the Hub's list, "
            "such as mit or cc-by-4.0"
        )
    entries = chosen(Path(source), family)
    with temporary_folder("ep-push") as folder:
        staged = [_stage(entry, path, folder, report) for entry, path in _paths(entries).items()]
        rows = [file.row for file in staged]
        cleaned = {file.row["path"]: file.cleaned for file in staged if file.cleaned}
        files = tuple(row["path"] for row in rows)
        if dry_run:
            return Pushed(repository, files, card(repository, rows, licence), cleaned)
        return _send(hub or Hub(), repository, staged, cleaned, private, licence, report)


def chosen(source: Path, family: bool) -> tuple[Entry, ...]:
    """Return the dictionaries to publish for a file or a folder.

    family: whether to add the files of the same build beside a file. Raises DictionaryFileError
    when there is no dictionary, or one is damaged.
    """
    if source.is_dir():
        shelf = Shelf((source,))
        entries = shelf.entries
        if shelf.broken:
            raise DictionaryFileError(f"{shelf.broken[0].error}; nothing was sent")
    else:
        check(source)
        shelf = Shelf((source.parent,))
        own = next((e for e in shelf.entries if e.path.resolve() == source.resolve()), None)
        if own is None:
            raise DictionaryFileError(f"{source} does not end in {SUFFIX}: rename it first")
        entries = tuple(e for e in shelf.entries if e.family == own.family) if family else (own,)
    if not entries:
        raise DictionaryFileError(
            f"{source} contains no {SUFFIX} files: expected a dictionary or a folder of them"
        )
    return entries


def _paths(entries: Iterable[Entry]) -> dict[Entry, str]:
    """The name of each file in the repository, with a number where names would be equal."""
    entry_of: dict[str, Entry] = {}
    for entry in entries:
        stem = (
            re.sub(r"[^A-Za-z0-9._-]+", "-", entry.path.name.removesuffix(SUFFIX)).strip("-.")[:120]
            or "dictionary"
        )
        name, number = f"{stem}{SUFFIX}", 1
        while name in entry_of:
            number += 1
            name = f"{stem}-{number}{SUFFIX}"
        entry_of[name] = entry
    return {entry: name for name, entry in entry_of.items()}


# -- files that can be published -------------------------------------------------------------------


@dataclass(frozen=True)
class _Staged:
    """A file that can be published.

    file: where it is. row: its entries in the index. cleaned: the entries of its provenance that
    were changed.
    """

    file: Path
    row: dict[str, Any]
    cleaned: tuple[str, ...]


def _stage(entry: Entry, path: str, folder: Path, report: Report) -> _Staged:
    """Check a file, and copy it to `folder` if its provenance must be cleaned first."""
    report(f"reading {path}", None)
    info, cleaned = clean(entry.info)
    file = entry.path
    if cleaned:
        dictionary = entry.open()
        dictionary.info.clear()
        dictionary.info.update(info)
        file = save(dictionary, folder / path)
    check(file)
    return _Staged(file, _row(path, file, entry, info), cleaned)


def clean(info: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return provenance without local paths and access tokens, and the entries that changed.

    A path is replaced by its last name. For a model in a local folder, `model` is removed and
    `model_name` is kept.
    """
    result, changed = {}, []
    for key, value in info.items():
        is_local = key == "model" and _is_local_path(str(value))
        new = value if key in _VERBATIM else None if is_local else _cleaned(value)
        if new != value:
            changed.append(str(key))
        if new is not None or value is None:
            result[key] = new
    if "model" in changed and not result.get("model_name"):
        result["model_name"] = Path(str(info["model"])).name
    return result, tuple(changed)


def _is_local_path(model: str) -> bool:
    """Whether a model's name is a local path rather than a name on the Hub."""
    return (
        model.startswith((".", "/", "~", "\\"))
        or model.count("/") > 1
        or "\\" in model
        or ":" in model
    )


def _cleaned(value: Any) -> Any:
    """A JSON value without local paths and access tokens."""
    if isinstance(value, str):
        return _PATH.sub(lambda match: match[1] or "…", _SECRET.sub("…", value))
    if isinstance(value, Mapping):
        return {str(_cleaned(str(key))): _cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(item) for item in value]
    return value


def _row(path: str, file: Path, entry: Entry, info: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a file in the index."""
    corpus = info.get("corpus")
    row = {
        "path": path,
        "sha256": _sha256(file),
        "bytes": file.stat().st_size,
        "title": info.get("title"),
        "model": info.get("model") or info.get("model_name"),
        "regions": entry.size,
        "width": entry.width,
        "activations": info.get("n_activations"),
        "corpus": corpus.get("name") if isinstance(corpus, Mapping) else corpus,
    }
    copied = (
        "layer",
        "percentile",
        "threshold",
        "positions",
        "context",
        "chat",
        "protocol",
        "metric",
        "seed",
        "created",
    )
    row |= {name: info.get(name) for name in copied}
    return {name: value for name, value in row.items() if value is not None}


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


# -- sending ---------------------------------------------------------------------------------------


def _send(
    hub: Hub,
    repository: str,
    staged: Sequence[_Staged],
    cleaned: Mapping[str, tuple[str, ...]],
    private: bool,
    licence: str | None,
    report: Report,
) -> Pushed:
    """Upload the files, the index and, unless the owner wrote one, the card, in one commit."""
    from huggingface_hub import CommitOperationAdd, HfApi

    report("asking the Hub", None)
    api = HfApi(endpoint=hub.endpoint, token=hub.token)
    before = _create(hub, api, repository, private)
    has_own_card, older = _existing(hub, before)
    rows = {row["path"]: row for row in older} | {file.row["path"]: file.row for file in staged}
    text = None if has_own_card else card(repository, list(rows.values()), licence)
    additions = [CommitOperationAdd(file.row["path"], str(file.file)) for file in staged]
    additions.append(CommitOperationAdd(INDEX, index(list(rows.values()))))
    if text is not None:
        additions.append(CommitOperationAdd(README, text.encode()))
    total = sum(file.row["bytes"] for file in staged)
    report(f"sending {len(staged)} file{'s' * (len(staged) != 1)}, {total / 1e6:,.0f} MB", None)
    title = f"Add {len(staged)} Exemplar Partitioning dictionar{'ies' if len(staged) > 1 else 'y'}"
    with refusals(repository):
        commit = api.create_commit(repository, additions, commit_message=title, repo_type="dataset")
    paths = tuple(file.row["path"] for file in staged)
    return Pushed(repository, paths, text, cleaned, commit.commit_url)


def _create(hub: Hub, api: Any, repository: str, private: bool) -> Listing:
    """Create the repository unless it exists, and list what it holds.

    Raises RequestError when `private` is true and the repository is public.
    """
    with refusals(repository):
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
    before = hub.listing(repository)
    if private and not before.private:
        raise RequestError(
            f"{repository} exists and is public, so nothing was sent: use another repository, or "
            "no --private"
        )
    return before


def _existing(hub: Hub, before: Listing) -> tuple[bool, list[dict[str, Any]]]:
    """Whether the repository has a card by its owner, and the rows of its index.

    A card beside an index was written by this module. Rows of files that were removed are left out.
    """
    index_file = before.find(INDEX)
    if index_file is None:
        return before.find(README) is not None, []
    if (index_file.size or 0) > MAX_INDEX_BYTES:
        return False, []
    with temporary_folder("ep-push") as folder, suppress(EPError):
        path, _ = hub.download(before.repository, INDEX, before.revision, folder)
        return False, [row for row in read_index(path.read_bytes()) if before.find(row["path"])]
    return False, []
