"""The file that says how a build stands, and its reading and writing.

The file is JSON, replaced in one rename, so that a reader sees the state before or after and never
a part. It is not synchronised to the disk: it describes a running process, and a crash of the
machine ends that too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from ep.leftovers import unfinished
from ep.storage.output import discard

NAME = "status.json"
"""The name of the file in the folder of a job."""
PICTURE = "picture.json"
"""The name of the picture of the exemplars, beside it; see `ep.watching.picture`."""
State = Literal["queued", "running", "done", "stopped", "failed"]
FINAL = ("done", "stopped", "failed")
"""The states after which the build's process ends."""
MOST_BYTES = 2**24
"""The largest file that is read."""


@dataclass(frozen=True)
class Status:
    """How a build stands.

    state: "queued" behind other builds, "running", or how it ended.
    before: in state "queued", how many builds come first.
    stage, done, total: as `ep.Progress` has them; stage "open" while text and model are opened.
    per_second: units of `done` per second of late; None where nothing was measured.
    seconds_left: of this stage; None where it cannot be told.
    started, updated: seconds since 1970.
    dictionaries: for each layer and percentile: layer, percentile, regions (K), seen (activations),
        growth (two lists, activations and K), rate and bound (new regions per activation over the
        last `window` activations, and its upper bound), stopped (why its stream ended, or None).
    newest: exemplars with the text around, newest last: layer, percentile, region, left, token,
        right. The text is that of the corpus: escape it.
    files: the files written so far.
    error: one line that says why it failed; empty otherwise.
    """

    state: State
    before: int = 0
    stage: str = ""
    done: int = 0
    total: int | None = None
    per_second: float | None = None
    seconds_left: float | None = None
    started: float = 0.0
    updated: float = 0.0
    dictionaries: tuple[dict[str, Any], ...] = ()
    newest: tuple[dict[str, Any], ...] = ()
    files: tuple[str, ...] = field(default=())
    error: str = ""

    @property
    def share(self) -> float | None:
        """The share of the stage that is done, in [0, 1]; None where the total is not known."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def regions(self) -> int:
        """K of the dictionary that has most regions."""
        return max((one["regions"] for one in self.dictionaries), default=0)


def write(path: Path, status: Status) -> None:
    """Replace the file; raises OSError where that cannot be done."""
    replace_json(path, asdict(status))


def replace_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON to a file in one rename; raises OSError where that cannot be done."""
    partial = unfinished(path)
    try:
        partial.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
        partial.replace(path)
    except OSError:
        discard(partial)
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None for a file that is missing or holds something else."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def read(path: Path) -> Status | None:
    """Return the state in a file; None where there is none that can be read."""
    content = read_json(path)
    if content is None or content.get("state") not in get_args(State):
        return None
    names = {one.name for one in fields(Status)}
    known = {name: value for name, value in content.items() if name in names}
    for name in ("dictionaries", "newest", "files"):
        known[name] = tuple(known.get(name) or ())
    return Status(**known)
