"""A real server and a real Chromium: what AppTest cannot see.

Without a browser the tests fail and say what to do.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

import ep
from ep.storage import Shelf
from tests.fixtures.dictionaries import synthetic

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
]
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


class App(NamedTuple):
    """A running explorer: where it answers, its shelf of made-up dictionaries, and their keys."""

    url: str
    shelf: Path
    keys: dict[str, str]

    def link(self, page: str = "", **selection: object) -> str:
        """A deep link; d names one of `keys`."""
        parts = {name: self.keys.get(str(value), value) for name, value in selection.items()}
        return f"{self.url}/{page}" + (f"?{urlencode(parts)}" if parts else "")


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The explorer on the bundled demo and on made-up dictionaries: plain, hostile, and too small
    for a map.
    """
    shelf = tmp_path_factory.mktemp("shelf")
    made = {
        "plain": synthetic(size=300, width=32, seed=1, title="plain", family="plain"),
        "hostile": synthetic(size=60, width=16, seed=2, hostile=True, family="hostile"),
        "tiny": synthetic(size=3, width=8, seed=3, title="tiny", family="tiny"),
    }
    for name, dictionary in made.items():
        ep.save(dictionary, shelf / f"{name}.ep.h5")
    (shelf / "<img src=x onerror=alert(1)> $x$ :red[x].ep.h5").write_bytes(b"not a dictionary")
    keys = {entry.path.name.removesuffix(".ep.h5"): entry.key for entry in Shelf((shelf,)).entries}
    with serving(shelf, tmp_path_factory.mktemp("home")) as url:
        yield App(url, shelf, keys)


@contextmanager
def serving(shelf: Path, home: Path) -> Iterator[str]:
    """A server on its own port, as on the machine of a researcher with a coding assistant, where
    Streamlit would advertise; gives its address.
    """
    (home / ".claude").mkdir()
    log, port = shelf / "server.log", free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
    command += ["--server.address", "127.0.0.1", "--server.port", str(port)]
    environment = os.environ | {
        "EP_LIBRARY": str(shelf),
        "HF_HUB_OFFLINE": "1",
        "HOME": str(home),
        "BROWSER": "true",  # the command that does nothing, instead of a browser
    }
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}/_stcore/health", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


@pytest.fixture(scope="session", autouse=True)
def first_visit(app: App, browser: Browser) -> None:
    """Somebody was there before: what a server's very first visitor sees has a test of its own."""
    page = browser.new_page()
    page.goto(app.link(), timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="Atlas")).to_be_visible()
    page.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail(
            f"no Chromium was found (looked for {', '.join(NAMES)}): install one, on Debian with "
            "`apt-get install chromium`, and run the tests again",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh visitor.

    The test fails if the page threw an error, opened a dialog, or asked another host.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda request: wrong.append(f"asked {request.url}") if is_foreign(request.url) else None,
    )
    page.on(
        "console",
        lambda message: wrong.append(f"console: {message.text}") if is_failure(message) else None,
    )
    yield page
    context.close()
    assert not wrong, wrong


EVERYWHERE = {
    "library": ("library", {}),
    "atlas": ("", {"find": "words"}),
    "region": ("region", {"r": 76}),
    "prompt": ("prompt", {}),
    "between": ("between", {}),
    "resolution": ("resolution", {}),
    "compare": ("compare", {}),
    "steer": ("steer", {}),
    "behaviour": ("behaviour", {}),
    "build": ("build", {}),
}
"""All pages of the explorer, by the selection with which they show most."""


@pytest.fixture(scope="session", params=list(EVERYWHERE))
def everywhere(app: App, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Each page of the explorer once, in whatever theme and width the test before left it.

    Loading a page costs more than looking at it: pytest runs all tests of one page, of whatever
    module, before those of the next.
    """
    name, selection = EVERYWHERE[request.param]
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(app.link(name, **selection))
    page.wait_for_selector("h1")
    page.wait_for_timeout(500)  # the first run may end before its components ask for another
    settle(page)
    yield page
    context.close()


SETTLED = """() =>
    document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid=stSkeleton], [data-testid=stSpinner]')"""


def settle(page: Page) -> None:
    """Wait until the page's run is over."""
    page.wait_for_function(SETTLED)


def is_foreign(url: str) -> bool:
    return url.startswith(("http", "ws")) and "//127.0.0.1" not in url


def is_failure(message: ConsoleMessage) -> bool:
    """Errors of our own code; the browser's notes on missing source maps and resources are none."""
    return message.type == "error" and "Failed to load resource" not in message.text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_healthy(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            if urlopen(url, timeout=2).status == 200:
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"the explorer did not start: {log.read_text()[-2000:]}")
