"""A label by hand is what every page calls the region, and no page calls it by a lens token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ep.cli import main
from ep.method.dictionary import Dictionary
from ep.method.source import AddedSource
from ep.storage import edits
from ep.storage.labels import Labels
from pages.shared import loading
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import shelved, show, well

REGION, LABEL = 3, "herons"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A family of two percentiles in which one region of the finer has a label by hand."""
    common: dict[str, Any] = {"seed": 1, "family": "ladder", "title": "ladder", "layer": 1}
    made = {f"p{p:g}": synthetic(20 * n, 32, percentile=p, **common) for n, p in ((1, 8.0), (3, 4))}
    with shelved(tmp_path_factory.mktemp("shelf"), made) as keys:
        path = loading.find(keys["p4"]).path  # type: ignore[union-attr]
        Labels.open(path).save(edits.label(REGION, LABEL))
        yield keys["p4"]


@pytest.mark.parametrize("page", ["atlas", "region", "between", "resolution", "steer", "prompt"])
def test_a_label_by_hand_is_the_regions_name_on_every_page(page: str, key: str) -> None:
    assert LABEL in well(show(page, key, r=str(REGION)))


@pytest.mark.parametrize("page", ["atlas", "region", "between", "resolution", "steer"])
def test_the_chip_says_the_automatic_name_and_not_the_lens(page: str, key: str) -> None:
    chip = loading.region_name(key, 5)
    assert chip and chip in well(show(page, key, r="5"))
    lens = loading.dictionary(key).lens(5)[0].token.strip()
    assert chip.split("\u2002")[0] != lens or lens in {
        score.token.strip() for score in loading.dictionary(key).region(5).tokens
    }


def test_names_do_not_depend_on_the_lens() -> None:
    full = synthetic(60, 16)
    rng = np.random.default_rng(0)
    lens = rng.permuted(full.column("lens_exemplar_up_ids"), axis=1)
    other = Dictionary(AddedSource(full.source, {"lens_exemplar_up_ids": lens}), full.info, 60)
    from ep.studies.naming import automatic
    from ep.views.tables import group_names

    assert automatic(other) == automatic(full) and group_names(other) == group_names(full)


@pytest.mark.parametrize("command", [["regions", "--limit", "0"], ["region", str(REGION)]])
def test_the_command_line_says_the_label(
    command: list[str], key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(loading.find(key).path)  # type: ignore[union-attr]
    name, *rest = command
    assert main([name, path, *rest, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    row = next(r for r in told if r["region"] == REGION) if isinstance(told, list) else told
    assert row["name"] == LABEL
    assert main([name, path, *rest]) == 0
    assert LABEL in capsys.readouterr().out
