"""The card (README.md) and the machine-readable index of a Hub dataset of dictionaries.

Text from a dictionary's file is escaped for Markdown, HTML and YAML, so that it cannot be markup.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

INDEX = "ep-index.json"
"""The machine-readable list of the files, beside the card."""
INDEX_FORMAT = "ep-index"
MAX_INDEX_BYTES = 4 * 2**20
"""Larger indexes are not read."""
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "path": str,
    "sha256": str,
    "bytes": int,
    "title": str,
    "model": str,
    "layer": int,
    "percentile": (int, float),
    "regions": int,
    "width": int,
    "threshold": (int, float),
    "activations": int,
    "positions": str,
    "context": int,
    "chat": bool,
    "corpus": str,
    "protocol": str,
    "metric": str,
    "seed": int,
    "created": str,
}
"""The entries of a file in the index, with their types; all but the path may be absent."""


def index(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the index of some files as JSON.

    rows: the entries of each file, see `_FIELDS`.
    """
    files = sorted((dict(row) for row in rows), key=lambda row: str(row["path"]))
    return json.dumps(
        {"format": INDEX_FORMAT, "version": 1, "files": files}, indent=1, sort_keys=True
    ).encode()


def read_index(data: bytes) -> list[dict[str, Any]]:
    """Return the rows of an index that may come from anyone.

    Entries of a wrong type are dropped; data that is not an index has no rows.
    """
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return []
    files = (
        parsed.get("files")
        if isinstance(parsed, dict) and parsed.get("format") == INDEX_FORMAT
        else None
    )
    rows = (
        [_row(row) for row in files or () if isinstance(row, dict)]
        if isinstance(files, list)
        else []
    )
    return [row for row in rows if row.get("path")]


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a row that have the right type."""
    typed = {name: row[name] for name, kind in _FIELDS.items() if isinstance(row.get(name), kind)}
    # bool is a subclass of int: True is not a number of regions.
    return {n: v for n, v in typed.items() if not isinstance(v, bool) or _FIELDS[n] is bool}


def card(repository: str, rows: Sequence[Mapping[str, Any]], licence: str | None) -> str:
    """Return README.md for a repository with some files.

    rows: the entries of each file, see `_FIELDS`.
    licence: an identifier of the Hub's list; with None the card states that there is no licence.
    """
    rows = sorted(
        rows,
        key=lambda row: (str(row.get("model")), row.get("layer") or 0, row.get("percentile") or 0),
    )
    models = sorted({str(row["model"]) for row in rows if row.get("model")})
    name = str(rows[0].get("title") or repository) if rows else repository
    first = str(rows[0]["path"]) if rows else "FILE.ep.h5"
    return (
        "\n\n".join(
            (
                _header(name, licence, [m for m in models if re.fullmatch(r"[\w.-]+/[\w.-]+", m)]),
                f"# {escape(name)}",
                _WHAT,
                "## Files",
                table(rows),
                _MEANING
                + (_EUCLIDEAN if any(r.get("metric") == "euclidean" for r in rows) else ""),
                "## Open one",
                "With EP Explorer installed:",
                f"```\nep import {_code(f'hub:{repository}/{first}')} --out .\n"
                f"ep info {_code(first.rsplit('/', 1)[-1])}\nep app\n```",
                "In Python: `ep.open(path)` gives the centre, the exemplars (K, d), the mean "
                "directions (K, d), the threshold and, region by region, counts, excerpts and the "
                "logit lens.",
                "## Where they come from",
                provenance(rows),
                _LIMITS
                + (
                    ""
                    if licence
                    else "\n- No licence is stated for these files: ask before you reuse them."
                ),
            )
        )
        + "\n"
    )


_WHAT = """Exemplar Partitioning dictionaries of language-model activations: the residual stream \
of a layer is divided into regions, each defined by the activation that founded it (its exemplar) \
and everything within a cosine distance θ of it. Each file is one dictionary, in the `.ep.h5` \
format of EP Explorer."""

_MEANING = """**How to read the table.** *p* is the percentile of pairwise cosine distances that \
sets the threshold *θ* (a cosine distance, 0 to 2): smaller p, finer regions. *K* is the number of \
regions. *Activations* were streamed once, in order; a region is founded by the first one farther \
than θ from every exemplar before it.

