"""The side-car of labels: nothing said is lost, everything can be taken back, hostile files are
left as they are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ep
from ep.errors import DictionaryFileError, EPError, RequestError, StorageError
from ep.storage import edits, labelfile
from ep.storage.edits import Edit, Score
from ep.storage.labels import Label, Labels
from ep.storage.sidecar import LABELS, beside
from tests.fixtures.dictionaries import HOSTILE, synthetic

K = 12
ROOT = Path(__file__).parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    ep.save(synthetic(size=K, width=8), tmp_path / "d.ep.h5")
    return tmp_path / "d.ep.h5"


@pytest.fixture
def labels(path: Path) -> Labels:
    return Labels.open(path)


def said(labels: Labels) -> tuple[Any, ...]:
    """Everything a reader can see."""
    regions = {k: labels.stored(k) for k in range(labels.size) if labels.stored(k)}
    return regions, dict(labels.notes), dict(labels.lists)


# -- what the edits come to ------------------------------------------------------------------------


def test_what_was_saved_is_read_again_as_it_was(path: Path, labels: Labels) -> None:
    score = Score(0.75, 12, 0.5, 0.9, control=0.5)
    labels = labels.save(
        edits.label(3, "a frog"), edits.label(3, "pond", "model:m@h", score), by="ann"
    )
    labels = labels.save(
        edits.note(3, "see 4"), edits.put("water", [3, 1]), edits.describe("water", "wet")
    )
    again = Labels.open(path)
    assert again == labels and said(again) == said(labels)
    hand, model = again.stored(3)
    assert (hand.text, hand.source, hand.by, model.score, model.n) == (
        "a frog",
        "hand",
        "ann",
        0.75,
        12,
    )
    assert model.interval == (0.5, 0.9) and model.control == 0.5
    assert again.notes == {3: "see 4"} and again.lists["water"].regions == (3, 1)


def test_without_a_file_there_is_nothing_and_no_problem(labels: Labels) -> None:
    assert (labels.problem, labels.texts(), labels.best(0), labels.of(0)) == ("", {}, "", ())


@pytest.mark.parametrize(
    "text", [*HOSTILE[:-1], "x" * edits.LONGEST, "‮abc", "a\ud800b", "日本語\n\n"]
)
def test_any_text_comes_back_and_the_file_is_json(path: Path, labels: Labels, text: str) -> None:
    labels.save(edits.label(0, text), edits.note(1, text), by=text[:100])
    json.loads(beside(path, LABELS).read_bytes().decode("utf-8"))
    again = Labels.open(path)
    assert again.problem == "" and again.best(0) == edits.clean(text).strip() == again.notes[1]


def test_the_best_is_locked_then_by_hand_then_by_score(labels: Labels) -> None:
    def by_model(score: float) -> Edit:
        return edits.label(0, f"model {score}", f"model:{score}@h", Score(score, 9, 0.0, 1.0))

    labels = labels.save(edits.label(0, "tokens", edits.AUTOMATIC), by_model(0.6), by_model(0.9))
    assert [label.text for label in labels.stored(0)] == ["model 0.9", "model 0.6", "tokens"]
    labels = labels.save(edits.label(0, "by ann"), edits.label(0, "by bob"))
    assert [label.text for label in labels.stored(0)][:2] == ["by bob", "by ann"]
    labels = labels.save(edits.lock(0, 2))
    assert labels.best(0) == "model 0.6"


def test_a_locked_label_is_neither_replaced_nor_removed_and_stays_the_best(labels: Labels) -> None:
    labels = labels.save(edits.label(5, "mine", locked=True))
    labels = labels.save(
        edits.label(5, "theirs", "model:m@h", replaces=1), edits.remove(5, 1), edits.label(5, "new")
    )
    assert labels.best(5) == "mine" and len(labels.stored(5)) == 3
    labels = labels.save(edits.lock(5, 1, False), edits.remove(5, 1))
    assert labels.best(5) == "new"


def test_automatic_labels_stand_in_and_are_never_stored(path: Path, labels: Labels) -> None:
    labels = replace(labels, automatic_texts=lambda: [f"auto {k}" for k in range(K)])
    labels = labels.save(edits.label(2, "a word"))
    assert labels.best(1) == "auto 1" and [label.text for label in labels.of(2)] == [
        "a word",
        "auto 2",
    ]
    assert labels.texts()[1] == "auto 1" and labels.texts(automatic=False) == {2: "a word"}
    assert labels.sources()[1] == "automatic" and labels.sources()[2] == "hand"
    assert "auto" not in beside(path, LABELS).read_text()


def test_lists_keep_their_order(labels: Labels) -> None:
    labels = labels.save(
        edits.put("a", [5, 2, 9]), edits.put("a", [2, 1]), edits.order("a", [9, 5, 7])
    )
    assert labels.lists["a"].regions == (9, 5, 2, 1)
    labels = labels.save(edits.take("a", [5]), edits.put("  b \n c ", []))
    assert labels.lists["a"].regions == (9, 2, 1) and list(labels.lists) == ["a", "b c"]
    assert list(labels.save(edits.drop("a")).lists) == ["b c"]


regions = st.integers(0, 3)
ids = st.integers(1, 30)
words = st.text(min_size=1, max_size=8).filter(lambda text: edits.clean(text).strip())
names = st.sampled_from(["a", "b"])
some_edit = st.one_of(
    st.builds(
        edits.label,
        regions,
        words,
        st.sampled_from(["hand", "model:m@h"]),
        st.none(),
        st.none() | ids,
    ),
    st.builds(edits.remove, regions, ids),
    st.builds(edits.lock, regions, ids, st.booleans()),
    st.builds(edits.note, regions, st.text(max_size=8)),
    st.builds(edits.put, names, st.lists(regions, max_size=3)),
    st.builds(edits.take, names, st.lists(regions, max_size=3)),
    st.builds(edits.order, names, st.lists(regions, max_size=3)),
    st.builds(edits.describe, names, st.text(max_size=8)),
    st.builds(edits.drop, names),
)
in_memory = Labels(Path("none"), 4, {})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(some_edit, max_size=8), st.lists(some_edit, max_size=8))
def test_undoing_any_edits_returns_what_was_said_before(
    first: list[Edit], then: list[Edit]
) -> None:
    before = in_memory.after(*first)
    once = before.after(*then[:1])  # edits carry their time, so the same ones are compared
    now = once.after(*then[1:])
    for _ in then:
        now = now.after(edits.undo(now.last()["id"]))
    assert said(now) == said(before)
    if then:  # an undo is an edit too, and can be taken back
        assert said(now.after(edits.undo(now.revision))) == said(once)


@settings(max_examples=60, deadline=None)
@given(st.lists(some_edit, min_size=1, max_size=10), regions)
def test_undoing_what_was_done_to_one_region_leaves_the_others(
    done: list[Edit], region: int
) -> None:
    labels = given = in_memory.after(*done)
    while (last := labels.last(region=region)) is not None:
        labels = labels.after(edits.undo(last["id"]))
    assert not labels.stored(region) and region not in labels.notes
    others = [k for k in range(4) if k != region]
    assert [labels.stored(k) for k in others] == [given.stored(k) for k in others]


# -- several at once -------------------------------------------------------------------------------


def _write(path: Path, name: str, count: int) -> None:
    labels = Labels.open(path)
    for i in range(count):
        # from what it saw at the start, each time
        labels.save(edits.label(i % K, f"{name} {i}"), by=name)


def test_writers_in_two_processes_and_two_threads_lose_nothing(path: Path) -> None:
    # not multiprocessing, which runs __main__ again: an app tested before may have replaced that
    code = "import sys, pathlib; from tests.test_labels import _write; "
    code += "_write(pathlib.Path(sys.argv[1]), sys.argv[2], 15)"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, path, name], cwd=ROOT)
        for name in ("ann", "bob")
    ]
    threads = [Thread(target=_write, args=(path, name, 15)) for name in ("cem", "dee")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in processes] == [0, 0]
    found = Labels.open(path)
    texts = sorted(label.text for k in range(K) for label in found.stored(k))
    assert texts == sorted(
        f"{name} {i}" for name in ("ann", "bob", "cem", "dee") for i in range(15)
    )
    assert [edit["id"] for edit in found.edits] == list(range(1, 61))
    assert sorted(p.name for p in path.parent.iterdir()) == ["d.ep.h5", "d.ep.labels.json"]


def test_a_writer_that_does_not_let_go_is_named(
    path: Path, labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelfile, "PATIENCE_S", 0.05)
    with (
        labelfile.locked(beside(path, LABELS)),
        pytest.raises(StorageError, match="another program"),
    ):
        labels.save(edits.label(0, "x"))
    assert labels.save(edits.label(0, "x")).best(0) == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_a_sentence(path: Path, labels: Labels) -> None:
    path.parent.chmod(0o555)
    try:
        with pytest.raises(StorageError, match="cannot be written: Permission denied"):
            labels.save(edits.label(0, "x"))
    finally:
        path.parent.chmod(0o755)
    assert labels.after(edits.label(0, "x")).best(0) == "x"


def test_a_full_disk_leaves_the_file_as_it_was(
    path: Path, labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = labels.save(edits.label(0, "before"))

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(StorageError, match="No space left"):
            labels.save(edits.label(0, "after"))
    assert Labels.open(path) == labels


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda: edits.label(0, ""), "empty"),
        (lambda: edits.label(0, "x" * (edits.LONGEST + 1)), "10,001 characters: at most 10,000"),
        (lambda: edits.label(K, "x"), f"regions 0 to {K - 1}"),
        (lambda: edits.put("a", [0, K]), f"region {K} does not exist"),
        (lambda: edits.put(" ", [0]), "empty"),
        (lambda: edits.label(0, "x", score=Score(1.5, 3, 0, 1)), "from 0 to 1"),
        (lambda: edits.label(0, "x", score=Score(0.5, 3, 0.9, 0.1)), "rising numbers"),
    ],
)
def test_an_edit_that_cannot_be_is_refused_and_nothing_is_written(
    path: Path, labels: Labels, edit: Callable[[], Edit], why: str
) -> None:
    with pytest.raises(RequestError, match=why):
        labels.save(edits.note(0, "fine"), edit())
    assert not beside(path, LABELS).exists()


def _stored(path: Path) -> dict[str, Any]:
    Labels.open(path).save(edits.label(1, "one"), edits.put("a", [1]))
    return json.loads(beside(path, LABELS).read_text())


def _with(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], bytes]:
    def made(content: dict[str, Any]) -> bytes:
        change(content)
        return json.dumps(content).encode()

    return made


DAMAGE: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "not JSON": lambda c: b"\xff\x00{",
    "empty": lambda c: b"",
    "cut short": lambda c: json.dumps(c).encode()[:-9],
    "nested": lambda c: b"[" * 200_000,
    "a list": lambda c: b"[1]",
    "other format": _with(lambda c: c.update(format="x")),
    "newer": _with(lambda c: c.update(version=2)),
    "version as text": _with(lambda c: c.update(version="‮<b>1" * 99)),
    "another dictionary": _with(
        lambda c: c["dictionary"].update(exemplars="0" * 64, title="‮<b>other" * 99)
    ),
    "no dictionary": _with(lambda c: c.pop("dictionary")),
    "edits as text": _with(lambda c: c.update(edits="x")),
    "edit as number": _with(lambda c: c["edits"].append(7)),
    "id repeated": _with(lambda c: c["edits"].append(c["edits"][0])),
    "id as flag": _with(lambda c: c["edits"][0].update(id=True)),
    "region beyond": _with(lambda c: c["edits"][0].update(region=K)),
    "region as text": _with(lambda c: c["edits"][0].update(region="0")),
    "region negative": _with(lambda c: c["edits"][0].update(region=-1)),
    "text as list": _with(lambda c: c["edits"][0].update(text=["x"])),
    "text too long": _with(lambda c: c["edits"][0].update(text="x" * 10_001)),
    "by missing": _with(lambda c: c["edits"][0].pop("by")),
    "score beyond": _with(lambda c: c["edits"][0].update(score=2, n=1, interval=[0, 1])),
    "score alone": _with(lambda c: c["edits"][0].update(score=0.5)),
    "not a number": lambda c: json.dumps(c | {"x": float("nan")}).encode(),
    "overflow": lambda c: json.dumps(c).encode().replace(b'"id": 1', b'"id": 1, "x": 1e999'),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_that_cannot_be_used_is_named_in_a_sentence_and_left_as_it_is(
    path: Path, kind: str
) -> None:
    data = DAMAGE[kind](_stored(path))
    file = beside(path, LABELS)
    file.write_bytes(data)
    found = Labels.open(path)
    assert (
        found.problem.startswith("d.ep.labels.json cannot be used (")
        and "left as it is" in found.problem
    )
    assert "\n" not in found.problem and "‮" not in found.problem and len(found.problem) < 500
    assert found.texts() == {} and found.lists == {}
    with pytest.raises(DictionaryFileError):
        found.save(edits.label(0, "x"))
    assert file.read_bytes() == data


def test_a_huge_file_and_what_is_no_file_are_not_read(path: Path, tmp_path: Path) -> None:
    file = beside(path, LABELS)
    with file.open("wb") as out:
        out.truncate(labelfile.MOST_BYTES + 1)
    assert "larger than 64 MB" in Labels.open(path).problem
    file.unlink()
    os.mkfifo(file)  # reading it would wait for ever
    assert "not a regular file" in Labels.open(path).problem
    file.unlink()
    file.mkdir()
    assert Labels.open(path).problem


def test_a_side_car_copied_to_another_dictionary_is_noticed(path: Path, tmp_path: Path) -> None:
    Labels.open(path).save(edits.label(1, "one"))
    other = tmp_path / "e.ep.h5"
    ep.save(synthetic(size=K, width=8, seed=5), other)
    beside(other, LABELS).write_bytes(beside(path, LABELS).read_bytes())
    assert (
        "belongs to another dictionary, title Synthetic dictionary, layer 2"
        in Labels.open(other).problem
    )
    assert Labels.open(path).problem == ""


def test_the_same_regions_with_more_known_of_them_keep_their_labels(path: Path) -> None:
    Labels.open(path).save(edits.label(1, "one"))
    ep.save(synthetic(size=K, width=8, title="renamed", wall_time_s=1.0), path)
    assert Labels.open(path).best(1) == "one"


def test_edits_of_a_later_version_are_kept_and_have_no_effect(path: Path) -> None:
    content = _stored(path)
    content["edits"].append(
        {"id": 9, "at": "", "by": "", "do": "colour", "region": "?", "deep": [{"x": None}]}
    )
    beside(path, LABELS).write_text(json.dumps(content))
    found = Labels.open(path).save(edits.note(2, "n"))
    assert found.problem == "" and found.best(1) == "one" and found.revision == 10
    assert Labels.open(path).edits[2] == content["edits"][2]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda parts: st.lists(parts, max_size=2) | st.dictionaries(st.text(max_size=3), parts),
    max_leaves=4,
)
FIELDS = sorted({name for rules in edits.RULES.values() for part in rules for name in part})


@given(st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_an_edit_of_its_kind_does_not_have_has_no_effect_and_is_kept(
    path: Path, data: st.DataObject
) -> None:
    """Any value under any name that the rules do not know, in an edit, beside the edits, and in the
    description of the dictionary.
    """
    file = beside(path, LABELS)
    file.unlink(missing_ok=True)
    content = _stored(path)
    Labels.open(path).save(
        edits.describe("a", "n"), edits.note(1, "n"), edits.drop("b"), edits.undo(4)
    )
    plain, content = Labels.open(path), json.loads(file.read_text())
    for edit in content["edits"]:
        known = {name for part in edits.RULES[edit["do"]] for name in part}
        names = [name for name in FIELDS if name not in known] + ["colour"]
        edit |= data.draw(st.dictionaries(st.sampled_from(names), ANY_JSON, max_size=3))
    stray = data.draw(ANY_JSON)
    content["dictionary"]["colour"] = content["colour"] = stray
    file.write_text(json.dumps(content))
    found = Labels.open(path)
    assert (found.problem, said(found)) == ("", said(plain))
    for place in ({"region": 1}, {"region": 0}, {"name": "a"}, {"name": "x"}):
        found_last, plain_last = found.last(**place), plain.last(**place)
        assert (found_last and found_last["id"]) == (plain_last and plain_last["id"])
    found.save(edits.note(2, "n"))
    written = json.loads(file.read_text())
    assert written["edits"][:-1] == content["edits"]
    assert written["colour"] == written["dictionary"]["colour"] == stray


@given(st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_value_anywhere_is_read_or_named_in_a_sentence(path: Path, data: st.DataObject) -> None:
    file = beside(path, LABELS)
    file.unlink(missing_ok=True)
    content = _stored(path)
    edit = data.draw(st.sampled_from([*content["edits"], content["dictionary"], content]))
    edit[data.draw(st.sampled_from(sorted(edit)))] = data.draw(ANY_JSON)
    file.write_text(before := json.dumps(content))
    found = Labels.open(path)
    assert found.problem or said(found)
    if found.problem:
        with pytest.raises(EPError):
            found.save(edits.note(2, "n"))
        assert file.read_text() == before


def test_every_error_is_of_the_family() -> None:
    for wrong in (None, 7, {}, {"do": 3}, {"do": "label"}, {"do": "undo", "edit": "x"}):
        with pytest.raises(EPError):
            edits.check(wrong, K)


def test_twenty_thousand_labels_are_read_and_added_to_in_a_moment(tmp_path: Path) -> None:
    ep.save(synthetic(size=500, width=8), tmp_path / "d.ep.h5")
    labels = Labels.open(tmp_path / "d.ep.h5")
    labels = labels.save(*(edits.label(i % 500, f"label {i}", "model:m@h") for i in range(20_000)))
    assert len(labels.texts()) == 500 and isinstance(labels.stored(0)[0], Label)
