"""Tables as files: CSV, Parquet or JSON bytes, each naming the dictionary it comes from.

A table is a `pyarrow.Table` whatever page it comes from; those of a dictionary are made in
`ep.views.full`. Knows no screen and writes no file.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.views.tables import model_name

KEY = b"provenance"
"""Where a Parquet file's schema metadata holds the provenance, as JSON."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins with one of these for a formula."""
_LEFT_OUT = ("file", "growth")


class Format(NamedTuple):
    """title: as a button says it. mime: its type. write: (table, provenance) to bytes."""

    title: str
    mime: str
    write: Callable[[pa.Table, Mapping[str, Any]], bytes]


def provenance(dictionary: Dictionary, **more: Any) -> dict[str, Any]:
    """What a file says of where its rows come from: the dictionary's own provenance, its file's
    name, and `more`.
    """
    from ep import __version__

    file = dictionary.path.name if dictionary.path else ""
    own = {name: value for name, value in dictionary.info.items() if name not in _LEFT_OUT}
    return {
        **more,
        "dictionary": file or str(dictionary.info.get("title") or "unnamed"),
        "regions": len(dictionary),
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "exported_by": f"EP Explorer {__version__}",
        "built": own,
    }


def write(table: pa.Table, format: str, about: Mapping[str, Any]) -> bytes:
    """The table in one of `FORMATS`. RequestError for another.

    csv: UTF-8, RFC 4180, lists as JSON; text that a spreadsheet would run as a formula gets a
    leading apostrophe; the last column names the dictionary. parquet: exact, the provenance in the
    schema's metadata. json: an object with "provenance" and "rows"; what is no number is null.
    """
    if format not in FORMATS:
        raise RequestError(f"no table is written as {format!r}: use {', '.join(FORMATS)}")
    return FORMATS[format].write(table, about)


def table(columns: Mapping[str, Any]) -> pa.Table:
    """Columns by name as a table: numpy arrays and lists; a name becomes lower case with
    underscores.
    """
    made = {
        re.sub(r"\W+", "_", name.strip().lower()).strip("_"): _array(values)
        for name, values in columns.items()
    }
    return pa.table(made)


def file_name(about: Mapping[str, Any], format: str) -> str:
    """A name for the download: the dictionary and the table, in plain letters."""
    parts = (str(about.get("dictionary", "")).removesuffix(".ep.h5"), str(about.get("table", "")))
    return (
        "-".join(filter(None, (re.sub(r"[^A-Za-z0-9.]+", "-", p).strip("-.")[:60] for p in parts)))
        or "table"
    ) + (f".{format}")


def _array(values: Any) -> pa.Array:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype != object:
        return pa.array(values)
    return pa.array([_plain(value) for value in values])


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # a lone surrogate has no UTF-8
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


# -- the formats -----------------------------------------------------------------------------------


def _csv(table: pa.Table, about: Mapping[str, Any]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*table.column_names, "dictionary"])
    source = _cell(short(about))
    columns = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    writer.writerows((*row, source) for row in zip(*columns, strict=True))
    return out.getvalue().encode()


def short(about: Mapping[str, Any]) -> str:
    """A provenance as one phrase: the file, the model, layer and percentile."""
    built = about.get("built", {})
    where = (
        f"{model_name(built)}, layer {built.get('layer', '?')}, p = {built.get('percentile', '?')}"
    )
    return f"{about.get('dictionary', 'unnamed')} ({where})"


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    if isinstance(value, (list, dict)):
        return json.dumps(_finite(value), ensure_ascii=False)
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _parquet(table: pa.Table, about: Mapping[str, Any]) -> bytes:
    import pyarrow.parquet as pq

    said = json.dumps(_finite(about), ensure_ascii=False).encode("utf-8", "replace")
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({KEY: said}), out)
    return out.getvalue()


def _json(table: pa.Table, about: Mapping[str, Any]) -> bytes:
    whole = {"provenance": _finite(about), "rows": _finite(table.to_pylist())}
    return json.dumps(whole, ensure_ascii=False, indent=1, allow_nan=False).encode(
        "utf-8", "replace"
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


FORMATS = {
    "csv": Format("CSV", "text/csv", _csv),
    "parquet": Format("Parquet", "application/vnd.apache.parquet", _parquet),
    "json": Format("JSON", "application/json", _json),
}
