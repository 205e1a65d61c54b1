"""Every page of a dictionary of every metric: it opens, and its distances name the metric."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ep.config import METRICS
from ep.method.metrics import distance_name
from tests.fixtures.dictionaries import in_metric, synthetic
from tests.fixtures.pages import ROOT, shelved, show, well

PAGES = sorted(path.parent.name for path in (ROOT / "pages").glob("*/page.py"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One dictionary in each metric, and another seed of each."""
    made = {}
    for name in METRICS:
        for seed in (0, 1):
            plain = synthetic(
                60,
                32,
                seed=2 + seed,
                family=f"{name}{seed}",
                title="one title",
                layer=1,
                model_name="m",
                corpus={"name": "x.txt", "digest": "abc"},
            )
            plain.info |= {"seed": seed, "n_activations": 5000, "typical_norm": 2.0}
            made[f"{name}{seed}"] = plain if name == "centred" else in_metric(plain, name)
    with shelved(tmp_path_factory.mktemp("shelf"), made) as found:
        yield found


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(keys: dict[str, str], page: str, name: str) -> None:
    text = well(show(page, keys[f"{name}0"], r="3"))
    if name != "centred":
        assert distance_name({"metric": name}).casefold() in text.casefold()
    elif page != "library":
        assert re.search(r'title="[^"]* Cosine distance\."', text)


@pytest.mark.parametrize("name", [name for name in METRICS if name != "centred"])
def test_two_metrics_of_one_stream_are_compared(keys: dict[str, str], name: str) -> None:
    text = well(show("compare", keys["centred0"], cb=keys[f"{name}0"]))
    assert f"A is centred and B {name}, two spaces" in text
    assert "another seed" in text and not re.search(r"\bnan\b", text)
    well(show("compare", keys["centred0"], cb=keys[f"{name}0"], cview="inputs"))
    well(show("compare", keys[f"{name}0"], cb=keys[f"{name}1"]))


def test_families_of_one_title_are_told_apart_by_their_metrics(keys: dict[str, str]) -> None:
    from pages.shared import loading

    titles = {loading.title(f"{name}0") for name in METRICS}
    assert len(titles) == len(METRICS)
