"""The run-time type checker of the tests: beartype, with ints accepted where floats are asked for,
and any text where a `Literal` is: the code itself must refuse what is none of its values.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from beartype import BeartypeConf, BeartypeHintOverrides, beartype

EP = Path(__file__).resolve().parent.parent / "ep"


def literals() -> Iterator[Any]:
    """Every named `Literal` of ep, read from its source: importing it here would be too early."""
    for path in EP.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            value = getattr(node, "value", None)
            if isinstance(value, ast.Subscript) and ast.unparse(value.value) == "Literal":
                yield Literal[ast.literal_eval(value.slice)]


checked = beartype(
    conf=BeartypeConf(
        is_pep484_tower=True, hint_overrides=BeartypeHintOverrides(dict.fromkeys(literals(), str))
    )
)
