"""Layouts: equal input gives equal maps, quality is scikit-learn's, and what was computed is found
again.
"""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import ep
from ep.errors import ConfigError, RequestError
from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.method.surroundings import principal_axes
from ep.storage import maps
from ep.storage.sidecar import MAPS, beside
from ep.views import layouts
from ep.views.layouts import LAYOUTS, Settings
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.waiting import until


def bare(exemplars: np.ndarray, **more: np.ndarray) -> Dictionary:
    """A dictionary with nothing but geometry."""
    unit = exemplars / np.linalg.norm(exemplars, axis=1, keepdims=True)
    unit = unit.astype(np.float32)
    arrays = {
        "center": np.zeros(unit.shape[1], np.float32),
        "exemplars": unit,
        "mean_directions": unit,
        **more,
    }
    return Dictionary(MemorySource(arrays), {"threshold": 0.5}, len(unit))


def cloud(size: int, width: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((size, width)).astype(np.float32)


def test_pca_is_the_file_s_or_the_same_computed_now() -> None:
    found = synthetic(size=80, width=12, seed=1)
    axes, shares = principal_axes(found.exemplars)
    computed = bare(found.exemplars)
    assert np.allclose(layouts.coordinates(computed, "pca-sphere"), axes, atol=1e-6)
    assert np.array_equal(
        layouts.coordinates(computed, "pca-flat"),
        layouts.coordinates(computed, "pca-sphere")[:, :2],
    )
    assert np.array_equal(layouts.coordinates(found, "pca-sphere"), found.column("map_pca"))
    quality = layouts.quality(computed, "pca-flat")
    assert quality.variance_kept == pytest.approx(float(shares[:2].sum()), rel=1e-5)
    assert layouts.quality(computed, "pca-sphere").variance_kept >= quality.variance_kept


@pytest.mark.parametrize("size", [40, 200])
def test_trustworthiness_is_scikit_learn_s(size: int) -> None:
    from sklearn.manifold import trustworthiness

    x = bare(cloud(size)).exemplars
    flat = cloud(size, 2, seed=3)
    k = min(layouts.NEIGHBOURS, (size - 1) // 2)
    share, neighbours, n = layouts.trustworthiness(x, flat, on_sphere=False)
    assert (neighbours, n) == (k, size)
    assert share == pytest.approx(
        trustworthiness(x, flat, n_neighbors=k, metric="cosine"), abs=1e-6
    )
    ball = cloud(size, 3, seed=4)
    drawn = ball / np.linalg.norm(ball, axis=1, keepdims=True)
    share, _, _ = layouts.trustworthiness(x, ball, on_sphere=True)
    assert share == pytest.approx(
        trustworthiness(x, drawn, n_neighbors=k, metric="cosine"), abs=1e-6
    )


def test_a_map_that_keeps_all_is_trusted_fully_and_a_sample_says_nearly_the_same() -> None:
    ball = bare(cloud(600, 3))
    assert layouts.trustworthiness(ball.exemplars, ball.exemplars, on_sphere=True)[0] == 1.0
    x, flat = bare(cloud(600)).exemplars, cloud(600, 2)
    all_, few = (layouts.trustworthiness(x, flat, False, sampled=n) for n in (600, 250))
    assert few[2] == 250 and few[0] == pytest.approx(all_[0], abs=0.03)
    assert few == layouts.trustworthiness(x, flat, False, sampled=250)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_the_smallest_dictionaries_have_coordinates_and_a_quality(size: int) -> None:
    found = bare(cloud(size))
    for layout in ("pca-sphere", "pca-flat"):
        assert layouts.coordinates(found, layout).shape == (size, LAYOUTS[layout])
        quality = layouts.quality(found, layout)
        assert (quality.trustworthiness is None) == (size < 3)


def test_what_cannot_be_laid_out_is_said() -> None:
    found = bare(cloud(15))
    with pytest.raises(RequestError, match="at least 16 regions"):
        layouts.compute(found, "umap-flat")
    with pytest.raises(RequestError, match="not computed"):
        layouts.coordinates(found, "umap-flat")
    with pytest.raises(RequestError, match="no layout"):
        layouts.coordinates(found, "tsne")
    with pytest.raises(RequestError, match="no computing"):
        layouts.compute(found, "pca-flat")
    for wrong in (Settings(1), Settings(500), Settings(15, 1.0), Settings(15, -0.1)):
        with pytest.raises(ConfigError):
            layouts.compute(bare(cloud(40)), "umap-flat", wrong)


@pytest.mark.slow
def test_same_seed_same_map_and_the_side_car_gives_it_back(tmp_path: Path) -> None:
    path = ep.save(synthetic(size=90, width=12, seed=1), tmp_path / "a.ep.h5")
    first, again, later = (ep.open(path) for _ in range(3))
    told: list[tuple[str, float]] = []
    for layout in ("umap-flat", "umap-sphere"):
        assert not layouts.is_ready(first, layout)
        assert (
            layouts.compute(first, layout, report=lambda said, share: told.append((said, share)))
            == ""
        )
        assert layouts.is_ready(first, layout) and layouts.is_measured(first, layout)
        place = layouts.coordinates(first, layout)
        assert place.shape == (90, LAYOUTS[layout]) and np.isfinite(place).all()
    shares = [share for said, share in told if "epoch" in said]
    assert shares and all(0 <= share <= 1 for _, share in told)
    twin = synthetic(size=90, width=12, seed=1)  # no file: memory only, and said
    assert "until the explorer ends" in layouts.compute(twin, "umap-flat")
    assert np.array_equal(
        layouts.coordinates(twin, "umap-flat"), layouts.coordinates(first, "umap-flat")
    )
    for layout in ("umap-flat", "umap-sphere"):  # another visitor, after a restart
        assert np.array_equal(
            layouts.coordinates(again, layout), layouts.coordinates(first, layout)
        )
        assert layouts.quality(again, layout) == layouts.quality(first, layout)
    assert layouts.settings(again, "umap-flat") == {"neighbours": 15, "min_dist": 0.1, "seed": 0}
    stamp = layouts.stamp(again, "umap-flat")
    layouts.compute(again, "umap-flat", Settings(5, 0.4))
    assert layouts.stamp(again, "umap-flat") != stamp
    assert layouts.settings(later, "umap-flat")["neighbours"] == 5
    assert layouts.is_ready(later, "umap-sphere")  # the other map stayed


@pytest.mark.slow
def test_umap_keeps_more_neighbours_than_two_axes_and_parts_duplicates() -> None:
    found = synthetic(size=240, width=24, seed=5)
    layouts.compute(found, "umap-flat")
    flat, umap = (layouts.quality(found, layout) for layout in ("pca-flat", "umap-flat"))
    assert umap.trustworthiness > flat.trustworthiness and umap.variance_kept is None
    twins = bare(np.repeat(cloud(20), 3, axis=0))
    layouts.compute(twins, "umap-flat")
    assert len(np.unique(layouts.coordinates(twins, "umap-flat"), axis=0)) == 60


@pytest.mark.slow
def test_a_cancelled_layout_leaves_nothing(tmp_path: Path) -> None:
    path = ep.save(synthetic(size=60, width=12), tmp_path / "a.ep.h5")
    found = ep.open(path)

    class Stop(Exception):
        pass

    def report(said: str, share: float) -> None:
        if "epoch" in said:
            raise Stop

    with pytest.raises(Stop):
        layouts.compute(found, "umap-flat", report=report)
    assert not layouts.is_ready(found, "umap-flat") and not beside(path, MAPS).exists()
    # nor does it keep the lock of all progress bars, for which a later layout would wait for ever
    later = Thread(target=layouts.compute, args=(found, "umap-flat"), daemon=True)
    later.start()
    until(lambda: not later.is_alive())
    assert layouts.is_ready(found, "umap-flat")


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_keeps_the_map_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ep.save(synthetic(size=40, width=12), tmp_path / "a.ep.h5")
    found = ep.open(path)
    beside(path, MAPS).mkdir()  # a folder is in the way
    assert "until the explorer ends" in layouts.compute(found, "umap-flat")
    assert layouts.coordinates(found, "umap-flat").shape == (40, 2)
    assert maps.load(path, found) == {}