Each region has two counts of members. *Arrival* members are those that joined it while streaming, \
when later regions did not exist yet. *Voronoi* members are those nearest to its exemplar in the \
finished dictionary. The counts differ, and both are in the file; excerpts and statistics are of \
Voronoi members."""

_EUCLIDEAN = """ Where the metric is euclidean, *θ* and all distances are Euclidean, in units of \
the typical distance from the centre."""

_LIMITS = """## Limits

- The regions describe this model, this layer and these texts; activations of other texts may lie \
beyond θ.
- Excerpts are parts of the corpus, with whatever content it has.
- A region is a part of the model's activation space, not a cause: effects on behaviour must be \
measured, with controls.
- Opening a file runs no code; it is HDF5 with numbers and text."""


def _header(name: str, licence: str | None, models: Sequence[str]) -> str:
    lines = [
        "---",
        f"license: {licence or 'unknown'}",
        f"pretty_name: {json.dumps(_one_line(name), ensure_ascii=True)}",
        "tags:",
        "- exemplar-partitioning",
        "- interpretability",
        "- activations",
        "- ep-explorer",
    ]
    if models:
        lines += ["base_model:", *(f"- {json.dumps(model)}" for model in models)]
    return "\n".join([*lines, "---"])


_COLUMNS = ("file", "model", "layer", "p", "K", "θ", "activations", "positions", "corpus")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the files as a Markdown table."""
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|---|---|--:|--:|--:|--:|--:|---|---|"]
    for row in rows:
        cells = (
            row.get("path"),
            row.get("model"),
            row.get("layer"),
            _number(row.get("percentile"), "g"),
            _number(row.get("regions"), ","),
            _number(row.get("threshold"), ".4f"),
            _number(row.get("activations"), ","),
            {"all": "all tokens", "final": "last token"}.get(
                str(row.get("positions")), row.get("positions")
            ),
            row.get("corpus"),
        )
        lines.append(
            "| " + " | ".join("–" if cell is None else escape(str(cell)) for cell in cells) + " |"
        )
    return "\n".join(lines)


def provenance(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how each file was made, as a Markdown list."""
    labelled = (
        ("metric", "metric"),
        ("protocol", "protocol"),
        ("context", "context"),
        ("seed", "seed"),
        ("created", "built"),
    )
    lines = []
    for row in rows:
        facts = [f"{label} {row[key]}" for key, label in labelled if row.get(key) is not None]
        facts += ["chat template"] if row.get("chat") else []
        facts += [f"SHA-256 {row['sha256']}"] if row.get("sha256") else []
        lines.append(f"- {escape(str(row['path']))}: {escape(', '.join(facts))}")
    return "\n".join(lines) + "\n\n`ep info` prints the full provenance of a file."


def escape(text: str) -> str:
    """Return a text as one line of Markdown, with everything escaped that could be markup."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~$@:])", r"\\\1", _one_line(text)[:300]).replace(
        "www.", "www\\."
    )
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one_line(text: str) -> str:
    """The text without line breaks, control characters and direction marks."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.encode("utf-8", "replace").decode().split())


def _code(text: str) -> str:
    """A file's name for use in a code block, quoted for the shell if need be.

    Nothing can be escaped in a code block, so backquotes and whitespace are removed.
    """
    plain = re.sub(r"[`\s]", "", _one_line(text))
    return plain if re.fullmatch(r"[\w./:@+-]+", plain) else "'" + plain.replace("'", "") + "'"


def _number(value: Any, form: str) -> str | None:
    """The value in the format `form`; None for None."""
    return None if value is None else format(value, form)
