"""Laws of the corpus: the same seed, the same stream; every format, the same passages; bad files,
one clear line.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ep import corpus as corpus_module
from ep.corpus import FOREIGN_ROWS, MOST_UNUSABLE, Corpus, Passage, Survey
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


# -- rows that cannot be used ----------------------------------------------------------------------

GOOD = {"text": "some text"}
CHAT = [{"role": "user", "content": "Hi"}]
EMPTY = [{"text": None}, {"text": ""}, {"text": " "}, {"messages": []}, {"messages": None}, None]
UNUSABLE = [
    ({"body": "x"}, "has no 'text', only"),
    ({"text": 7}, "holds a int"),
    ({"messages": [{"role": "user", "content": None}]}, "is not a chat"),
    ([1], "is a JSON list"),
]


def written(path: Path, rows: list[object]) -> Path:
    """Rows as a file of JSON lines, or as a JSON list."""
    lines = [json.dumps(row) for row in rows]
    path.write_text(f"[{','.join(lines)}]" if path.suffix == ".json" else "\n".join(lines))
    return path


def surveyed(corpus: Corpus, **changes: Any) -> Survey:
    return list(corpus.survey(**changes))[-1]


@pytest.mark.parametrize("kind", ["jsonl", "json"])
@pytest.mark.parametrize("row", EMPTY)
def test_a_row_without_text_is_left_out_and_counted_wherever_it_is(
    tmp_path: Path, row: object, kind: str
) -> None:
    for rows in ([GOOD, GOOD, row], [row, GOOD, GOOD], [row, row, row, GOOD, GOOD]):
        corpus = Corpus([written(tmp_path / f"t.{kind}", rows)], seed=None)
        found = surveyed(corpus)
        found.check()
        assert (found.rows, found.empty, found.unusable) == (len(rows), len(rows) - 2, 0)
        assert [p.id for p in corpus] == [n for n, r in enumerate(rows) if r is GOOD]


@pytest.mark.parametrize("kind", ["jsonl", "json"])
@pytest.mark.parametrize(("row", "says"), UNUSABLE)
def test_a_row_of_another_kind_is_counted_and_only_many_at_its_start_end_a_text(
    tmp_path: Path, row: object, says: str, kind: str
) -> None:
    name, place = f"t.{kind}", "line 21" if kind == "jsonl" else "item 21"
    corpus = Corpus([written(tmp_path / name, [*[GOOD] * 20, row, GOOD])], seed=None)
    found = surveyed(corpus)
    found.check()
    assert (found.rows, found.empty, found.unusable) == (22, 0, 1)
    assert found.first.startswith(f"{name} {place} {says}")
    assert found.left_out() == {"unusable": 1, "first_unusable": found.first}
    assert [p.id for p in corpus] == [*range(20), 21]
    for first in ([], [{"text": None}]):
        corpus = Corpus([written(tmp_path / name, [*first, row, *[GOOD] * 20])])
        surveyed(corpus).check()
        assert len(list(corpus)) == 20
        rows = [*first, *[row] * FOREIGN_ROWS, *[GOOD] * 2000]
        corpus = Corpus([written(tmp_path / name, rows)])
        for reading in (corpus, corpus.survey()):
            with pytest.raises(CorpusError, match=f"{name} .* {says}"):
                list(reading)


def test_a_broken_line_of_jsonl_is_counted_like_any_other_unusable_row(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", [GOOD] * 20)
    path.write_text(path.read_text() + '\n{"text": "cut of')
    found = surveyed(Corpus([path]))
    assert (found.rows, found.unusable) == (21, 1)
    assert found.first.startswith("t.jsonl line 21 is not JSON")


def test_a_text_with_too_many_unusable_rows_is_refused_and_empty_ones_do_not_matter(
    tmp_path: Path,
) -> None:
    def check(bad: int, good: int, empty: int) -> None:
        rows = [*[GOOD] * good, *[{"body": "x"}] * bad, *[{"text": ""}] * empty]
        surveyed(Corpus([written(tmp_path / "t.jsonl", rows)])).check()

    limit = int(MOST_UNUSABLE * 100)
    check(limit, 100 - limit, 0)
    check(0, 1, 100)
    for empty in (0, 100):
        with pytest.raises(CorpusError, match=f"{limit + 1} of 100 .* 10%.* t.jsonl line ") as e:
            check(limit + 1, 99 - limit, empty)
        assert "\n" not in str(e.value)


def test_passages_that_the_reader_refuses_are_counted_and_named(tmp_path: Path) -> None:
    rows: list[object] = [{"messages": CHAT}] * 12
    corpus = Corpus([written(tmp_path / "c.jsonl", rows)])
    found = surveyed(corpus, refusal=lambda p: "is \x1b[31m odd\n" * 99 if p.id == 7 else "")
    assert (found.unusable, found.refused) == (1, {7})
    assert found.first.startswith("c.jsonl line 8 is ")
    assert found.first.isprintable()
    assert len(found.first) <= 300


def test_nulls_of_tables_are_empty_texts(tmp_path: Path) -> None:
    texts = pd.DataFrame({"text": ["a", None, "b"]})
    texts.to_parquet(tmp_path / "t.parquet")
    texts.to_csv(tmp_path / "t.csv", index=False)
    chats = pd.DataFrame({"messages": [CHAT, None, CHAT]})
    chats.to_parquet(tmp_path / "c.parquet")
    (tmp_path / "nan.jsonl").write_text('{"text": "a"}\n{"text": NaN}\n{"text": "b"}')
    for name in ("t.parquet", "t.csv", "c.parquet", "nan.jsonl"):
        corpus = Corpus([tmp_path / name], seed=None)
        assert [p.id for p in corpus] == [0, 2], name
        assert surveyed(corpus).empty == 1


def test_a_null_text_beside_a_chat_leaves_the_chat(tmp_path: Path) -> None:
    path = written(tmp_path / "c.jsonl", [{"text": None, "messages": CHAT}])
    assert [p.messages for p in Corpus([path])] == [tuple(CHAT)]


# -- folders and .txt ------------------------------------------------------------------------------


def test_the_side_files_of_a_folder_are_not_its_text(tmp_path: Path) -> None:
    text = tmp_path / "data" / "train.jsonl"
    text.parent.mkdir()
    written(text, [GOOD])
    alone = Corpus([tmp_path])
    for name in (
        "README.txt",
        "LICENSE.txt",
        "dataset_infos.json",
        "data/dataset_info.json",
        "data/state.json",
        "dataset_dict.json",
        ".hidden.txt",
        ".ipynb_checkpoints/train-checkpoint.jsonl",
        "data/.cache/deep/x.json",
        "__MACOSX/data/._train.jsonl",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{\xff}")
    assert Corpus([tmp_path]).files == alone.files == (text,)
    assert Corpus([tmp_path]).digest() == Corpus([text]).digest()


def test_a_hidden_folder_or_a_side_file_that_is_named_is_read(tmp_path: Path) -> None:
    hidden = tmp_path / ".cache" / "x"
    hidden.mkdir(parents=True)
    written(hidden / "t.jsonl", [GOOD])
    (tmp_path / "README.txt").write_text("read me")
    assert len(list(Corpus([hidden]))) == 1
    assert [p.text for p in Corpus([tmp_path / "README.txt"])] == ["read me"]


def test_linked_folders_are_read_once_each_and_never_in_circles(tmp_path: Path) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    (root / "own").mkdir(parents=True)
    other.mkdir()
    (root / "own" / "a.txt").write_text("a")
    (other / "b.txt").write_text("b")
    (root / "again").symlink_to(root / "own")
    (root / "circle").symlink_to(root)
    (root / "gone").symlink_to(tmp_path / "nowhere")
    (root / "linked").symlink_to(other)
    (root / "twice").symlink_to(other)
    files = Corpus([root], seed=None).files
    assert files == (root / "linked" / "b.txt", root / "own" / "a.txt")


def test_a_txt_without_blank_lines_has_a_passage_on_every_line(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    for content, passages in {
        "one\ntwo\r\nthree": ["one", "two", "three"],
        "\n\none\n two \n\n": ["one", " two "],
        "one\ntwo\n\nthree\n": ["one\ntwo", "three"],
        "one": ["one"],
        "one\n\n": ["one"],
    }.items():
        path.write_bytes(content.encode())
        assert [p.text for p in Corpus([path], seed=None)] == passages


def test_the_digest_tells_lines_from_one_passage_and_leaves_other_texts_as_they_were(
    tmp_path: Path,
) -> None:
    """Versions that read such a file as one passage recorded the plain digest of its bytes."""

    def as_bytes(path: Path) -> str:
        return hashlib.sha256(hashlib.sha256(path.read_bytes()).digest()).hexdigest()

    for name, content, is_changed in (
        ("lines.txt", "one\ntwo", True),
        ("blocks.txt", "one\n\ntwo\nthree", False),
        ("single.txt", "one\n", False),
        ("t.jsonl", '"one"\n"two"', False),
    ):
        path = tmp_path / name
        path.write_text(content)
        assert (Corpus([path]).digest() != as_bytes(path)) == is_changed, name


def test_csv_may_be_separated_by_semicolons_or_tabs(tmp_path: Path) -> None:
    for sign in ",;\t":
        (tmp_path / "t.csv").write_text(f'id{sign}text\n1{sign}"a, b; c"\n2{sign}d\n')
        assert [p.text for p in Corpus([tmp_path / "t.csv"], seed=None)] == ["a, b; c", "d"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_an_integer_longer_than_python_converts_hurts_no_text(tmp_path: Path, name: str) -> None:
    rows = ['{"text": "one"}', '{"n": ' + "9" * 5000 + ', "text": "two"}', '{"text": "three"}']
    path = tmp_path / name
    path.write_text("\n".join(rows) if name.endswith("l") else f"[{','.join(rows)}]")
    assert sorted(passage.text for passage in Corpus((str(path),), 0)) == ["one", "three", "two"]
