"""The Library against a Hub on loopback: a published dictionary is got, opened, and one of any
repository too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import ep
from ep.storage.hub import KNOWN_REVISION, REPOSITORY, Published, lookup
from tests.browser.conftest import PATIENCE_MS, ROOT, free_port, wait_until_healthy
from tests.fixtures.dictionaries import synthetic
from tests.fixtures.hub_server import HubServer
from tests.fixtures.published import library, pickled

NAME = "some-one/dictionaries"


class Online(NamedTuple):
    """An explorer that may ask a Hub on loopback, that Hub, and its library."""

    url: str
    hub: HubServer
    shelf: Path


def published() -> Published:
    found = lookup("hub:gemma-2-2b-it/20/8")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Online]:
    shelf = tmp_path_factory.mktemp("online")
    dictionary = synthetic(size=120, width=32, seed=5)
    settings = {
        "model": "google/gemma-2-2b-it",
        "model_short": "gemma-2-2b-it",
        "layer": 20,
        "percentile": 8.0,
    }
    metadata = {
        "discovery_config": settings,
        "discovery": {"n_partitions": 120, "threshold": dictionary.threshold},
    }
    theirs = ep.save(
        synthetic(size=40, width=16, family="theirs", title="<b>Theirs</b>"), shelf / "theirs.tmp"
    ).read_bytes()
    (shelf / "theirs.tmp").unlink()
    for p in (1.0, 2.0):
        mine = synthetic(int(80 / p), 16, family="mine", title="Mine <i>x</i>", percentile=p)
        ep.save(mine, shelf / f"mine-{p:g}.ep.h5")
    with HubServer().running() as hub:
        files = {
            published().path: pickled(library(dictionary, 60)),
            published().metadata: json.dumps(metadata).encode(),
        }
        hub.add(REPOSITORY, files, KNOWN_REVISION.ljust(40, "b"))
        hub.add(NAME, {"a/<i>x</i>.ep.h5": theirs, "README.md": b"hello"})
        port = free_port()
        environment = os.environ | {
            "EP_LIBRARY": str(shelf),
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(shelf / ".hf"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
        }
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(ROOT / "app.py"),
            "--server.port",
            str(port),
        ]
        command += ["--server.address", "127.0.0.1", "--server.headless", "true"]
        with (shelf / "server.log").open("wb") as log:
            server = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                wait_until_healthy(
                    f"http://127.0.0.1:{port}/_stcore/health", server, shelf / "server.log"
                )
                visited(browser, f"http://127.0.0.1:{port}")
                yield Online(f"http://127.0.0.1:{port}", hub, shelf)
            finally:
                server.terminate()
                server.wait(20)


def visited(browser: Browser, url: str) -> None:
    """Somebody was there before: what a server's very first visitor sees is tested elsewhere."""
    page = browser.new_page()
    page.goto(url, timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name="Atlas")).to_be_visible()
    page.close()


def test_a_published_dictionary_is_got_and_opens(online: Online, page: Page) -> None:
    page.goto(f"{online.url}/library?v=get")
    line = page.locator(f".st-key-library_pub_{published().short}_20_8")
    expect(line).to_contain_text("252")
    assert online.hub.asked == []
    page.get_by_role("button", name="Look on the Hub").click()
    expect(page.get_by_text(KNOWN_REVISION.ljust(40, "b"))).to_be_visible()
    online.hub.behaviour.slow = 1.0
    line.get_by_role("button", name="Get").click()
    expect(line.get_by_role("progressbar")).to_be_visible()
    line.get_by_role("button", name="Cancel").click()
    expect(line.get_by_text("It was cancelled")).to_be_visible()
    assert list((online.shelf / ".downloads").glob("*.partial"))
    online.hub.behaviour.slow = 0.0
    line.get_by_role("button", name="Get").click()
    expect(line.get_by_text("● here")).to_be_visible()
    expect(line).to_contain_text("120")
    assert any(asked.startswith("bytes=") for _, _, asked in online.hub.asked)
    line.get_by_role("button", name="Open").click()
    expect(page).to_have_url(re.compile(r"d=published-gemma-2-2b-it"))
    expect(page.get_by_test_id("stSidebar")).to_contain_text("120")
    expect(page.get_by_role("heading", name="Atlas")).to_be_visible()


