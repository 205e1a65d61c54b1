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


def test_the_context_is_what_was_asked_for_or_what_the_model_can_read() -> None:
    assert config().fitted(8_191).context == 128
    assert config().fitted(64).context == 64
    assert config(context=500).fitted(500).context == 500
    assert config(context=64).fitted(500).context == 64
    with pytest.raises(ConfigError, match="context is 500: m can read 499 tokens"):
        config(context=500).fitted(499)


def test_settings_are_plain_json_and_ladders_are_sorted_sets() -> None:
    made = config(percentiles=(4, 1, 4), layers=[3, 1, 3])
    assert made.percentiles == (1.0, 4.0)
    assert made.layers == (1, 3)
    assert json.loads(json.dumps(made.as_dict())) == made.as_dict()


def test_file_names_are_safe_whatever_the_model_is_called() -> None:
    assert config(model="org/some model").file_name(4, 0.5) == "some-model-L4-p0.5.ep.h5"
    assert config(model="../..", positions="final").file_name(1, 2).count("/") == 0
