"""The names that a published file may refer to, and the pickle opcodes that are refused."""

from __future__ import annotations

# (module, name) in the pickle: the kind of value that it stands for, see `Machine._call`.
NUMPY = {
    ("numpy", "dtype"): "dtype",
    ("numpy", "ndarray"): "ndarray",
    ("builtins", "set"): "set",
    ("__builtin__", "set"): "set",
    ("_codecs", "encode"): "encode",
}
for _core in ("numpy.core", "numpy._core"):
    NUMPY |= {
        (f"{_core}.multiarray", "_reconstruct"): "reconstruct",
        (f"{_core}.multiarray", "scalar"): "scalar",
        (f"{_core}.numeric", "_frombuffer"): "frombuffer",
    }

REFUSED = {
    b"P": "PERSID", b"Q": "BINPERSID", b"i": "INST", b"o": "OBJ", b"\x82": "EXT1", b"\x83": "EXT2",
    b"\x84": "EXT4", b"\x97": "NEXT_BUFFER", b"\x98": "READONLY_BUFFER", b"\x92": "NEWOBJ_EX",
    b"\x91": "FROZENSET", b"\x8b": "LONG4", b"I": "INT", b"L": "LONG", b"F": "FLOAT",
    b"S": "STRING", b"T": "BINSTRING", b"U": "SHORT_BINSTRING", b"V": "UNICODE", b"p": "PUT",
    b"g": "GET", b"l": "LIST", b"d": "DICT", b"0": "POP", b"1": "POP_MARK", b"2": "DUP",
}  # fmt: skip
"""Names of the pickle opcodes that no published dictionary needs, for messages."""
