"""The package: three libraries read a file, extras bring the rest, and requirements.txt pins all of
it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ep
from ep.cli import main
from ep.extras import EXTRA_OF, advice
from tests.fixtures.dictionaries import synthetic

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
READING = {"numpy", "scipy", "h5py"}
THROUGH = {"httpx2": "huggingface_hub", "jaxtyping": "ep.shapes does without"}
"""Imported, and no requirement of ours, with the reason."""


def named(lines: list[str]) -> dict[str, Requirement]:
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


OWN_PIN = "cluster"
"""The extra that the explorer does without: its pin is in requirements-dev.txt, for the tests."""
UNPINNED = "vllm"
"""The extra that no environment here has: its engine needs a GPU, and a fake stands for it."""


def pins(file: str = "requirements.txt") -> dict[str, Requirement]:
    lines = [line.partition("#")[0] for line in (ROOT / file).read_text().split("\n")]
    return named([line for line in lines if line.strip()])


def wanted() -> dict[str, list[Requirement]]:
    """Every requirement by its group: "" what reading needs, else the extra."""
    groups = {"": PROJECT["dependencies"]} | PROJECT["optional-dependencies"]
    return {group: [Requirement(line) for line in lines] for group, lines in groups.items()}


def test_reading_needs_three_libraries() -> None:
    assert set(named(PROJECT["dependencies"])) == READING


def test_every_requirement_has_a_pin_that_fits_and_no_pin_is_without_one() -> None:
    own = {canonicalize_name(PROJECT["name"])}
    names = set()
    for group, requirement in ((key, one) for key, many in wanted().items() for one in many):
        name = canonicalize_name(requirement.name)
        if name in own or group == UNPINNED:
            continue
        pinned = pins("requirements-dev.txt") if group == OWN_PIN else pins()
        names |= set() if group == OWN_PIN else {name}
        (pin,) = pinned[name].specifier
        assert requirement.specifier.contains(pin.version), requirement
    assert names == set(pins())


def test_every_library_that_is_imported_is_a_requirement() -> None:
    for path in (ROOT / "ep").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            for name in (name.split(".")[0] for name in names):
                known = READING | set(EXTRA_OF) | set(THROUGH) | {"ep"} | sys.stdlib_module_names
                assert name in known, f"{path.name} imports {name}"


def test_the_extra_without_a_pin_is_that_of_its_library() -> None:
    assert EXTRA_OF["vllm"] == UNPINNED and {r.name for r in wanted()[UNPINNED]} == {
        "ep-explorer",
        "vllm",
    }


@pytest.mark.parametrize("library", sorted(set(EXTRA_OF) - {"vllm"}))
def test_an_extra_brings_what_it_is_said_to_bring(library: str) -> None:
    distributions = {canonicalize_name(name) for name in packages_distributions()[library]}
    brought = {canonicalize_name(r.name) for r in wanted()[EXTRA_OF[library]]}
    assert distributions & brought


BARE = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {missing}:
            return None
        return self.finder.find_spec(name, path, target)
sys.meta_path = [Without(finder) for finder in sys.meta_path]
"""


def without_extras(code: str) -> subprocess.CompletedProcess[str]:
    """Runs code where nothing but numpy, scipy and h5py can be imported."""
    program = BARE.format(missing=sorted({*EXTRA_OF, *THROUGH})) + code
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)


def test_files_are_read_with_three_libraries(tmp_path: Path) -> None:
    path = ep.save(synthetic(size=40, width=16, layer=1), tmp_path / "d.ep.h5")
    code = f"""
import ep, numpy as np
d = ep.open({str(path)!r})
assert d.region(7).excerpts and len(ep.automatic(d)) == 40 and len(ep.Index(d).find("cat"))
x = d.exemplars[:4] + d.center
assert ep.between(d.exemplars, 1, 2) and d.assign(x).region.tolist() == [0, 1, 2, 3]
assert ep.Labels.open({str(path)!r}).best(3) == ""
ep.save(d, {str(tmp_path / "again.ep.h5")!r})
from ep.cli import main
assert main(["info", {str(path)!r}]) == main(["region", {str(path)!r}, "3"]) == 0
"""
    done = without_extras(code)
    assert done.returncode == 0, done.stderr


def test_what_is_not_installed_is_one_line_that_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a text")
    build = ["build", "m", "--text", str(tmp_path / "t.txt"), "--layer", "0", "--out"]
    done = without_extras(
        f"from ep.cli import main; sys.exit(main({[*build, str(tmp_path / 'out')]!r}))"
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "pip install 'ep-explorer[model]'" in done.stderr
    assert advice(ModuleNotFoundError("No module named 'nothing'", name="nothing")) is None
    assert main(["build", "m", "--text", "t", "--layer", "0", "--out", "o"]) == 2


def test_a_build_on_a_cluster_says_what_to_install() -> None:
    build = ["build", "m", "--text", "t", "--layer", "0", "--out", "o", "--ray", "local"]
    program = (
        f"import sys; sys.modules['ray'] = None; from ep.cli import main; sys.exit(main({build!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "pip install 'ep-explorer[cluster]'" in done.stderr
