"""The files beside a dictionary: named after it, replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from ep.errors import StorageError
from ep.storage.sidecar import LABELS, MAPS, beside, write_bytes


def test_they_are_named_after_the_dictionary_and_are_none_themselves(tmp_path: Path) -> None:
    dictionary = tmp_path / "base-L4-p2.5.ep.h5"
    assert beside(dictionary, LABELS) == tmp_path / "base-L4-p2.5.ep.labels.json"
    assert not any(beside(dictionary, kind).name.endswith(".ep.h5") for kind in (LABELS, MAPS))


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.ep.labels.json"
    write_bytes(path, b"before")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(StorageError, match="x.ep.labels.json cannot be written: No space left"):
            write_bytes(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
