"""An interpreter of the data opcodes of the pickle format (protocols 2 to 5).

It is not an unpickler: nothing that a file names is imported, called or instantiated. The few
allowed names are looked up in a table by exact match, and a call of one of them makes one of the
inert values of `ep.storage.published.values`. Every other name and opcode is refused. Lists and
the states of objects are stored only in the fields of the layout; everything else is replaced by
`LEFT_OUT` while it is read, so that memory is bounded whatever the file nests or repeats.

The classes, their fields and the function that takes an object are parameters of the machine.
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
"""A single value, a list, or a list of which only the first item is needed."""
State = dict[str, Any]
"""The stored fields of an object, by name."""
OnObject = Callable[[Record, State], None]


class Machine(Stack):
    """The interpretation of one file.

    classes: (module, name) of the allowed classes, and the kind of record that each becomes.
    fields: the fields of their states that are stored, and the form of each.
    on_object: called with every object and its state once the state is complete.
    """

    def __init__(
        self,
        tape: Tape,
        classes: Mapping[tuple[str, str], str],
        fields: Mapping[str, Field],
        on_object: OnObject,
    ) -> None:
        super().__init__(tape)
        self._names = {name: Name(kind) for name, kind in (NUMPY | dict(classes)).items()}
        self._classes = frozenset(classes.values())
        self._fields = fields
        self._on_object = on_object
        self._memo: list[Any] = []

    def run(self) -> Any:
        """Interpret the file and return its value.

        Raises DictionaryFileError at the first thing that is not part of a published dictionary.
        """
        if self._tape.take(1) != b"\x80":
            raise DictionaryFileError(
                "this is not a published dictionary: expected a pickle of protocol 2 to 5"
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
        opcode = f"the opcode {name}" if name else f"the unknown opcode {code[0]:#04x}"
        return self._tape.error(f"refused: {opcode}, which no published dictionary has")

    # -- control -----------------------------------------------------------------------------------

    def _protocol(self) -> None:
        version = self._tape.byte()
        if not 2 <= version <= 5:
            raise self._tape.error(f"pickle protocol {version}: expected 2 to 5")

    def _frame(self) -> None:
        length = self._tape.unsigned(8)
        if length > self._tape.size - self._tape.position:
            raise self._tape.error(
                f"a frame of {length:,} bytes reaches beyond the end of the file"
            )
        if self._marks:
            self._skip_integers()  # a frame may begin in the middle of a run of integers

    def _mark(self) -> None:
        if len(self._marks) >= MAX_MARKS:
            raise self._tape.error(f"more than {MAX_MARKS} open lists: nested too deeply")
        self._marks.append(len(self._stack))
        self._skip_integers()

    def _skip_integers(self) -> None:
        """Skip a run of integers in a list of which none or only the first is needed.

        Such lists have most of a file's opcodes, so they are not interpreted one by one.
        """
        start = self._marks[-1]
        container, items = self._stack[start - 1] if start else None, self._stack[start:]
        if container is LEFT_OUT and not items:
            self._tape.integers()
        elif type(container) is First and (
            not items or (len(items) == 1 and type(items[0]) is int)
        ):
            first = self._tape.integers()
            if first is not None and not items:
                self._stack.append(first)

    # -- single values -----------------------------------------------------------------------------

    def _text(self, width: int) -> None:
        length = self._tape.unsigned(width)
        if length > SHORT_TEXT:
            self._push(Text(self._tape.skip(length), length))
            return
        try:
            self._push(self._tape.take(length).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise self._tape.error("a string is not UTF-8") from None

    def _bytes(self, width: int) -> None:
        length = self._tape.unsigned(width)
        self._push(Span(self._tape.skip(length), length))

    def _integer(self, width: int, signed: bool) -> None:
        self._push(int.from_bytes(self._tape.take(width), "little", signed=signed))

    def _long(self) -> None:
        length = self._tape.byte()
        if length > 16:
            raise self._tape.error(f"an integer of {length} bytes: expected at most 16")
        self._integer(length, signed=True)

    def _float(self) -> None:
        self._push(struct.unpack(">d", self._tape.take(8))[0])

    # -- containers --------------------------------------------------------------------------------

    def _list(self) -> None:
        """Push a list, which is stored only as the value of a field of the layout.

        The field's name is on the stack already: a pickle writes it before the value.
        """
        key = self._stack[-1] if self._stack else None
        kind = self._fields.get(key) if type(key) is str else None
        self._count()
        self._push([] if kind == "list" else First() if kind == "first" else LEFT_OUT)

    def _dict(self) -> None:
        """Push a dict, which is stored only as the state of an object."""
        self._count()
        self._push({} if self._stack and type(self._stack[-1]) is Record else LEFT_OUT)

    def _extend(self, container: Any, items: list[Any]) -> None:
        if type(container) is list:
            container.extend(items)
        elif type(container) is First:
            if container.value is None and items:
                container.value = items[0]
        elif container is not LEFT_OUT:
            raise self._tape.error("items for something that is not a list")

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
            raise self._tape.error("entries for something that is not a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str:
                raise self._tape.error("a field whose name is not a string")
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
            raise self._tape.error("members for something that is not a set")

    def _tuple(self, items: list[Any]) -> None:
        """Push a tuple, which must be short and nested at most twice."""
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
        """Put the topmost value into the memo, at an index or as the next entry.

        Pickles number memo entries in order. A value inside something that is left out is not kept
        alive by the memo.
        """
        value = self._top()
        if type(value) in _NOT_KEPT and any(
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
        """Push a memo entry."""
        if index >= len(self._memo):
            raise self._tape.error(f"memo entry {index:,} does not exist")
        self._push(self._memo[index])

    # -- names and objects -------------------------------------------------------------------------

    def _push_name(self, module: Any, name: Any) -> None:
        """Push an allowed name.

        Only an exact match is allowed, so that a dotted name cannot refer to the contents of an
        allowed module.
        """
        if type(module) is not str or type(name) is not str:
            raise self._tape.error("a name that is not a string")
        allowed = self._names.get((module, name))
        if allowed is None:
            requested = ascii(f"{module}.{name}"[:80])
            raise self._tape.error(
                f"refused: the file asks for {requested}, which no published dictionary needs"
            )
        self._push(allowed)

    def _global(self) -> None:
        module, name = (self._tape.line(LONGEST_NAME).decode("utf-8", "replace") for _ in range(2))
        self._push_name(module, name)

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._push_name(module, name)

    def _newobj(self) -> None:
        arguments, name = self._pop(), self._pop()
        if type(name) is not Name or name.kind not in self._classes or arguments != ():
            raise self._tape.error("refused: an object of a class that no published dictionary has")
        self._count()
        self._push(Record(name.kind))

    def _reduce(self) -> None:
        arguments, name = self._pop(), self._pop()
        if type(name) is not Name or type(arguments) is not tuple:
            raise self._tape.error("refused: a call of something that is not a name")
        self._count()
        self._push(self._call(name.kind, arguments))

    def _call(self, kind: str, arguments: tuple[Any, ...]) -> Any:
        """The inert value for a call of an allowed name."""
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
            case "scalar", (Dtype() as scalar_dtype, _):
                return scalar(self._tape, scalar_dtype, arguments[1])
        raise self._tape.error(
            f"refused: a call of {kind} with {len(arguments)} unexpected arguments"
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
            raise self._tape.error("refused: a state for something that has none")

    def _complete(self, record: Record, state: Any) -> None:
        if type(state) is not dict or record.built:
            raise self._tape.error("an object's state is not the expected one")
        record.built = True
        self._on_object(record, dict(state))
        state.clear()  # the memo may refer to it: its values are not kept alive


_NOT_KEPT = (Span, Latin, Array, tuple)
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
    b"r": lambda m: m._remember(m._tape.unsigned(4)),
    b"\x94": lambda m: m._remember(None),
    b"h": lambda m: m._recall(m._tape.byte()),
    b"j": lambda m: m._recall(m._tape.unsigned(4)),
    b"c": Machine._global,
    b"\x93": Machine._stack_global,
    b"R": Machine._reduce,
    b"\x81": Machine._newobj,
    b"b": Machine._build,
}
"""The steps of the supported opcodes, by opcode."""
