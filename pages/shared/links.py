"""The parameters of a link, and the codec between them and the settings of a page.

A page declares its settings as one frozen dataclass, whose fields are made by the functions here:

    @dataclass(frozen=True)
    class Settings:
        basis: Basis = one_of("basis", BASES, "mean")
        neighbours: int = integer("neighbours", 3, least=1, most=20)

The text of a link is not trusted: an invalid value is replaced by the default, and the size of
every value is bounded. Nothing here depends on a session or draws anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, TypeVar

LONGEST = 1500
"""Characters of one value; a longer one stays in the session, since servers refuse long links."""
MOST_DIGITS = 18
"""Digits of a whole number, so that it fits 64 bits."""
S = TypeVar("S")
_PARAMETER = "parameter"


@dataclass(frozen=True)
class Parameter:
    """How one field of a page's settings appears in a link.

    name: the parameter's name in the link, a few letters. read: returns the value of a text, or
    None where the text is invalid. write: returns the text of a value.
    """

    name: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str


def parse_integer(text: str, stop: int, start: int = 0) -> int | None:
    """Return the whole number that `text` states, if it is in [start, stop); None otherwise.

    stop: one more than the largest valid number, such as the length of a sequence to index.
    """
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS):
        return None
    value = int(digits)
    return value if start <= value < stop else None


def one_of(name: str, options: Sequence[Any], default: Any) -> Any:
    """Declare a field with one of several values, each written as its str(); the default may also
    be None, which is not written.
    """
    return _field(default, Parameter(name, {str(option): option for option in options}.get))


def flag(name: str, default: bool = False) -> Any:
    """Declare a boolean field, written as "on" or "off"."""
    values = {"on": True, "off": False}
    return _field(default, Parameter(name, values.get, lambda value: "on" if value else "off"))


def integer(name: str, default: int | None = None, least: int = 0, most: int = 2**31 - 1) -> Any:
    """Declare a field with a whole number from `least` to `most`; without a default it is None.

    The bounds of an index are not known here: code that uses one checks it against the sequence.
    """
    return _field(default, Parameter(name, lambda text: parse_integer(text, most + 1, least)))


def number(name: str, default: float | None, least: float, most: float) -> Any:
    """Declare a field with a finite number from `least` to `most`, written with six digits."""

    def read(text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            return None
        return value if math.isfinite(value) and least <= value <= most else None

    return _field(default, Parameter(name, read, lambda value: f"{value:.6g}"))


def text(name: str, default: str = "", longest: int = LONGEST) -> Any:
    """Declare a field with text, which is cut after `longest` characters."""
    return _field(default, Parameter(name, lambda value: value[:longest]))


def integers(name: str, most_values: int) -> Any:
    """Declare a field with a tuple of up to `most_values` whole numbers, written as "3,17"; parts
    that are not whole numbers are skipped.
    """

    def read(value: str) -> tuple[int, ...]:
        parts = (parse_integer(part, 2**31) for part in value[:LONGEST].split(","))
        return tuple(part for part in parts if part is not None)[:most_values]

    return _field((), Parameter(name, read, lambda values: ",".join(map(str, values))))


def _field(default: Any, parameter: Parameter) -> Any:
    """Return a dataclass field that carries its parameter, for `Codec`."""
    return field(default=default, metadata={_PARAMETER: parameter})


class Codec(Generic[S]):
    """Converts between a settings class and the parameters of a link."""

    def __init__(self, kind: type[S]) -> None:
        self.kind = kind
        self._parameters = {
            one.name: one.metadata[_PARAMETER]
            for one in fields(kind)  # type: ignore[arg-type]
            if _PARAMETER in one.metadata
        }
        self._default = kind()

    @property
    def names(self) -> frozenset[str]:
        """The names of the parameters in a link."""
        return frozenset(parameter.name for parameter in self._parameters.values())

    def parse(self, query: Mapping[str, str], base: S | None = None) -> S:
        """Return the settings of a link; parameters that it lacks keep their value in `base`, or
        the default.
        """
        values = {}
        for name, parameter in self._parameters.items():
            if parameter.name in query:
                value = parameter.read(query[parameter.name])
                values[name] = getattr(self._default, name) if value is None else value
        return replace(self._default if base is None else base, **values)  # type: ignore[type-var]

    def query(self, settings: S) -> dict[str, str]:
        """Return the parameters of a link, without those that are the default or too long."""
        query = {}
        for name, parameter in self._parameters.items():
            value = getattr(settings, name)
            if value != getattr(self._default, name) and value is not None:
                text = parameter.write(value)
                if len(text) <= LONGEST:
                    query[parameter.name] = text
        return query


_codecs: dict[type[Any], Codec[Any]] = {}


def codec(kind: type[S]) -> Codec[S]:
    """Return the codec of a settings class, which is created once."""
    if kind not in _codecs:
        _codecs[kind] = Codec(kind)
    return _codecs[kind]
