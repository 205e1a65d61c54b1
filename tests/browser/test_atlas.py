"""The map in a real browser: the cell under the pointer is the region Python says, and the camera
is never lost.
"""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

import ep
from ep.views.sphere import cells
from tests.browser.conftest import App

CANVAS = "[aria-label^='Map of regions']"
STAGE = ".stage"
CAMERA = "() => JSON.stringify(window.epCameras.atlas_map)"


def open_map(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector(CANVAS)
    page.wait_for_function(
        "() => window.epBlobs?.size > 0 && document.querySelector('.stElementContainer')"
    )
    page.wait_for_timeout(800)  # the first frames, in software GL


def camera(page: Page) -> dict[str, Any]:
    look = json.loads(page.evaluate(CAMERA))
    # how far the picture is moved up on the canvas, which follows the legend's height
    look.pop("rise", None)
    return look


def selected(page: Page) -> int:
    found = re.search(r"[?&]r=(\d+)", page.url)
    assert found, page.url
    return int(found.group(1))


def expected_at(
    app: App, name: str, look: dict[str, Any], u: float, v: float, aspect: float
) -> int:
    """The region under a place on the canvas (u right, v up, -1 to 1), from the camera and the
    stored coordinates.
    """
    yaw, pitch, distance = look["yaw"], look["pitch"], look["distance"]
    toward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.array([np.cos(yaw), 0, -np.sin(yaw)])
    up = np.cross(toward, right)
    focal = min(1.0, aspect) / np.tan(0.36)
    ray = (u * aspect * right + v * up) / focal - toward
    ray /= np.linalg.norm(ray)
    eye = toward * distance
    along = ray @ eye
    point = eye + (-along - np.sqrt(along**2 - (distance**2 - 1))) * ray
    dictionary = ep.open(app.shelf / f"{name}.ep.h5")
    return int(np.argmax(cells(dictionary.column("map_pca")).centers @ point))


def test_a_click_selects_the_cell_under_the_pointer(app: App, page: Page) -> None:
    open_map(page, app.link(d="plain", r=5))
    box = page.locator(CANVAS).bounding_box()
    rng = np.random.default_rng(0)
    for _ in range(6):
        u, v = rng.uniform(-0.5, 0.5, 2)
        aspect = box["width"] / box["height"]
        wanted = expected_at(app, "plain", camera(page), u, v, aspect)
        x, y = box["x"] + (u + 1) / 2 * box["width"], box["y"] + (1 - v) / 2 * box["height"]
        page.mouse.click(round(x, 2), round(y, 2))
        page.wait_for_url(re.compile(rf"[?&]r={wanted}(&|$)"))
        expect(page.get_by_text(f"Region {wanted}", exact=True).first).to_be_visible()


def test_the_camera_survives_clicks_colourings_and_pages(app: App, page: Page) -> None:
    open_map(page, app.link(d="plain", r=5))
    canvas = page.locator(CANVAS)
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 120, middle[1] + 40, steps=4)
    page.mouse.up()
    turned = camera(page)
    page.mouse.click(*middle)
    page.wait_for_url(re.compile(r"r=(?!5(&|$))\d+"))
    assert camera(page) == turned
    page.get_by_role("combobox", name="Colour the cells by").click()
    page.get_by_role("option", name="Colour: Coherence").click()
    page.wait_for_url(re.compile("c=coherence"))
    assert camera(page) == turned
    page.get_by_role("link", name="Region", exact=True).click()
    expect(page.get_by_text("Nearest regions", exact=True)).to_be_visible()
    page.get_by_role("link", name="Atlas", exact=True).click()
    page.wait_for_selector(CANVAS)
    page.wait_for_timeout(500)
    assert camera(page) == turned


def test_the_keyboard_turns_and_selects(app: App, page: Page) -> None:
    open_map(page, app.link(d="plain", r=5))
    page.locator(CANVAS).focus()
    before = camera(page)
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    look = camera(page)
    assert look["yaw"] != before["yaw"]
    wanted = expected_at(app, "plain", look, 0.0, 0.0, 1.0)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"[?&]r={wanted}(&|$)"))


def test_labels_never_overlap(app: App, page: Page) -> None:
    open_map(page, app.link(d="plain", r=5))
    boxes = page.evaluate(
        """() => { const all = (node) => [...node.querySelectorAll('.labels span')].concat(
             [...node.querySelectorAll('*')].flatMap((n) => n.shadowRoot ? all(n.shadowRoot) : []));
           const shown = all(document).filter((s) => !s.hidden && s.textContent);
           return shown.map((s) => s.getBoundingClientRect().toJSON()); }"""
    )
    assert len(boxes) >= 3
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            apart = (
                a["right"] <= b["left"]
                or b["right"] <= a["left"]
                or a["bottom"] <= b["top"]
                or b["bottom"] <= a["top"]
            )
            assert apart, (a, b)


def test_too_few_regions_for_a_sphere_is_said_and_a_flat_map_drawn(app: App, page: Page) -> None:
    open_map(page, app.link(d="tiny"))
    expect(page.get_by_text("at least 4 regions")).to_be_visible()
    expect(page.locator("[data-testid=stDataFrame]").first).to_be_visible()


