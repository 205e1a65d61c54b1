"""`ep lens` on the command line, and published lenses read without running their code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
import torch

from ep.cli import main
from ep.errors import ModelError
from ep.models import find_lens, load
from ep.models.fingerprint import fingerprint
from ep.models.jacobian_import import published, read
from ep.models.jacobian_store import load as load_lens
from ep.models.jacobian_store import place
from tests.fixtures import tiny
from tests.fixtures.commands import ROOT, output, refused

WIDTH = 32


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny.gemma(tmp_path / "gemma")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(f"{n}. {tiny.TEXTS[n % 4]}" for n in range(40)))
    return path


def fit(model: Path, text: Path, *more: str) -> tuple[str, ...]:
    return ("lens", "fit", str(model), "--text", str(text), "--tokens", "24", *more)


def test_fitting_finding_listing_and_the_cache(
    model: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "0 lenses" in output(capsys, "lens", "list")
    arguments = fit(model, text, "--layer", "1", "--prompts", "2")
    assert main(list(arguments)) == 0
    captured = capsys.readouterr()
    path = Path(captured.out.strip())
    assert path == place(fingerprint(model, "gemma"))
    said = captured.err.splitlines()
    assert "by the model's size, at least" in said[0] and "in all" in said[0]
    assert "a prompt, about" in said[1] and "for the other 1" in said[1]
    lens = find_lens(load(str(model)))
    assert lens is not None and (lens.layers, lens.n_prompts) == ((1,), 2)
    assert lens.origin["model"] == "gemma" and lens.origin["text"] == ["text.txt"]
    assert [file.name for file in path.parent.iterdir()] == [path.name]

    assert "exists: name another file" in refused(capsys, 2, *arguments)
    output(capsys, *arguments, "--replace")
    assert "gemma, layer 1, 2 prompts" in output(capsys, "lens", "list")
    (row,) = json.loads(output(capsys, "lens", "list", "--json"))["lenses"]
    assert row["layers"] == [1] and row["bytes"] == path.stat().st_size
    assert "1 Jacobian lens, 0.0 MB, in" in output(capsys, "cache")
    assert "1 Jacobian lens, 0.0 MB, kept in" in output(capsys, "cache", "--empty")
    assert json.loads(output(capsys, "cache", "--json"))["lenses"]["files"] == 1
    assert find_lens(load(str(model))) is not None
    path.write_bytes(b"cut short")
    assert "damaged" in output(capsys, "lens", "list")


def test_merging(
    model: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, c, whole = (str(tmp_path / f"{name}.safetensors") for name in "abcw")
    output(capsys, *fit(model, text, "--prompts", "1", "--out", a))
    output(capsys, *fit(model, text, "--prompts", "2", "--skip", "1", "--out", b))
    output(capsys, *fit(model, text, "--prompts", "3", "--out", whole))
    assert output(capsys, "lens", "merge", a, b, "--out", c).strip() == c
    for layer, matrix in load_lens(whole).matrices.items():
        np.testing.assert_allclose(load_lens(c).matrices[layer], matrix, rtol=1e-6, atol=1e-6)
    assert "both have prompt 0" in refused(capsys, 2, "lens", "merge", a, a, "--out", f"{c}.2")
    assert "exists" in refused(capsys, 2, "lens", "merge", a, b, "--out", c)
    assert "two or more" in refused(capsys, 2, "lens", "merge", a, "--out", f"{c}.2")
    assert "name of a dictionary" in refused(capsys, 2, "lens", "merge", a, b, "--out", "x.ep.h5")


def test_what_cannot_be_fitted_is_refused_before_the_model_works(
    model: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for more, code, why in (
        (("--prompts", "0"), 2, "prompts = 0"),
        (("--out", str(tmp_path / "file")), 2, "exists"),
        (("--out", str(tmp_path / "file" / "x")), 1, "cannot be written"),
        (("--out", "x.ep.h5"), 2, "name of a dictionary"),
    ):
        assert why in refused(capsys, code, *fit(model, text, *more))
    assert "does not exist" in refused(capsys, 2, *fit(model, tmp_path / "none.txt"))


@pytest.mark.slow
def test_a_killed_fit_is_resumed(
    model: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, whole = (str(tmp_path / f"{name}.safetensors") for name in ("killed", "whole"))
    state = Path(f"{out}.unfinished")
    arguments = fit(model, text, "--prompts", "20")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    child = subprocess.Popen(
        [sys.executable, "-m", "ep", *arguments, "--out", out],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = monotonic() + 600
    while not state.exists() and child.poll() is None and monotonic() < end:
        sleep(0.02)
    child.kill()
    child.wait()
    assert state.exists() and not Path(out).exists()
    assert "continue it with --resume" in refused(capsys, 2, *arguments, "--out", out)
    assert main([*arguments, "--layer", "1", "--out", out, "--resume"]) == 2
    assert "other values of layers" in capsys.readouterr().err
    output(capsys, *arguments, "--out", out, "--resume")
    output(capsys, *arguments, "--out", whole)
    assert not state.exists()
    assert Path(out).read_bytes() == Path(whole).read_bytes()


def test_an_interrupted_fit_keeps_the_prompts_that_are_done(
    model: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, state = tmp_path / "x.safetensors", tmp_path / "x.safetensors.unfinished"
    arguments = fit(model, text, "--prompts", "20", "--out", str(out))

    def interrupt() -> None:
        while not state.exists():
            sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    presser = Thread(target=interrupt, daemon=True)
    presser.start()
    assert main(list(arguments)) == 130
    presser.join()
    assert "continue with --resume" in capsys.readouterr().err.splitlines()[-1]
    assert state.exists() and not out.exists()
    output(capsys, *arguments, "--resume")
    assert load_lens(out).n_prompts == 20 and not state.exists()


# -- published lenses ------------------------------------------------------------------------------


def content(layers: tuple[int, ...] = (0, 2), width: int = WIDTH) -> dict[str, Any]:
    torch.manual_seed(0)
    return {
        "J": {layer: torch.randn(width, width).half() for layer in layers},
        "n_prompts": 1000,
        "source_layers": list(layers),
        "d_model": width,
    }


@pytest.mark.slow
def test_a_published_lens_is_imported(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, good = tmp_path / "gemma_jacobian_lens.pt", content()
    torch.save(good, file)
    path = output(capsys, "lens", "import", str(file), "--model", str(model)).strip()
    lens = find_lens(load(str(model)))
    assert lens is not None and Path(path) == place(lens.fingerprint)
    assert (lens.layers, lens.n_prompts) == ((0, 2), 1000)
    assert lens.origin["imported"] == file.name and lens.origin["model"] == "gemma"
    for layer, matrix in good["J"].items():
        np.testing.assert_array_equal(lens.matrices[layer], matrix.float().numpy())
    arguments = ("lens", "import", str(file), "--model", str(model))
    assert "exists" in refused(capsys, 2, *arguments)
    torch.save(content(width=16), file)
    assert "16 wide" in refused(capsys, 2, *arguments, "--replace")
    torch.save(content(layers=(0, 4)), file)
    assert "no layer 4" in refused(capsys, 2, *arguments, "--replace")


class Hostile:
    """Runs a command when it is unpickled by something that runs code."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.slow
