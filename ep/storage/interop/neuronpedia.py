"""Regions as Neuronpedia's JSON: a vector to steer with (`/api/vector/new`), features in batches
(`/api/feature/upload-batch`).

The published limits of both requests are constants here; what does not fit is cut where cutting is
harmless and refused where it is not. Nothing is sent: uploading needs an account and its key, which
stay with their owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ep.errors import ConfigError
from ep.method.dictionary import Basis, Dictionary, Excerpt, TokenScore

WIDEST_VECTOR = 24_576
STRONGEST = 100.0
MOST_FEATURES = 128
HIGHEST_INDEX = 10_000_000
MOST_LOGITS = 20
LONGEST_TEXT = 512
MOST_TOKENS = 1_024
BLANK = "\N{OPEN BOX}"
"""Stands for a token without text of its own (a later byte of a character); the request refuses
empty strings.
"""


def vector(
    dictionary: Dictionary,
    region: int,
    model_id: str,
    label: str = "",
    basis: Basis = "exemplar",
    strength: float = 1.0,
) -> dict[str, Any]:
    """The request that stores one region's direction.

    model_id: Neuronpedia's name of the model. strength: α in units of the layer's typical norm r;
    Neuronpedia's default strength multiplies the unit direction, so it is α·r, at most ±100: beyond
    that the rest goes into the vector. ConfigError when the layer is wider than Neuronpedia takes,
    UnknownRegion.
    """
    k = dictionary.check(region)
    if dictionary.width > WIDEST_VECTOR:
        raise ConfigError(
            f"this layer has {dictionary.width:,} dimensions: Neuronpedia takes {WIDEST_VECTOR:,} "
            "at most"
        )
    if not np.isfinite(strength):
        raise ConfigError(f"strength {strength} was asked for: expected a finite number")
    length = strength * dictionary.typical_norm
    default = float(np.clip(length, -STRONGEST, STRONGEST))
    rest = length / default if default else 1.0
    return {
        "modelId": model_id,
        "layerNumber": int(dictionary.info.get("layer") or 0),
        "hookType": "hook_resid_post",
        "vector": (rest * dictionary.basis(basis)[k].astype(np.float64)).tolist(),
        "vectorDefaultSteerStrength": default,
        "vectorLabel": label or f"EP region {k}",
    }


def features(
    dictionary: Dictionary,
    regions: Iterable[int],
    model_id: str,
    source: str,
    labels: Mapping[int, str] | None = None,
) -> Iterator[dict[str, Any]]:
    """The requests that upload regions as features, at most 128 in each; regions without an excerpt
    are left out.

    source: Neuronpedia's name of the source, such as "4-ep-p2". A token's value is the cosine of
    its activation with the exemplar: known at the marked token, 0 everywhere else in the passage,
    since the file stores no other.
    density: the region's share of the Voronoi members. ConfigError for an id beyond Neuronpedia's.
    """
    ids = [dictionary.check(region) for region in regions]
    if ids and max(ids) > HIGHEST_INDEX:
        raise ConfigError(
            f"region {max(ids):,} is beyond Neuronpedia's highest index of {HIGHEST_INDEX:,}"
        )
    batch: list[dict[str, Any]] = []
    for k in ids:
        if activations := [
            _activation(excerpt) for excerpt in dictionary.excerpts(k) if excerpt.marked is not None
        ]:
            batch.append(_feature(dictionary, k, activations, (labels or {}).get(k, "")))
        if len(batch) == MOST_FEATURES:
            yield _request(batch, model_id, source)
            batch = []
    if batch:
        yield _request(batch, model_id, source)


def _request(batch: list[dict[str, Any]], model_id: str, source: str) -> dict[str, Any]:
    return {"modelId": model_id.lower(), "source": source.lower(), "features": batch}


def _feature(
    dictionary: Dictionary, k: int, activations: list[dict[str, Any]], label: str
) -> dict[str, Any]:
    feature: dict[str, Any] = {"index": k, "activations": activations}
    streamed = dictionary.info.get("n_voronoi") or dictionary.info.get("n_activations")
    if streamed and "count_voronoi" in dictionary:
        feature["density"] = min(1.0, float(dictionary.row("count_voronoi", k)) / float(streamed))
    for name, lens in (("topLogits", "exemplar_up"), ("bottomLogits", "exemplar_down")):
        if scores := dictionary.lens(k, lens)[:MOST_LOGITS]:
            feature[name] = [_logit(score) for score in scores]
    if label.strip():
        feature["explanations"] = [{"text": label.strip()[:LONGEST_TEXT]}]
    return feature


def _logit(score: TokenScore) -> dict[str, Any]:
    return {"token": score.token or BLANK, "value": float(score.value)}


def _activation(excerpt: Excerpt) -> dict[str, Any]:
    """The passage around the marked token, at most 1,024 tokens of it, with the token's cosine."""
    marked = int(excerpt.marked or 0)
    start = max(0, min(marked - MOST_TOKENS // 2, len(excerpt.pieces) - MOST_TOKENS))
    pieces = excerpt.pieces[start : start + MOST_TOKENS]
    values = [0.0] * len(pieces)
    values[marked - start] = 1.0 - excerpt.distance
    return {"tokens": [piece or BLANK for piece in pieces], "values": values}
