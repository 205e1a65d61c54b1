"""Files that are there only when they are whole: a stage counts as done once its file is there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; what is written there takes the place of `path` at the end."""
    fresh = path.with_name(f"{path.name}.tmp")
    yield fresh
    fresh.replace(path)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSONL file, a row on each line."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with replacing(path) as fresh:
        fresh.write_text("".join(lines), encoding="utf-8")
