"""The command line: every reading command prints a table and JSON, every mistake is one line and an
exit code.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from dataclasses import fields
from pathlib import Path
from urllib.request import urlopen

import pytest

import ep
from ep import serving
from ep.cli import main, parser
from ep.commands.options import parsed_settings
from ep.config import BuildConfig
from tests.fixtures import tiny
from tests.fixtures.commands import output, refused
from tests.fixtures.dictionaries import synthetic

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("d") / "d.ep.h5"
    ep.save(synthetic(size=30, width=16, layer=1, percentile=2.0), path)
    return str(path)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A dictionary built by the command itself, and its model."""
    folder = tmp_path_factory.mktemp("built")
    model = str(tiny.gemma(folder / "model"))
    (folder / "t.json").write_text(
        json.dumps([f"the cat sat on mat number {i} by the moon" for i in range(60)])
    )
    arguments = [
        "build",
        model,
        "--text",
        str(folder / "t.json"),
        "--layer",
        "1",
        "--percentile",
        "5",
    ]
    assert main([*arguments, "--out", str(folder / "out"), "--batch", "8"]) == 0
    return str(next((folder / "out").glob("*.ep.h5"))), model


def test_info_says_what_and_whence(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(output(capsys, "info", file, "--json", "--digest", "--check"))
    assert facts["regions"] == 30
    assert facts["layer"] == 1
    assert facts["digest"] == ep.digest(file)
    assert "regions" in output(capsys, "info", file)


def test_regions_lists_finds_and_sorts(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(output(capsys, "regions", file, "--json", "--limit", "0"))
    counts = [row["count_voronoi"] for row in rows]
    assert len(rows) == 30
    assert counts == sorted(counts, reverse=True)
    word = rows[3]["lens"][0].strip()
    found = json.loads(output(capsys, "regions", file, "--find", word, "--json"))
    assert rows[3]["region"] in [row["region"] for row in found]
    by_id = json.loads(output(capsys, "regions", file, "--sort", "id", "--json"))
    assert [row["region"] for row in by_id] == list(range(30))
    assert len(output(capsys, "regions", file, "--limit", "5").splitlines()) == 6


def test_region_tells_everything(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(output(capsys, "region", file, "7", "--json"))
    kept = ep.open(file).region(7)
    assert told["region"] == 7
    assert told["count_voronoi"] == kept.count_voronoi
    assert [tuple(pair) for pair in told["lens"]["exemplar_up"]] == list(kept.lens["exemplar_up"])
    assert len(told["excerpts"]) == len(kept.excerpts) + 1
    assert "nearest" in output(capsys, "region", file, "7")


def test_assign_reads_a_prompt_with_the_dictionarys_own_model(
    built: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, model = built
    rows = json.loads(output(capsys, "assign", path, "--prompt", "the cat sat", "--json"))
    reader, dictionary = ep.load(model), ep.open(path)
    ids = reader.tokens.encode("the cat sat")
    assigned = dictionary.assign(ep.models.read(reader, ids, [1])[1])
    assert [row["region"] for row in rows] == assigned.region.tolist()
    assert "".join(row["token"] for row in rows) == "<bos>the cat sat"
    assert "distance" in output(capsys, "assign", path, "--prompt", "the cat", "--chat")


def test_assign_prints_a_character_of_several_tokens_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(tiny.gpt2(tmp_path / "m"))
    dictionary = synthetic(size=9, width=32, layer=1, percentile=2.0)
    dictionary.info["tokenizer_hash"] = ep.load(model).digest
    ep.save(dictionary, file := tmp_path / "d.ep.h5")
    prompt = "bird 🦜 東西 سلام"
    arguments = ("assign", str(file), "--model", model, "--prompt", prompt)
    rows = json.loads(output(capsys, *arguments, "--json"))
    assert len(rows) > len(prompt)
    assert "".join(row["token"] for row in rows).endswith(prompt)
    table = output(capsys, *arguments)
    assert all(table.count(character) == 1 for character in "🦜東西")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["info", "nowhere.ep.h5"], "no such file"),
        (["region", "{file}", "99"], "regions 0 to 29"),
        (["assign", "{file}", "--prompt", "x"], ""),
        (["build", "{here}", "--text", "t.txt", "--layer", "0", "--out", "o"], "does not exist"),
        (["build", "{here}", "--text", "{text}", "--layer", "0", "--out", "{out}"], "{here}"),
        (
            ["build", "m", "--text", "{text}", "--layer", "0", "--percentile", "0", "--out", "o"],
            "between 0 and 100",
        ),
    ],
)
def test_mistakes_are_one_line_and_exit_two(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("some text")
    known = {"file": file, "here": str(tmp_path), "text": str(text), "out": str(tmp_path / "out")}
    line = refused(capsys, 2, *(argument.format(**known) for argument in arguments))
    assert says.format(**known) in line


def test_an_empty_prompt_is_refused(
    built: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "empty" in refused(capsys, 2, "assign", built[0], "--prompt", "  ")


def test_a_port_in_use_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(capsys, 1, "app", "--host", "127.0.0.1", "--port", str(port), "--no-browser")
    assert f"port {port}" in line
    assert "in use" in line


@pytest.mark.slow
def test_ctrl_c_keeps_a_state_that_resumes_to_the_same_files(tmp_path: Path) -> None:
    model = str(tiny.gemma(tmp_path / "model"))
    texts = [
        f"the {word} sat on mat {i} by the old moon" for i in range(600) for word in ("cat", "bird")
    ]
    (tmp_path / "t.json").write_text(json.dumps(texts))
    command = [
        sys.executable,
        "-m",
        "ep",
        "build",
        model,
        "--text",
        str(tmp_path / "t.json"),
        "--layer",
        "1",
    ]
    command += ["--percentile", "5", "--batch", "4", "--calibration", "500"]
    subprocess.run(
        [*command, "--out", str(tmp_path / "whole")], cwd=ROOT, check=True, capture_output=True
    )
    cut = [*command, "--out", str(tmp_path / "cut")]
    process = subprocess.Popen(
        cut, cwd=ROOT, stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    seen = b""
    while b"stream:" not in seen:
        seen += process.stderr.read(64)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 130, rest
    assert "--resume" in rest
    assert "Traceback" not in rest
    assert not ep.open(next((tmp_path / "cut").glob("*.ep.h5"))).info["complete"]
    subprocess.run([*cut, "--resume"], cwd=ROOT, check=True, capture_output=True)
    one, other = (next((tmp_path / name).glob("*.ep.h5")) for name in ("whole", "cut"))
    assert ep.digest(one) == ep.digest(other)


def test_a_host_that_is_not_this_machine_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for host in ("no such host", "192.0.2.1"):
        assert "is unknown" in refused(capsys, 2, "app", "--host", host, "--no-browser")


def test_the_app_is_served_as_the_configuration_says(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []
    monkeypatch.setattr(serving, "check_port", lambda *_: None)
    monkeypatch.setattr(
        serving.subprocess,
        "run",
        lambda command, **_: commands.append(command) or subprocess.CompletedProcess(command, 0),
    )
    assert main(["app"]) == main(["app", "--host", "0.0.0.0", "--port", "9000"]) == 0
    configured = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["server"]
    assert [commands[0][i] for i in (6, 8)] == [configured["address"], str(configured["port"])]
    assert [commands[1][i] for i in (6, 8)] == ["0.0.0.0", "9000"]


@pytest.mark.slow
def test_the_app_starts_in_an_empty_home_without_asking_anything(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ep", "app", "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"HOME": str(tmp_path), "BROWSER": "true", "HF_HUB_OFFLINE": "1"}
    log = (tmp_path / "log").open("wb")
    streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **streams)
    try:
        answer = wait_for(f"http://127.0.0.1:{port}/_stcore/health", server)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
        log.close()
    said = (tmp_path / "log").read_text()
    assert answer == "ok", said
    assert "email" not in said.lower() and f"http://127.0.0.1:{port} " in said


def wait_for(url: str, server: subprocess.Popen[bytes], seconds: float = 90) -> str:
    """What the address answers once it does; "" when the server ends or time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return urlopen(url, timeout=2).read().decode()
        except OSError:
            time.sleep(0.3)
    return ""


OPTIONS = [setting for setting in fields(BuildConfig) if setting.metadata]


def test_every_setting_of_a_build_is_an_option_and_the_class_gives_the_defaults() -> None:
    needed = ["build", "m", "--text", "t", "--layer", "1", "--out", "o"]
    given = parsed_settings(parser().parse_args(needed), BuildConfig)
    assert BuildConfig(**given) == BuildConfig("m", ["t"], [1], "o")
    # what the opening of a build finds out is no setting of its user
    found_out = {"extra", "rounds_otherwise"}
    assert {s.name for s in fields(BuildConfig)} - {s.name for s in OPTIONS} == found_out


@pytest.mark.parametrize(
    ("option", "value", "name", "read"),
    [
        (["--percentile", "4", "--percentile", "2"], None, "percentiles", (2.0, 4.0)),
        (["--tokens"], "7", "tokens", 7),
        (["--positions"], "final", "positions", "final"),
        (["--chat"], None, "chat", True),
        (["--field"], "body", "field_name", "body"),
        (["--stop-rate"], "0.01", "stop_rate", 0.01),
        (["--seed"], "0", "seed", 0),
        (["--dtype"], "float32", "dtype", "float32"),
        (["--title"], "A family", "title", "A family"),
    ],
)
def test_an_option_of_a_build_sets_its_field(
    option: list[str], value: str | None, name: str, read: object
) -> None:
    argv = ["build", "m", "--text", "t", "--layer", "1", "--out", "o", *option]
    arguments = parser().parse_args(argv if value is None else [*argv, value])
    assert getattr(BuildConfig(**parsed_settings(arguments, BuildConfig)), name) == read


def test_the_help_of_a_build_is_the_documentation_of_its_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["build", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for setting in OPTIONS:
        assert str(setting.metadata["help"]) in shown, setting.name


@pytest.mark.parametrize(("option", "choices"), [("--positions", "final"), ("--dtype", "bfloat16")])
def test_a_value_that_is_none_of_the_choices_names_them(
    option: str, choices: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["build", "m", "--text", "t", "--layer", "1", "--out", "o", option, "other"])
    assert stopped.value.code == 2 and choices in capsys.readouterr().err
