"""The read-outs of a dictionary's regions: every kind of lens that its model allows, and the first.

The kinds are in `ep.method.lenses`. Those of the Jacobian lens need one that was fitted for the
layer; all others follow from the model. Which is shown first is decided on the stored excerpts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ep.errors import ConfigError
from ep.method.dictionary import Dictionary
from ep.method.lenses import LENSES
from ep.method.metrics import Metric
from ep.progress import Report, silent
from ep.studies.lens_scores import choice
from ep.text import one_line

if TYPE_CHECKING:
    from ep.corpus import Corpus
    from ep.models import JacobianLens, LanguageModel, Lens
    from ep.models.extremes import Strongest
    from ep.models.jacobian_fit import FitProgress, FitSettings

LENS_TOKENS = 12
"""Tokens stored at each end of a lens."""
_LONGEST = 200
"""Characters of a text about a Jacobian lens that are stored; an imported lens may say anything."""


def computable(layer: int, jacobian: JacobianLens | None) -> tuple[str, ...]:
    """Return the names of the kinds of lens that can be computed for a layer.

    jacobian: a Jacobian lens of the model, or None.
    """
    has_matrix = jacobian is not None and layer in jacobian.matrices
    return tuple(name for name, kind in LENSES.items() if has_matrix or not kind.is_jacobian)


def read_outs(
    model: LanguageModel,
    arrays: Mapping[str, np.ndarray],
    metric: Metric,
    layer: int,
    radius: float,
    jacobian: JacobianLens | None = None,
    only: Collection[str] | None = None,
    report: Report = silent,
) -> dict[str, np.ndarray]:
    """Return the arrays of the read-outs of all regions (protocol 5.1, 5.3; `docs/format.md`).

    arrays: centre, exemplars, mean directions, and the members where they were counted.
    metric: that of the directions; lenses read where they point among the activations.
    radius: r, the typical norm of the layer.
    jacobian: a Jacobian lens of the model; without one that has this layer its kinds are left out.
    only: names of the kinds to compute; by default all that can be.
    """
    from ep.models import logit_lens, point_lift, points, shift_lens

    center = arrays["center"]
    v, m = (metric.raw(arrays[name]) for name in ("exemplars", "mean_directions"))
    members = arrays.get("count_voronoi", arrays.get("count_arrival", np.ones(len(m))))
    typical, k = points(center, m, radius), LENS_TOKENS

    def carried(x: np.ndarray) -> np.ndarray:
        assert jacobian is not None
        return jacobian.transport(layer, x)

    ways: dict[str, Callable[[], Lens | Strongest]] = {
        "exemplar": lambda: logit_lens(model, v, k),
        "mean": lambda: logit_lens(model, m, k),
        "exemplar_shift": lambda: shift_lens(model, center, v, radius, k),
        "point_lift": lambda: point_lift(model, typical, members, k),
        "jacobian_mean": lambda: logit_lens(model, carried(m), k),
        "jacobian_point": lambda: logit_lens(model, carried(typical), k),
        "jacobian_lift": lambda: point_lift(model, carried(typical), members, k),
    }
    names = [name for name in computable(layer, jacobian) if only is None or name in only]
    found: dict[str, np.ndarray] = {}
    for done, name in enumerate(names):
        report(f"lens: {LENSES[name].title}", done / len(names))
        found |= _stored(name, ways[name]())
    return found


def _stored(name: str, lens: Lens | Strongest) -> dict[str, np.ndarray]:
    """Return the arrays of a lens; a vocabulary of fewer tokens than they hold is padded."""
    from ep.models import Lens

    is_pair = isinstance(lens, Lens)
    arrays = {}
    for end in LENSES[name].ends:
        ids, values = (
            getattr(lens, f"{end}_{part}" if is_pair else part) for part in ("ids", "values")
        )
        missing = ((0, 0), (0, LENS_TOKENS - ids.shape[1]))
        arrays[f"lens_{name}_{end}_ids"] = np.pad(ids, missing, constant_values=-1)
        arrays[f"lens_{name}_{end}_values"] = np.pad(values, missing)
    return arrays


def provenance(jacobian: JacobianLens | None, layer: int) -> dict[str, Any]:
    """Return the entry `jacobian` of a dictionary with read-outs of a Jacobian lens, or nothing."""
    if jacobian is None or layer not in jacobian.matrices:
        return {}
    matrix = hashlib.sha256(jacobian.matrices[layer].astype("<f4").tobytes()).hexdigest()
    facts = {
        name: one_line(value, _LONGEST) if isinstance(value, str) else value
        for name in ("text", "digest", "seed", "tokens", "file")
        if isinstance(value := _text(jacobian.origin.get(name)), str | int)
    }
    return {"jacobian": {"n_prompts": jacobian.n_prompts, **facts, "matrix": matrix}}


def _text(value: Any) -> Any:
    """Return a list of names as one text, and anything else as it is."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def with_choice(dictionary: Dictionary) -> Dictionary:
    """Return the dictionary with the lens to show first, as its own excerpts decide."""
    info = {**dictionary.info, **choice(dictionary)}
    return Dictionary(dictionary.source, info, len(dictionary), dictionary.path)


