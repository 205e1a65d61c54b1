"""Reading a published dictionary, compared with Python's unpickler restricted to an allow-list.

    python -m benchmarks.importing [K] [d]

The file has the published layout and size (K = 5,000, d = 2304: about 1.6 GB, of which nine tenths
are reservoirs of member directions). The rival is the usual precaution: `pickle.Unpickler` with a
`find_class` that allows the same names and gives classes without behaviour. Seconds and peak memory
are those of a fresh process each.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peak import PEAK_MB

SIZE, WIDTH = 5_000, 2304
MEMBERS, JOINED = 30, 720
LIMIT_MB = 1000

READING = """
from ep.storage.published import layout
from ep.storage.published.tape import Tape
with open(path, "rb", buffering=0) as file:
    found = layout.read(Tape(file))
assert len(found.regions) == size
"""
RIVAL = """
import pickle
class Thing:
    pass
NUMPY = ("numpy", "numpy._core.numeric", "numpy._core.multiarray")
class Restricted(pickle.Unpickler):
    def find_class(self, module, name):
        if module == "ep.discovery.dictionary" and name in ("Dictionary", "Partition"):
            return Thing
        if module in NUMPY and name in ("dtype", "ndarray", "_frombuffer", "_reconstruct"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(name)
with open(path, "rb") as file:
    found = Restricted(file).load()
assert len(found.partitions) == size
"""
WHOLE = """
import resource
from ep.storage.published import convert
convert(path, path + ".ep.h5", progress=lambda said, share: None)
"""
CHILD_MB = "resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3"


def run(size: int = SIZE, width: int = WIDTH) -> list[dict[str, Any]]:
    """Return two rows on reading, and one on the whole conversion and its child's memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gemma-2-2b_layer12.pkl"
        make = f"from benchmarks.importing import make; make({str(path)!r}, {size}, {width})"
        subprocess.run([sys.executable, "-c", make], check=True)
        what = f"a {path.stat().st_size / 1e6:,.0f} MB published file, K = {size:,}, d = {width:,}"
        seconds, peak = _measure(READING, path, size, PEAK_MB)
        rival_seconds, rival_peak = _measure(RIVAL, path, size, PEAK_MB)
        whole_seconds, whole_peak = _measure(WHOLE, path, size, CHILD_MB, "perf_counter")
    return [
        {
            "what": f"reading {what}: peak memory against the restricted unpickler",
            "ep_mb": round(peak),
            "unpickler_mb": round(rival_peak),
            "ratio": round(peak / rival_peak, 3),
            "target": 1,
            "at_most": True,
        },
        {
            "what": "the same, processor seconds",
            "ep_s": round(seconds, 2),
            "unpickler_s": round(rival_seconds, 2),
            "ratio": round(seconds / rival_seconds, 2),
        },
        {
            "what": "the whole conversion (map, neighbours, groups, writing) in its child process",
            "seconds": round(whole_seconds, 1),
            "peak_mb": round(whole_peak),
            "of": "peak_mb",
            "target": LIMIT_MB,
            "at_most": True,
        },
    ]


def _measure(
    code: str, path: Path, size: int, peak: str, clock: str = "process_time"
) -> tuple[float, float]:
    """Return the seconds and the peak MB of a fresh process that runs `code`.

    clock: the function of `time` that measures the seconds; by default processor seconds.
    """
    program = (
        f"import time\nstart = time.{clock}()\npath, size = {str(path)!r}, {size}\n{code}\n"
        f"print([time.{clock}() - start, {peak}])"
    )
    seconds, megabytes = json.loads(
        subprocess.check_output([sys.executable, "-c", program], text=True)
    )
    return seconds, megabytes


def make(path: str, size: int, width: int) -> None:
    """Write a file of the published layout, with 30 directions and 720 indices per region."""
    import pickle

    import numpy as np

    from tests.fixtures.dictionaries import synthetic
    from tests.fixtures.published import library, named

    root, rng = library(synthetic(size, width), members=0), np.random.default_rng(0)
    pool = rng.standard_normal((64, width)).astype(np.float32)
    for k, cell in enumerate(root.partitions):
        cell.sample_members = [pool[(k + n) % len(pool)].copy() for n in range(MEMBERS)]
        cell.constituent_sample_indices = list(range(JOINED * k, JOINED * (k + 1)))
    with named(), Path(path).open("wb") as file:
        pickle.dump(root, file, 5)


if __name__ == "__main__":
    for result in run(*map(int, sys.argv[1:3])):
        print(json.dumps(result))
