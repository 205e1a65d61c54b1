"""Giving dictionaries to others: one commit to a Hub dataset, with a card and an index that say
what is in it.

What leaves this machine is looked through first: paths of this machine and tokens are taken out of
the provenance, in a copy, before anything is sent. Labels and maps beside a dictionary stay here.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ep.errors import DictionaryFileError, EPError, RequestError
from ep.storage.file import check
from ep.storage.hub.card import INDEX, MAX_INDEX_BYTES, card, index, read_index
from ep.storage.hub.refusals import refusals
from ep.storage.hub.remote import Hub, Listing, Progress, owner_and_name, silent
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
"""A path of this machine inside a text; its first group is the name at its end."""
_OF_THE_MODEL = ("group_names",)
"""Entries that quote the model's tokens, where a "/" is a token."""


@dataclass(frozen=True)
class Pushed:
    """What was sent, or would be. files: their paths in the repository; cleaned: what was taken out
    of which file.

    card: the README that describes them, None when the repository has one of its owner's, which is
    left alone.
    url: of the commit; None when nothing was sent.
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
    progress: Progress | None = None,
) -> Pushed:
    """Sends a dictionary, its whole family, or every dictionary of a folder to the Hub dataset
    OWNER/REPO.

    The repository is made if there is none; `private` then hides it, and is refused for one
    everybody sees already.
    family: also the files beside `source` that one build made with it. dry_run: contacts nobody.
    DictionaryFileError for a file that is damaged, RequestError and ServiceError as `Hub`.
    """
    repository, told = owner_and_name(repository), progress or silent
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise RequestError(
            f"{licence[:40]!r} is no licence of the Hub's list: expected one such as mit or "
            "cc-by-4.0"
        )
    entries = chosen(Path(source), family)
    with tempfile.TemporaryDirectory(prefix="ep-push-") as name:
        staged = [_staged(entry, path, Path(name), told) for entry, path in _paths(entries).items()]
        rows = [one.row for one in staged]
        cleaned = {one.row["path"]: one.cleaned for one in staged if one.cleaned}
        files = tuple(row["path"] for row in rows)
        if dry_run:
            return Pushed(repository, files, card(repository, rows, licence), cleaned)
        return _sent(hub or Hub(), repository, staged, cleaned, private, licence, told)


def chosen(source: Path, family: bool) -> tuple[Entry, ...]:
    """The dictionaries meant by a file or folder.

    DictionaryFileError when there is none, or one is damaged.
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
            raise DictionaryFileError(f"{source} is not called *{SUFFIX}: rename it first")
        entries = tuple(e for e in shelf.entries if e.family == own.family) if family else (own,)
    if not entries:
        raise DictionaryFileError(
            f"{source} holds no {SUFFIX} files: expected a dictionary or a folder of some"
        )
    return entries


def _paths(entries: Iterable[Entry]) -> dict[Entry, str]:
    """Each file's plain name in the repository; equal names get a number."""
    taken: dict[str, Entry] = {}
    for entry in entries:
        stem = (
            re.sub(r"[^A-Za-z0-9._-]+", "-", entry.path.name.removesuffix(SUFFIX)).strip("-.")[:120]
            or "dictionary"
        )
        name, number = f"{stem}{SUFFIX}", 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}{SUFFIX}"
        taken[name] = entry
    return {entry: name for name, entry in taken.items()}


# -- what may leave --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Staged:
    file: Path
    row: dict[str, Any]
    cleaned: tuple[str, ...]


def _staged(entry: Entry, path: str, folder: Path, progress: Progress) -> _Staged:
    """A file ready to go: itself when its provenance may be seen by others, else a copy without
    what may not.
    """
    progress(f"reading {path}", None)
    info, cleaned = clean(entry.info)
    file = entry.path
    if cleaned:
        dictionary = entry.open()
        dictionary.info.clear()
        dictionary.info.update(info)
        file = save(dictionary, folder / path)
    check(file)
    return _Staged(file, _described(path, file, entry, info), cleaned)


