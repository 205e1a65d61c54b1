"""Listing a folder of 300 dictionaries for the first time, compared with opening them in h5py.

The rival opens each file and reads its attributes without any check; a shelf checks the headers,
which pages rely on, and sorts the files into families. Seconds are processor seconds of one thread.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import h5py

from ep.storage import Shelf, save
from tests.fixtures.dictionaries import synthetic

FILES = 300
RATIO_GOAL = 0.2


def run() -> list[dict[str, object]]:
    """Return a row: processor seconds of both, their ratio, and seconds of a second listing."""
    with tempfile.TemporaryDirectory() as folder:
        content = save(synthetic(8, 4), Path(folder) / "0.ep.h5").read_bytes()
        paths = [Path(folder) / f"{i}.ep.h5" for i in range(FILES)]
        for path in paths:
            path.write_bytes(content)
        started = time.process_time()
        attributes = [by_h5py(path) for path in paths]
        theirs = time.process_time() - started
        started = time.process_time()
        listed = Shelf([Path(folder)]).entries
        ours = time.process_time() - started
        started = time.process_time()
        Shelf([Path(folder)])
        again = time.process_time() - started
    assert len(listed) == len(attributes) == FILES
    return [
        {
            "what": f"first listing of {FILES} files against h5py opening each",
            "ratio": round(theirs / ours, 2),
            "cpu_s": round(ours, 2),
            "h5py_cpu_s": round(theirs, 2),
            "second_listing_cpu_s": round(again, 3),
            "target": RATIO_GOAL,
        }
    ]


def by_h5py(path: Path) -> dict[str, object]:
    """Return the rival's header: every attribute of the file."""
    with h5py.File(path) as file:
        return dict(file.attrs)


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
