"""EP Explorer's backend: build, open and read Exemplar Partitioning dictionaries (Rumbelow 2026).

    import ep
    d = ep.open("data/demo/dictionaries/all-tokens/tuned-L4-p2.ep.h5")
    d.assign(x)        # nearest region and distance of raw activations x (n, d)
    d.region(17)       # counts, lens, excerpts of one region

Names are loaded when they are first used, so opening a stored dictionary imports neither torch nor
transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name: the module that defines it.
_HOMES = {
    "open": "ep.storage",
    "save": "ep.storage",
    "digest": "ep.storage",
    "build": "ep.building",
    "saturate": "ep.saturating",
    "Progress": "ep.reporting",
    "BuildConfig": "ep.config",
    "Corpus": "ep.corpus",
    "Passage": "ep.corpus",
    "Assignment": "ep.method.assignment",
    "Dictionary": "ep.method.dictionary",
    "Region": "ep.method.dictionary",
    "Excerpt": "ep.method.dictionary",
    "Calibration": "ep.method.calibration",
    "calibrate": "ep.method.calibration",
    "Leaders": "ep.method.leaders",
    "load": "ep.models",
    "read": "ep.models",
    "model_of": "ep.models",
    "JacobianLens": "ep.models",
    "fit_lens": "ep.models",
    "find_lens": "ep.models",
    "Setting": "ep.studies.steering",
    "steer": "ep.studies.steering",
    "sweep": "ep.studies.steering",
    "Labels": "ep.storage.labels",
    "automatic": "ep.studies.naming",
    "between": "ep.studies.between",
    "neighbours": "ep.studies.between",
    "path": "ep.studies.between",
    "follow": "ep.studies.resolution",
    "match": "ep.studies.matching",
    "summary": "ep.studies.matching",
    "coordinates": "ep.views.layouts",
    "Index": "ep.views.search",
    "rank": "ep.views.meaning",
    "lens_grid": "ep.models.lens_grid",
    "token_ranks": "ep.models.lens_grid",
    "EPError": "ep.errors",
}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ep' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
