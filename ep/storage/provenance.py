"""The provenance of a dictionary as JSON: its validation, and the part that enters the digest."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from ep.config import METRICS
from ep.errors import DictionaryFileError
from ep.method.laws import law_of
from ep.method.metrics import DEFAULT

VOLATILE = ("created", "wall_time_s", "versions", "device", "weights", "extractor")
"""Entries that may differ between two equal builds; the digest leaves them out.

A model that is saved again in another dtype has other `weights`, and may give the same numbers. An
`extractor` that rounds otherwise gives files of another family.
"""

MAX_BYTES = 16 * 2**20
"""The largest provenance that is read."""


def encode(info: Mapping[str, Any]) -> bytes:
    """Return the provenance as UTF-8 JSON.

    Numpy numbers become numbers, tuples lists, and lone surrogates "?". Raises DictionaryFileError
    if it cannot be written as JSON or an entry has the wrong type.
    """
    try:
        text = json.dumps(dict(info), ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise DictionaryFileError(f"the provenance cannot be written as JSON ({error})") from None
    data = text.encode("utf-8", "replace")
    decode(data)
    return data


def _plain(value: Any) -> Any:
    """Convert numpy values for `json.dumps`."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def decode(data: bytes) -> dict[str, Any]:
    """Return the provenance in a file.

    Raises DictionaryFileError if it is not a JSON object, or an entry has the wrong type.
    """
    try:
        info = json.loads(data.decode("utf-8"), parse_constant=_refuse)
        json.dumps(info, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:80]
        raise DictionaryFileError(
            f"the provenance (dataset 'info') is not valid JSON ({reason})"
        ) from None
    if not isinstance(info, dict):
        raise DictionaryFileError("the provenance (dataset 'info') is not a JSON object")
    for name, (accepts, kind) in KINDS.items():
        if info.get(name) is not None and not accepts(info[name]):
            raise DictionaryFileError(
                f"the provenance has {name} = {_short(info[name])}, expected {kind}"
            )
    if info.get("threshold") is None:
        raise DictionaryFileError("the provenance lacks the threshold")
    metric = info.get("metric") or DEFAULT
    if metric in METRICS and not info["threshold"] < law_of(metric).most:
        raise DictionaryFileError(
            f"the provenance has threshold = {_short(info['threshold'])}, expected a cosine "
            "distance between 0 and 2"
        )
    return info


def canonical(info: Mapping[str, Any]) -> bytes:
    """Return canonical JSON of the entries that equal builds share.

    Where a model or an adapter lies is not one of them; the name is.
    """
    shared = {key: value for key, value in decode(encode(info)).items() if key not in VOLATILE}
    if "model_name" in shared:
        shared.pop("model", None)
    if isinstance(adapter := shared.get("adapter"), dict):
        shared["adapter"] = {key: value for key, value in adapter.items() if key != "path"}
    return json.dumps(shared, sort_keys=True, separators=(",", ":")).encode()


def _refuse(constant: str) -> NoReturn:
    """Raise ValueError for NaN and infinity, which Python would accept."""
    raise ValueError(f"{constant} is not a JSON number")


def _short(value: Any) -> str:
    """Return a value as JSON of at most 40 characters, for messages."""
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _number(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and math.isfinite(value)
    )


def _threshold(value: Any) -> bool:
    return _number(value) and value > 0


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _list_of(accepts: Any) -> Any:
    return lambda value: isinstance(value, list) and all(map(accepts, value))


def _step(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_number, value))


_TEXTS = (
    "model model_revision quantization tokenizer_hash weights hook positions protocol stop_reason "
    "family title device dtype created metric first_lens extractor"
)
_NUMBERS = (
    "percentile coarser_percentile typical_norm norm_cap norm_limit metric_norm metric_shrinkage "
    "wall_time_s"
)
_WHOLES = "layer seed context skip_first n_calibration n_activations n_tokens"
_OBJECTS = (
    "corpus versions norms largest_dimension left_out adapter jacobian lens_scores refined survival"
)
KINDS = (
    dict.fromkeys(_TEXTS.split(), (_text, "text"))
    | dict.fromkeys(_WHOLES.split(), (_whole, "a whole number"))
    | dict.fromkeys(_NUMBERS.split(), (_number, "a number"))
    | dict.fromkeys(("chat", "saturated", "complete", "deduplicate"), (_flag, "true or false"))
    | dict.fromkeys(_OBJECTS.split(), (_object, "an object"))
    | {
        "threshold": (_threshold, "a distance above 0"),
        "group_names": (_list_of(_list_of(_text)), "lists of texts"),
        "variance_kept": (_list_of(_number), "numbers"),
        "text_weights": (_list_of(_number), "numbers"),
        "farther_percentiles": (_list_of(_number), "numbers"),
        "growth": (_list_of(_step), "pairs of numbers"),
    }
)
"""The entries whose type the program relies on: a test of the value and a name for messages.

Entries may be absent or null, but never have another type.
"""
