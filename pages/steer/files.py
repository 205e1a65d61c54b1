"""The exports of a steering run: tables, JSON, and its direction for other tools.

These functions run when a download is clicked, outside the run of the page. They need no Streamlit.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from ep.method.dictionary import Dictionary
from ep.models.interventions import of_regions
from ep.storage.interop import gguf, neuronpedia
from ep.storage.output import temporary_folder
from ep.studies.steering import Continuation, Setting
from ep.views import export
from ep.views.steering import as_json


def tables(columns: Sequence[Continuation]) -> dict[str, Callable[[], pa.Table]]:
    """Return the table of the tokens of a run by its title; empty before there is a run."""
    return (
        {"Tokens of this run": partial(_tokens, columns)}
        if any(column.ids for column in columns)
        else {}
    )


def files(
    dictionary: Dictionary, setting: Setting, columns: Sequence[Continuation]
) -> Mapping[str, Callable[[], bytes]]:
    """Return the downloads by file name: the whole run as JSON, and the direction at this strength.

    The formats of other tools hold the direction of one region. For several regions there is only
    the array of their directions.
    """
    stem = "-".join(("region", *map(str, setting.regions)))
    downloads: dict[str, Callable[[], bytes]] = {}
    if any(column.ids for column in columns):
        downloads["steering-run.json"] = partial(_run_json, dictionary, setting, columns)
    downloads[f"{stem}-direction.npz"] = partial(_npz, dictionary, setting)
    if len(setting.regions) > 1:
        return downloads
    if dictionary.layer:
        downloads[f"{stem}-control-vector.gguf"] = partial(_gguf, dictionary, setting)
    if dictionary.width <= neuronpedia.WIDEST_VECTOR:
        downloads[f"{stem}-neuronpedia.json"] = partial(_neuronpedia, dictionary, setting)
    return downloads


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


def _run_json(dictionary: Dictionary, setting: Setting, columns: Sequence[Continuation]) -> bytes:
    provenance = export.provenance(dictionary, table="Steering run")
    return json.dumps(
        {"provenance": provenance, **as_json(dictionary, setting, columns)}, indent=1
    ).encode()


def _npz(dictionary: Dictionary, setting: Setting) -> bytes:
    """Return the direction as a numpy archive.

    Its arrays are direction (m, d) unit rows, push (d,) unit, regions (m,), center (d,), strength,
    typical_norm, layer, and provenance as JSON.
    """
    buffer = io.BytesIO()
    intervention = of_regions(dictionary, "ablate", setting.regions, basis=setting.basis)
    provenance = json.dumps(export.provenance(dictionary, table="Direction", setting=setting.mode))
    np.savez(
        buffer,
        direction=intervention.directions,
        push=intervention.push,
        regions=np.array(setting.regions, np.int64),
        center=np.asarray(dictionary.center, np.float32),
        strength=np.float64(setting.strength_on(dictionary)),
        typical_norm=np.float64(dictionary.typical_norm),
        layer=np.int64(dictionary.layer or 0),
        provenance=np.array(provenance),
    )
    return buffer.getvalue()


def _gguf(dictionary: Dictionary, setting: Setting) -> bytes:
    region, strength = setting.regions[0], setting.strength_on(dictionary)
    with temporary_folder() as folder:
        path = folder / "direction.gguf"
        return gguf.write(dictionary, region, path, setting.basis, strength).read_bytes()


def _neuronpedia(dictionary: Dictionary, setting: Setting) -> bytes:
    name = str(dictionary.info.get("model_name") or "model")
    region, strength = setting.regions[0], setting.strength_on(dictionary)
    request = neuronpedia.vector(dictionary, region, name, basis=setting.basis, strength=strength)
    return json.dumps(request, indent=1).encode()
