"""The kept state of an unfinished build: plain arrays beside the files it will become, and their
settings.

It knows nothing of what the arrays mean. The state is replaced in one rename: a crash while writing
keeps the old one.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import ConfigError, StorageError

NAME = ".ep-build.npz"
VERSION = 2
"""Of what a state holds.

2: rivals and coarser regions are counted; a state without those counts would lose members.
"""


class Checkpoint:
    """One unfinished build in `folder`.

    settings: JSON values that decide the result; a state made with others is refused by name.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.path = self.folder / NAME
        self.settings = json.dumps(settings, sort_keys=True)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.settings.encode()).hexdigest()

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the state, all or nothing.

        StorageError when the disk is full or the folder cannot be written.
        """
        partial = self.path.with_suffix(".partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                about = {"settings": np.array(self.settings), "version": np.array(VERSION)}
                np.savez(file, allow_pickle=False, **{**about, **arrays})
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StorageError(
                f"the build's state could not be kept in {self.folder} ({error.strerror})"
            ) from error

    def load(self) -> dict[str, np.ndarray]:
        """The kept arrays. ConfigError when there is no state here, it belongs to another build, or
        another version kept it."""
        if not self.path.exists():
            raise ConfigError(f"{self.folder} holds no unfinished build: run once without --resume")
        try:
            with np.load(self.path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            kept = json.loads(str(arrays.pop("settings")))
            version = int(arrays.pop("version", np.array(1)))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ConfigError(
                f"{self.path} is damaged: delete it and start the build again"
            ) from error
        if version != VERSION:
            raise ConfigError(
                f"the unfinished build in {self.folder} was kept by another version of this "
                "program and cannot be "
                "completed rightly: run once without --resume"
            )
        wanted = json.loads(self.settings)
        differing = sorted(
            key for key in kept.keys() | wanted.keys() if kept.get(key) != wanted.get(key)
        )
        if differing:
            raise ConfigError(
                f"the unfinished build in {self.folder} was started with other "
                f"{', '.join(differing)}: "
                "use the same settings, or another folder"
            )
        return arrays

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def prepare_folder(folder: Path) -> None:
    """Make the output folder and see that it can be written, before any work.

    StorageError when it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written ({error.strerror}): choose another folder"
        ) from error
