"""What a running build says of itself: newest exemplars, picture, rate of new regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ep.errors import StorageError
from ep.method.draft import FOUNDER, Draft
from ep.method.members import Events
from ep.method.saturation import StopRule, rate_upper_bound, recent_rate
from ep.reporting import Progress
from ep.views import figures_growth
from ep.views.figures_growth import Curve
from ep.watching import picture as pictures
from ep.watching import read, watching
from ep.watching.picture import Picture, shown


def drafted(n: int, threshold: float = 0.3, batches: int = 5) -> Draft:
    draft = Draft(threshold, width=6, context=16, rule=StopRule())
    rows = np.random.default_rng(0).standard_normal((n, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for part in np.array_split(np.arange(n), batches):
        origin = (part, part % 16, part % 7, part % 5)
        draft.stream(rows[part], Events(*origin, part.astype(np.uint64), part))
    return draft


def test_the_newest_founders_are_the_last_ones() -> None:
    draft = drafted(200)
    arrays = draft.arrays()
    for count in (0, 1, 5, len(draft), len(draft) + 9):
        newest = draft.newest(count)
        for name in FOUNDER:
            start = max(0, len(draft) - count)
            assert np.array_equal(newest[name], arrays[f"founder_{name}"][start:])


def test_the_rate_is_that_of_the_last_activations() -> None:
    founded = np.array([0, 1, 2, 50, 98])
    assert recent_rate(100, founded, 10) == (0.1, rate_upper_bound(1, 10))
    assert recent_rate(100, founded, 1000) == (0.05, rate_upper_bound(5, 100))
    assert recent_rate(1, founded[:1], 10) == (1.0, 1.0)


def test_a_picture_stays_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "LEAST_S", 0.0)
    monkeypatch.setattr(pictures, "SHARE", 1e9)
    artist, small, large = Picture(), drafted(150), drafted(160)
    first = artist.draw({(1, 4.0): small})
    assert first is not None and artist.draw({(1, 4.0): small}) is None, "nothing is new"
    second = artist.draw({(1, 4.0): large})
    alone = Picture().draw({(1, 4.0): large})
    assert second is not None and alone is not None
    n, before = len(first["ids"]), np.array(first["points"])
    assert n == len(small) < len(large)
    moved = [np.abs(np.array(one["points"])[:n] - before).max() for one in (second, alone)]
    assert moved[0] <= moved[1] + 1e-3 and second["kept"] == alone["kept"]


def test_the_finest_dictionary_that_fits_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    fine, coarse, few = drafted(200, 0.1), drafted(200, 0.4), drafted(3)
    drafts = {(1, 1.0): fine, (1, 4.0): coarse, (1, 9.0): few}
    assert shown(drafts) == (1, 1.0) and shown({}) is None and shown({(1, 9.0): few}) is None
    monkeypatch.setattr(pictures, "MOST_POINTS", len(coarse))
    assert shown(drafts) == (1, 4.0)
    monkeypatch.setattr(pictures, "MOST_POINTS", 5)
    drawn = Picture().draw({(1, 1.0): fine})
    assert drawn is not None and len(drawn["ids"]) == 5 and drawn["regions"] == len(fine)
    assert (drawn["ids"][0], drawn["ids"][-1]) == (0, len(fine) - 1)


def test_the_last_state_says_how_it_ended(tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    draft = drafted(60)
    progress = Progress("stream", 60, 90, {(1, 4.0): len(draft)}, drafts={(1, 4.0): draft})
    with watching(file, 50) as see:
        see(progress)
    written = read(file)
    assert written is not None and (written.state, written.stage) == ("done", "stream")
    assert written.regions == len(draft) and written.share == pytest.approx(60 / 90)
    assert written.dictionaries[0]["growth"][1][-1] == len(draft)
    with pytest.raises(StorageError), watching(file, 50) as see:
        see(progress)
        raise StorageError("the disk is full\nreally")
    written = read(file)
    assert written is not None and written.error == "the disk is full really"
    with pytest.raises(StorageError, match="folder that exists"), watching(tmp_path / "a/b", 50):
        pass


def test_names_stand_apart_and_are_escaped_and_each_cell_is_drawn_once() -> None:
    curves = [Curve(f"<b>{n}</b>", [10, 90], [5, 100 + n]) for n in range(4)]
    figure = figures_growth.growth([*curves, Curve("none", [], [])], False, 200)
    heights = sorted(one.y for one in figure.layout.annotations)
    assert len(heights) == 4 and np.diff(heights).min() > 5
    assert all("<b>" not in one.text for one in figure.layout.annotations)
    points = np.random.default_rng(1).standard_normal((40, 3))
    figure = figures_growth.cells(points, range(40), 40, True)
    gaps = sum(int(np.isnan(trace.x).sum()) for trace in figure.data[:-1])
    assert gaps == 40 == len(figure.data[-1].x)
