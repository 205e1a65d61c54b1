"""Data sets of the Hub as texts, through the real libraries against a server on loopback: what is
read, how often and how far, and what is said where that fails.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

import ep
from ep import corpus as corpus_module
from ep.building import build
from ep.cli import main
from ep.config import BuildConfig
from ep.corpus import Corpus
from ep.errors import CorpusError, RequestError, ServiceError
from ep.reporting import Progress
from ep.spool import Spool
from ep.storage.hub.texts import HubText, opened
from ep.textfiles import Row, Unusable
from tests.fixtures import tiny
from tests.fixtures.hub_server import HubServer, asked

README = b"""---
configs:
- config_name: one
  data_files:
  - split: train
    path: one/*.parquet
- config_name: two
  data_files:
  - split: train
    path: two/train.parquet
  - split: test
    path: two/test.parquet
---
"""
NAME = "hf://datasets/o/texts"


def table(texts: list[str | None], group: int = 100, name: str = "text") -> bytes:
    """A parquet file of texts, with a number for each."""
    out = io.BytesIO()
    rows = pyarrow.table({name: texts, "number": list(range(len(texts)))})
    pyarrow.parquet.write_table(rows, out, row_group_size=group, compression="none")
    return out.getvalue()


def lines(texts: list[str]) -> bytes:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    import datasets.config

    with asked(monkeypatch, tmp_path / "home") as server:
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", server.endpoint)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(datasets.config, "STREAMING_READ_MAX_RETRIES", 1)
        files = {
            "README.md": README,
            "one/a.parquet": table(tiny.passages(150)),
            "one/b.parquet": table(tiny.passages(50, seed=1)),
            "two/train.parquet": table(tiny.passages(20, seed=2)),
            "two/test.parquet": table(["only one"]),
        }
        server.add("o/texts", files)
        yield server


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.gemma(tmp_path_factory.mktemp("gemma")))


@pytest.fixture
def settings(model: str, tmp_path: Path) -> Callable[..., BuildConfig]:
    def make(out: str, text: str, **changes: Any) -> BuildConfig:
        base: dict[str, Any] = {"model": model, "layers": (2,), "percentiles": (5.0,)}
        base |= {"batch": 16, "calibration": 300, "out": str(tmp_path / out), "text": (text,)}
        return BuildConfig(**(base | changes))

    return make


def finished(config: BuildConfig, resume: bool = False) -> Progress:
    return list(build(config, resume))[-1]


def texts_of(source: str, **changes: Any) -> list[str]:
    return [p.text for p in Corpus(opened([source], None), None, **changes)]


# -- what is read ----------------------------------------------------------------------------------


def test_configurations_and_splits_are_those_that_are_named(hub: HubServer) -> None:
    assert texts_of(f"{NAME}:one") == tiny.passages(150) + tiny.passages(50, seed=1)
    assert texts_of(f"{NAME}:two") == tiny.passages(20, seed=2)
    assert texts_of(f"{NAME}:two:test") == ["only one"]
    hub.add("o/lines", {"data/train.jsonl": lines(["a", "b"])})
    assert texts_of("hf://datasets/o/lines") == ["a", "b"]


def test_a_revision_is_pinned_and_decides_the_digest(hub: HubServer) -> None:
    first = HubText(f"{NAME}:two:test")
    hub.add("o/texts", {"two/test.parquet": table(["another"])})
    assert [row for _, row in first.rows()] == ["only one"]
    second = HubText(f"{NAME}:two:test")
    assert [row for _, row in second.rows()] == ["another"]
    again = HubText(f"{NAME}@{first.revision}:two:test")
    assert [row for _, row in again.rows()] == ["only one"]
    assert Corpus([first]).digest() == Corpus([again]).digest() != Corpus([second]).digest()
    assert again.facts() == {
        "repository": "o/texts",
        "revision": first.revision,
        "config": "two",
        "split": "test",
    }


def test_every_row_is_asked_for_once(hub: HubServer) -> None:
    corpus = Corpus(opened([f"{NAME}:one"], None))
    assert not corpus.is_empty()
    list(corpus.survey())
    before = list(corpus)
    asked_for = len(hub.asked)
    assert list(corpus) == before and len(before) == 200
    assert len(hub.asked) == asked_for


def test_no_more_is_read_than_is_used(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "STREAM_BUFFER", 50)
    long = [f"{n} {'x' * 20_000}" for n in range(2_000)]
    hub.add("o/long", {f"{n}.parquet": table(long, 50) for n in range(3)})
    corpus = Corpus(opened(["hf://datasets/o/long"], None))
    hub.asked.clear()
    *_, survey = corpus.survey()
    assert survey.rows == 50
    list(islice(corpus, 20))
    assert 70 <= survey.rows <= 75
    read = {path for _, path, part in hub.asked if part}
    assert all(path.endswith("0.parquet") for path in read)


def test_a_build_of_a_streamed_text_is_that_of_its_rows(
    hub: HubServer, settings: Callable[..., BuildConfig], tmp_path: Path
) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(tiny.passages(150) + tiny.passages(50, seed=1)))
    streamed = finished(settings("a", f"{NAME}:one"))
    local = finished(settings("b", str(path)))
    one, other = ep.open(streamed.files[0]), ep.open(local.files[0])
    assert one.info["n_activations"] == other.info["n_activations"]
    stated = one.info["corpus"]
    assert stated["streamed"][0]["revision"] == hub.repositories["o/texts"].commits[-1][0]
    assert stated["rows_read"] == 200 and len(stated["read_digest"]) == 64


@pytest.mark.parametrize("stage", ["stream", "assign", "write"])
def test_resumed_equals_never_stopped(
    hub: HubServer,
    settings: Callable[..., BuildConfig],
    stage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(corpus_module, "STREAM_BUFFER", 30)
    texts: list[str | None] = list(tiny.passages(150))
    texts[9] = texts[40] = None
    hub.add("o/nulls", {"a.parquet": table(texts)})
    same = {"text": "hf://datasets/o/nulls", "tokens": 700}
    whole = ep.open(finished(settings("whole", **same)).files[0])
    config, steps = settings("cut", **same), build(settings("cut", **same))
    for progress in steps:
        if progress.stage == stage and progress.done >= (0 if stage == "write" else 300):
            break
    steps.close()
    cut = ep.open(finished(config, resume=True).files[0])
    assert ep.digest(whole.path) == ep.digest(cut.path)
    assert whole.info["corpus"] == cut.info["corpus"]
    assert whole.info["corpus"]["empty"] == 2
    assert 60 < whole.info["corpus"]["rows_read"] < 150


def test_rows_that_cannot_be_used_are_refused_as_they_are_read(hub: HubServer) -> None:
    hub.add("o/t", {"a.parquet": table([f"text {n}" for n in range(40)])})
    corpus = Corpus(opened(["hf://datasets/o/t"], None))
    *_, survey = corpus.survey(lambda passage: "is odd" if passage.id == 7 else "")
    assert (survey.unusable, survey.refused) == (1, {7})
    assert survey.first == "hf://datasets/o/t row 8 is odd"
    assert sorted(passage.id for passage in corpus) == [n for n in range(40) if n != 7]


# -- what is said ----------------------------------------------------------------------------------


def refused(source: str, kind: type[Exception], says: str, field: str | None = None) -> None:
    with pytest.raises(kind, match=says) as caught:
        opened([source], field)
    assert "\n" not in str(caught.value) and source in str(caught.value)


def test_what_is_not_there_is_one_line(hub: HubServer) -> None:
    refused("hf://models/o/texts", CorpusError, "names no data set on the Hub: expected hf://")
    refused("hf://datasets/o/none", RequestError, "no such dataset on the Hub")
    refused(f"{NAME}@1234", RequestError, "no such revision")
    refused(f"{NAME}:three", CorpusError, "three.* not found.*one.*two")
    refused(NAME, CorpusError, "Config name is missing.*one.*two")
    refused(f"{NAME}:two:dev", CorpusError, r"no split 'dev', only \['test', 'train'\]")
    refused(f"{NAME}:one", CorpusError, r"no column 'body', only \['text', 'number'\]", "body")
    hub.add("o/body", {"a.parquet": table(["x"], name="body")})
    refused("hf://datasets/o/body", CorpusError, r"no column 'text', only \['body', 'number'\]")
    assert [row for _, row in HubText("hf://datasets/o/body", "body").rows()] == ["x"]


def test_a_gated_data_set_and_a_hub_that_fails_are_one_line(hub: HubServer) -> None:
    hub.add("o/gated", {"a.parquet": table(["x"])})
    hub.behaviour.refuse = {"o/gated/auth-check": (403, "GatedRepo", "")}
    refused("hf://datasets/o/gated", RequestError, "is gated: ask for access")
    hub.behaviour.refuse = {"/api/datasets/o/texts": (503, "", "")}
    refused(f"{NAME}:one", ServiceError, "internal error")


def test_without_a_network_it_is_one_line(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    refused(f"{NAME}:one", ServiceError, "cannot be reached")
    assert main(["build", "m", "--text", f"{NAME}:one", "--layer", "1", "--out", "o"]) == 1
    assert "cannot be reached" in capsys.readouterr().err.splitlines()[-1]


# -- the spool -------------------------------------------------------------------------------------

ROWS: list[Row] = [
    ("row 1", "text\n"),
    ("row 2", ({"role": "user", "content": "ü\ud800"},)),
    ("row 3", Unusable("is odd")),
    ("row 4", ""),
    ("row 5", ()),
]


@pytest.mark.parametrize("most", [0, 60, 10**6])
def test_a_spool_gives_the_rows_again_and_asks_for_no_more_than_it_must(most: int) -> None:
    reads, given = 0, 0

    def read() -> Iterator[Row]:
        nonlocal reads, given
        reads += 1
        for row in ROWS:
            given += 1
            yield row

    spool = Spool(read, most)
    assert list(islice(spool, 1)) == ROWS[:1] and given == 1
    one, other = iter(spool), iter(spool)
    assert [next(one), next(other), next(other), next(one)] == [*ROWS[:1] * 2, *ROWS[1:2] * 2]
    assert list(spool) == ROWS == [*ROWS[:2], *one]
    if most == 10**6:
        assert list(spool) == ROWS and (reads, given) == (1, 5)


def test_a_spool_asks_again_after_a_failure() -> None:
    fails = [True]

    def read() -> Iterator[Row]:
        yield from ROWS[:2]
        if fails:
            raise ServiceError("gone")
        yield from ROWS[2:]

    spool = Spool(read)
    with pytest.raises(ServiceError):
        list(spool)
    fails.clear()
    assert list(spool) == ROWS
