"""Progress on stderr: a line that is redrawn on a terminal, a log of plain lines elsewhere; quick
work prints nothing.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ep.commands.progress import CLEAR_LINE, EVERY_S, Printer, on_stderr
from ep.progress import Report
from tests.fixtures import tiny
from tests.fixtures.commands import ROOT


class Terminal(io.StringIO):
    """A terminal that keeps all it is sent."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def after(seconds: int, printer: Printer, clock: Clock, work: Report) -> None:
    """Draw at every second while the work reports its share."""
    for second in range(seconds):
        clock.now += 1
        work(f"{second:,} of {seconds:,}", second / seconds)
        printer.draw()


def test_a_log_has_a_line_for_each_stage_and_one_every_ten_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    printer = Printer(stream, patience=3, clock=clock)
    for name in ("reading", "writing"):
        printer.stage(name)
        after(35, printer, clock, printer)
    lines = stream.getvalue().splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["reading"] * 4 + ["writing"] * 4
    assert all(
        re.fullmatch(r"ep: \w+: \d+ of 35, \d+%, \d+ s(, about \d+ s left)?", s) for s in lines
    )
    assert "about" in lines[3]
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()


def test_quick_work_prints_nothing_and_silent_work_its_time() -> None:
    stream, clock = io.StringIO(), Clock()
    printer = Printer(stream, patience=3, clock=clock)
    printer.stage("quick")
    clock.now += 2
    printer.draw()
    printer.stage("loading")
    for _ in range(25):
        clock.now += 1
        printer.draw()
    printer.stage("")
    assert stream.getvalue() == "ep: loading: 3 s\nep: loading: 13 s\nep: loading: 23 s\n"


def test_a_share_that_starts_again_gives_no_estimate_from_before() -> None:
    stream, clock = io.StringIO(), Clock()
    printer = Printer(stream, patience=0, clock=clock)
    printer.stage("reading", share=0.9)  # a resumed build begins here
    clock.now += 2 * EVERY_S
    printer.to_share(0.95)
    printer.draw()
    printer("again", 0.0)
    clock.now += EVERY_S
    printer.draw()
    first, second, third = stream.getvalue().splitlines()
    assert first == "ep: reading: 90%"
    assert second.endswith("95%, 20 s, about 20 s left")
    assert third.endswith("again, 0%, 30 s")


def test_a_terminal_gets_one_line_that_is_cleared_at_the_end() -> None:
    stream, clock = Terminal(), Clock()
    printer = Printer(stream, patience=0, clock=clock)
    printer.stage("reading\nα\x1b[31m" + "x" * 500)
    after(5, printer, clock, printer)
    printer.say("a note\n")
    after(5, printer, clock, printer)
    printer.stage("")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text.endswith(CLEAR_LINE)
    assert "\x1b[31m" not in text
    assert max(map(len, text.split(CLEAR_LINE))) < 500


def test_a_reader_that_has_gone_does_not_stop_the_work() -> None:
    stream = io.StringIO()
    printer = Printer(stream, patience=0)
    stream.close()
    printer.stage("reading")
    printer.say("a note")


def test_the_line_ends_with_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), on_stderr(patience=0) as progress:
        progress.stage("reading")
        raise KeyError
    assert capsys.readouterr().err == "ep: reading\n"


def test_a_build_with_stderr_in_a_file_is_a_log(tmp_path: Path) -> None:
    model = tiny.gemma(tmp_path / "m")
    text = tmp_path / "t.json"
    text.write_text(json.dumps([f"the cat sat on mat {i} by the moon" for i in range(60)]))
    command = ["build", str(model), "--text", str(text), "--layer", "1", "--percentile", "8"]
    done = subprocess.run(
        [sys.executable, "-m", "ep", *command, "--out", str(tmp_path / "o")],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stderr.splitlines()
    stages = list(dict.fromkeys(line.split(":")[1].strip() for line in lines))
    assert stages[-4:] == ["calibrate", "stream", "assign", "write"]
    assert "\r" not in done.stderr and "/s" not in done.stderr
    assert "400,000" not in done.stderr
    assert done.stdout.splitlines() == [str(tmp_path / "o" / "m-L1-p8.ep.h5")]
