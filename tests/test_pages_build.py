"""The Build page: its form is that of the settings, and its jobs are shown to all and obey one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import ep
from ep import jobs
from ep.config import BuildConfig
from ep.errors import ConfigError, CorpusError, ModelError
from ep.jobs import job as jobfile
from ep.jobs.process import Process
from ep.storage.checkpoint import NAME as STATE
from ep.watching import Status, status
from pages.build import fields, texts
from tests.fixtures import tiny
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.pages import HOSTILE, button_keys, go, own_library, said
from tests.fixtures.waiting import until


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_library(tmp_path, monkeypatch) as place:
        yield place


def made(place: Path, state: str, owner: str = "ann", alive: bool = True, **more: Any) -> Path:
    """A job's folder, written by hand; its process is this one, or one that is gone."""
    config = BuildConfig("m", ("t.txt",), (2,), str(place / "library" / "one"), (4.0,), tokens=90)
    folder = jobfile.place() / "20260101-000000-abcdef"
    folder.mkdir(parents=True)
    job = {"config": config.as_dict(), "owner": owner, "created": 1.0}
    status.replace_json(folder / jobfile.JOB, job)
    own = Process.of(os.getpid())
    assert own is not None
    process = vars(own) if alive else {**vars(own), "started": "0"}
    status.replace_json(folder / jobfile.PROCESS, {**process, "queued": 1.0})
    row = {"layer": 2, "percentile": 4.0, "regions": 1204, "seen": 40, "rate": 0.5, "bound": 0.6}
    row |= {"growth": [[10, 40], [9, 1204]], "window": 40, "stopped": None}
    newest = {"layer": 2, "percentile": 4.0, "region": 1203, "left": HOSTILE, "right": "$x$"}
    written = Status(
        state,  # type: ignore[arg-type]
        stage="stream",
        done=43,
        total=100,
        per_second=10.0,
        dictionaries=(row,),
        newest=(newest | {"token": HOSTILE},),
        **more,
    )
    status.write(folder / status.NAME, written)
    points = [[n * 0.1, (n * 7 % 5) * 0.1, 0.0] for n in range(8)]
    picture = {"layer": 2, "percentile": 4.0, "regions": 8, "ids": [*range(8)], "points": points}
    status.replace_json(folder / "picture.json", picture | {"kept": 0.5})
    return folder


def opened() -> AppTest:
    return go("build")


def test_every_setting_is_a_field_with_its_documentation(place: Path) -> None:
    app = opened()
    app.toggle(key="build_more").set_value(True).run()
    drawn = {
        str(one.key): one for kind in ("text_input", "selectbox", "toggle") for one in app.get(kind)
    }
    for name, field in fields.documented().items():
        one = drawn[f"build_{name}"]
        if name != "text":
            assert field.metadata["help"][:30].split("*")[0] in one.help.replace("\\", "")
    assert app.button(key="build_start").disabled


def test_what_is_typed_is_what_is_built() -> None:
    typed = {"model": "m", "text": "a, b.txt", "layers": "10, 2", "out": "o", "tokens": "6,000"}
    config = fields.config_of(typed | {"percentiles": "0.5; 4 8", "chat": True, "stop_rate": ""})
    assert config == BuildConfig(
        "m", ("a, b.txt",), (2, 10), "o", (0.5, 4, 8), tokens=6000, chat=True
    )
    blank = {name: fields.initial(name) for name in fields.documented()}
    assert fields.config_of(blank | typed) == fields.config_of(typed)
    for wrong, words in (
        ({"layers": "ten"}, "expected a whole number"),
        ({"layers": "1.5"}, "expected a whole number"),
        ({"tokens": "inf"}, "expected a whole number"),
        ({"percentiles": "0"}, "strictly between 0 and 100"),
        ({"stop_rate": "3"}, "strictly between 0 and 1"),
        ({"model": " "}, "name a model"),
    ):
        with pytest.raises(ConfigError, match=words):
            fields.config_of(typed | wrong)


def test_a_contradiction_is_one_line_beside_the_form(place: Path) -> None:
    app = opened()
    for name, text in (
        ("model", "m"),
        ("text", "t.txt"),
        ("layers", "2"),
        ("stop_rate", "0.00001"),
    ):
        app.text_input(key=f"build_{name}").set_value(text).run()
    assert "too small for stop_window 50000" in said(app)
    assert app.button(key="build_start").disabled


def test_what_is_not_there_is_said_before_anything_starts(place: Path) -> None:
    table = place / "table.csv"
    table.write_text("a,b\n1,2\n")
    config = BuildConfig(str(place / "none"), (str(table),), (1,), str(place / "out"))
    with pytest.raises(ModelError, match="there is no model at"):
        fields.check_inputs(config)
    hub = {"model": "some-one/model"}
    with pytest.raises(CorpusError, match="table.csv"):
        fields.check_inputs(BuildConfig(**(config.as_dict() | hub)))
    gone = {"text": (str(place / "gone.txt"),)}
    with pytest.raises(CorpusError, match="gone.txt"):
        fields.check_inputs(BuildConfig(**(config.as_dict() | hub | gone)))
    app = opened()
    for name, text in (("model", str(place / "none")), ("text", "t.txt"), ("layers", "2")):
        app.text_input(key=f"build_{name}").set_value(text).run()
    app.button(key="build_start").click().run()
    assert "There is no model at" in said(app) and jobs.listed() == []


