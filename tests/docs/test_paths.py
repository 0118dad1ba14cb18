"""Every file that the documentation names or links to exists, and the site shows every page."""

import re
from pathlib import Path

import pytest
import yaml
from doc_blocks import CURRENT_PAGES, PAGES, ROOT, inline_code

PLACES = (ROOT, ROOT / "src", ROOT / "src/semantic_cc", ROOT / "tests")
"""Where a path in inline code may start."""

ANY_NAME = re.compile(r"[*<>{}A-Z]")
"""Marks a pattern or a placeholder, not one file."""


def exists(path: str) -> bool:
    return any((place / path).exists() for place in PLACES)


@pytest.mark.parametrize("page", CURRENT_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_source_paths_in_inline_code_exist(page: Path) -> None:
    for number, code in inline_code(page):
        path = re.fullmatch(r"[\w./-]+/[\w.-]*(?:\.py|\.yaml|\.sh|\.md|\.json|/)", code)
        if path and not ANY_NAME.search(code.removesuffix(".md")) and code.split("/")[0] in (
            "src", "tests", "docs", "runs", "examples", "semantic_cc", *rooms(),
        ):  # fmt: skip
            assert exists(code), f"{page.name}:{number}: no {code}"


def rooms() -> list[str]:
    """The package's subpackages."""
    return [path.name for path in (ROOT / "src/semantic_cc").iterdir() if path.is_dir()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        target = link.partition("#")[0]
        if target and "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {link} leads nowhere"


def nav_pages(nav: list | dict | str) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    children = nav if isinstance(nav, list) else list(nav.values())
    return [page for child in children for page in nav_pages(child)]


def test_the_site_shows_every_page() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    shown = nav_pages(nav)
    assert sorted(shown) == sorted(
        path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")
    )


def test_the_site_loads_nothing_from_elsewhere() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert settings["theme"]["font"] is False
    assert {name if isinstance(name, str) else next(iter(name)) for name in settings["plugins"]} == {
        "search",
        "mkdocstrings",
    }
    handler = settings["plugins"][1]["mkdocstrings"]["handlers"]["python"]
    assert handler["inventories"] == [] and "extra_javascript" not in settings
