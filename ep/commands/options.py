"""How a command is added to the parser. Knows no command."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Handler = Callable[[argparse.Namespace], None]


def command(kinds: Any, name: str, about: str, run: Handler) -> argparse.ArgumentParser:
    """Adds the command `name`, described by the half-sentence `about`; `run` gets the parsed
    arguments.
    """
    added: argparse.ArgumentParser = kinds.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + "."
    )
    added.set_defaults(run=run)
    return added
