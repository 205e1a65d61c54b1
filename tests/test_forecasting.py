"""What a build will give, from a small head of its stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ep
from ep.config import BuildConfig
from ep.errors import CorpusError, ModelError
from ep.forecasting import Forecast, Prediction, extrapolated, forecast
from tests.fixtures import tiny


def finished(steps: Any) -> Forecast:
    shares = []
    while True:
        try:
            shares.append(next(steps))
        except StopIteration as end:
            assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1
            return end.value  # type: ignore[no-any-return]


def curve(law: Any, n: int) -> np.ndarray:
    return np.array([[law(n / 4), law(n / 2), law(n)]] * 3)


def test_nothing_more_to_stream_is_what_is_known() -> None:
    k = curve(lambda n: 3 * n**0.5, 1000)
    assert extrapolated(k, 1000, 1000) == pytest.approx([k[0, 2]] * 3)


@pytest.mark.parametrize("b", [0.0, 0.3, 0.7, 1.0])
def test_heaps_law_itself_is_extrapolated_exactly(b: float) -> None:
    k = curve(lambda n: 5 * n**b, 4000)
    assert extrapolated(k, 4000, 64_000) == pytest.approx([5 * 64_000**b] * 3)


def test_a_law_whose_exponent_falls_lies_inside() -> None:
    def saturating(n: float) -> float:
        return 900 * n / (n + 3000)

    for total in (8000, 16_000, 64_000):
        middle, low, high = extrapolated(curve(saturating, 4000), 4000, total)
        assert low <= saturating(total) <= high and low <= middle <= high


def test_the_interval_never_shrinks_with_the_stream_and_knows_the_spread() -> None:
    k = np.array([[30.0, 44.0, 60.0], [28.0, 40.0, 61.0], [33.0, 47.0, 60.0]])
    widths = [high / low for _, low, high in (extrapolated(k, 1000, n) for n in (1000, 3000, 9000))]
    assert widths == sorted(widths)
    same = np.tile(k.mean(axis=0), (3, 1))
    _, low, high = extrapolated(same, 1000, 9000)
    assert high / low < widths[-1]


def test_the_percentile_for_a_wanted_number_lies_between_those_that_were_measured() -> None:
    sizes = {1.0: 2000.0, 4.0: 500.0, 16.0: 40.0}
    predictions = {(3, p): Prediction(0.5, 9, k, k / 2, 2 * k) for p, k in sizes.items()}
    found = Forecast(9, 9, True, predictions, 1.0, 1.0, 1.0, 1.0, ())
    for p, k in sizes.items():
        assert found.percentile_for(3, k) == p
    between = found.percentile_for(3, 1000)
    assert between is not None and 1 < between < 4
    assert found.percentile_for(3, 9000) is None and found.percentile_for(2, 500) is None


def config(folder: Path, **more: Any) -> BuildConfig:
    values = {"model": str(folder / "model"), "text": (str(folder / "text.txt"),)}
    values |= {"layers": (1,), "out": str(folder / "out"), "percentiles": (4.0, 8.0)}  # type: ignore[dict-item]
    return BuildConfig(**(values | more))  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_head_says_what_the_build_then_finds(tmp_path: Path) -> None:
    tiny.gemma(tmp_path / "model")
    (tmp_path / "text.txt").write_text("\n".join(tiny.passages(600)))
    model = ep.load(str(tmp_path / "model"))
    # where the head is the whole stream, nothing is predicted: it is the build
    whole = config(tmp_path, context=16, protocol="global", tokens=900, calibration=900)
    found = finished(forecast(whole, model, 900))
    files = list(ep.build(whole))[-1].files
    for path in files:
        dictionary = ep.open(path)
        one = found.predictions[1, dictionary.percentile]
        assert abs(one.head - len(dictionary)) <= 0.2 * len(dictionary)
    assert found.total == 900 and found.is_counted and found.per_second > 0
    assert "".join(found.preview[0]).startswith("<bos>")
    # without a budget, the length of the text is told from its passages
    found = finished(forecast(config(tmp_path, context=16), model, 900))
    whole_text = list(ep.build(config(tmp_path, context=16, out=str(tmp_path / "all"))))[-1]
    n = max(draft.n_seen for draft in whole_text.drafts.values())
    assert abs(found.total - n) < 0.15 * n and not found.is_counted
    with pytest.raises(ModelError, match="no layer 9"):
        finished(forecast(config(tmp_path, layers=(9,)), model))
    (tmp_path / "text.txt").write_text("one two\n")
    with pytest.raises(CorpusError, match="at least 200"):
        finished(forecast(config(tmp_path), model))
