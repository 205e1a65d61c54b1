"""A machine for the data opcodes of the pickle format (protocols 2 to 5): a file in, inert values
out.

It is not an unpickler. Nothing that a file names is imported, called or built: the few allowed
names are looked up in a table by exact match, and "calling" one of them means filling in one of
`ep.storage.published.values`. Every other name and opcode is refused. Lists and objects' states are
kept only where the layout asks for them by field name; everything else becomes `LEFT_OUT` while it
is read, which bounds memory whatever the file nests or repeats.

It knows no dictionary: which classes and fields there are, and what to make of an object, is given
to it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ep.errors import DictionaryFileError
from ep.storage.published.numbers import array, build_array, build_dtype, dtype, frombuffer, scalar
from ep.storage.published.stack import LONGEST_NAME, MAX_MARKS, MAX_TUPLE, SHORT_TEXT, Stack
from ep.storage.published.tables import NUMPY, REFUSED
from ep.storage.published.tape import Tape
from ep.storage.published.values import (
    LEFT_OUT,
    Array,
    Dtype,
    First,
    Latin,
    Name,
    Record,
    Span,
    Text,
)

Field = Literal["value", "list", "first"]
State = dict[str, Any]
Made = Callable[[Record, State], None]


class Machine(Stack):
    """One run over one file.

    classes: (module, name) of the allowed classes and what they are called here. fields: of their
    states, the fields to keep, and whether a field is a value, a list, or a list of which only the
    first item matters. made: called with every object when its state is complete.
    """

    def __init__(
        self,
        tape: Tape,
        classes: Mapping[tuple[str, str], str],
        fields: Mapping[str, Field],
        made: Made,
    ) -> None:
        super().__init__(tape)
        self._names = {name: Name(kind) for name, kind in (NUMPY | dict(classes)).items()}
        self._classes = frozenset(classes.values())
        self._fields = fields
        self._made = made
        self._memo: list[Any] = []

    def run(self) -> Any:
        """The file's one value.

        DictionaryFileError at the first thing that no published dictionary holds.
        """
        if self._tape.take(1) != b"\x80":
            raise DictionaryFileError(
                "this is no published dictionary: expected a pickle of protocol 2 to 5"
            )
        self._protocol()
        byte, steps = self._tape.byte, [STEPS.get(bytes([code])) for code in range(256)]
        while (code := byte()) != _STOP:
            step = steps[code]
            if step is None:
                raise self._refusal(bytes([code]))
            step(self)
        value = self._pop()
        if self._stack or self._marks:
            raise self._tape.error("the file ends with values left over")
        if self._tape.position != self._tape.size:
            raise self._tape.error(
                f"{self._tape.size - self._tape.position:,} bytes follow the end"
            )
        return value

    def _refusal(self, code: bytes) -> DictionaryFileError:
        name = REFUSED.get(code)
        what = (
            f"the instruction {name}" if name else f"byte {code[0]:#04x}, which is no instruction"
        )
        return self._tape.error(f"refused: {what}, which no published dictionary holds")

    # -- control -----------------------------------------------------------------------------------

    def _protocol(self) -> None:
        version = self._tape.byte()
        if not 2 <= version <= 5:
            raise self._tape.error(f"pickle protocol {version}: expected 2 to 5")

    def _frame(self) -> None:
        length = self._tape.whole(8)
        if length > self._tape.size - self._tape.position:
            raise self._tape.error(
                f"a frame of {length:,} bytes reaches beyond the end of the file"
            )
        if self._marks:
            self._skim()  # a frame may begin in the middle of a run

    def _mark(self) -> None:
        if len(self._marks) >= MAX_MARKS:
            raise self._tape.error(f"more than {MAX_MARKS} open lists: nested too deeply")
        self._marks.append(len(self._stack))
        self._skim()

    def _skim(self) -> None:
        """Go past a run of integers at once where nobody will look at them, or at the first one
        only.
        """
        start = self._marks[-1]
        below, here = self._stack[start - 1] if start else None, self._stack[start:]
        if below is LEFT_OUT and not here:
            self._tape.integers()
        elif type(below) is First and (not here or (len(here) == 1 and type(here[0]) is int)):
            first = self._tape.integers()
            if first is not None and not here:
                self._stack.append(first)

    # -- single values -----------------------------------------------------------------------------

    def _text(self, width: int) -> None:
        length = self._tape.whole(width)
        if length > SHORT_TEXT:
            self._push(Text(self._tape.pass_over(length), length))
            return
        try:
            self._push(self._tape.take(length).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise self._tape.error("a string that is not UTF-8") from None

    def _bytes(self, width: int) -> None:
        length = self._tape.whole(width)
        self._push(Span(self._tape.pass_over(length), length))

    def _integer(self, width: int, signed: bool) -> None:
        self._push(int.from_bytes(self._tape.take(width), "little", signed=signed))

    def _long(self) -> None:
        length = self._tape.byte()
        if length > 16:
            raise self._tape.error(f"a whole number of {length} bytes: expected at most 16")
        self._integer(length, signed=True)

    def _float(self) -> None:
        self._push(struct.unpack(">d", self._tape.take(8))[0])

    # -- containers --------------------------------------------------------------------------------

    def _list(self) -> None:
        """A list that is kept only as the value of a field the layout asks for."""
        key = self._stack[-1] if self._stack else None
        kind = self._fields.get(key) if type(key) is str else None
        self._count()
        self._push([] if kind == "list" else First() if kind == "first" else LEFT_OUT)

    def _dict(self) -> None:
        """A dictionary that is kept only as the state of an object."""
        self._count()
        self._push({} if self._stack and type(self._stack[-1]) is Record else LEFT_OUT)

    def _extend(self, container: Any, items: list[Any]) -> None:
        if type(container) is list:
            container.extend(items)
        elif type(container) is First:
            if container.value is None and items:
                container.value = items[0]
        elif container is not LEFT_OUT:
            raise self._tape.error("items for something that is no list")

    def _append(self) -> None:
        item = self._pop()
        self._extend(self._top(), [item])

    def _appends(self) -> None:
        items = self._since_mark()
        self._extend(self._top(), items)

    def _store(self, container: Any, items: list[Any]) -> None:
        if len(items) % 2:
            raise self._tape.error("a key without a value")
        if container is LEFT_OUT:
            return
        if type(container) is not dict:
            raise self._tape.error("entries for something that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str:
                raise self._tape.error("a field whose name is no text")
            if key in self._fields:
                container[key] = value

    def _setitem(self) -> None:
        value, key = self._pop(), self._pop()
        self._store(self._top(), [key, value])

    def _setitems(self) -> None:
        items = self._since_mark()
        self._store(self._top(), items)

    def _additems(self) -> None:
        self._since_mark()
        if self._top() is not LEFT_OUT:
            raise self._tape.error("members for something that is no set")

    def _tuple(self, items: list[Any]) -> None:
        """Tuples are short, and at most two deep."""
        if len(items) > MAX_TUPLE:
            raise self._tape.error(f"a tuple of {len(items):,}: expected at most {MAX_TUPLE}")
        for item in items:
            if type(item) is tuple and any(type(inner) is tuple for inner in item):
                raise self._tape.error("tuples nested too deeply")
        self._count()
        self._push(tuple(items))

    def _last(self, n: int) -> list[Any]:
        return [self._pop() for _ in range(n)][::-1]

    # -- the memo ----------------------------------------------------------------------------------

    def _remember(self, index: int | None) -> None:
        """Pickles number what they remember in order; what lies inside something left out is not
        kept by the memo.
        """
        value = self._top()
        if type(value) in _FLEETING and any(
            start and self._stack[start - 1] is LEFT_OUT for start in self._marks
        ):
            value = LEFT_OUT
        if index is None or index == len(self._memo):
            self._count()
            self._memo.append(value)
        elif index < len(self._memo):
            self._memo[index] = value
        else:
            raise self._tape.error(f"memo entry {index:,} comes before {len(self._memo):,}")

    def _recall(self, index: int) -> None:
        if index >= len(self._memo):
            raise self._tape.error(f"memo entry {index:,} does not exist")
        self._push(self._memo[index])

    # -- names and objects -------------------------------------------------------------------------

    def _named(self, module: Any, name: Any) -> None:
        """Exact match or nothing: a dotted name cannot reach into an allowed module."""
        if type(module) is not str or type(name) is not str:
            raise self._tape.error("a name that is no text")
        found = self._names.get((module, name))
        if found is None:
            asked = ascii(f"{module}.{name}"[:80])
            raise self._tape.error(
                f"refused: the file asks for {asked}, which no published dictionary needs"
            )
        self._push(found)

    def _global(self) -> None:
        module, name = (self._tape.line(LONGEST_NAME).decode("utf-8", "replace") for _ in range(2))
        self._named(module, name)

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._named(module, name)

    def _newobj(self) -> None:
        arguments, name = self._pop(), self._pop()
        if type(name) is not Name or name.kind not in self._classes or arguments != ():
            raise self._tape.error(
                "refused: an object of a class that no published dictionary holds"
            )
        self._count()
        self._push(Record(name.kind))

    def _reduce(self) -> None:
        arguments, name = self._pop(), self._pop()
        if type(name) is not Name or type(arguments) is not tuple:
            raise self._tape.error("refused: a call of something that is no name")
        self._count()
        self._push(self._call(name.kind, arguments))

    def _call(self, kind: str, arguments: tuple[Any, ...]) -> Any:
        match kind, arguments:
            case "set", (_,):
                return LEFT_OUT
            case "encode", (str() | Text() as text, "latin1"):
                return Latin(text)
            case "dtype", _:
                return dtype(arguments)
            case "frombuffer", _:
                return frombuffer(arguments)
            case "reconstruct", (Name("ndarray"), _, _):
                return array()
            case "scalar", (Dtype() as kind_of, _):
                return scalar(self._tape, kind_of, arguments[1])
        raise self._tape.error(
            f"refused: a call of {kind} with {len(arguments)} arguments that do not fit it"
        )

    def _build(self) -> None:
        state = self._pop()
        target = self._top()
        if type(target) is Record:
            self._complete(target, state)
        elif type(target) is Dtype:
            build_dtype(target, state)
        elif type(target) is Array:
            build_array(target, state)
        else:
            raise self._tape.error("refused: a state for something that takes none")

    def _complete(self, record: Record, state: Any) -> None:
        if type(state) is not dict or record.built:
            raise self._tape.error("an object's state is not the one expected")
        record.built = True
        self._made(record, dict(state))
        state.clear()


_FLEETING = (Span, Latin, Array, tuple)
_STOP = ord(".")

STEPS: dict[bytes, Callable[[Machine], None]] = {
    b"\x80": Machine._protocol,
    b"\x95": Machine._frame,
    b"(": Machine._mark,
    b"N": lambda m: m._push(None),
    b"\x88": lambda m: m._push(True),
    b"\x89": lambda m: m._push(False),
    b"K": lambda m: m._push(m._tape.byte()),
    b"M": lambda m: m._integer(2, signed=False),
    b"J": lambda m: m._integer(4, signed=True),
    b"\x8a": Machine._long,
    b"G": Machine._float,
    b"\x8c": lambda m: m._text(1),
    b"X": lambda m: m._text(4),
    b"\x8d": lambda m: m._text(8),
    b"C": lambda m: m._bytes(1),
    b"B": lambda m: m._bytes(4),
    b"\x8e": lambda m: m._bytes(8),
    b"\x96": lambda m: m._bytes(8),
    b"]": Machine._list,
    b"}": Machine._dict,
    b"\x8f": lambda m: m._push(LEFT_OUT),
    b")": lambda m: m._push(()),
    b"t": lambda m: m._tuple(m._since_mark()),
    b"\x85": lambda m: m._tuple(m._last(1)),
    b"\x86": lambda m: m._tuple(m._last(2)),
    b"\x87": lambda m: m._tuple(m._last(3)),
    b"a": Machine._append,
    b"e": Machine._appends,
    b"s": Machine._setitem,
    b"u": Machine._setitems,
    b"\x90": Machine._additems,
    b"q": lambda m: m._remember(m._tape.byte()),
    b"r": lambda m: m._remember(m._tape.whole(4)),
    b"\x94": lambda m: m._remember(None),
    b"h": lambda m: m._recall(m._tape.byte()),
    b"j": lambda m: m._recall(m._tape.whole(4)),
    b"c": Machine._global,
    b"\x93": Machine._stack_global,
    b"R": Machine._reduce,
    b"\x81": Machine._newobj,
    b"b": Machine._build,
}
"""The data opcodes, by their byte."""
