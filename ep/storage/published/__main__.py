"""The child process that converts one published file with limited memory.

stdin has the request as JSON: `path`, `out`, `metadata` and `origin`. Each line on stdout is a JSON
object: progress ({"said", "share"}), the end ({"done"}), or the message of an error ({"error"}
for DictionaryFileError, {"storage"} for StorageError).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ep.errors import EPError, StorageError

READING_BYTES = 2**30
"""Memory that reading may use, in addition to that of the process at its start."""

DESCRIBING_BYTES = 3 * 2**30
"""Memory that map, groups and writing may use in addition, not counting copies of the vectors."""

COPIES = 6
"""Copies of the two vector arrays that may be in memory while map and groups are computed."""


def main() -> int:
    """Convert the file of the request and print the result; exit code 0 unless Python fails."""
    request = json.loads(sys.stdin.read())
    try:
        _convert(request)
        _send(done=True)
    except StorageError as error:
        _send(storage=str(error))
    except EPError as error:
        _send(error=str(error))
    except MemoryError:
        _send(
            error="reading needs more memory than is allowed: the file is damaged or not a "
            "published dictionary"
        )
    except OSError as error:
        _send(error=f"the file cannot be read ({error.strerror or error})")
    return 0


def _convert(request: dict[str, Any]) -> None:
    """Read within a fixed memory limit, raise the limit for the vectors, convert and write."""
    from ep.storage.published import conversion, layout, metadata
    from ep.storage.published.tape import Tape
    from ep.storage.writing import save

    path = Path(request["path"])
    beside = Path(request["metadata"]) if request["metadata"] else metadata.beside(path)
    base = _limit_memory(0, READING_BYTES)
    size = max(1, path.stat().st_size)
    with path.open("rb", buffering=0) as file:
        tape = Tape(file, lambda done: _send(said="reading", share=round(0.8 * done / size, 3)))
        published = layout.read(tape, lambda vectors: _limit_memory(base, READING_BYTES + vectors))
        _limit_memory(base, DESCRIBING_BYTES + COPIES * 2 * published.exemplars.nbytes)
        _send(said="computing neighbours and the map", share=0.8)
        dictionary = conversion.dictionary(
            tape, published, path, metadata.load(beside), request["origin"]
        )
    _send(said="writing", share=0.9)
    save(dictionary, request["out"])


def _limit_memory(base: int, allowance: int) -> int:
    """Limit the address space of the process to `base + allowance` bytes, and return `base`.

    A base of 0 stands for the current size of the process.
    """
    try:
        import resource

        base = base or int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return base  # the system supports no such limit
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = base + allowance
    resource.setrlimit(
        resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
    )
    return base


def _send(**message: Any) -> None:
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the parent process has ended
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