def test_a_lasso_brushes_the_regions_the_table_lists_until_it_is_cleared(
    app: App, page: Page
) -> None:
    open_map(page, app.link(d="plain", r=5, layout="pca-flat"))
    page.locator("button[data-mode=box]").first.click()
    box = page.locator(CANVAS).bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle[0] - 70, middle[1] - 70)
    page.mouse.down()
    page.mouse.move(middle[0] + 70, middle[1] + 70, steps=6)
    page.mouse.up()
    said = page.get_by_text(re.compile(r"\d+ regions brushed, [\d.]+ % of Voronoi members"))
    expect(said).to_be_visible()
    caught = int(re.match(r"(\d+)", said.inner_text()).group(1))
    assert 3 < caught < 300
    # the map says the same
    expect(page.locator(".brushed span").first).to_contain_text(str(caught))
    page.get_by_text("Clear", exact=True).click()
    expect(said).to_have_count(0)
    expect(page.locator(".brushed").first).to_be_hidden()


def test_two_maps_select_together(app: App, page: Page) -> None:
    open_map(page, app.link(d="plain", r=5, two="pca-flat"))
    canvases = page.locator(CANVAS)
    expect(canvases).to_have_count(2)
    for canvas in (canvases.nth(1), canvases.nth(0)):
        before = selected(page)
        box = canvas.bounding_box()
        for share in (0.42, 0.55, 0.6):
            page.mouse.click(box["x"] + share * box["width"], box["y"] + share * box["height"])
            page.wait_for_timeout(700)
            if selected(page) != before:
                break
        assert selected(page) != before
        expect(page.get_by_text(f"Region {selected(page)}", exact=True).first).to_be_visible()


@pytest.mark.parametrize("layouts", [("pca-sphere", "pca-flat"), ("umap-flat", "pca-flat")])
def test_two_maps_hover_brush_and_move_together(
    app: App, page: Page, layouts: tuple[str, str]
) -> None:
    open_map(page, app.link(d="plain", r=5, layout=layouts[0], two=layouts[1]))
    page.wait_for_function(
        "() => [...(window.epLinks?.get('atlas') ?? [])].filter((v) => v.colors).length === 2"
    )
    # atlas_map, atlas_second
    both = "[...window.epLinks.get('atlas')].sort((a, b) => a.name < b.name ? -1 : 1)"
    box = page.locator(CANVAS).nth(0).bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    first, second = page.evaluate(f"{both}.map((v) => v.hovered)")
    assert first is not None and first == second
    # the card is under the pointer only
    assert page.evaluate(f"{both}.map((v) => v.tip.hidden)") == [False, True]
    before = page.evaluate(f"{both}.map((v) => v.camera.look)")
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(300)
    after = page.evaluate(f"{both}.map((v) => v.camera.look)")
    assert after[0] != before[0]
    # which PCA of the same kind stands in for
    assert (after[1] == after[0]) is (layouts[0] == "umap-flat")
    page.locator("button[data-mode=box]").nth(1).click()
    box = page.locator(CANVAS).nth(1).bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.7 * box["height"], steps=4)
    page.mouse.up()
    expect(page.get_by_text(re.compile("regions? brushed"))).to_be_visible()
    first, second = page.evaluate(f"{both}.map((v) => [...v.bright])")
    assert first and first == second


def test_the_splash_figure_is_one_click_and_opens_by_itself(
    app: App, page: Page, tmp_path: Path
) -> None:
    open_map(page, app.link(d="hostile", r=3))
    page.get_by_role("button", name="Export").first.click()
    with page.expect_download() as download:
        page.get_by_text("Splash figure (HTML)", exact=True).click()
    file = tmp_path / "splash.html"
    download.value.save_as(file)
    page.goto(file.as_uri())
    expect(page.locator("article")).to_have_count(8)
    boxes = [card.bounding_box() for card in page.locator("article").all()]
    assert all(b["width"] > 150 and b["height"] > 60 for b in boxes)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_saved_map_is_the_picture_of_the_screen_whatever_the_readers_system_prefers(
    app: App, page: Page, browser: Browser, tmp_path: Path
) -> None:
    """Both seen at one size: the same tone in the mean, whether the reader's system is light or
    dark.
    """
    open_map(page, app.link(d="plain", r=42))
    expect(page.locator(".labels .on")).to_be_visible()
    page.wait_for_timeout(800)  # the map rests: drawn in full
    shown = picture(page)
    page.get_by_role("button", name="Export").first.click()
    with page.expect_download() as download:
        page.get_by_text("Map as a page (HTML)", exact=True).click()
    file = tmp_path / "map.html"
    download.value.save_as(file)
    for scheme in ("light", "dark"):
        context = browser.new_context(
            viewport={"width": shown.shape[1] + 40, "height": 800}, color_scheme=scheme
        )
        other = context.new_page()
        other.goto(file.as_uri())
        other.locator(STAGE).evaluate(
            "(s, h) => { s.style.flex = 'none'; s.style.height = `${h}px`; }", shown.shape[0]
        )
        expect(other.locator(".labels .on")).to_be_visible()
        other.wait_for_timeout(800)
        saved = picture(other)
        assert np.abs(np.subtract(saved.shape, shown.shape)).max() <= 1
        assert np.abs(saved.mean(axis=(0, 1)) - shown.mean(axis=(0, 1))).max() < 1.0
        context.close()


def picture(page: Page) -> np.ndarray:
    """(height, width, 3) of the map as a visitor sees it, names included."""
    data = page.locator(STAGE).first.screenshot()
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"), np.float64)
