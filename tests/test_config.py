"""Every contradiction in a build's settings is refused by the name of the setting."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ep.config import BuildConfig
from ep.errors import ConfigError


def config(**changes: Any) -> BuildConfig:
    return BuildConfig(**({"model": "m", "text": ("t.txt",), "layers": (1,), "out": "o"} | changes))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", ()),
        ("layers", ()),
        ("layers", (-1,)),
        ("percentiles", ()),
        ("percentiles", (0,)),
        ("percentiles", (5, 100)),
        ("tokens", 0),
        ("context", 1),
        ("positions", "first"),
        ("protocol", "mine"),
        ("calibration", 1),
        ("batch", 0),
        ("stop_rate", 0.0),
        ("stop_rate", 1e-6),
        ("stop_window", 1),
        ("quiet_batches", 0),
    ],
)
def test_contradictions_name_their_setting(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        config(**{name: value})


def test_settings_are_plain_json_and_ladders_are_sorted_sets() -> None:
    made = config(percentiles=(4, 1, 4), layers=[3, 1, 3])
    assert made.percentiles == (1.0, 4.0)
    assert made.layers == (1, 3)
    assert json.loads(json.dumps(made.as_dict())) == made.as_dict()


def test_file_names_are_safe_whatever_the_model_is_called() -> None:
    assert config(model="org/some model").file_name(4, 0.5) == "some-model-L4-p0.5.ep.h5"
    assert config(model="../..", positions="final").file_name(1, 2).count("/") == 0