def test_an_uploaded_text_is_kept_once_under_a_plain_name(place: Path) -> None:
    for name, plain in (("../../<b>x</b>.txt", "b-.txt"), ("a b.jsonl", "a-b.jsonl")):
        file = place / "upload"
        file.write_text(name)
        with file.open("rb") as content:
            path = texts.keep(name, content)
        with file.open("rb") as content:
            assert texts.keep(name, content) == path
        assert path.is_relative_to(place / "cache") and path.name == plain
        assert path.read_text() == name and len(list(path.parent.iterdir())) == 1


def test_an_empty_page_offers_an_example(place: Path) -> None:
    app = opened()
    assert "Nothing has been built yet" in said(app)
    app.button(key="box Nothing has been built yet Fill in an example").click().run()
    assert app.text_input(key="build_model").value == "data/demo/models/base"
    assert not app.button(key="build_start").disabled


def test_a_running_build_shows_what_it_does_on_every_page(place: Path) -> None:
    made(place, "running", seconds_left=75.0)
    app = opened()
    text = said(app)
    for part in ("Founding regions: 43 of 100", "1,204", "500.0 new in 1,000", "75 s"):
        assert part in text
    assert HOSTILE not in text and "&lt;img" in text
    assert {"build_pause", "build_cancel"} <= set(button_keys(app))
    app = go("region")
    assert app.button(key="frame_builds").label == "Building … stream 43 % · K 1,204"
    app.button(key="frame_builds").click().run()
    assert "Founding regions" in said(app)


def test_only_the_owner_can_stop_or_delete(place: Path) -> None:
    made(place, "running", owner="bob")
    app = opened()
    assert "only they can stop" in said(app) and "Founding regions" in said(app)
    assert not {"build_pause", "build_cancel", "build_delete"} & set(button_keys(app))


def test_no_build_no_line(place: Path) -> None:
    made(place, "done")
    app = go("region")
    assert "frame_builds" not in button_keys(app)


def test_a_killed_build_says_so_and_is_deleted_in_two_steps(place: Path) -> None:
    folder = made(place, "running", alive=False)
    (place / "library" / "one").mkdir(parents=True)
    (place / "library" / "one" / STATE).write_bytes(b"state")
    app = opened()
    assert "Stopped; its state is kept" in said(app) and "was killed" in said(app)
    assert "build_resume" in button_keys(app)
    app.button(key="build_delete").click().run()
    assert folder.exists() and "build_resume" not in button_keys(app)
    app.button(key="build_no").click().run()
    app.button(key="build_delete").click().run()
    app.button(key="build_yes_0").click().run()
    assert not folder.exists() and (place / "library" / "one" / STATE).exists()


def test_a_finished_build_opens_on_the_atlas(place: Path) -> None:
    made(place, "done")
    (place / "library" / "one").mkdir(parents=True)
    ep.save(synthetic(size=30, width=16), place / "library" / "one" / "m-L2-p4.ep.h5")
    app = opened()
    app.button(key="build_open").click().run()
    assert "30 regions" in said(app)


def test_a_job_whose_folder_goes_is_said_in_a_line(place: Path) -> None:
    import shutil

    folder = made(place, "failed", error="the disk is full")
    app = opened()
    assert "The disk is full." in said(app)
    shutil.rmtree(folder)
    app.button(key="build_start again").click().run()
    assert "its folder was deleted" in said(app) and "Nothing has been built yet" in said(app)


def test_a_public_server_has_no_such_page(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EP_PUBLIC", "1")
    made(place, "running")
    app = go("")
    assert "frame_builds" not in button_keys(app)
    from tests.fixtures.pages import show

    at = show("build", "none")
    assert "Nothing is built here" in said(at) and "build_start" not in button_keys(at)


@pytest.mark.slow
def test_the_check_shows_tokens_and_what_there_will_be_and_starts_nothing(place: Path) -> None:
    tiny.gemma(place / "model")
    lines = [f"{text} {HOSTILE} $x$" for text in tiny.passages(400)]
    (place / "text.txt").write_text("\n".join(lines))
    app = opened()
    for name, text in (("model", "model"), ("text", "text.txt")):
        app.text_input(key=f"build_{name}").set_value(str(place / text)).run()
    app.text_input(key="build_layers").set_value("1").run()
    start = next(key for key in button_keys(app) if key.startswith("job_start build check"))
    assert "Predicted from" not in said(app)
    app.button(key=start).click().run()
    until(lambda: "Predicted from" in said(app), app.run, every=0.2)
    text = said(app)
    assert "regions; " in text and "First tokens" in text and "&lt;bos&gt;" in text
    assert HOSTILE not in text and jobs.listed() == []
    app.number_input(key="build_target").set_value(100).run()
    use = app.button(key="build_use_p")
    p = use.label.split("=")[1].split(",")[0].strip()
    use.click().run()
    assert app.text_input(key="build_percentiles").value == p
