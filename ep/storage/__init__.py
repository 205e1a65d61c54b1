"""Dictionaries on disk: the `.ep.h5` file, and folders of such files.

Opening a dictionary imports h5py and numpy only.
"""

from __future__ import annotations

from ep.storage.file import check, digest, open
from ep.storage.shelf import Entry, Family, Shelf
from ep.storage.writing import save

__all__ = ["Entry", "Family", "Shelf", "check", "digest", "open", "save"]
