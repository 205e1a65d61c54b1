"""Dictionaries on the Hugging Face Hub: downloading published ones, and publishing one's own.

Importing this package makes no network call; all of them are made by methods of `Hub` and by
`push`.
"""

from __future__ import annotations

from ep.storage.hub.catalogue import (
    KNOWN_REVISION,
    PUBLISHED,
    REPOSITORY,
    Published,
    lookup,
    resolve_key,
)
from ep.storage.hub.importing import dictionaries, get, import_published, local_name
from ep.storage.hub.pushing import Pushed, push
from ep.storage.hub.remote import Hub, Listing, RemoteFile, in_bytes, owner_and_name

__all__ = [
    "KNOWN_REVISION",
    "PUBLISHED",
    "REPOSITORY",
    "Hub",
    "Listing",
    "Published",
    "Pushed",
    "RemoteFile",
    "dictionaries",
    "get",
    "import_published",
    "in_bytes",
    "local_name",
    "lookup",
    "resolve_key",
    "owner_and_name",
    "push",
]
