"""`python -m ep` and the `ep` command."""

from __future__ import annotations

import sys

from ep.cli import main

if __name__ == "__main__":
    sys.exit(main())
