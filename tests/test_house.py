"""Laws of the house: imports point one way, opening is light, every public name and command is
documented.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import ep
from ep.cli import parser

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.glob("ep/**/*.py")
)
FLOORS = (
    ("ep.errors", "ep.extras", "ep.leftovers", "ep.public", "ep.shapes", "ep.text"),
    ("ep.settings",),
    ("ep.settings_checks",),
    ("ep.config", "ep.progress", "ep.textfiles"),
    ("ep.seen", "ep.spool"),
    ("ep.corpus",),
    ("ep.mixing",),
    ("ep.method",),
    ("ep.models", "ep.storage"),
    ("ep.studies",),
    ("ep.views",),
    ("ep.lensing",),
    ("ep.describing",),
    ("ep.caching", "ep.cluster", "ep.existing", "ep.reporting"),
    ("ep.cached", "ep.drafting", "ep.opening", "ep.resuming", "ep.streaming"),
    ("ep.calibrating",),
    ("ep.building",),
    ("ep.forecasting", "ep.lens_adding", "ep.watching"),
    ("ep.comparing", "ep.completing", "ep.reseeding", "ep.saturating_rows"),
    ("ep.saturating_work",),
    ("ep.saturating",),
    ("ep.rereading",),
    ("ep.refining_passes",),
    ("ep.refining",),
    ("ep.refined_file",),
    ("ep.demo", "ep.serving"),
    ("ep.commands",),
    ("ep.cli",),
    ("ep.jobs",),
    ("ep.__main__",),
)
"""From the ground up: a room knows the floors below it and itself; `ep` alone names them all."""
PAGES = sorted(path.parent.name for path in (ROOT / "pages").glob("*/page.py"))
HEAVY = (
    "torch",
    "transformers",
    "transformer_lens",
    "umap",
    "sklearn",
    "pandas",
    "plotly",
    "streamlit",
    "numba",
    "scipy",
)


def imports(path: Path) -> set[str]:
    """Every module a file names in an import, those inside functions included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def floor(module: str) -> int | None:
    rooms = enumerate(FLOORS)
    return next(
        (n for n, names in rooms if any(f"{module}.".startswith(f"{r}.") for r in names)), None
    )


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("module", [m for m in MODULES if m != "ep"])
def test_imports_point_one_way(module: str) -> None:
    path = ROOT / (module.replace(".", "/") + ".py")
    path = path if path.exists() else ROOT / module.replace(".", "/") / "__init__.py"
    own = floor(module)
    assert own is not None, f"{module} stands on no floor"
    for name in imports(path):
        other = floor(name)
        if other is not None and room(name) != room(module):
            assert other < own, f"{module} imports {name}, which does not lie below it"


def test_a_page_knows_itself_and_what_pages_share_and_no_other_page() -> None:
    assert len(PAGES) == len(list((ROOT / "pages").glob("*/__init__.py"))) - 1
    for path in (ROOT / "pages").glob("**/*.py"):
        own = path.relative_to(ROOT / "pages").parts[0]
        allowed = {"shared", own}
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "pages" and len(parts) > 1:
                assert parts[1] in allowed, f"{path} imports {name}"


def test_pages_share_little() -> None:
    assert len(list((ROOT / "pages" / "shared").glob("*.py"))) <= 26


def test_streamlit_stays_in_the_app_and_its_pages() -> None:
    for path in ROOT.glob("ep/**/*.py"):
        assert not any(
            name.split(".")[0] in ("streamlit", "pages", "app") for name in imports(path)
        ), path


def test_nothing_unpickles() -> None:
    for path in [*ROOT.glob("ep/**/*.py"), *ROOT.glob("pages/**/*.py"), ROOT / "app.py"]:
        text = path.read_text()
        assert not imports(path) & {"pickle", "cloudpickle", "dill", "joblib", "shelve"}, path
        assert "allow_pickle=True" not in text, path


def test_opening_a_dictionary_loads_nothing_heavy(tmp_path: Path) -> None:
    from tests.fixtures.dictionaries import synthetic

    ep.save(synthetic(size=12), tmp_path / "d.ep.h5")
    code = (
        "import sys, ep; d = ep.open(sys.argv[1]); d.region(3); d.assign(d.exemplars[:2] + "
        "d.center);"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "d.ep.h5")]
    loaded = subprocess.run(
        run, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not set(loaded) & set(HEAVY)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_thing_is_documented(module: str) -> None:
    if module == "ep.__main__":
        return
    loaded = importlib.import_module(module)
    assert loaded.__doc__, module
    for name, thing in vars(loaded).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module:
            continue
        if inspect.isfunction(thing) or inspect.isclass(thing):
            assert inspect.getdoc(thing), f"{module}.{name} has no docstring"


def test_every_exported_name_exists() -> None:
    for name in ep.__all__:
        assert getattr(ep, name) is not None
    assert callable(ep.build)
    with pytest.raises(AttributeError):
        ep.nonsense  # noqa: B018


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = next(action for action in parser()._actions if action.dest == "command").choices
    for command in commands:
        assert f"ep {command}" in readme, command


def test_requirements_are_pinned_and_explained() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            if line and not line.startswith("#"):
                requirement, _, remark = line.partition("#")
                assert "==" in requirement, line
                assert remark.strip(), line