def clean(info: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Provenance without this machine's paths and without tokens, and the names of the entries that
    changed.

    A path becomes the name at its end; a model that is a folder here loses its place and keeps
    `model_name`.
    """
    kept, changed = {}, []
    for key, value in info.items():
        place = key == "model" and _is_place(str(value))
        new = value if key in _OF_THE_MODEL else None if place else _cleaned(value)
        if new != value:
            changed.append(str(key))
        if new is not None or value is None:
            kept[key] = new
    if "model" in changed and not kept.get("model_name"):
        kept["model_name"] = Path(str(info["model"])).name
    return kept, tuple(changed)


def _is_place(model: str) -> bool:
    """Whether a model's name is a folder of this machine rather than a name on the Hub."""
    return (
        model.startswith((".", "/", "~", "\\"))
        or model.count("/") > 1
        or "\\" in model
        or ":" in model
    )


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _PATH.sub(lambda found: found[1] or "…", _SECRET.sub("…", value))
    if isinstance(value, Mapping):
        return {str(_cleaned(str(key))): _cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(item) for item in value]
    return value


def _described(path: str, file: Path, entry: Entry, info: Mapping[str, Any]) -> dict[str, Any]:
    """A file's row in the index."""
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
    same = (
        "layer",
        "percentile",
        "threshold",
        "positions",
        "context",
        "chat",
        "protocol",
        "seed",
        "created",
    )
    row |= {name: info.get(name) for name in same}
    return {name: value for name, value in row.items() if value is not None}


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


# -- sending ---------------------------------------------------------------------------------------


def _sent(
    hub: Hub,
    repository: str,
    staged: Sequence[_Staged],
    cleaned: Mapping[str, tuple[str, ...]],
    private: bool,
    licence: str | None,
    progress: Progress,
) -> Pushed:
    from huggingface_hub import CommitOperationAdd, HfApi

    progress("asking the Hub", None)
    api = HfApi(endpoint=hub.endpoint, token=hub.token)
    before = _made(hub, api, repository, private)
    ours, older = _already(hub, before)
    rows = {row["path"]: row for row in older} | {one.row["path"]: one.row for one in staged}
    text = card(repository, list(rows.values()), licence) if ours else None
    additions = [CommitOperationAdd(one.row["path"], str(one.file)) for one in staged]
    additions.append(CommitOperationAdd(INDEX, index(list(rows.values()))))
    if text is not None:
        additions.append(CommitOperationAdd(README, text.encode()))
    total = sum(one.row["bytes"] for one in staged)
    progress(f"sending {len(staged)} file{'s' * (len(staged) != 1)}, {total / 1e6:,.0f} MB", None)
    about = f"Add {len(staged)} Exemplar Partitioning dictionar{'ies' if len(staged) > 1 else 'y'}"
    with refusals(repository):
        made = api.create_commit(repository, additions, commit_message=about, repo_type="dataset")
    return Pushed(
        repository, tuple(one.row["path"] for one in staged), text, cleaned, made.commit_url
    )


def _made(hub: Hub, api: Any, repository: str, private: bool) -> Listing:
    """The repository as it is, made first where there is none.

    RequestError: asked to hide what everybody sees.
    """
    with refusals(repository):
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
    before = hub.listing(repository)
    if private and not before.private:
        raise RequestError(
            f"{repository} exists and everybody can see it: nothing was sent; use another, or no "
            "--private"
        )
    return before


def _already(hub: Hub, before: Listing) -> tuple[bool, list[dict[str, Any]]]:
    """Whether the card is ours to write, and what the index there says of the files that are still
    there.
    """
    found = before.find(INDEX)
    if found is None:
        return before.find(README) is None, []
    if (found.size or 0) > MAX_INDEX_BYTES:
        return True, []
    with tempfile.TemporaryDirectory(prefix="ep-push-") as folder, suppress(EPError):
        path, _ = hub.download(before.repository, INDEX, before.revision, Path(folder))
        return True, [row for row in read_index(path.read_bytes()) if before.find(row["path"])]
    return True, []
