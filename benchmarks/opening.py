"""Opening a large dictionary and reading one region, compared with reading every array.

    python -m benchmarks.opening [K] [d]

The rivals read all arrays with h5py, or from an .npz file of the same arrays. Seconds and peak
memory are those of a fresh process from the start of the program: imports, opening, and reading
region K/2. The text is as large as that of a real build: 100,000 passages of 128 tokens and a
vocabulary of 50,000 tokens.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peak import PEAK_MB

SIZE, WIDTH = 20_000, 2304
LIMIT_SECONDS, LIMIT_MB = 0.3, 150
REPEATS = 5

READERS = {
    "ep.open + region": "import ep; d = ep.open(path); assert d.region({region}).excerpts",
    "h5py, every array": (
        "import h5py; f = h5py.File(path, 'r'); a = {{}};"
        "f.visititems(lambda n, o: a.update({{n: o[()]}}) if isinstance(o, h5py.Dataset) else "
        "None);"
        "row = {{n: v[{region}] for n, v in a.items() if len(v) > {region}}}"
    ),
    "numpy .npz, every array": (
        "import numpy as np; f = np.load(path.replace('.ep.h5', '.npz'), allow_pickle=False);"
        "a = {{n: f[n] for n in f.files}}; row = {{n: v[{region}] for n, v in a.items() if len(v) "
        "> {region}}}"
    ),
}


def run(size: int = SIZE, width: int = WIDTH) -> list[dict[str, Any]]:
    """Return a row per reader: median, best and processor seconds, peak MB, and the ratio.

    The ratio is the median time over that of ep.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.ep.h5"
        megabytes = _make(path, size, width)
        rows = []
        for name, code in READERS.items():
            measured = [_measure(code.format(region=size // 2), path) for _ in range(REPEATS)]
            seconds = sorted(wall for wall, _, _ in measured)
            row = {
                "what": f"{name}: a {megabytes:,.0f} MB file, K = {size:,}, d = {width:,}, in a "
                "fresh process"
            }
            row |= {
                "seconds": round(seconds[REPEATS // 2], 3),
                "best_seconds": round(seconds[0], 3),
            }
            row |= {"cpu_seconds": round(min(cpu for _, cpu, _ in measured), 3)}
            row |= {"peak_mb": round(max(peak for *_, peak in measured))}
            rows.append(
                row | {"ratio": round(row["seconds"] / (rows[0] if rows else row)["seconds"], 2)}
            )
    memory = {"what": "the same, peak memory of ep.open + region", "peak_mb": rows[0]["peak_mb"]}
    rows[0] |= {"of": "seconds", "target": LIMIT_SECONDS, "at_most": True}
    return [rows[0], memory | {"of": "peak_mb", "target": LIMIT_MB, "at_most": True}, *rows[1:]]


def _measure(code: str, path: Path) -> tuple[float, float, float]:
    """Return (seconds, processor seconds, peak MB) of a fresh process that runs `code`."""
    program = (
        "import time; start, cpu = time.perf_counter(), time.process_time(); path = "
        f"{str(path)!r}; {code};"
        "took = [time.perf_counter() - start, time.process_time() - cpu];"
        f"print([*took, {PEAK_MB}])"
    )
    took, cpu, peak = json.loads(
        subprocess.check_output([sys.executable, "-c", program], text=True)
    )
    return took, cpu, peak


def _make(path: Path, size: int, width: int) -> float:
    """Write both files in another process, so that this one stays small; returns the size in MB."""
    code = f"from benchmarks.opening import make; make({str(path)!r}, {size}, {width})"
    subprocess.run([sys.executable, "-c", code], check=True)
    return path.stat().st_size / 1e6


def make(path: str, size: int, width: int) -> None:
    """Write a synthetic dictionary with much text as `.ep.h5`, and its arrays as `.npz`."""
    from ep.method.dictionary import Dictionary
    from ep.method.source import MemorySource
    from ep.storage import open as reopen
    from ep.storage import save
    from ep.storage.schema import ARRAYS
    from tests.fixtures.dictionaries import synthetic

    base, rng = synthetic(size, width), np.random.default_rng(0)
    arrays = {
        name: base.source.read(name) for name in (*ARRAYS, "vocabulary_pieces") if name in base
    }
    passages, tokens, entries = 100_000, 128, 50_000
    known = len(arrays["vocabulary_ids"])
    pieces = np.empty(entries, object)
    pieces[:] = [
        *arrays["vocabulary_pieces"],
        *(f" piece{i}".encode() for i in range(entries - known)),
    ]
    place = np.searchsorted(arrays["passage_ids"], arrays["excerpt_passage"])
    founders = np.searchsorted(arrays["passage_ids"], arrays["founder_passage"])
    step = passages // len(arrays["passage_ids"])
    arrays |= {
        "vocabulary_ids": np.arange(entries, dtype=np.int32),
        "vocabulary_pieces": pieces,
        "passage_ids": np.arange(passages),
        "passage_offsets": np.arange(passages + 1) * tokens,
        "passage_tokens": (rng.zipf(1.2, passages * tokens) % entries).astype(np.int32),
        "excerpt_passage": place * step,
        "founder_passage": founders * step,
    }
    save(Dictionary(MemorySource(arrays), base.info, size), path)
    stored = reopen(path).source
    np.savez(
        path.replace(".ep.h5", ".npz"),
        **{name: stored.read(name) for name in ARRAYS if name in stored},
    )


if __name__ == "__main__":
    for result in run(*map(int, sys.argv[1:3])):
        print(json.dumps(result))
