"""The web page and its files; all come from the package."""

from __future__ import annotations

import html
from importlib import resources

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse

from semantic_cc.serve.problems import Problem

page_router = APIRouter(include_in_schema=False)

ASSETS = {
    "page.js": ("serve", "static", "text/javascript"),
    "page.css": ("serve", "static", "text/css"),
    "icon.svg": ("serve", "static", "image/svg+xml"),
    "viewer.js": ("scene", "viewer", "text/javascript"),
    "viewer.css": ("scene", "viewer", "text/css"),
    "places.js": ("scene", "viewer", "text/javascript"),
    "report.js": ("scene", "viewer", "text/javascript"),
    "leaflet.js": ("scene", "viewer", "text/javascript"),
    "leaflet.css": ("scene", "viewer", "text/css"),
}
"""Name -> room, folder and media type."""

EXAMPLE = ("before.png", "after.png")
"""Files of the bundled pair."""


@page_router.get("/")
def home_page(request: Request) -> HTMLResponse:
    """The page."""
    source = resources.files("semantic_cc.serve") / "static" / "index.html"
    text = source.read_text(encoding="utf-8").replace('<base href="/">', f'<base href="{_base(request)}">')
    return HTMLResponse(text, headers={"Cache-Control": "no-cache"})


@page_router.get("/jobs/{job_id}/page", name="job_page")
def job_page(request: Request, job_id: str) -> HTMLResponse:
    """The same page; its script shows the job that the address names."""
    return home_page(request)


@page_router.get("/assets/{name}")
def get_asset(name: str) -> FileResponse:
    """A script or style sheet of the page."""
    if name not in ASSETS:
        raise Problem(404, "there is nothing at this address")
    room, folder, media_type = ASSETS[name]
    return _file(room, folder, name, media_type)


@page_router.get("/example/{name}")
def get_example(name: str) -> FileResponse:
    """An image of the bundled pair."""
    if name not in EXAMPLE:
        raise Problem(404, "there is nothing at this address")
    return _file("cli", "demo_pair", name, "image/png")


def _base(request: Request) -> str:
    """The path that all addresses of the page begin with: what a reverse proxy removed, and a slash."""
    return html.escape(str(request.scope.get("root_path", "")).rstrip("/") + "/", quote=True)


def _file(room: str, folder: str, name: str, media_type: str) -> FileResponse:
    path = str(resources.files("semantic_cc") / room / folder / name)
    return FileResponse(path, media_type=media_type, headers={"Cache-Control": "no-cache"})
