"""The child process that reads one published file: a request in, lines of JSON out, memory limited
throughout.

It knows no one it talks to: a request on stdin says what to read and where to write; each line on
stdout is progress ({"said", "share"}), the end ({"done"}) or the one line of what went wrong
({"error"} or {"storage"}).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ep.errors import EPError, StorageError

READING_BYTES = 2**30
"""What reading may need beyond what the empty process has."""

MAKING_BYTES = 3 * 2**30
"""What the map, the groups and writing may need beyond that, besides copies of the vectors."""

COPIES = 6
"""How many times the two vector arrays may lie in memory while map and groups are computed."""


def main() -> int:
    """Read the request, do it, say how it went; exit code 0 whenever something was said."""
    request = json.loads(sys.stdin.read())
    try:
        _convert(request)
        _say(done=True)
    except StorageError as error:
        _say(storage=str(error))
    except EPError as error:
        _say(error=str(error))
    except MemoryError:
        _say(
            error="reading it needs more memory than is allowed: the file is damaged or no "
            "published dictionary"
        )
    except OSError as error:
        _say(error=f"the file cannot be read ({error.strerror or error})")
    return 0


def _convert(request: dict[str, Any]) -> None:
    """1 read within a fixed limit, 2 raise the limit by what the vectors found call for, 3 convert
    and write.
    """
    from ep.storage.published import conversion, layout, metadata
    from ep.storage.published.tape import Tape
    from ep.storage.writing import save

    path = Path(request["path"])
    beside = Path(request["metadata"]) if request["metadata"] else metadata.beside(path)
    base = _limit_memory(0, READING_BYTES)
    size = max(1, path.stat().st_size)
    with path.open("rb", buffering=0) as file:
        tape = Tape(file, lambda done: _say(said="reading", share=round(0.8 * done / size, 3)))
        found = layout.read(tape, lambda vectors: _limit_memory(base, READING_BYTES + vectors))
        _limit_memory(base, MAKING_BYTES + COPIES * 2 * found.exemplars.nbytes)
        _say(said="computing neighbours and the map", share=0.8)
        made = conversion.dictionary(tape, found, path, metadata.load(beside), request["origin"])
    _say(said="writing", share=0.9)
    save(made, request["out"])


def _limit_memory(base: int, allowance: int) -> int:
    """Limit the address space to `allowance` beyond `base` (0: what the process has now, which is
    returned).
    """
    try:
        import resource

        base = base or int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return base  # no such limit on this system: the machine's own bounds hold
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = base + allowance
    resource.setrlimit(
        resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
    )
    return base


def _say(**message: Any) -> None:
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # nobody listens any more: stop
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