def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    file, trace = tmp_path / "x.pt", tmp_path / "trace"
    for is_zip in (True, False):
        hostile = changed(d_model=Hostile(f"touch {trace}"))
        torch.save(hostile, file, _use_new_zipfile_serialization=is_zip)
        with pytest.raises(ModelError, match="more than tensors and plain values"):
            (published if is_zip else read)(file)
        assert not trace.exists()


def changed(**entries: Any) -> dict[str, Any]:
    return content() | entries


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ([1, 2], "matrices by layer under 'J'"),
        (changed(J={}), "matrices by layer under 'J'"),
        (changed(J=[torch.eye(4)]), "matrices by layer under 'J'"),
        (changed(J={"0": torch.eye(WIDTH)}), "whole numbers as layers"),
        (changed(J={True: torch.eye(WIDTH)}), "whole numbers as layers"),
        (changed(J={-1: torch.eye(WIDTH)}), "whole numbers as layers"),
        (changed(J={0: 3}), "no matrix of plain numbers"),
        (changed(J={0: torch.eye(WIDTH).int()}), "no matrix of plain numbers"),
        (changed(J={0: torch.eye(WIDTH).to_sparse()}), "no matrix of plain numbers"),
        (changed(J={0: torch.zeros(WIDTH, WIDTH, device="meta")}), "no matrix of plain numbers"),
        (changed(J={0: torch.zeros(WIDTH, 3)}), "has the shape"),
        (changed(J={0: torch.zeros(3, WIDTH, WIDTH)}), "has the shape"),
        (changed(d_model="x" * 10_000), "has the shape"),
        (
            changed(J={0: torch.zeros(1).expand(10**6, 10**6)}, d_model=10**6),
            "not stored row by row",
        ),
        (changed(J={0: torch.full((WIDTH, WIDTH), float("inf"))}), "not finite"),
    ],
)
def test_other_content_is_refused_in_one_line(wrong: Any, why: str, tmp_path: Path) -> None:
    file = tmp_path / "x.pt"
    torch.save(wrong, file)
    with pytest.raises(ModelError, match=why) as caught:
        read(file)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 500


@pytest.mark.slow
def test_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "x.pt"
    torch.save(content(), file)
    whole = file.read_bytes()
    pieces = [whole[: int(share * len(whole))] for share in (0, 0.01, 0.5, 0.99)]
    for damaged in (*pieces, b"no lens", b"\x80\x02}." + bytes(20), whole[2000:]):
        file.write_bytes(damaged)
        with pytest.raises(ModelError, match="damaged or of another kind") as caught:
            read(file)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ModelError, match="x.pt is not a published Jacobian lens: it is damaged"):
        published(file)
    with pytest.raises(ModelError, match="is not a file"):
        published(tmp_path)
