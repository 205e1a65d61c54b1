"""Whether this process serves everybody: such a server changes nothing that visitors share.

With EP_PUBLIC=1, or `ep app --public`, the explorer has no path fields, uploads, downloads or
builds, and it keeps a visitor's labels, notes and lists in the visitor's own session.
"""

from __future__ import annotations

import os

PUBLIC = "EP_PUBLIC"
"""The environment variable that is 1 on a server for everybody."""


def is_public() -> bool:
    """Return whether this server is for everybody."""
    return os.environ.get(PUBLIC, "") not in ("", "0")
