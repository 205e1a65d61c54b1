"""Shared test set-up: array shapes are checked at run time, and no test reaches the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

import tests.typechecking  # noqa: F401  (the hook finds it by name)

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# small models: a second thread mostly waits, on a busy machine for ever
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# pages open on the tiny models, which need nothing that is installed apart
os.environ["EP_DEMO"] = "tiny"
# The hook must be in place before the first `import ep`; it makes beartype check every jaxtyping
# annotation.
install_import_hook("ep", "tests.typechecking.checked")

if TYPE_CHECKING:
    from tests.fixtures.pages import Visit


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees, or leaves, a converted model or a fitted lens in the cache of the user."""
    os.environ["EP_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def quiet_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command prints progress because the machine is slow; tests of progress ask for it."""
    from ep.commands import progress

    monkeypatch.setattr(progress, "PATIENCE_S", 1e9)


@pytest.fixture
def own_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that is all the explorer knows, and nothing kept from other tests."""
    import streamlit as st

    from pages.shared import loading

    st.cache_resource.clear()
    monkeypatch.setattr(loading, "REAL", tmp_path / "none")
    monkeypatch.setattr(loading, "DEMO", tmp_path)
    monkeypatch.setattr(loading, "LIBRARY", tmp_path / "none")
    monkeypatch.delenv("EP_LIBRARY", raising=False)
    yield tmp_path
    st.cache_resource.clear()


@pytest.fixture
def visit() -> Visit:
    """A visit to the explorer, see `tests.fixtures.pages.go`; a module says what lies on its
    shelf.
    """
    from tests.fixtures.pages import go

    return go
