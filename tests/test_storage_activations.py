"""Stored activations: every bit comes back, and what is cut short or damaged is not used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ep.storage.activations import LayerStore

WIDTH = 6
KEYS = np.arange(5, dtype=np.uint64) + 7
IDS = np.array([3, 9, 4, 1, 8])
COUNTS = np.array([4, 0, 2, 5, 1])


def activations(dtype: str) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(COUNTS.sum(), WIDTH)).astype(np.float32)
    if dtype == "bfloat16":
        return (x.view(np.uint32) & 0xFFFF0000).view(np.float32)
    return x.astype(np.float16).astype(np.float32) if dtype == "float16" else x


def rows_of(x: np.ndarray, passages: list[int]) -> np.ndarray:
    ends = np.cumsum(COUNTS)
    found = {int(p): x[e - c : e] for p, c, e in zip(IDS, COUNTS, ends, strict=True)}
    return np.concatenate([found[passage] for passage in passages])


@pytest.mark.parametrize("dtype, item", [("float32", 4), ("bfloat16", 2), ("float16", 2)])
def test_every_bit_comes_back_in_any_order_and_after_opening_again(
    tmp_path: Path, dtype: str, item: int
) -> None:
    x = activations(dtype)
    x[0, 0] = np.float32(2.0**-20)
    store = LayerStore(tmp_path, 4, WIDTH)
    store.add(IDS[:2], KEYS[:2], COUNTS[:2], x[:4], dtype)
    store = LayerStore(tmp_path, 4, WIDTH)
    store.add(IDS[2:], KEYS[2:], COUNTS[2:], x[4:], dtype)
    assert store.size == x.size * item
    for one in (store, LayerStore(tmp_path, 4, WIDTH)):
        assert one.holds(IDS, KEYS) and not one.differs(IDS, KEYS)
        for order in ([3, 9, 4, 1, 8], [8, 1, 9], [4]):
            read = one.read(np.array(order))
            assert read.tobytes() == rows_of(x, order).tobytes()


def test_numbers_that_do_not_fit_in_16_bits_keep_all_32(tmp_path: Path) -> None:
    x = activations("float32")
    store = LayerStore(tmp_path, 0, WIDTH)
    store.add(IDS, KEYS, COUNTS, x, "bfloat16")
    assert store.read(IDS).tobytes() == x.tobytes()


def test_cut_at_any_byte_only_whole_records_remain_and_more_can_be_added(tmp_path: Path) -> None:
    x = activations("float32")
    store = LayerStore(tmp_path, 2, WIDTH)
    store.add(IDS, KEYS, COUNTS, x, "float32")
    for name in ("layer-2.rows", "layer-2.index"):
        whole = (tmp_path / name).read_bytes()
        for size in range(0, len(whole), 11):
            (tmp_path / name).write_bytes(whole[:size])
            cut = LayerStore(tmp_path, 2, WIDTH)
            held = [
                int(p)
                for p, k in zip(IDS, KEYS, strict=True)
                if cut.holds(np.array([p]), np.array([k]))
            ]
            assert held == IDS[: len(held)].tolist() and len(cut) == len(held) < 5
            if held:
                assert cut.read(np.array(held)).tobytes() == rows_of(x, held).tobytes()
        (tmp_path / name).write_bytes(whole)
    (tmp_path / "layer-2.rows").write_bytes((tmp_path / "layer-2.rows").read_bytes()[:-1])
    again = LayerStore(tmp_path, 2, WIDTH)
    again.add(IDS[-1:], KEYS[-1:], COUNTS[-1:], x[-1:], "float32")
    assert LayerStore(tmp_path, 2, WIDTH).read(IDS).tobytes() == x.tobytes()


def test_damaged_rows_are_noticed_and_other_tokens_too(tmp_path: Path) -> None:
    x = activations("float32")
    store = LayerStore(tmp_path, 2, WIDTH)
    store.add(IDS, KEYS, COUNTS, x, "float32")
    path = tmp_path / "layer-2.rows"
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    assert store.read(IDS) is None and not store.holds(IDS, KEYS)
    assert store.holds(IDS[1:], KEYS[1:])
    assert store.differs(IDS[1:2], KEYS[:1]) and not store.holds(IDS[1:2], KEYS[:1])
    assert not store.differs(np.array([77]), KEYS[:1])
