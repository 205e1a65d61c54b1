"""An interrupted labelling goes on where it was: what was answered is not asked again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import ep
from ep.errors import EPError, ServiceError, StorageError
from ep.method.dictionary import Dictionary
from ep.models.endpoint import Endpoint
from ep.storage.answers import kept
from ep.storage.labels import Labels
from ep.storage.sidecar import ANSWERS, LABELS, beside
from ep.studies.labelling import Outcome, label_regions
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.endpoint import Seen, fails, good_reader, says, send, serving

REGIONS = range(6)
ASKED = [{"role": "user", "content": "Which?"}]


def stored(folder: Path) -> Dictionary:
    folder.mkdir()
    ep.save(synthetic(size=60, seed=4), folder / "d.ep.h5")
    return ep.open(folder / "d.ep.h5")


@pytest.fixture
def dictionary(tmp_path: Path) -> Dictionary:
    return stored(tmp_path / "cut")


def label(dictionary: Dictionary, url: str, regions: Sequence[int] = REGIONS) -> Outcome:
    assert dictionary.path is not None
    out = Outcome(Labels.open(dictionary.path, dictionary))
    label_regions(out, dictionary, regions, Endpoint(url, "reader", tries=1))
    return out


def edits_of(dictionary: Dictionary) -> list[dict[str, object]]:
    edits = json.loads(beside(dictionary.path, LABELS).read_text())["edits"]
    return [{name: value for name, value in edit.items() if name != "at"} for edit in edits]


def questions(seen: list[Seen]) -> list[str]:
    return [json.dumps(one.body["messages"]) for one in seen]


@pytest.mark.parametrize("after", range(1, 14, 2))
def test_stopped_after_any_answer_it_ends_as_one_never_stopped_and_asks_nothing_twice(
    dictionary: Dictionary, tmp_path: Path, after: int
) -> None:
    whole, refused = stored(tmp_path / "whole"), [0]

    def refuses_one(handler: object, seen: Seen, n: int) -> None:
        if n == refused[0]:
            send(handler, b"{}", 401)  # type: ignore[arg-type]
        else:
            good_reader(handler, seen, n)  # type: ignore[arg-type]

    with serving(refuses_one) as server:
        given = label(whole, server.url).given
        asked = questions(server.seen)
        refused[0] = len(asked) + after
        with pytest.raises(EPError):
            label(dictionary, server.url)
        out = label(dictionary, server.url)
        again = questions(server.seen)[len(asked) :]
    del again[after - 1]  # the one that was refused
    assert again == asked and out.given == given
    assert edits_of(dictionary) == edits_of(whole)
    assert not beside(dictionary.path, ANSWERS).exists()


def test_a_labelling_that_ends_asks_anew_the_next_time(dictionary: Dictionary) -> None:
    with serving(says("one thing")) as server:
        label(dictionary, server.url, [0, 1])
        before = len(server.seen)
        label(dictionary, server.url, [0, 1])
        assert len(server.seen) > before + 1


def test_a_bad_answer_is_asked_for_again_and_a_good_one_is_not(dictionary: Dictionary) -> None:
    with serving(says("", "", "", "good", "[1]")) as server:
        with pytest.raises(ServiceError, match="nothing that could be"):
            label(dictionary, server.url, [0, 1, 2])
        assert [e.text for e in label(dictionary, server.url, [0]).given] == ["good"]


def test_what_was_answered_before_the_server_failed_stays(dictionary: Dictionary) -> None:
    with serving(lambda h, s, n: says("x")(h, s, 1) if n == 1 else fails(503)(h, s, n)) as server:
        with pytest.raises(ServiceError):
            label(dictionary, server.url, [0])
        with pytest.raises(ServiceError):
            label(dictionary, server.url, [0])
        first, second, third = questions(server.seen)
    assert first != second == third


def test_the_regions_of_another_labelling_stay_kept(dictionary: Dictionary) -> None:
    with serving(says("x", "[1]", "y", "z")) as server:
        with kept(dictionary.path, "other settings") as answers:
            answers.asking(lambda _: "paid")(ASKED)
        label(dictionary, server.url, [0])
        with kept(dictionary.path, "other settings") as answers:
            assert answers.asking(lambda _: "asked again")(ASKED) == "paid"


def test_a_torn_or_foreign_line_is_left_out(dictionary: Dictionary) -> None:
    path = beside(dictionary.path, ANSWERS)
    with pytest.raises(ValueError, match="stop"), kept(dictionary.path, "s") as answers:
        answers.asking(lambda _: "paid")(ASKED)
        raise ValueError("stop")
    whole = path.read_bytes()
    path.write_bytes(b'[1]\nnull\n{"key": 1}\n\xff\n' + whole + b'{"key": "torn", "answ')
    with pytest.raises(ValueError, match="stop"), kept(dictionary.path, "s") as answers:
        assert answers.asking(lambda _: "asked again")(ASKED) == "paid"
        answers.asking(lambda _: "more")([])
        raise ValueError("stop")
    lines = path.read_bytes().split(b"\n")
    assert not any(b"torn" in line for line in lines) and lines[-1] == b""


def test_two_labellings_at_once_do_not_disturb_each_other(dictionary: Dictionary) -> None:
    with kept(dictionary.path, "s") as first, kept(dictionary.path, "s") as second:
        assert first.asking(lambda _: "one")(ASKED) == "one"
        assert second.asking(lambda _: "two")(ASKED) == "two"
    with kept(dictionary.path, "s") as answers:
        assert answers.asking(lambda _: "new")(ASKED) == "one"


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_asked(
    dictionary: Dictionary,
) -> None:
    beside(dictionary.path, ANSWERS).mkdir()
    with serving(good_reader) as server:
        with pytest.raises(StorageError, match="cannot be written"):
            label(dictionary, server.url)
        assert not server.seen
