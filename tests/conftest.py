"""Shared test set-up: array shapes are checked at run time, and no test reaches the network."""

from __future__ import annotations

import os

from jaxtyping import install_import_hook

import tests.typechecking  # noqa: F401  (the hook finds it by name)

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small models: a second thread mostly waits, on a busy machine for ever
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# The hook must be in place before the first `import ep`; it makes beartype check every jaxtyping annotation.
install_import_hook("ep", "tests.typechecking.checked")
