"""The memory that reading a file takes does not grow with the file."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from ep.textfiles import read_rows


def written(path: Path, count: int) -> Path:
    """A file of `count` passages of some 400 characters."""
    texts = [f"{n} " + "word " * 80 for n in range(count)]
    if path.suffix == ".parquet":
        table = pyarrow.table({"text": texts})
        pyarrow.parquet.write_table(table, path, row_group_size=500)
        return path
    header = "text\n" if path.suffix == ".csv" else ""
    rows = [json.dumps({"text": t}) for t in texts] if path.suffix == ".jsonl" else texts
    end = "\n\n" if path.name == "blocks.txt" else "\n"
    path.write_text(header + "".join(row + end for row in rows))
    return path


@pytest.mark.parametrize("name", ["t.jsonl", "lines.txt", "blocks.txt", "t.csv", "t.parquet"])
def test_a_file_eight_times_as_long_takes_the_same_memory(tmp_path: Path, name: str) -> None:
    peaks = []
    for count in (1_000, 1_000, 8_000):  # the first imports what is needed
        path = written(tmp_path / name, count)
        tracemalloc.start()
        assert sum(1 for _ in read_rows(path, None)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1] + 100_000
    if name != "t.parquet":  # a smaller file than its text, and memory of Arrow is not traced
        assert peaks[2] < path.stat().st_size / 4
