"""The time from a click on the map to the new summary, in Chromium with software graphics.

A dictionary of K = 5,000 (then 20,000) regions is written to a temporary folder, a server is
started on it, and a browser clicks cells all over the sphere. The time is measured inside the page,
from pointer-up to the first change of the summary's heading.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from math import cos, sin
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
SOFTWARE_GL = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
]
CLICKS = 30
GOALS_S = {5_000: 0.2, 20_000: 0.4}
# Installed once: stamps pointer-up on the canvas and the first change of the summary's heading
# after it.
WATCH = """
() => {
  const heading = () => document.querySelector(".ep-card-name")?.textContent;
  window.clicks = [];
  let started = null, before = null;
  const pressed = () => { started = performance.now(); before = heading(); };
  window.addEventListener("pointerup", pressed, true);
  new MutationObserver(() => {
    if (started !== null && heading() && heading() !== before) {
      window.clicks.push(performance.now() - started);
      started = null;
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}
"""


def run() -> list[dict[str, object]]:
    """Return a row per K: median and 90th percentile of the seconds from click to summary."""
    rows = []
    for size, goal in GOALS_S.items():
        times = measure(size)
        rows.append(
            {
                "what": f"click to updated summary, K = {size:,}",
                "clicks": len(times),
                "median_s": round(statistics.median(times), 3),
                "p90_s": round(statistics.quantiles(times, n=10)[-1], 3),
                "of": "median_s",
                "target": goal,
                "at_most": True,
            }
        )
    return rows


def measure(size: int, clicks: int = CLICKS) -> list[float]:
    """Return the seconds from pointer-up to the new summary, for each click."""
    from playwright.sync_api import sync_playwright

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        address = stack.enter_context(served(_library(Path(folder), size)))
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=CHROMIUM, args=SOFTWARE_GL
        )
        stack.callback(browser.close)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/?d=clicks/2/4")
        page.wait_for_selector(".labels span.on", timeout=120_000)  # the map is drawn
        page.wait_for_timeout(3000)
        page.evaluate(WATCH)
        box = page.locator("canvas[role=application]").bounding_box()
        radius = 0.4 * min(box["width"], box["height"])
        for i in range(clicks):
            away, turn = radius * ((i + 0.5) / clicks) ** 0.5, 2.39996 * i  # evenly over the disc
            page.mouse.click(
                box["x"] + box["width"] / 2 + away * cos(turn),
                box["y"] + box["height"] / 2 + away * sin(turn),
            )
            page.wait_for_function(f"window.clicks.length > {i}", timeout=20_000)
            # the table follows the summary; a reader looks before clicking again
            page.wait_for_timeout(500)
        times = page.evaluate("window.clicks")
    return [milliseconds / 1000 for milliseconds in times]


def _library(folder: Path, size: int) -> Path:
    from ep.storage import save
    from tests.fixtures.dictionaries import synthetic

    save(
        synthetic(size, 256, family="clicks", title=f"Synthetic, K = {size:,}"),
        folder / "clicks.ep.h5",
    )
    return folder


@contextlib.contextmanager
def served(library: Path) -> Iterator[str]:
    """Serve the app with this library on a free port, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        f"--server.port={port}",
        "--server.address=127.0.0.1",
    ]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"EP_LIBRARY": str(library), "EP_DEMO": "tiny"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(240):
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1),
            ):
                break
            time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    for result in run():
        print(json.dumps(result))
