"""The map component by itself, in a real browser: triangles, brush, links, flights, a prompt's way,
files, contexts.

Pages saved by `ep.views.standalone` hold the same code as the app; they are opened from the disk,
without a server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from ep.method.dictionary import Dictionary
from ep.method.source import MemorySource
from ep.views import colorings, flat, standalone
from tests.browser.conftest import App
from tests.fixtures.dictionaries import synthetic

CELLS = "canvas.cells"
OPEN = "updateView(only, data);"
Opened = Callable[..., Page]


def with_places(size: int, places: np.ndarray) -> Dictionary:
    full = synthetic(size, 16)
    arrays = {name: full.source.read(name) for name in ("center", "exemplars", "mean_directions")}
    arrays["map_pca"] = places.astype(np.float32)
    return Dictionary(MemorySource(arrays), full.info, size)


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Opens a saved page with its view as `window.only`; the test fails on any error, request, or
    graphics warning.
    """
    context = browser.new_context(viewport={"width": 700, "height": 700}, accept_downloads=True)
    wrong: list[str] = []

    def show(dictionary: Dictionary, layout: str, selected: int | None = 0, **more: Any) -> Page:
        text = standalone.html(
            dictionary, layout, colorings.coloring(dictionary, "neighbourhood"), selected, **more
        )
        file = tmp_path / f"{layout}.html"
        file.write_text(
            text.replace(OPEN, f"window.only = only; window.heard = []; {OPEN}"), encoding="utf-8"
        )
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda m: wrong.append(m.text) if m.type == "error" or "GL_INVALID" in m.text else None,
        )
        page.on(
            "request",
            lambda r: (
                wrong.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None
            ),
        )
        page.goto(file.as_uri())
        page.wait_for_function("() => window.only?.colors")
        page.evaluate("only.report = (what, value) => heard.push([what, value])")
        return page

    yield show
    context.close()
    assert not wrong, wrong


def middle(page: Page) -> tuple[float, float]:
    box = page.locator(CELLS).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, *points: tuple[float, float]) -> None:
    x, y = middle(page)
    page.mouse.move(x + points[0][0], y + points[0][1])
    page.mouse.down()
    for dx, dy in points[1:]:
        page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()


