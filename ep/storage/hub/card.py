"""The card of a Hub dataset that holds dictionaries: what is in it and what its numbers mean, for
people and machines.

Everything that comes from a dictionary's file is escaped for Markdown, HTML and YAML: a title is a
title, never markup.
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
    "seed": int,
    "created": str,
}
"""What the index says of a file, with types; everything but the path may be absent."""


def index(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The index of these files as JSON."""
    files = sorted((dict(row) for row in rows), key=lambda row: str(row["path"]))
    return json.dumps(
        {"format": INDEX_FORMAT, "version": 1, "files": files}, indent=1, sort_keys=True
    ).encode()


def read_index(data: bytes) -> list[dict[str, Any]]:
    """The rows of an index from elsewhere; entries of another type are dropped, text that is no
    index has no rows.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return []
    files = (
        found.get("files")
        if isinstance(found, dict) and found.get("format") == INDEX_FORMAT
        else None
    )
    rows = (
        [_row(row) for row in files or () if isinstance(row, dict)]
        if isinstance(files, list)
        else []
    )
    return [row for row in rows if row.get("path")]


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: row[name] for name, kind in _FIELDS.items() if isinstance(row.get(name), kind)}
    return {n: v for n, v in kept.items() if not isinstance(v, bool) or _FIELDS[n] is bool}


def card(repository: str, rows: Sequence[Mapping[str, Any]], licence: str | None) -> str:
    """README.md for a repository with these files.

    licence: an identifier of the Hub's list, None when nobody named one; the card then says so.
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
                _MEANING,
                "## Open one",
                "With EP Explorer installed:",
                f"```\nep import {_code(f'hub:{repository}/{first}')} --out .\n"
                f"ep info {_code(first.rsplit('/', 1)[-1])}\nep app\n```",
                "In Python: `ep.open(path)` gives the centre, the exemplars (K, d), the mean "
                "directions (K, d), the"
                " threshold and, region by region, counts, excerpts and the logit lens.",
                "## Where they come from",
                provenance(rows),
                _LIMITS
                + (
                    ""
                    if licence
                    else "\n- Nobody named a licence for these files: ask before you reuse them."
                ),
            )
        )
        + "\n"
    )


_WHAT = """Exemplar Partitioning dictionaries of language-model activations: the residual stream \
of a layer is cut into regions, each one defined by the activation that founded it (its exemplar) \
and everything within a cosine distance θ of it. Each file is one dictionary, in the `.ep.h5` \
format of EP Explorer."""

_MEANING = """**How to read the table.** *p* is the percentile of pairwise cosine distances that \
sets the threshold *θ* (a cosine distance, 0 to 2): smaller p, finer regions. *K* is the number of \
regions. *Activations* were streamed once, in order; a region is founded by the first one farther \
than θ from every exemplar so far.

Each region has two counts of members. *Arrival* members are those that joined it while streaming, \
when later regions did not exist yet. *Voronoi* members are those nearest to its exemplar once the \
dictionary was finished. They differ, and both are in the file; excerpts and statistics are of \
Voronoi members."""

_LIMITS = """## Limits

- The regions describe this model, this layer and these texts; activations of other texts may lie \
beyond θ.
- Excerpts are pieces of the corpus: what the corpus contains, they contain.
- A region is a place in the model's space, not a cause: effects on behaviour must be measured, \
with controls.
- No code runs on opening a file; it is HDF5 with numbers and text."""


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
    """The files as a Markdown table."""
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
    """How each file was made, as a list."""
    named = (
        ("protocol", "protocol"),
        ("context", "context"),
        ("seed", "seed"),
        ("created", "built"),
    )
    lines = []
    for row in rows:
        facts = [f"{said} {row[key]}" for key, said in named if row.get(key) is not None]
        facts += ["chat template"] if row.get("chat") else []
        facts += [f"SHA-256 {row['sha256']}"] if row.get("sha256") else []
        lines.append(f"- {escape(str(row['path']))}: {escape(', '.join(facts))}")
    return "\n".join(lines) + "\n\nEverything else a file knows of its making, `ep info` shows."


def escape(text: str) -> str:
    """Text as it is on one line of Markdown: every mark that could mean something gets a
    backslash.
    """
    marked = re.sub(r"([\\`*_{}\[\]()#+!|~$@:])", r"\\\1", _one_line(text)[:300]).replace(
        "www.", "www\\."
    )
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one_line(text: str) -> str:
    """Without line breaks, control and direction characters."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.encode("utf-8", "replace").decode().split())


def _code(text: str) -> str:
    """A file's name inside a code block, where nothing can be escaped: what could end the block is
    left out.
    """
    plain = re.sub(r"[`\s]", "", _one_line(text))
    return plain if re.fullmatch(r"[\w./:@+-]+", plain) else "'" + plain.replace("'", "") + "'"


def _number(value: Any, form: str) -> str | None:
    return None if value is None else format(value, form)
