"""What a link may hold: the parameters a page's settings are made of, and the codec between both.

A page declares its settings as one frozen dataclass whose fields are made by the functions here:

    @dataclass(frozen=True)
    class Settings:
        basis: Basis = one_of("basis", BASES, "mean")
        neighbours: int = whole("neighbours", 3, least=1, most=20)

A link is text that a stranger may have typed: what makes no sense counts as the default, and no
value is larger than what it stands for. Knows no session and no screen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, TypeVar

LONGEST = 1500
"""Characters of one value: servers cut longer links, so a longer value stays in the session."""
MOST_DIGITS = 18
S = TypeVar("S")
_PARAMETER = "parameter"


@dataclass(frozen=True)
class Parameter:
    """One field of a page's settings in a link.

    name: in the link, short and of letters. read: its value from text, None where that makes no
    sense. write: its text.
    """

    name: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str


def whole_number(text: str, stop: int, start: int = 0) -> int | None:
    """The whole number that `text` is, in [start, stop); None for anything else.

    stop: one more than the largest that makes sense, such as the length of what it indexes.
    """
    plain = text.strip()
    if not (plain.isascii() and plain.isdigit() and len(plain) <= MOST_DIGITS):
        return None
    value = int(plain)
    return value if start <= value < stop else None


def one_of(name: str, options: Sequence[Any], default: Any) -> Any:
    """A field that holds one of several values, each written as its text, or None, which is never
    written.
    """
    return _made(default, Parameter(name, {str(option): option for option in options}.get))


def flag(name: str, default: bool = False) -> Any:
    """A field that is True or False: "on" or "off"."""
    words = {"on": True, "off": False}
    return _made(default, Parameter(name, words.get, lambda value: "on" if value else "off"))


def whole(name: str, default: int | None = None, least: int = 0, most: int = 2**31 - 1) -> Any:
    """A field that holds a whole number from `least` to `most`, or None where it has no default.

    An index is read with the widest bounds here; whoever uses it checks it against what it indexes.
    """
    return _made(default, Parameter(name, lambda text: whole_number(text, most + 1, least)))


def number(name: str, default: float | None, least: float, most: float) -> Any:
    """A field that holds a finite number from `least` to `most`, to six digits."""

    def read(text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            return None
        return value if math.isfinite(value) and least <= value <= most else None

    return _made(default, Parameter(name, read, lambda value: f"{value:.6g}"))


def text(name: str, default: str = "", longest: int = LONGEST) -> Any:
    """A field that holds text, cut after `longest` characters."""
    return _made(default, Parameter(name, lambda value: value[:longest]))


def wholes(name: str, most_values: int) -> Any:
    """A field that holds up to `most_values` whole numbers, "3,17"; anything else is skipped."""

    def read(value: str) -> tuple[int, ...]:
        parts = (whole_number(part, 2**31) for part in value[:LONGEST].split(","))
        return tuple(part for part in parts if part is not None)[:most_values]

    return _made((), Parameter(name, read, lambda values: ",".join(map(str, values))))


def _made(default: Any, parameter: Parameter) -> Any:
    return field(default=default, metadata={_PARAMETER: parameter})


class Codec(Generic[S]):
    """Between a settings class and the parameters of a link."""

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
        """The parameters' names in a link."""
        return frozenset(parameter.name for parameter in self._parameters.values())

    def parse(self, query: Mapping[str, str], base: S | None = None) -> S:
        """The settings of a link; what it does not say is as in `base`, else the default."""
        found = {}
        for name, parameter in self._parameters.items():
            if parameter.name in query:
                value = parameter.read(query[parameter.name])
                found[name] = getattr(self._default, name) if value is None else value
        return replace(self._default if base is None else base, **found)  # type: ignore[type-var]

    def query(self, settings: S) -> dict[str, str]:
        """The parameters of a link; what is the default, or too long, stays out."""
        texts = {}
        for name, parameter in self._parameters.items():
            value = getattr(settings, name)
            if value != getattr(self._default, name) and value is not None:
                written = parameter.write(value)
                if len(written) <= LONGEST:
                    texts[parameter.name] = written
        return texts


_codecs: dict[type[Any], Codec[Any]] = {}


def codec(kind: type[S]) -> Codec[S]:
    """The codec of a settings class, made once."""
    if kind not in _codecs:
        _codecs[kind] = Codec(kind)
    return _codecs[kind]