AREA = """() => {
  const { positions: P, indices: I, regions } = only.mesh.triangles(), sums = {};
  const at = (i) => [P[4 * i], P[4 * i + 1], P[4 * i + 2]];
  const d = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  let total = 0, least = Infinity, flipped = 0;
  for (let i = 0; i < I.length; i += 3) {
    const [a, b, c] = [at(I[i]), at(I[i + 1]), at(I[i + 2])];
    const det = a[0]*(b[1]*c[2]-b[2]*c[1]) - a[1]*(b[0]*c[2]-b[2]*c[0])
      + a[2]*(b[0]*c[1]-b[1]*c[0]);
    const solid = 2 * Math.atan2(Math.abs(det), 1 + d(a, b) + d(b, c) + d(c, a));
    total += solid;
    flipped += det < -1e-7;
    const m = [0, 1, 2].map((j) => (a[j] + b[j] + c[j]) / 3);
    least = Math.min(least, Math.hypot(...m));
  }
  const seen = new Set(I.filter((_, i) => i % 3 === 2).map((i) => regions[i])).size;
  return { total, least, flipped, seen };
}"""
CLOUDS = {
    "scattered": np.random.default_rng(0).normal(size=(200, 3)),
    "four": np.random.default_rng(1).normal(size=(4, 3)),
    "one giant cell": np.concatenate(
        [[[0, 0, -1.0]], np.random.default_rng(4).normal(size=(60, 3)) * 0.2 + [0, 0, 2]]
    ),
    "exact duplicates": np.repeat(np.random.default_rng(2).normal(size=(30, 3)), 3, axis=0),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_triangles_cover_the_sphere_once_and_follow_it(opened: Opened, name: str) -> None:
    places = CLOUDS[name]
    found = opened(with_places(len(places), places), "pca-sphere").evaluate(AREA)
    assert found["total"] == pytest.approx(4 * np.pi, rel=5e-3)
    assert found["least"] > 0.97 and found["flipped"] == 0 and found["seen"] == len(places)


@pytest.mark.parametrize("size", [1, 2, 3, 300])
def test_a_flat_map_draws_any_number_of_regions_and_picks_the_nearest_site(
    opened: Opened, size: int
) -> None:
    dictionary = synthetic(size, 16)
    page = opened(dictionary, "pca-flat")
    found = flat.cells(dictionary.column("map_pca")[:, :2])
    box = page.locator(CELLS).bounding_box()
    look = page.evaluate(
        "({ f: only.camera.focal(only.aspect), x: only.camera.x, y: only.camera.y })"
    )
    for k in range(0, size, max(1, size // 6)):
        corners = found.vertices[
            found.corners[found.counts[:k].sum(dtype=int) :][: found.counts[k]]
        ]
        x, y = corners.mean(axis=0)
        px = box["x"] + box["width"] / 2 + (x - look["x"]) * look["f"] * box["height"] / 2
        py = box["y"] + box["height"] / 2 - (y - look["y"]) * look["f"] * box["height"] / 2
        page.mouse.click(px, py)
        heard = page.evaluate("heard.pop()")
        assert heard == ["picked", int(np.linalg.norm(found.centers - [x, y], axis=1).argmin())]


@pytest.mark.parametrize("layout", ["pca-sphere", "pca-flat"])
def test_a_lasso_and_a_box_take_what_lies_inside_and_faces_the_viewer(
    opened: Opened, layout: str
) -> None:
    page = opened(synthetic(300, 16), layout)
    look = page.evaluate("only.camera.look")
    page.locator("[data-mode=box]").click()
    drag(page, (-120, -80), (90, 100))
    what, taken = page.evaluate("heard.pop()")
    assert what == "brushed" and page.evaluate("only.camera.look") == look
    inside = page.evaluate(
        """() => { const w = only.canvas.clientWidth, h = only.canvas.clientHeight;
        const v = only.camera.matrix(w / h);
        return [...only.mesh.counts.keys()].filter((k) => {
          const center = only.mesh.center(k), [x, y] = onScreen_(v, center, w, h);
          return only.camera.isVisible(center)
            && x > w/2-120 && x < w/2+90 && y > h/2-80 && y < h/2+100; });
        function onScreen_(m, p, w, h) { const r = (i) => m[i]*p[0]+m[4+i]*p[1]+m[8+i]*p[2]+m[12+i];
          return [(r(0)/r(3)*.5+.5)*w, (.5-r(1)/r(3)*.5)*h]; } }"""
    )
    assert taken and taken == inside
    expect(page.locator(".brushed")).to_contain_text(f"{len(taken)} region")
    page.locator(CELLS).focus()
    page.keyboard.press("Escape")
    assert page.evaluate("heard.pop()") == ["brushed", []]
    expect(page.locator(".brushed")).to_be_hidden()
    page.keyboard.press("Escape")  # back to moving
    page.keyboard.down("Shift")
    drag(page, (-100, 0), (0, -90), (100, 0), (0, 90))
    page.keyboard.up("Shift")
    what, taken = page.evaluate("heard.pop()")
    assert what == "brushed" and taken
    page.get_by_role("button", name="Clear the brush").click()
    assert page.evaluate("heard.pop()") == ["brushed", []]


@pytest.mark.parametrize("layout", ["pca-sphere", "pca-flat"])
def test_the_keyboard_moves_zooms_and_selects(opened: Opened, layout: str) -> None:
    page = opened(synthetic(300, 16), layout)
    page.locator(CELLS).focus()
    seen = [page.evaluate("only.camera.look")]
    for key in ("ArrowLeft", "ArrowUp", "+", "-"):
        page.keyboard.press(key)
        seen.append(page.evaluate("only.camera.look"))
    assert all(a != b for a, b in zip(seen, seen[1:], strict=False))
    page.keyboard.press("Enter")
    what, region = page.evaluate("heard.pop()")
    assert what == "picked" and page.evaluate("only.selected") == region


def test_a_region_chosen_elsewhere_is_flown_to_only_when_out_of_view(opened: Opened) -> None:
    page = opened(synthetic(300, 16), "pca-sphere")
    behind = """() => { const t = only.camera.axes().toward;
      const d = (k) => only.mesh.center(k).reduce((s, v, i) => s + v * t[i], 0);
      return [...only.mesh.counts.keys()].sort((a, b) => d(a) - d(b))[0]; }"""
    far, start = page.evaluate(behind), page.evaluate("only.camera.look")
    page.evaluate("k => { only.select(k); if (!only.comfortable()) only.face(); }", far)
    page.wait_for_function("() => !only.flight && only.comfortable()")
    there = page.evaluate("only.camera.look")
    assert there != start
    page.evaluate("() => { if (!only.comfortable()) only.face(); }")
    page.wait_for_timeout(200)
    assert page.evaluate("only.camera.look") == there
    page.emulate_media(reduced_motion="reduce")
    far = page.evaluate(behind)
    page.evaluate("k => { only.select(k); only.face(); }", far)
    assert page.evaluate("only.comfortable() && !only.flight")


@pytest.mark.parametrize("layout", ["pca-sphere", "pca-flat"])
def test_more_names_appear_on_a_nearer_map_and_never_overlap(opened: Opened, layout: str) -> None:
    page, counts = opened(synthetic(300, 16), layout), []
    for _ in range(4):
        page.wait_for_timeout(250)
        boxes = page.evaluate(
            "() => [...document.querySelectorAll('.labels span')].filter((s) => !s.hidden)"
            ".map((s) => s.getBoundingClientRect().toJSON())"
        )
        assert len(boxes) >= 3
        counts.append(len(boxes))
        for i, a in enumerate(boxes):
            for b in boxes[:i]:
                x = a["right"] <= b["left"] or b["right"] <= a["left"]
                assert x or a["bottom"] <= b["top"] or b["bottom"] <= a["top"], (a, b)
        page.get_by_role("button", name="Zoom in").click()
    page.wait_for_timeout(250)
    for _ in range(4):
        page.get_by_role("button", name="Zoom out").click()
    page.wait_for_timeout(400)
    again = page.evaluate("document.querySelectorAll('.labels span:not([hidden])').length")
    assert counts[0] < counts[1] < max(counts) and again < max(counts), (counts, again)


@pytest.mark.parametrize("layout", ["pca-sphere", "pca-flat"])
def test_a_prompts_way_shows_the_token_under_the_pointer(opened: Opened, layout: str) -> None:
    path = [5, 5, 9, -1, 12, 5]
    labels = ["·Tom", "·<b>went", "·to", "?", "·sea", "·Tom"]
    page = opened(synthetic(60, 16), layout, 5, path=path, path_labels=labels)
    page.wait_for_function("() => only.overlay.dots?.length")
    spot = page.evaluate("only.overlay.dots.find((d) => d.k === 5)")
    assert spot["tokens"] == [0, 1, 5]
    box = page.locator(CELLS).bounding_box()
    page.mouse.move(box["x"] + spot["x"], box["y"] + spot["y"])
    expect(page.locator(".tip .way")).to_have_text("1 ·Tom   2 ·<b>went   6 ·Tom")


@pytest.mark.parametrize("layout", ["pca-sphere", "pca-flat"])
def test_png_and_svg_hold_the_view(opened: Opened, layout: str) -> None:
    page = opened(synthetic(300, 16, hostile=True), layout)
    with page.expect_download() as got:
        page.get_by_role("button", name="PNG").click()
    data = Path(got.value.path()).read_bytes()
    assert data[:4] == b"\x89PNG"
    width = int.from_bytes(data[16:20], "big")
    assert width == round(2 * page.locator(CELLS).bounding_box()["width"])
    with page.expect_download() as got:
        page.get_by_role("button", name="SVG").click()
    assert got.value.suggested_filename.endswith(".svg")
    text = Path(got.value.path()).read_text(encoding="utf-8")
    kinds = page.evaluate(
        """(text) => { const d = new DOMParser().parseFromString(text, 'image/svg+xml');
        return { wrong: d.querySelectorAll('parsererror').length,
          cells: d.querySelectorAll('polygon').length,
          words: d.querySelectorAll('text').length,
          odd: d.querySelectorAll('script,img,style,foreignObject').length }; }""",
        text,
    )
    assert kinds["wrong"] == 0 and kinds["odd"] == 0 and kinds["cells"] > 60 and kinds["words"] > 5


def test_hover_selection_and_brush_cross_over_to_the_map_of_another_dictionary(
    opened: Opened,
) -> None:
    page = opened(synthetic(60, 16), "pca-sphere")
    page.evaluate(
        """() => { const root = document.createElement("div");
        root.append(only.wrap.cloneNode(true)); document.body.append(root);
        const View = only.constructor; window.other = new View(root, "other");
        const renamed = (blob) => ({ ...blob, id: "another " + blob.id });
        other.setBlob(renamed(only.blob)); other.setColors(renamed(only.colorBlob));
        other.brushable = true;
        other.report = (what, value) => heard.push(["other " + what, value]);
        for (const view of [only, other]) view.setLink("pair");
        const partner = (_, k) => (k < 50 ? (k + 7) % 60 : 0xffffffff);
        only.partners = Uint32Array.from({ length: 60 }, partner); }"""
    )
    page.evaluate("only.choose(3)")
    assert page.evaluate("[only.selected, other.selected]") == [3, 10]
    page.evaluate("only.choose(55)")  # has no partner: the other map stays as it is
    assert page.evaluate("[only.selected, other.selected]") == [55, 10]
    page.evaluate("only.brush([1, 2, 55])")
    assert page.evaluate("[[...only.bright], [...other.bright]]") == [[1, 2, 55], [8, 9]]
    page.evaluate(
        "() => { const b = only.canvas.getBoundingClientRect(); only.hoverAt(b.x + 200, b.y + "
        "200); }"
    )
    here, there = page.evaluate("[only.hovered, other.hovered]")
    assert here is not None and there == ((here + 7) % 60 if here < 50 else None)
    page.evaluate("other.choose(4)")  # no way back was given
    assert page.evaluate("[only.selected, other.selected]") == [55, 4]
    assert page.evaluate("heard.filter((h) => h[0])") == [
        ["picked", 3],
        ["picked", 55],
        ["brushed", [1, 2, 55]],
        ["other picked", 4],
    ]


def test_a_lost_context_is_drawn_anew(opened: Opened) -> None:
    page = opened(synthetic(300, 16), "pca-sphere")
    colored = """() => { only.drawCells(1);
      const p = new Uint8Array(4), gl = only.gl, c = only.canvas;
      gl.readPixels(c.width / 2, c.height / 2, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, p);
      return p[3]; }"""
    assert page.evaluate(colored) == 255
    page.evaluate(
        "() => { window.lost = only.gl.getExtension('WEBGL_lose_context'); lost.loseContext(); }"
    )
    page.wait_for_timeout(200)
    page.evaluate("lost.restoreContext()")
    page.wait_for_function("() => only.all && !only.gl.isContextLost() && only.colors")
    assert page.evaluate(colored) == 255


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["pca-sphere", "pca-flat"])
def test_many_cells_look_the_same_moving_as_at_rest(opened: Opened, layout: str) -> None:
    page = opened(synthetic(7000, 16), layout, None)
    page.wait_for_function("() => only.coarse?.ready")
    same, turned, n = page.evaluate(
        """() => { const gl = only.gl, read = (moving) => { only.moving = moving; only.drawCells(1);
          const { width, height } = only.canvas, p = new Uint8Array(4 * width * height);
          gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, p); return p; };
        const apart = (a, b) => { let sum = 0, n = 0;
          for (let i = 0; i < a.length; i += 4) if (a[i + 3] === 255 && b[i + 3] === 255) { n++;
            for (let j = 0; j < 3; j++) sum += Math.abs(a[i + j] - b[i + j]) / 3; }
          return [sum / n, n]; };
        const [still, moving] = [read(false), read(true)];
        only.camera.step(0.5, 0.5);
        const [[same, n], [turned]] = [apart(still, moving), apart(still, read(true))];
        return [same, turned, n]; }"""
    )
    # edges are drawn in another way, the cells are the same
    assert n > 50_000 and same < 18 and same < 0.7 * turned


@pytest.mark.slow
def test_thirty_page_switches_lose_no_context(app: App, page: Page) -> None:
    page.goto(app.link(d="plain", r=5))
    for _ in range(15):
        page.wait_for_selector(CELLS)
        page.get_by_role("link", name="Region", exact=True).click()
        expect(page.get_by_role("heading", name=re.compile("Region"))).to_be_visible()
        page.get_by_role("link", name="Atlas", exact=True).click()
    page.wait_for_selector(".labels span.on", state="attached")
    canvas = page.locator(CELLS)
    expect(canvas).to_have_count(1)
    assert canvas.evaluate("(c) => !c.getContext('webgl2').isContextLost()")
    assert page.evaluate("window.epBlobs.size") <= 2


def test_who_comes_by_keyboard_sees_where_they_are_and_what_the_keys_do(opened: Opened) -> None:
    page = opened(synthetic(60, 16), "pca-sphere")
    keys, cells = page.locator(".keys"), page.locator(CELLS)
    page.keyboard.press("Tab")
    expect(cells).to_be_focused()
    expect(keys).to_be_visible()
    expect(keys).to_contain_text("Enter select the middle")
    assert keys.bounding_box()["y"] > middle(page)[1]  # at the foot, off the tools
    tools = page.locator(".tools button:visible")
    for i in range(tools.count()):
        page.keyboard.press("Tab")
        expect(tools.nth(i)).to_be_focused()
        assert (
            tools.nth(i).evaluate(
                "(b) => getComputedStyle(b).outlineWidth + getComputedStyle(b).outlineStyle"
            )
            == "2pxsolid"
        )
    cells.click(position={"x": 300, "y": 300})
    expect(cells).to_be_focused()
    expect(keys).to_be_hidden()  # a pointer needs no hint