def test_a_dictionary_of_any_repository_is_listed_and_got(online: Online, page: Page) -> None:
    page.goto(f"{online.url}/library?v=get")
    page.get_by_placeholder("OWNER/REPO").fill("nobody/nothing")
    page.get_by_role("button", name="List its dictionaries").click()
    expect(page.get_by_text("no such dataset on the Hub")).to_be_visible()
    page.get_by_placeholder("OWNER/REPO").fill(NAME)
    page.get_by_role("button", name="List its dictionaries").click()
    expect(page.get_by_text("a/<i>x</i>.ep.h5")).to_be_visible()
    page.locator("[class*=st-key-library_hub_get]").get_by_role("button", name="Get").click()
    page.locator("[class*=st-key-library_open_hub]").get_by_role("button", name="Open").click()
    expect(page).to_have_url(re.compile(r"d=theirs"))
    page.goto(f"{online.url}/library")
    expect(card(page, "<b>Theirs</b>")).to_be_visible()


def card(page: Page, title: str) -> Locator:
    """The card of a build."""
    return page.locator("article").filter(has=page.get_by_role("heading", name=title, exact=True))


def choose(one: Locator, name: str) -> None:
    """Chooses from the menu of a card."""
    one.locator("summary", has_text="⋯").click()
    one.get_by_role("button", name=name).click()


def test_a_dictionary_is_chosen_on_its_card_and_opened(online: Online, page: Page) -> None:
    page.goto(f"{online.url}/library?find=mine")
    mine = card(page, "Mine <i>x</i>")
    expect(mine.locator("img")).to_be_visible()
    expect(page.locator("article")).to_have_count(1)
    first = mine.locator("img").get_attribute("src")
    for key in ("1", "2"):
        mine.get_by_role("button", name=f"p = {key}: ").click()
        expect(mine.locator(".chosen")).to_contain_text(f"p = {key}")
    expect(mine.locator("img")).not_to_have_attribute("src", first or "")
    mine.get_by_role("button", name="p = 2: ").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(mine.locator(".chosen")).to_contain_text("p = 1 · 80 regions")
    mine.get_by_role("button", name="Open", exact=True).click()
    expect(page).to_have_url(re.compile(r"d=mine%2F2%2F1(&|$)"))
    expect(page.get_by_role("heading", name="Atlas")).to_be_visible()


def test_a_build_is_renamed_deleted_and_put_back(online: Online, page: Page) -> None:
    page.goto(f"{online.url}/library")
    choose(card(page, "Mine <i>x</i>"), "Rename")
    page.keyboard.type("$Another$ <b>title</b>")
    page.keyboard.press("Enter")
    mine = card(page, "$Another$ <b>title</b>")
    expect(mine).to_be_visible()
    choose(mine, "Delete all 2 files")
    expect(page.get_by_text("Deleted $Another$ <b>title</b>, 2 dictionaries")).to_be_visible()
    expect(mine).to_have_count(0)
    assert not list(online.shelf.glob("mine-*"))
    page.get_by_role("button", name="Undo").click()
    expect(mine).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    choose(mine, "Rename")
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    expect(card(page, "Mine <i>x</i>")).to_be_visible()
    names = sorted(path.name for path in online.shelf.glob("mine-*"))
    assert names == ["mine-1.ep.h5", "mine-2.ep.h5"] and not (online.shelf / ".trash").exists()


def test_what_is_bundled_says_that_it_cannot_be_changed(online: Online, page: Page) -> None:
    page.goto(f"{online.url}/library")
    demo = card(page, "Demo base · all tokens")
    expect(demo).to_contain_text("tiny demo model")
    expect(demo).to_contain_text("bundled, read-only")
    demo.locator("summary", has_text="⋯").click()
    expect(demo.get_by_text("cannot be renamed or deleted")).to_be_visible()
    expect(demo.get_by_role("button", name="Delete all")).to_be_disabled()
