"""Writes regions as JSON for Neuronpedia.

One region becomes a steering vector (`/api/vector/new`), all regions become features in batches
(`/api/feature/upload-batch`). The documented limits of both requests are constants here: what
exceeds them is cut where that is harmless, and refused otherwise. Nothing is sent, since uploading
needs an account and its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ep.errors import ConfigError
from ep.method.dictionary import Basis, Dictionary
from ep.method.region import Excerpt, TokenScore

# Limits of the requests: dimensions of a vector, its default strength, features in a batch, a
# feature's index, logits of a feature, characters of an explanation, tokens of an activation.
WIDEST_VECTOR = 24_576
STRONGEST = 100.0
MOST_FEATURES = 128
HIGHEST_INDEX = 10_000_000
MOST_LOGITS = 20
LONGEST_TEXT = 512
MOST_TOKENS = 1_024
BLANK = "\N{OPEN BOX}"
"""Stands for a token without text (a later byte of a character): empty strings are not allowed."""


def vector(
    dictionary: Dictionary,
    region: int,
    model_id: str,
    label: str = "",
    basis: Basis = "exemplar",
    strength: float = 1.0,
) -> dict[str, Any]:
    """Return the request that stores one region's direction.

    model_id: Neuronpedia's name of the model.
    label: name of the vector; by default the region's id.
    basis: which direction of the region, "exemplar" or "mean".
    strength: α in units of the layer's typical norm r. Neuronpedia multiplies the vector by its
        default strength, which is therefore α·r; that is limited to ±100, and a remaining factor is
        put into the vector.

    Raises ConfigError when the layer is wider than Neuronpedia supports or the strength is not
    finite, and UnknownRegion for an unknown region.
    """
    k = dictionary.check(region)
    if dictionary.width > WIDEST_VECTOR:
        raise ConfigError(
            f"this layer has {dictionary.width:,} dimensions: Neuronpedia supports at most "
            f"{WIDEST_VECTOR:,}"
        )
    if not np.isfinite(strength):
        raise ConfigError(f"strength is {strength}: expected a finite number")
    length = strength * dictionary.typical_norm
    default = float(np.clip(length, -STRONGEST, STRONGEST))
    factor = length / default if default else 1.0  # 1 unless the limit was exceeded
    return {
        "modelId": model_id,
        "layerNumber": int(dictionary.info.get("layer") or 0),
        "hookType": "hook_resid_post",
        "vector": (factor * dictionary.raw_basis(basis, [k])[0].astype(np.float64)).tolist(),
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
    """Yield the requests that upload regions as features, at most 128 in each.

    model_id: Neuronpedia's name of the model.
    source: Neuronpedia's name of the source, such as "4-ep-p2".
    labels: the explanation of each region that has one.

    Regions without excerpts are left out. A token's value is the cosine of its activation with the
    exemplar; the file stores it only for the marked token, so the other tokens of a passage have
    the value 0. A feature's density is its share of the Voronoi members. Raises ConfigError for a
    region id above Neuronpedia's limit, and for a metric without a cosine.
    """
    if dictionary.law.extra:
        raise ConfigError(
            "the metric is euclidean: features of Neuronpedia need a cosine as their value; build "
            "with another --metric, or export a region as a vector"
        )
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
    """An excerpt as an activation: up to 1,024 tokens around the marked one, and their values."""
    marked = int(excerpt.marked or 0)
    start = max(0, min(marked - MOST_TOKENS // 2, len(excerpt.pieces) - MOST_TOKENS))
    pieces = excerpt.pieces[start : start + MOST_TOKENS]
    values = [0.0] * len(pieces)
    values[marked - start] = 1.0 - excerpt.distance
    return {"tokens": [piece or BLANK for piece in pieces], "values": values}
