"""Laws of a build: independent of how it is cut, resumable without a trace, every count adds up."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ep
import ep.storage.edits
import ep.storage.labels
from ep.building import build
from ep.cli import main
from ep.config import BuildConfig
from ep.errors import ConfigError, CorpusError, ModelError, StorageError
from ep.reporting import Progress
from ep.storage.checkpoint import NAME
from tests.fixtures import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.gemma(tmp_path_factory.mktemp("gemma")))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("text") / "t.json"
    path.write_text(json.dumps(tiny.passages(150)))
    return str(path)


@pytest.fixture
def settings(model: str, text: str, tmp_path: Path) -> Callable[..., BuildConfig]:
    def make(out: str = "out", **changes: Any) -> BuildConfig:
        base = {
            "model": model,
            "text": (text,),
            "layers": (1, 2),
            "percentiles": (2.0, 10.0),
            "out": str(tmp_path / out),
        }
        return BuildConfig(**(base | {"batch": 16, "calibration": 400} | changes))

    return make


def finished(config: BuildConfig, resume: bool = False) -> Progress:
    return list(build(config, resume))[-1]


def digests(progress: Progress) -> list[str]:
    return [ep.digest(path) for path in progress.files]


def test_same_settings_same_digest_and_another_seed_another(
    settings: Callable[..., BuildConfig],
) -> None:
    first = digests(finished(settings("a")))
    assert first == digests(finished(settings("b")))
    assert first != digests(finished(settings("c", seed=1)))


def test_a_ladder_equals_its_rungs_built_alone(settings: Callable[..., BuildConfig]) -> None:
    ladder = finished(settings("ladder", protocol="global")).files
    alone = finished(settings("alone", protocol="global", layers=(2,), percentiles=(10.0,))).files
    one, other = ep.open(ladder[-1]), ep.open(alone[0])
    assert one.info["family"] == other.info["family"]
    for name in (
        "exemplars",
        "mean_directions",
        "count_voronoi",
        "excerpt_passage",
        "lens_mean_up_ids",
    ):
        np.testing.assert_array_equal(one.column(name), other.column(name), err_msg=name)


@pytest.mark.parametrize("stage", ["stream", "assign"])
def test_interrupted_and_resumed_equals_never_stopped(
    settings: Callable[..., BuildConfig], stage: str
) -> None:
    whole = digests(finished(settings("whole")))
    config = settings("cut")
    steps = build(config)
    seen = 0
    for progress in steps:
        seen += progress.stage == stage and progress.done > 0
        if seen == 3:
            break
    steps.close()
    partial = [ep.open(path) for path in config.folder.glob("*.ep.h5")]
    assert len(partial) == 4
    assert all(
        not dictionary.info["complete"] and dictionary.region(0).founder for dictionary in partial
    )
    assert digests(finished(config, resume=True)) == whole
    assert not (config.folder / NAME).exists()


def test_closed_while_writing_it_resumes_and_what_is_written_stays(
    settings: Callable[..., BuildConfig],
) -> None:
    whole = digests(finished(settings("whole")))
    config = settings("cut")
    steps = build(config)
    progress = next(p for p in steps if p.stage == "write" and p.done == 2)
    steps.close()
    assert digests(progress) == whole[:2]
    assert digests(finished(config, resume=True)) == whole
    steps = build(config)
    next(p for p in steps if p.stage == "done")
    steps.close()  # after the end there is nothing to keep, and nothing is written again
    assert [ep.digest(path) for path in progress.files] == whole[:2]
    assert all(ep.open(path).info["complete"] for path in config.folder.glob("*.ep.h5"))
    assert not (config.folder / NAME).exists()


def test_counts_add_up_to_the_stream(settings: Callable[..., BuildConfig]) -> None:
    for path in finished(settings()).files:
        dictionary = ep.open(path)
        streamed = dictionary.info["n_activations"]
        assert dictionary.column("count_arrival").sum() == streamed == dictionary.info["n_voronoi"]
        assert dictionary.column("count_voronoi").sum() == streamed
        np.testing.assert_array_equal(
            dictionary.column("distance_histogram").sum(1), dictionary.column("count_voronoi")
        )
        np.testing.assert_array_equal(
            dictionary.column("position_histogram").sum(1), dictionary.column("count_voronoi")
        )
        assert (dictionary.column("mean_distance") <= dictionary.threshold).all()


def test_every_excerpt_and_founder_is_where_it_says(
    settings: Callable[..., BuildConfig], model: str
) -> None:
    """Reading the passage again puts the marked token at the stored distance of its exemplar (W9:
    nearest first).
    """
    reader = ep.load(model)
    dictionary = ep.open(finished(settings()).files[0])
    layer = dictionary.info["layer"]
    for k in range(0, len(dictionary), max(1, len(dictionary) // 8)):
        region = dictionary.region(k)
        near = [e.distance for e in region.excerpts if e.band == "near"]
        far = [e.distance for e in region.excerpts if e.band == "far"]
        assert near == sorted(near)
        assert far == sorted(far, reverse=True)
        for excerpt in (region.founder, *region.excerpts):
            ids = reader.tokens.encode("".join(excerpt.pieces[1:]))
            x = ep.models.read(reader, ids, [layer])[layer]
            distance = dictionary.distances(x)[excerpt.position, k]
            assert distance == pytest.approx(excerpt.distance, abs=1e-4)
            if excerpt.band != "founder":
                assert dictionary.assign(x).region[excerpt.position] == k


def test_the_budget_cuts_exactly_whatever_the_batch(settings: Callable[..., BuildConfig]) -> None:
    made = [
        ep.open(
            finished(settings(f"b{batch}", batch=batch, protocol="global", tokens=300)).files[0]
        )
        for batch in (7, 64)
    ]
    assert [d.info["n_activations"] for d in made] == [300, 300]
    assert made[0].info["stop_reason"] == "budget"
    for name in (
        "exemplars",
        "mean_directions",
        "count_arrival",
        "count_voronoi",
        "excerpt_position",
    ):
        np.testing.assert_allclose(
            made[0].column(name), made[1].column(name), atol=1e-5, err_msg=name
        )


def test_a_build_does_not_depend_on_what_ran_before(settings: Callable[..., BuildConfig]) -> None:
    """Calibration reads the stream from its head and so does discovery: nothing is eaten, nothing
    cached (W1).
    """
    one = ep.open(finished(settings("a", calibration=100)).files[0])
    two = ep.open(finished(settings("b", calibration=2_000)).files[0])
    for dictionary in (one, two):
        assert dictionary.column("founded_at")[0] == 0
    assert one.column("founder_passage")[0] == two.column("founder_passage")[0]


def test_final_positions_of_chats_are_the_last_template_token(
    settings: Callable[..., BuildConfig], model: str
) -> None:
    dictionary = ep.open(
        finished(settings(chat=True, positions="final", protocol="global")).files[0]
    )
    assert dictionary.info["n_activations"] == 150
    founder = dictionary.region(0).founder
    assert "".join(founder.pieces).endswith("<start_of_turn>model\n")
    assert founder.position == len(founder.pieces) - 1
    # one BOS, though the template writes its own (W3)
    assert "".join(founder.pieces).count("<bos>") == 1


def test_saturation_is_said_only_when_shown(settings: Callable[..., BuildConfig]) -> None:
    rated = ep.open(
        finished(settings("r", percentiles=(40.0,), stop_rate=0.05, stop_window=200)).files[0]
    )
    assert rated.info["stop_reason"] == "new-region rate"
    assert rated.info["saturated"]
    assert rated.info["n_activations"] % 200 == 0
    assert not ep.open(finished(settings("e")).files[0]).info["saturated"]
    quiet = ep.open(finished(settings("q", percentiles=(40.0,), quiet_batches=1)).files[0])
    assert quiet.info["stop_reason"] == "quiet batches"


def test_resuming_where_nothing_is_begins_and_what_is_not_the_same_is_refused(
    settings: Callable[..., BuildConfig],
) -> None:
    begun = finished(settings("none"), resume=True)
    assert digests(begun) == digests(finished(settings("plain")))
    config = settings("cut")
    steps = build(config)
    next(p for p in steps if p.stage == "stream" and p.done)
    steps.close()
    with pytest.raises(ConfigError, match="seed"):
        finished(settings("cut", seed=5), resume=True)
    with np.load(config.folder / NAME) as kept:
        earlier = {name: kept[name] for name in kept.files if name != "version"}
    with (config.folder / NAME).open("wb") as file:
        np.savez(file, **earlier)  # as kept before rivals and coarser regions were counted
    with pytest.raises(ConfigError, match="another version"):
        finished(config, resume=True)
    (config.folder / NAME).write_bytes(b"not a state")
    with pytest.raises(ConfigError, match="damaged"):
        finished(config, resume=True)


def test_bad_input_is_refused_before_any_work(
    settings: Callable[..., BuildConfig], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n\n ")
    with pytest.raises(CorpusError, match="no text"):
        finished(settings(text=(str(empty),)))
    with pytest.raises(ModelError, match="layers 0 to 3"):
        finished(settings(layers=(9,)))
    with pytest.raises(ModelError):
        finished(settings(model=str(tmp_path)))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        finished(settings("file/out"))


def test_a_full_disk_loses_nothing(
    settings: Callable[..., BuildConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings()
    before = digests(finished(config))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ep.storage.writing._write", full)
    with pytest.raises(StorageError, match="No space left|disk is full|full"):
        finished(config)
    monkeypatch.undo()
    assert {ep.digest(path) for path in config.folder.glob("*.ep.h5")} == set(before)
    assert not list(config.folder.glob("*.partial"))


# -- text that cannot be used ----------------------------------------------------------------------


def chats(path: Path, n: int, *odd: int) -> str:
    """n chats, those at `odd` with a system turn, which Gemma's template refuses."""
    generator = random.Random(1)
    rows = []
    for number in range(n):
        turns = [("user", " ".join(generator.choices(tiny.WORDS, k=6))), ("assistant", "Fine.")]
        turns = [("system", "Be kind."), *turns] if number in odd else turns
        rows.append({"messages": [{"role": role, "content": text} for role, text in turns]})
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_unusable_rows_are_left_out_and_named_and_a_clean_text_says_nothing(
    settings: Callable[..., BuildConfig], tmp_path: Path
) -> None:
    """The same is read as of the text without these rows."""
    path = Path(chats(tmp_path / "c.jsonl", 60, 40))
    lines = path.read_text().splitlines()
    clean = tmp_path / "clean.jsonl"
    clean.write_text("\n".join(line for n, line in enumerate(lines) if n != 40))
    lines[45:45] = ['{"text": null}', '{"body": "x"}']
    path.write_text("\n".join(lines))
    last = finished(settings("odd", text=(str(path),)))
    plain = finished(settings("clean", text=(str(clean),)))
    assert (last.left_out.rows, last.left_out.empty, last.left_out.unusable) == (62, 1, 2)
    odd, other = ep.open(last.files[0]), ep.open(plain.files[0])
    assert odd.info["corpus"]["unusable"] == 2
    assert odd.info["corpus"]["empty"] == 1
    first = odd.info["corpus"]["first_unusable"]
    assert first.startswith("c.jsonl line 41 cannot be read: the chat template refuses")
    assert "System role not supported" in first
    assert set(other.info["corpus"]) == {"name", "digest", "passages", "truncated"}
    assert odd.info["corpus"]["passages"] == other.info["corpus"]["passages"] == 59
    assert odd.info["n_activations"] == other.info["n_activations"]
    assert last.counts == plain.counts


