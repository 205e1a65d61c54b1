"""Tables as CSV, Parquet or JSON bytes, each with the dictionary it comes from.

Every table is a `pyarrow.Table`; those of a dictionary are made in `ep.views.full`. This module
does not depend on Streamlit and writes no files.
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
"""Key of the provenance, as JSON, in the schema metadata of a Parquet file."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets evaluate a cell that begins with one of these as a formula."""
_OMITTED = ("file", "growth")
"""Entries of a dictionary's own provenance that exports do not repeat."""


class Format(NamedTuple):
    """A file format for tables.

    title: text of its button.
    mime: MIME type.
    write: encodes (table, provenance) as bytes.
    """

    title: str
    mime: str
    write: Callable[[pa.Table, Mapping[str, Any]], bytes]


def provenance(dictionary: Dictionary, **more: Any) -> dict[str, Any]:
    """Where the rows of a table come from: the dictionary's file, its own provenance, and `more`.

    more: further entries, such as the name of the table. The entries made here take precedence.
    """
    from ep import __version__

    file = dictionary.path.name if dictionary.path else ""
    own = {name: value for name, value in dictionary.info.items() if name not in _OMITTED}
    return {
        **more,
        "dictionary": file or str(dictionary.info.get("title") or "unnamed"),
        "regions": len(dictionary),
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "exported_by": f"EP Explorer {__version__}",
        "built": own,
    }


def write(table: pa.Table, format: str, about: Mapping[str, Any]) -> bytes:
    """Encode the table in one of `FORMATS`.

    about: the provenance, see `provenance`.

    csv: UTF-8 (RFC 4180) with lists as JSON. Text that a spreadsheet would evaluate as a formula
        gets a leading apostrophe. The last column names the dictionary.
    parquet: exact values, with the provenance in the schema's metadata.
    json: an object with "provenance" and "rows"; NaN and infinity become null.

    Raises RequestError for any other format.
    """
    if format not in FORMATS:
        raise RequestError(f"unknown table format {format!r}: use {', '.join(FORMATS)}")
    return FORMATS[format].write(table, about)


def table(columns: Mapping[str, Any]) -> pa.Table:
    """A table of named columns, given as numpy or pyarrow arrays or as lists.

    Names are changed to lower case with underscores.
    """
    arrays = {
        re.sub(r"\W+", "_", name.strip().lower()).strip("_"): _array(values)
        for name, values in columns.items()
    }
    return pa.table(arrays)


def file_name(about: Mapping[str, Any], format: str) -> str:
    """A file name for the download, of the dictionary and the table.

    It has only ASCII letters, digits, dots and dashes.
    """
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
    """A provenance in short: the file, the model, the layer and the percentile."""
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

    text = json.dumps(_finite(about), ensure_ascii=False).encode("utf-8", "replace")
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({KEY: text}), out)
    return out.getvalue()


def _json(table: pa.Table, about: Mapping[str, Any]) -> bytes:
    content = {"provenance": _finite(about), "rows": _finite(table.to_pylist())}
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False).encode(
        "utf-8", "replace"
    )


def _finite(value: Any) -> Any:
    """The value for JSON: NaN and infinity become None, tuples and numpy arrays become lists."""
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
