"""What a steering run can be taken away as: tables, JSON, and its direction for other tools.

Functions here run when a download is clicked, outside the page's run: they know all they need, and
no `st`.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from ep.method.dictionary import Dictionary
from ep.models.interventions import of_regions
from ep.storage.interop import gguf, neuronpedia
from ep.studies.steering import Continuation, Setting
from ep.views import export
from ep.views.steering import as_json


def tables(columns: Sequence[Continuation]) -> dict[str, Callable[[], pa.Table]]:
    """The tokens of a run, by the name a reader sees; none before there is a run."""
    return (
        {"Tokens of this run": partial(_tokens, columns)}
        if any(column.ids for column in columns)
        else {}
    )


def files(
    dictionary: Dictionary, setting: Setting, columns: Sequence[Continuation]
) -> Mapping[str, Callable[[], bytes]]:
    """Downloads by file name: the whole run as JSON, and the direction at this strength.

    The formats of other tools hold the direction of one region; of several there is the array of
    their directions.
    """
    stem = "-".join(("region", *map(str, setting.regions)))
    made: dict[str, Callable[[], bytes]] = {}
    if any(column.ids for column in columns):
        made["steering-run.json"] = partial(_run, dictionary, setting, columns)
    made[f"{stem}-direction.npz"] = partial(_npz, dictionary, setting)
    if len(setting.regions) > 1:
        return made
    if dictionary.layer:
        made[f"{stem}-control-vector.gguf"] = partial(_gguf, dictionary, setting)
    if dictionary.width <= neuronpedia.WIDEST_VECTOR:
        made[f"{stem}-neuronpedia.json"] = partial(_neuronpedia, dictionary, setting)
    return made


def _tokens(columns: Sequence[Continuation]) -> pa.Table:
    rows = [(column, i) for column in columns for i in range(len(column.ids))]
    return export.table(
        {
            "column": [column.name for column, _ in rows],
            "position": [i for _, i in rows],
            "token": [column.tokens[i] for column, i in rows],
            "token_id": [column.ids[i] for column, i in rows],
            "logprob": [column.logprob[i] for column, i in rows],
            "region": [column.regions[i] if column.regions else None for column, i in rows],
            "distance": [column.distances[i] if column.distances else None for column, i in rows],
        }
    )


def _run(dictionary: Dictionary, setting: Setting, columns: Sequence[Continuation]) -> bytes:
    about = export.provenance(dictionary, table="Steering run")
    return json.dumps(
        {"provenance": about, **as_json(dictionary, setting, columns)}, indent=1
    ).encode()


def _npz(dictionary: Dictionary, setting: Setting) -> bytes:
    """direction (m, d) unit rows, push (d,) unit, strength, typical_norm, layer, and provenance as
    JSON.
    """
    out = io.BytesIO()
    one = of_regions(dictionary, "ablate", setting.regions, basis=setting.basis)
    about = json.dumps(export.provenance(dictionary, table="Direction", setting=setting.mode))
    np.savez(
        out,
        direction=one.directions,
        push=one.push,
        regions=np.array(setting.regions, np.int64),
        center=np.asarray(dictionary.center, np.float32),
        strength=np.float64(setting.strength_on(dictionary)),
        typical_norm=np.float64(dictionary.typical_norm),
        layer=np.int64(dictionary.layer or 0),
        provenance=np.array(about),
    )
    return out.getvalue()


def _gguf(dictionary: Dictionary, setting: Setting) -> bytes:
    region, strength = setting.regions[0], setting.strength_on(dictionary)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "direction.gguf"
        return gguf.write(dictionary, region, path, setting.basis, strength).read_bytes()


def _neuronpedia(dictionary: Dictionary, setting: Setting) -> bytes:
    name = str(dictionary.info.get("model_name") or "model")
    region, strength = setting.regions[0], setting.strength_on(dictionary)
    request = neuronpedia.vector(dictionary, region, name, basis=setting.basis, strength=strength)
    return json.dumps(request, indent=1).encode()