def test_too_many_unusable_chats_are_refused_before_the_model_works(
    settings: Callable[..., BuildConfig], tmp_path: Path
) -> None:
    config = settings(text=(chats(tmp_path / "c.jsonl", 60, *range(7, 60, 2)),))
    stages = []
    with pytest.raises(CorpusError, match=r"27 of 60 .* c.jsonl line 8 .*System role"):
        for progress in build(config):
            stages.append(progress.stage)
    assert set(stages) == {"read"}
    assert not list(config.folder.iterdir())


def test_a_build_with_refused_chats_resumes_without_a_trace(
    settings: Callable[..., BuildConfig], tmp_path: Path
) -> None:
    text = (chats(tmp_path / "c.jsonl", 150, 3, 70, 71, 149),)
    whole = digests(finished(settings("whole", text=text)))
    config = settings("cut", text=text)
    steps = build(config)
    for _ in range(3):
        next(p for p in steps if p.stage == "stream")
    steps.close()
    assert digests(finished(config, resume=True)) == whole


def test_passages_without_tokens_do_not_shift_a_resumed_build(
    settings: Callable[..., BuildConfig], tmp_path: Path
) -> None:
    """This tokenizer adds no BOS, and the normaliser takes all of some texts away."""
    from tokenizers import Tokenizer, normalizers

    qwen = tiny.qwen(tmp_path / "qwen")
    tokenizer = Tokenizer.from_file(str(qwen / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Replace("#", "")
    tokenizer.save(str(qwen / "tokenizer.json"))
    generator = random.Random(2)
    texts = [" ".join(generator.choices(tiny.WORDS, k=8)) if n % 3 else "###" for n in range(150)]
    path = tmp_path / "t.json"
    path.write_text(json.dumps(texts))
    changes: dict[str, Any] = {"text": (str(path),), "model": str(qwen), "layers": (1,)}
    last = finished(settings("whole", **changes))
    assert last.counts.passages == 150
    config = settings("cut", **changes)
    steps = build(config)
    for _ in range(3):
        next(p for p in steps if p.stage == "stream")
    steps.close()
    assert digests(finished(config, resume=True)) == digests(last)


# -- the context -----------------------------------------------------------------------------------


def test_a_context_beyond_the_models_is_refused_at_once_and_the_default_fits(
    settings: Callable[..., BuildConfig], text: str, tmp_path: Path
) -> None:
    """GPT-2 here reads 128 tokens with BOS, Qwen 128 without one."""
    gpt2, qwen = str(tiny.gpt2(tmp_path / "gpt2")), str(tiny.qwen(tmp_path / "qwen"))
    long = tmp_path / "long.json"
    long.write_text(json.dumps([" ".join(tiny.WORDS * 40), *json.loads(Path(text).read_text())]))
    for model, longest in ((gpt2, 127), (qwen, 128)):
        config = settings("out", model=model, layers=(1,), text=(str(long),))
        with pytest.raises(ConfigError, match=f"context is {longest + 1}: .* {longest} tokens"):
            next(build(replace(config, context=longest + 1)))
        last = finished(config)
        assert last.context == ep.open(last.files[0]).info["context"] == longest
        assert digests(last) == digests(finished(replace(config, context=longest)))


def test_how_much_of_the_text_was_cut_is_counted(
    settings: Callable[..., BuildConfig], text: str, model: str
) -> None:
    last = finished(settings(context=5))
    tokens = ep.load(model).tokens
    lengths = [len(tokens.encode(passage)) for passage in json.loads(Path(text).read_text())]
    counts = last.counts
    assert counts.truncated == sum(length > 6 for length in lengths)
    assert counts.tokens == sum(min(length, 6) for length in lengths)
    assert counts.tokens + counts.cut == sum(lengths)
    corpus = ep.open(last.files[0]).info["corpus"]
    assert corpus["cut_share"] == pytest.approx(counts.cut / sum(lengths), abs=1e-4)
    assert corpus["truncated"] == counts.truncated


def test_the_command_says_what_is_not_in_the_dictionaries(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(chats(tmp_path / "c.jsonl", 60, 40))
    path.write_text(path.read_text() + '\n{"text": null}\n{"text": "' + "cat " * 300 + '"}')
    out = str(tmp_path / "out")
    assert main(["build", model, "--text", str(path), "--layer", "1", "--out", out]) == 0
    captured = capsys.readouterr()
    lines = captured.err.replace("\r", "\n").strip().splitlines()[-3:]
    assert lines[0] == "1 of 62 rows have no text and were left out"
    assert lines[1].startswith("1 of 62 rows cannot be used and were left out; the first: c.jsonl")
    assert "1 of 60 passages were cut to 128 tokens: " in lines[2]
    assert " % of the tokens read are not in the dictionaries" in lines[2]
    assert ".txt" not in lines[2]
    assert main(["info", captured.out.splitlines()[0]]) == 0
    shown = capsys.readouterr().out
    assert "c.jsonl line 41" in shown
    assert "corpus cut_share" in shown


def test_a_file_of_other_settings_or_text_is_refused_until_it_is_replaced(
    settings: Callable[..., BuildConfig], tmp_path: Path
) -> None:
    """Whatever a build is asked for, a file that states something else is left as it is; the same
    build may run again.
    """
    config = settings()
    first = finished(config)
    path = first.files[0]
    before, labels = digests(first), ep.storage.labels.Labels.open(path)
    labels.save(ep.storage.edits.label(0, "by hand"))
    other = tmp_path / "other.json"
    other.write_text(json.dumps([" ".join(tiny.WORDS[i % 9 :: 1 + i % 4]) for i in range(80)]))
    for changes in (
        {"text": (str(other),)},
        {"seed": 1},
        {"batch": 8},
        {"tokens": 100},
        {"calibration": 100},
        {"percentiles": (2.0,)},
    ):
        with pytest.raises(ConfigError, match=f"{path.name} exists.*--out.*--replace"):
            finished(settings(**changes))
    assert [ep.digest(path) for path in first.files] == before
    assert digests(finished(config)) == before
    assert ep.storage.labels.Labels.open(path).best(0) == "by hand"
    replaced = list(build(settings(text=(str(other),)), replace=True))[-1]
    assert digests(replaced) != before
    aside = replaced.set_aside[0]
    assert "by hand" in aside.read_text()
    assert ep.storage.labels.Labels.open(path).problem == ""


def test_a_file_that_cannot_be_read_is_not_replaced(settings: Callable[..., BuildConfig]) -> None:
    config = settings()
    config.folder.mkdir()
    path = config.folder / config.file_name(1, 2.0)
    path.write_bytes(b"something else")
    with pytest.raises(ConfigError, match=f"{path.name}.*--replace"):
        finished(config)
    assert path.read_bytes() == b"something else"


def test_an_unfinished_build_is_resumed_or_replaced_and_its_labels_go_on(
    settings: Callable[..., BuildConfig],
) -> None:
    config = settings()
    steps = build(config)
    for progress in steps:
        if progress.stage == "stream" and progress.done > 100:
            break
    steps.close()
    path = config.folder / config.file_name(1, 2.0)
    part = ep.open(path)
    ep.storage.labels.Labels.open(path).save(ep.storage.edits.label(0, "by hand"))
    for again in (config, settings(layers=(3,))):
        with pytest.raises(ConfigError, match="unfinished build.*--resume.*--replace"):
            finished(again)
    done = finished(config, resume=True)
    assert len(ep.open(path)) > len(part)
    assert done.set_aside == ()
    assert ep.storage.labels.Labels.open(path).best(0) == "by hand"


def test_a_part_never_replaces_a_whole(settings: Callable[..., BuildConfig]) -> None:
    config = settings()
    whole = digests(finished(config))
    steps = build(config)
    next(p for p in steps if p.stage == "stream" and p.done)
    steps.close()
    assert all(ep.open(path).info["complete"] for path in config.folder.glob("*.ep.h5"))
    assert digests(finished(config, resume=True)) == whole


@pytest.mark.parametrize("calibration", [100, 10**6])
def test_no_stage_promises_more_than_the_text_has(
    settings: Callable[..., BuildConfig], calibration: int
) -> None:
    last = {p.stage: p for p in build(settings(calibration=calibration))}
    assert all(p.total in (None, p.done) for name, p in last.items() if name != "write")
