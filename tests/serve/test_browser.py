"""The page in headless Chromium: a pair, a scene, an error; and what axe-core finds."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from serve_process_client import server
from services import geotiff, picture

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="no playwright"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        chromium = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server(tmp_path_factory.mktemp("serve") / "data", pause=0.01) as (_, client):
        yield str(client.base_url)


@pytest.fixture
def page(browser, address: str):
    """A page that fails the test on an error of its scripts, and on a request to another host."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))

    def on_console(line) -> None:
        if line.type == "error" and "422" not in line.text:  # an answer that the test provokes
            wrong.append(line.text)

    def on_request(asked) -> None:
        if not asked.url.startswith((address, "data:", "blob:")):
            wrong.append(asked.url)

    page.on("console", on_console)
    page.on("request", on_request)
    page.goto(address)
    yield page
    context.close()
    assert wrong == []


def file(name: str, content: bytes) -> dict:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def send(page, before: bytes, after: bytes, suffix: str) -> None:
    page.set_input_files("#before", file(f"old.{suffix}", before))
    page.set_input_files("#after", file(f"new.{suffix}", after))
    page.click("#send")


def check_accessibility(page) -> None:
    """No violation of any rule of axe-core."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    assert [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in found] == []


def test_a_pair_comes_back_as_a_sentence(page) -> None:
    check_accessibility(page)
    send(page, picture(1), picture(2), "png")
    page.wait_for_selector("#report .answer")
    assert "pixels differ" in page.inner_text("#report .answer")
    assert "/jobs/" in page.url and "/page" in page.url
    assert page.locator(".stage .leaflet-image-layer").count() == 3
    check_accessibility(page)


def test_an_error_is_a_sentence_and_the_form_stays(page) -> None:
    send(page, b"<html>", picture(2), "png")
    page.wait_for_selector("#problem:not([hidden])")
    assert page.inner_text("#problem").startswith("old.png: is not an image that this service takes")
    assert page.is_visible("#send")
    check_accessibility(page)


@pytest.mark.slow
def test_a_failed_job_is_a_sentence_too(page) -> None:
    send(page, geotiff(1, crs="EPSG:32633"), geotiff(2), "tif")
    page.wait_for_selector("#problem:not([hidden])")
    assert "old.tif" in page.inner_text("#problem")


@pytest.mark.slow
def test_a_scene_comes_back_as_a_map_with_places(page) -> None:
    send(page, geotiff(1, 500, 500), geotiff(2, 500, 500), "tif")
    page.wait_for_selector("#report .answer", timeout=60_000)
    page.wait_for_selector(".leaflet-tile-loaded")
    rows = page.locator(".places > ol > li")
    assert rows.count() >= 1
    check_accessibility(page)

    # list -> map
    page.locator(".place").first.click()
    assert page.locator(".place[aria-current]").count() == 1 and "place=1" in page.url
    # map -> list
    page.click("text=Whole image")
    assert page.locator(".place[aria-current]").count() == 0
    page.locator(".place").first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".place[aria-current]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator(".place[aria-current]").count() == 0

    # the slider moves by keyboard and clips the earlier date
    page.locator("input[type=range]").first.focus()
    before = page.evaluate("document.querySelector('.leaflet-before-pane').style.clipPath")
    page.keyboard.press("Home")
    assert page.evaluate("document.querySelector('.leaflet-before-pane').style.clipPath") != before

    with page.expect_download() as download:
        page.click("text=changes.geojson")
    content = json.loads(Path(download.value.path()).read_text())
    assert content["type"] == "FeatureCollection" and content["features"]

    # the address shows the same result in another window
    link = page.url
    other = page.context.new_page()
    other.goto(link)
    other.wait_for_selector("#report .answer")
    assert other.inner_text(".answer") == page.inner_text(".answer")


@pytest.mark.slow
def test_labels_lead_to_the_list(page) -> None:
    send(page, geotiff(1, 500, 500), geotiff(2, 500, 500), "tif")
    page.wait_for_selector(".label", timeout=60_000)
    for _ in range(6):  # come closer until a single place has a label
        if page.locator(".label.one").count():
            break
        page.locator(".label.many").first.click()
        page.wait_for_timeout(300)
    number = page.locator(".label.one").first.inner_text()
    page.locator(".label.one").first.click()
    chosen = page.locator(".place[aria-current]")
    assert chosen.locator("b").inner_text() == number
    row, frame = chosen.bounding_box(), page.locator(".places > ol").bounding_box()
    assert frame["y"] <= row["y"] and row["y"] + row["height"] <= frame["y"] + frame["height"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_needs_no_sideways_scrolling(browser, address: str, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(address)
    check_accessibility(page)
    send(page, geotiff(1, 500, 500), geotiff(2, 500, 500), "tif")
    page.wait_for_selector("#report .answer", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    check_accessibility(page)
    context.close()
