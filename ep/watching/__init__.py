"""A running build seen from outside: its state in a small file that is replaced as it changes.

`watching` wraps a build and writes the file, `read` reads it in another process. Nothing here
decides anything about the build; a state that cannot be written does not stop it.
"""

from __future__ import annotations

from ep.watching.status import NAME, Status, read, write
from ep.watching.watcher import watching

__all__ = ["NAME", "Status", "read", "watching", "write"]
