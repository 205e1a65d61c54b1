"""Peak memory of a build, compared with the same build on a stream four times as long.

Each runs in a fresh process, which prints its peak resident memory. The percentiles are coarse, so
that the dictionaries stop growing early; a higher peak then shows memory that grows with the
stream, which it should not.

    python -m benchmarks.memory
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peak import PEAK_MB

MODEL = Path("data/demo/models/base")
TEXT = Path("data/demo/text/mixed.jsonl")
SHORT, LONGER = 60_000, 240_000
TARGET = 1.1

CHILD = f"""
import sys
from ep.building import build
from ep.config import BuildConfig
model, text, out, tokens = sys.argv[1:]
config = BuildConfig(model=model, text=(text,) * 4, layers=(2, 4), percentiles=(8, 16), out=out,
                     tokens=int(tokens), calibration=20_000)
seen = 0
for progress in build(config):
    seen = progress.done if progress.stage == "stream" else seen
assert seen == int(tokens), f"the text gave only {{seen}} activations"
print({PEAK_MB})
"""


def run() -> list[dict[str, Any]]:
    """Return a row: peak megabytes of both builds and their ratio, which should be about 1."""
    short, longer = peak_megabytes(SHORT), peak_megabytes(LONGER)
    return [
        {
            "what": f"peak memory of a build of {LONGER:,} activations against one of {SHORT:,}",
            "model": "demo base, 2 layers × 2 percentiles",
            "long_MB": round(longer),
            "short_MB": round(short),
            "ratio": round(longer / short, 2),
            "target": TARGET,
            "at_most": True,
        }
    ]


def peak_megabytes(tokens: int) -> float:
    """Return the peak resident memory in MB of one build in a fresh process."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", CHILD, str(MODEL), str(TEXT), out, str(tokens)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
