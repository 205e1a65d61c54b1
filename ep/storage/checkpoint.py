"""The stored state of an unfinished build: arrays, and the settings they belong to.

The state is one file in the output folder. It is replaced in one rename, so a crash while writing
leaves the previous state. What the arrays mean is up to the caller.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ep.errors import ConfigError, StorageError
from ep.leftovers import clear
from ep.storage.output import discard

NAME = ".ep-build.npz"
"""The name of the state's file."""
VERSION = 5
"""The version of the state.

Version 2 counts rivals and coarser regions; version 3 counts passages without tokens, and tokens
that were cut; version 4 holds what was measured of each layer and what is left out of it;
version 5 may hold an unfinished calibration. Continuing from a state without those would lose
members or repeat passages.
"""
WEIGHTS = "weights of the model"
"""The setting that is the fingerprint of the model; states of earlier versions may lack it."""


class Checkpoint:
    """The state of one unfinished build.

    folder: the output folder of the build.
    settings: JSON values that determine the result; a state stored with other settings is refused,
        with the names of those that differ.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.path = self.folder / NAME
        self.settings = json.dumps(settings, sort_keys=True)

    def save(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the state, or leave the previous one unchanged.

        Raises StorageError if the disk is full or the folder cannot be written.
        """
        partial = self.path.with_suffix(".partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                header = {"settings": np.array(self.settings), "version": np.array(VERSION)}
                np.savez(file, allow_pickle=False, **{**header, **arrays})
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except OSError as error:
            discard(partial)
            raise StorageError(
                f"the state of the build could not be stored in {self.folder} ({error.strerror})"
            ) from error

    def load(self) -> dict[str, np.ndarray] | None:
        """Return the stored arrays; None where there are none.

        Raises ConfigError if they are damaged or belong to other settings, or if another version of
        this program stored them.
        """
        if not self.path.exists():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            stored = json.loads(str(arrays.pop("settings")))
            version = int(arrays.pop("version", np.array(1)))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ConfigError(
                f"{self.path} is damaged: start the build again, with --replace instead of --resume"
            ) from error
        if version != VERSION:
            raise ConfigError(
                f"the unfinished build in {self.folder} was stored by another version of this "
                "program and cannot be continued: give --replace instead of --resume to start again"
            )
        settings = json.loads(self.settings)
        if WEIGHTS not in stored:
            settings.pop(WEIGHTS, None)
        differing = sorted(
            key for key in stored.keys() | settings.keys() if stored.get(key) != settings.get(key)
        )
        if differing:
            raise ConfigError(
                f"the unfinished build in {self.folder} was started with other values of "
                f"{', '.join(differing)}: use the same settings, or another folder"
            )
        return arrays

    def remove(self) -> None:
        """Delete the state, if there is one."""
        self.path.unlink(missing_ok=True)

    def clear_partial(self) -> None:
        """Delete what a killed process left of states and dictionaries that it was writing.

        The caller has the lock of the folder, so nobody is writing the state now.
        """
        discard(self.path.with_suffix(".partial"))
        clear(self.folder)


def prepare_folder(folder: Path) -> None:
    """Create the output folder and check that it can be written, before any work is done.

    Raises StorageError if it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written ({error.strerror}): choose another folder"
        ) from error
