"""Laws of stored activations: the model runs once for every token, and nothing else changes."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ep
from ep import building, cached, caching
from ep.cli import main
from ep.config import BuildConfig
from ep.errors import ConfigError, CorpusError, StorageError
from ep.models import extraction
from ep.models.loading import LanguageModel
from ep.reporting import Progress
from ep.storage import checkpoint
from ep.storage.activations import LayerStore
from ep.storage.lock import NAME as LOCK
from ep.storage.lock import FolderLock
from tests.fixtures import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.gemma(tmp_path_factory.mktemp("gemma")))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(tiny.passages(60)))
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The number of wanted positions of every part that went through the model."""
    seen: list[int] = []
    original = extraction.residuals

    def counted(model: LanguageModel, part: extraction.Part) -> extraction.Residuals:
        seen.append(int(part.keep.sum()))
        return original(model, part)

    monkeypatch.setattr(extraction, "residuals", counted)
    yield seen


def settings(model: str, text: Path, out: str, **changes: Any) -> BuildConfig:
    base: dict[str, Any] = {
        "model": model,
        "text": (str(text),),
        "layers": (1, 2),
        "percentiles": (4.0, 10.0),
        "out": str(text.parent / out),
        "batch": 16,
        "calibration": 300,
    }
    return BuildConfig(**(base | changes))


def finished(config: BuildConfig, resume: bool = False) -> Progress:
    return list(ep.build(config, resume))[-1]


def digests(progress: Progress) -> list[str]:
    return [ep.digest(path) for path in progress.files]


def streamed(progress: Progress) -> int:
    return int(ep.open(progress.files[0]).info["n_activations"])


@pytest.mark.parametrize("changes", [{}, {"norm_cap": 3.0}, {"positions": "final"}])
def test_the_model_runs_once_for_every_token(
    model: str, text: Path, ran: list[int], changes: dict[str, Any]
) -> None:
    last = finished(settings(model, text, "once", **changes))
    once = sum(ran)
    left_out = ep.open(last.files[0]).info.get("left_out") or {}
    assert once == streamed(last) + sum(left_out.values())
    assert not (text.parent / "once" / caching.HIDDEN).exists() and not last.notes
    ran.clear()
    plain = finished(settings(model, text, "plain", cache="0", **changes))
    assert digests(plain) == digests(last) and sum(ran) > 2 * once
    assert "--cache 0" in plain.notes[0]


def test_what_does_not_fit_runs_again_and_nothing_else_changes(
    model: str, text: Path, ran: list[int]
) -> None:
    whole = digests(finished(settings(model, text, "whole")))
    once = sum(ran)
    ran.clear()
    part = finished(settings(model, text, "part", cache="60k"))
    assert digests(part) == whole and once < sum(ran) < 3 * once
    assert "beyond" in part.notes[0] and len(part.notes) == 1


