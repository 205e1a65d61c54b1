"""Entry point of `python -m ep`; the installed command `ep` calls the same `main`."""

from __future__ import annotations

import sys

from ep.cli import main

if __name__ == "__main__":
    sys.exit(main())
