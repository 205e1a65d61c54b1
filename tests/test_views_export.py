"""A table that is taken away comes back: Parquet and JSON exactly, CSV as any reader of RFC 4180
sees it.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ep
from ep.cli import main
from ep.errors import RequestError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.views import export, full
from tests.fixtures.dictionaries import HOSTILE, synthetic


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return synthetic(40, 16, hostile=True)


@pytest.fixture(scope="module")
def tables(dictionary: Dictionary) -> dict[str, pa.Table]:
    return {
        "regions": full.regions(dictionary),
        "excerpts": full.excerpts(dictionary, 3),
        "nearest": full.nearest(dictionary, 3),
        "lens": full.lens(dictionary, 3),
    }


NAMES = ("regions", "excerpts", "nearest", "lens")


@pytest.mark.parametrize("name", NAMES)
def test_parquet_comes_back_equal_with_its_provenance(
    dictionary: Dictionary, tables: dict[str, pa.Table], name: str
) -> None:
    back = pq.read_table(
        io.BytesIO(export.write(tables[name], "parquet", export.provenance(dictionary, table=name)))
    )
    assert back.equals(tables[name])
    said = json.loads(back.schema.metadata[export.KEY])
    assert (
        said["built"]["corpus"]["digest"] == dictionary.info["corpus"]["digest"]
        and said["table"] == name
    )


@pytest.mark.parametrize("name", NAMES)
def test_json_comes_back_equal(
    dictionary: Dictionary, tables: dict[str, pa.Table], name: str
) -> None:
    back = json.loads(export.write(tables[name], "json", export.provenance(dictionary)))
    assert back["rows"] == tables[name].to_pylist()
    assert back["provenance"]["regions"] == len(dictionary)


@pytest.mark.parametrize("name", NAMES)
def test_csv_parses_back_and_holds_no_formula(
    dictionary: Dictionary, tables: dict[str, pa.Table], name: str
) -> None:
    data = export.write(tables[name], "csv", export.provenance(dictionary))
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))
    assert len(rows) == tables[name].num_rows
    for shown, true in zip(rows, tables[name].to_pylist(), strict=True):
        for column, value in true.items():
            cell = shown[column]
            if isinstance(value, str):
                assert cell.removeprefix("'") == value.removeprefix("'") and not cell.startswith(
                    export.FORMULA
                )
            elif isinstance(value, list):
                assert json.loads(cell) == value
            elif value is not None:
                assert float(cell) == value
        assert "layer 2" in shown["dictionary"]


def test_a_formula_gets_an_apostrophe_in_csv_only() -> None:
    table = export.table(
        {"text": ["=1+1", "+a", "-b", "@c", "\td", "plain", "-"], "number": [-1, 2, 3, 4, 5, 6, 7]}
    )
    rows = list(csv.reader(io.StringIO(export.write(table, "csv", {}).decode(), newline="")))
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+a", "'-b", "'@c", "'\td", "plain", "'-"]
    assert rows[1][1] == "-1"
    assert json.loads(export.write(table, "json", {}))["rows"][0]["text"] == "=1+1"


def test_regions_agree_with_the_dictionary_read_one_by_one(dictionary: Dictionary) -> None:
    ids = [7, 0, 39]
    for row in full.regions(dictionary, ids).to_pylist():
        region = dictionary.region(row["region"])
        for name, value in region.columns.items():
            assert row[name] == value
        for name, scores in region.lens.items():
            assert row[f"lens_{name}"] == [s.token for s in scores]
            assert row[f"lens_{name}_values"] == [s.value for s in scores]
        assert row["tokens"] == [s.token for s in region.tokens]
        assert list(zip(row["nearest_ids"], row["nearest_distances"], strict=True)) == list(
            region.nearest
        )
        assert list(zip(row["rival_ids"], row["rival_counts"], strict=True)) == list(region.rivals)


def test_both_membership_counts_are_named(dictionary: Dictionary) -> None:
    assert {"count_arrival", "count_voronoi"} <= set(full.regions(dictionary).column_names)
    assert {"count_arrival", "count_voronoi"} <= set(full.nearest(dictionary, 0).column_names)


def test_a_file_that_holds_vectors_only_still_has_a_table() -> None:
    d = synthetic(5, 8)
    arrays = {name: d.source.read(name) for name in ("center", "exemplars", "mean_directions")}
    bare = Dictionary(MemorySource(arrays), d.info, 5)
    assert full.regions(bare).to_pylist() == [
        {"region": k, "name": f"region {k}"} for k in range(5)
    ]
    assert (
        full.excerpts(bare, 0).num_rows
        == full.nearest(bare, 0).num_rows
        == full.lens(bare, 0).num_rows
        == 0
    )
    for name in export.FORMATS:
        assert export.write(full.lens(bare, 0), name, export.provenance(bare))


def test_what_is_no_number_is_null_in_json_and_empty_in_csv() -> None:
    table = export.table({"x": np.array([np.nan, np.inf, 1.5])})
    assert [row["x"] for row in json.loads(export.write(table, "json", {}))["rows"]] == [
        None,
        None,
        1.5,
    ]
    assert b'\r\n,"unnamed' in export.write(table, "csv", {})


def test_names_of_files_are_plain(dictionary: Dictionary) -> None:
    for text in HOSTILE:
        name = export.file_name({"dictionary": text, "table": text}, "csv")
        assert name.endswith(".csv") and set(name) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
        )
        assert len(name) < 140 and not name.startswith(".")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(RequestError, match="csv, parquet, json"):
        export.write(pa.table({}), "xlsx", {})


@pytest.mark.parametrize(
    ("kind", "table"), [("csv", "regions"), ("parquet", "lens"), ("json", "excerpts")]
)
def test_the_command_writes_what_the_page_downloads(
    dictionary: Dictionary,
    tmp_path: Path,
    kind: str,
    table: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "d.ep.h5"
    ep.save(dictionary, file)
    arguments = ["export", str(file), "--to", kind, "--table", table]
    assert main([*arguments, "--region", "3"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == tmp_path / f"d-{table}.{kind}" and path.stat().st_size > 100
    assert list(tmp_path.glob(".*")) == []
    if kind == "json":
        assert json.loads(path.read_text())["rows"] == full.excerpts(dictionary, 3).to_pylist()


def test_the_command_writes_the_map_as_a_page(tmp_path: Path) -> None:
    file, out = tmp_path / "d.ep.h5", tmp_path / "map.html"
    ep.save(synthetic(30, 8), file)
    assert main(["export", str(file), "--to", "html", "--out", str(out), "--region", "4"]) == 0
    assert out.read_text().startswith("<!doctype html>")


def test_mistakes_of_the_command_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "d.ep.h5"
    ep.save(synthetic(30, 8), file)
    wrong = (["--table", "lens"], ["--region", "99"], ["--out", str(tmp_path / "no" / "x.csv")])
    for more in wrong:
        assert main(["export", str(file), "--to", "csv", *more]) == 2
    for more in (["--layout", "nonsense"], ["--color", "nonsense"]):
        assert main(["export", str(file), "--to", "html", *more]) == 2
    assert len(capsys.readouterr().err.splitlines()) == len(wrong) + 2