def test_a_disk_without_room_for_activations_is_a_note(
    model: str, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = digests(finished(settings(model, text, "whole")))
    original, calls = LayerStore.add, []

    def full(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(*arguments)

    monkeypatch.setattr(LayerStore, "add", full)
    last = finished(settings(model, text, "full"))
    assert digests(last) == whole and "No space left" in last.notes[0]


@pytest.mark.slow
def test_kept_activations_serve_other_percentiles_metrics_and_seeds(
    model: str, text: Path, ran: list[int], cache: Path
) -> None:
    finished(settings(model, text, "first", keep_activations=True))
    [kept] = cached.kept()
    assert kept.size > 0 and kept.layers == (1, 2) and kept.folder.is_relative_to(cache)
    for number, changes in enumerate(
        ({"percentiles": (2.0,)}, {"metric": "whitened"}, {"seed": 3}, {"layers": (2,)})
    ):
        fresh = digests(finished(settings(model, text, f"f{number}", cache="0", **changes)))
        ran.clear()
        path = cache / "moved"
        again = finished(settings(model, text, f"k{number}", **changes))
        assert not ran and not path.exists()
        assert digests(again) == fresh
    assert cached.kept()[0].size == kept.size
    ran.clear()
    finished(settings(model, text, "deeper", layers=(2, 3), keep_activations=True))
    assert ran and cached.kept()[0].layers == (1, 2, 3)
    finished(settings(model, text, "longer", context=20, keep_activations=True))
    assert len(cached.kept()) == 2
    assert len(cached.forget()) == 2 and not cached.kept()


def test_damaged_activations_are_computed_again(model: str, text: Path, ran: list[int]) -> None:
    whole = digests(finished(settings(model, text, "a", keep_activations=True)))
    once = sum(ran)
    [kept] = cached.kept()
    path = kept.folder / "layer-1.rows"
    data = bytearray(path.read_bytes())
    data[100] ^= 4
    path.write_bytes(data)
    ran.clear()
    assert digests(finished(settings(model, text, "b"))) == whole
    assert 0 < sum(ran) < once
    path.write_bytes(path.read_bytes()[: len(data) // 2])
    assert digests(finished(settings(model, text, "c"))) == whole


def test_calibration_never_reads_more_than_is_streamed(
    model: str, text: Path, ran: list[int]
) -> None:
    last = finished(settings(model, text, "few", tokens=100, calibration=200_000, batch=4))
    assert streamed(last) == 100 and sum(ran) < 200
    assert ep.open(last.files[0]).info["n_calibration"] < 200


def test_a_text_that_changes_while_it_is_read_is_noticed(model: str, text: Path) -> None:
    for stage in ("calibrate", "stream", "assign"):
        steps = ep.build(settings(model, text, f"changed-{stage}"), replace=True)
        for progress in steps:
            if progress.stage == stage and progress.done:
                break
        passages = json.loads(text.read_text())
        text.write_text(json.dumps([f"other {stage}", *passages[1:]]))
        with pytest.raises(CorpusError, match="text changed while it was read"):
            list(steps)


def test_a_file_that_is_only_touched_is_the_same_text(model: str, text: Path) -> None:
    steps = ep.build(settings(model, text, "touched"))
    next(p for p in steps if p.stage == "stream")
    text.touch()
    assert list(steps)[-1].stage == "done"


def test_two_builds_never_write_to_one_folder(model: str, text: Path) -> None:
    first = ep.build(settings(model, text, "out"))
    next(first)
    with pytest.raises(ConfigError, match="in use by another build .process"):
        next(ep.build(settings(model, text, "out", layers=(3,))))
    first.close()
    assert finished(settings(model, text, "out"), resume=True).files
    lock = FolderLock(text.parent / "out")
    assert lock.take()
    lock.release()


def test_a_full_disk_while_the_state_is_saved_does_not_end_a_build(
    model: str, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = digests(finished(settings(model, text, "whole")))
    savez, calls = checkpoint.np.savez, []

    def full(*arguments: Any, **more: Any) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        savez(*arguments, **more)

    monkeypatch.setattr(checkpoint.np, "savez", full)
    steps = list(ep.build(settings(model, text, "full")))
    assert digests(steps[-1]) == whole and len(calls) >= 3
    assert any("No space left" in note for step in steps for note in step.notes)
    assert not steps[-1].notes


def test_a_full_disk_while_writing_keeps_the_work(
    model: str, text: Path, ran: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = digests(finished(settings(model, text, "whole")))
    save_over, calls = building.save_over, []

    def full(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise StorageError("x.ep.h5 could not be written (the disk is full)")
        return save_over(*arguments)

    monkeypatch.setattr(building, "save_over", full)
    config = settings(model, text, "full")
    with pytest.raises(StorageError, match="disk is full.*continue with --resume"):
        finished(config)
    assert not (config.folder / caching.HIDDEN).exists()  # its room is free for the files
    ran.clear()
    assert digests(finished(config, resume=True)) == whole and not ran


def test_closed_in_the_calibration_it_resumes_to_the_same_files(
    model: str, text: Path, ran: list[int]
) -> None:
    changes: dict[str, Any] = {"norm_cap": 3.0, "metric": "whitened", "protocol": "global"}
    whole = digests(finished(settings(model, text, "whole", **changes)))
    config, once = settings(model, text, "cut", **changes), sum(ran)
    ran.clear()
    for stop in (1, 2, 3, 4, 5):
        steps = ep.build(config, resume=True)
        calibrating = 0
        for progress in steps:
            calibrating += progress.stage == "calibrate"
            if calibrating == stop or progress.stage == "stream":
                break
        steps.close()
        assert (config.folder / checkpoint.NAME).exists()
    assert digests(finished(config, resume=True)) == whole
    assert sum(ran) == once


def test_activations_of_stopped_builds_are_listed_and_removed_unless_they_are_in_use(
    model: str, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = digests(finished(settings(model, text, "library/whole")))
    library = text.parent / "library"
    stopped, running = (settings(model, text, f"library/{name}") for name in ("a/b", "c"))
    for config in (stopped, running):
        steps = ep.build(config)
        next(step for step in steps if step.stage == "stream" and step.done)
        if config is stopped:
            steps.close()
            (config.folder / LOCK).touch()  # as a killed build leaves it
    command = ["cache", "--library", str(library)]
    assert main([*command, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["activations"]
    assert [one["build"] for one in listed] == [str(c.folder) for c in (stopped, running)]
    assert all(one["bytes"] > 0 and one["layers"] == [1, 2] for one in listed)
    assert main([*command, "--empty"]) == 0
    said = capsys.readouterr().out
    assert f"of the build in {stopped.folder}" in said and str(running.folder) not in said
    assert not (stopped.folder / caching.HIDDEN).exists() and not (stopped.folder / LOCK).exists()
    assert (running.folder / caching.HIDDEN).exists()
    steps.close()
    for config in (stopped, running):
        assert digests(finished(config, resume=True)) == whole
    assert not cached.kept(library)
