"""The map in Chromium with software graphics: dragging compared with plotly, first picture, clicks.

The dictionaries are synthetic, with 5,000, 20,000 and 100,000 regions.

Dragging: the map and a plotly mesh3d of the same cells, as two files opened in one browser, are
dragged for the same time, and the animation frames of each page are counted. If plotly's page is
not drawn within a minute, the row states that.
First picture: the time from opening the address to the drawn map, for the first visitor of a
running server and for the next.
Clicks: as in `clicks`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from math import cos, sin
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.clicks import CHROMIUM, SOFTWARE_GL, measure, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from ep.method.dictionary import Dictionary

SIZES = (5_000, 20_000, 100_000)
LARGEST_WITH_TARGET = 20_000
PATIENCE_S = 60.0
DRAG_S = 6.0
FIRST_PICTURE_S, CLICK_S, TIMES = 3.0, 0.4, 10.0
COUNT = (
    "() => { window.frames_ = 0; const next = () => { window.frames_++; "
    "requestAnimationFrame(next); }; next(); }"
)
DRAWN = ".labels span.on"


def run(sizes: tuple[int, ...] = SIZES) -> list[dict[str, object]]:
    """Return rows for dragging on the sphere and the plane, the first picture, and clicks."""
    from playwright.sync_api import sync_playwright

    from tests.fixtures.dictionaries import synthetic

    rows: list[dict[str, object]] = []
    with sync_playwright() as play:
        for size in sizes:
            dictionary = synthetic(size, 64, family="maps", title=f"Synthetic, K = {size:,}")
            browser = play.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE_GL)
            rows += _dragging(browser, dictionary)
            rows += _standing(browser, dictionary)
            browser.close()
    for size in sizes:
        times = sorted(measure(size, 10))
        rows.append(
            {
                "what": f"click to updated summary, K = {size:,}",
                "median_s": round(times[len(times) // 2], 3),
            }
            | (
                {"of": "median_s", "target": CLICK_S, "at_most": True}
                if size <= LARGEST_WITH_TARGET
                else {}
            )
        )
    return rows


def _dragging(browser: Browser, dictionary: Dictionary) -> list[dict[str, object]]:
    from ep.views import standalone
    from ep.views.colorings import coloring

    size = len(dictionary)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        pages = {}
        for layout in ("pca-sphere", "pca-flat"):
            pages[layout] = Path(folder) / f"{layout}.html"
            pages[layout].write_text(
                standalone.html(dictionary, layout, coloring(dictionary, "neighbourhood"), 0)
            )
        rates = {
            layout: _rate(browser, page, "canvas.cells", DRAWN) or 0.0
            for layout, page in pages.items()
        }
        plotly = Path(folder) / "plotly.html"
        _plotly(dictionary, plotly)
        theirs = _rate(browser, plotly, ".gl-container canvas", ".gl-container canvas", PATIENCE_S)
    for layout, rate in rates.items():
        row: dict[str, object] = {
            "what": f"dragging, {layout}, K = {size:,}",
            "frames_per_s": round(rate, 1),
        }
        if theirs is None:
            row |= {"plotly": f"not up within {PATIENCE_S:.0f} s"}
        else:
            row |= {"ratio": round(rate / theirs, 1), "plotly_frames_per_s": round(theirs, 2)}
            row |= (
                {"target": TIMES} if layout == "pca-sphere" and size >= LARGEST_WITH_TARGET else {}
            )
        rows.append(row)
    return rows


def _rate(
    browser: Browser, path: Path, handle: str, drawn: str, patience_s: float = 240.0
) -> float | None:
    """Return the animation frames per second while the page is dragged in a circle.

    None when the page is not drawn in time.
    """
    from playwright.sync_api import TimeoutError as TooLong

    page = browser.new_page(viewport={"width": 700, "height": 760})
    page.set_default_timeout(1000 * patience_s)
    try:
        page.goto(path.as_uri())
        page.wait_for_selector(drawn, state="attached")
    except TooLong:
        page.close()
        return None
    page.wait_for_timeout(6000)
    box = page.locator(handle).first.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    for step in range(4):  # the drag begins before frames are counted
        page.mouse.move(middle[0] + 10 * step, middle[1])
    page.evaluate(COUNT)
    started, step = time.monotonic(), 0
    while time.monotonic() - started < DRAG_S:
        step += 1
        page.mouse.move(middle[0] + 90 * cos(step / 12), middle[1] + 90 * sin(step / 12))
    frames = page.evaluate("window.frames_")
    rate = frames / (time.monotonic() - started)
    page.mouse.up()
    page.close()
    return rate


def _plotly(dictionary: Dictionary, path: Path) -> None:
    """Write a page with the same cells as a plotly mesh3d, coloured by neighbourhood."""
    import plotly.graph_objects as go

    from ep.views import sphere

    found = sphere.cells(dictionary.column("map_pca"))
    size = len(found.counts)
    owner = np.repeat(np.arange(size), found.counts)
    starts = np.concatenate([[0], np.cumsum(found.counts, dtype=np.int64)[:-1]])
    following = np.arange(len(owner)) + 1
    following[starts + found.counts - 1] = starts
    x, y, z = np.concatenate([found.centers, found.vertices]).astype(np.float32).T
    a, b = (size + found.corners[i].astype(np.int32) for i in (np.arange(len(owner)), following))
    group = dictionary.column("neighbourhood")[owner].astype(np.float32)
    mesh = go.Mesh3d(
        x=x, y=y, z=z, i=a, j=b, k=owner.astype(np.int32), intensity=group, intensitymode="cell"
    )
    go.Figure(mesh).write_html(path, include_plotlyjs=True)


def _standing(browser: Browser, dictionary: Dictionary) -> list[dict[str, object]]:
    """Return a row: seconds to the drawn map for the first visitor of a dictionary and the next."""
    from ep.storage import save
    from tests.fixtures.dictionaries import synthetic

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        save(dictionary, folder / "maps.ep.h5")
        save(synthetic(60, 16, family="small"), folder / "small.ep.h5")
        address = stack.enter_context(served(folder))
        _seconds(browser, f"{address}/?d=small/2/4")  # imports of the server are not counted
        times = [_seconds(browser, f"{address}/?d=maps/2/4") for _ in range(2)]
    row: dict[str, Any] = {
        "what": f"first picture, K = {len(dictionary):,}",
        "next_visitor_s": round(times[1], 2),
    }
    row["first_visitor_s"] = round(times[0], 2)
    if len(dictionary) <= LARGEST_WITH_TARGET:
        row |= {"of": "first_visitor_s", "target": FIRST_PICTURE_S, "at_most": True}
    return [row]


def _seconds(browser: Browser, address: str) -> float:
    page: Page = browser.new_page(viewport={"width": 1440, "height": 900})
    started = time.monotonic()
    page.goto(address)
    page.wait_for_selector(DRAWN, timeout=120_000)
    passed = time.monotonic() - started
    page.close()
    return passed


if __name__ == "__main__":
    for result in run(tuple(int(size) for size in sys.argv[1:]) or SIZES):
        print(json.dumps(result))
