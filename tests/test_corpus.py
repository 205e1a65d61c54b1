"""Laws of the corpus: the same seed, the same stream; every format, the same passages; bad files,
one clear line.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ep import corpus as corpus_module
from ep.corpus import Corpus, Passage
from ep.errors import CorpusError

TEXTS = ["The cat sat.", "Two\nlines", 'Commas, "quotes" and ünïcode', "x" * 300]


def write_all(folder: Path) -> dict[str, Path]:
    paths = {kind: folder / f"text.{kind}" for kind in ("txt", "jsonl", "json", "csv", "parquet")}
    paths["txt"].write_text("\n\n".join(TEXTS) + "\n", encoding="utf-8")
    paths["jsonl"].write_text(
        "".join(json.dumps({"text": t}) + "\n" for t in TEXTS), encoding="utf-8"
    )
    paths["json"].write_text(json.dumps(TEXTS), encoding="utf-8")
    pd.DataFrame({"text": TEXTS, "other": 1}).to_csv(paths["csv"], index=False)
    pd.DataFrame({"text": TEXTS}).to_parquet(paths["parquet"])
    return paths


def test_every_format_gives_the_same_passages(tmp_path: Path) -> None:
    for path in write_all(tmp_path).values():
        assert [p.text for p in Corpus([path], seed=None)] == TEXTS, path
        assert [p.id for p in Corpus([path], seed=None)] == [0, 1, 2, 3]


def test_a_folder_is_its_files_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert [p.text for p in Corpus([tmp_path], seed=None)] == ["first", "second"]


@pytest.mark.parametrize("buffer", [1, 3, 1000])
def test_shuffling_is_a_seeded_restartable_permutation(
    tmp_path: Path, buffer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_module, "SHUFFLE_BUFFER", buffer)
    path = tmp_path / "t.json"
    path.write_text(json.dumps([f"text {i}" for i in range(50)]))
    corpus = Corpus([path], seed=3)
    first, again = list(corpus), list(corpus)
    assert first == again == list(Corpus([path], seed=3))
    assert sorted(p.id for p in first) == list(range(50))
    assert all(p.text == f"text {p.id}" for p in first)
    if buffer > 1:
        assert [p.id for p in first] != [p.id for p in Corpus([path], seed=4)]


def test_chats_come_from_messages_or_from_plain_text(tmp_path: Path) -> None:
    rows = tmp_path / "chats.jsonl"
    turn = {"role": "user", "content": "Hi"}
    rows.write_text(json.dumps({"messages": [turn]}) + "\n" + json.dumps({"text": "plain"}) + "\n")
    chat, plain = Corpus([rows], seed=None)
    assert chat == Passage(0, messages=(turn,))
    assert plain == Passage(1, "plain")
    assert next(iter(Corpus([rows], seed=None, chat=True))).messages == (turn,)
    assert list(Corpus([rows], seed=None, chat=True))[1].messages == (
        {"role": "user", "content": "plain"},
    )


def test_empty_texts_are_left_out_and_ids_stay(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(["", "kept", "  \n"]))
    assert [(p.id, p.text) for p in Corpus([path], seed=None)] == [(1, "kept")]


def test_the_digest_follows_the_text_and_not_the_place(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    one, two, other = tmp_path / "a.txt", tmp_path / "deep" / "b.txt", tmp_path / "c.txt"
    for path, text in ((one, "same"), (two, "same"), (other, "other")):
        path.write_text(text)
    assert Corpus([one]).digest() == Corpus([two]).digest() != Corpus([other]).digest()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.txt", None, "does not exist"),
        ("picture.png", b"x", "supported text format"),
        ("latin.txt", "café".encode("latin-1"), "not UTF-8"),
        ("broken.json", b"[1,", "not JSON"),
        ("object.json", b'{"a": 1}', "list of texts"),
        ("keys.jsonl", b'{"body": "x"}\n', "no 'text'"),
        ("number.jsonl", b"7\n", "JSON int"),
        ("chat.jsonl", b'{"messages": [{"role": "user"}]}\n', "not a chat"),
        ("columns.csv", b"a,b\n1,2\n", "no column 'text'"),
        ("broken.parquet", b"PAR1 not really", "parquet"),
    ],
)
def test_bad_files_are_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=says) as caught:
        list(Corpus([path]))
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="contains no text"):
        Corpus([tmp_path])
    with pytest.raises(CorpusError, match="no text was given"):
        Corpus([])