# -- a lens as a part of a build -------------------------------------------------------------------

STATE = ".ep-lens.unfinished"
"""The file in the folder of a build that keeps an unfinished fit."""


class LensPart:
    """The Jacobian lens of one build: the one of the model that exists, or one that it fits.

    prompts: number of prompts to fit a lens on; None to fit none.
    folder: that of the build, where an unfinished fit is kept.

    `jacobian` is the lens to describe with, or None. Raises ModelError for a lens file that is
    damaged or of another width, and ConfigError where a lens of the model exists that is not what
    was asked for: a build replaces none.
    """

    def __init__(
        self, model: LanguageModel, layers: Sequence[int], prompts: int | None, folder: Path
    ) -> None:
        from ep.models import jacobian_store

        self.model, self.folder, self.prompts = model, folder, 0
        # the stream after the last block is the one that every lens leads to
        self.layers = tuple(layer for layer in layers if layer < model.n_layers - 1)
        found = jacobian_store.find(model)
        self.jacobian = known = found and found.of(model)
        if prompts is None or not self.layers:
            return
        if known is None:
            self.prompts = prompts
        elif known.n_prompts < prompts or not set(self.layers) <= set(known.layers):
            raise ConfigError(
                f"{model.name} has a Jacobian lens of {known.n_prompts:,} prompts for layers "
                f"{', '.join(map(str, known.layers))}: build without --lens-prompts to use it, or "
                "fit another with `ep lens fit --replace`"
            )

    def seconds(self) -> float | None:
        """Return a rough estimate of what the fit takes; None where there is none to do."""
        from ep.models.jacobian_fit import seconds_expected

        if not self.prompts:
            return None
        return seconds_expected(self.model, self._settings()) * self.prompts

    def fit(self, corpus: Corpus, resume: bool) -> Generator[FitProgress, None, None]:
        """Fit the lens on the text of the build, if need be, and save it in the cache.

        resume: continue what an interrupted build left.
        """
        from ep.models import jacobian_store
        from ep.models.jacobian_fit import fitting

        if not self.prompts:
            return
        state = self.folder / STATE
        steps = fitting(self.model, corpus, self._settings(), state, resume and state.exists())
        for progress in steps:
            yield progress
            self.jacobian = progress.lens
        assert self.jacobian is not None
        jacobian_store.save(self.jacobian, jacobian_store.place(self.model.fingerprint))
        state.unlink(missing_ok=True)

    def _settings(self) -> FitSettings:
        from ep.models.jacobian_fit import TOKENS, FitSettings

        return FitSettings(self.layers, self.prompts, min(TOKENS, self.model.context))
