"""The pages keep to the house's words, and no text names a place of somebody's machine."""

import re
from pathlib import Path

import pytest
from doc_blocks import CURRENT_PAGES, ROOT

NOT_ENGLISH = ("told of", "in one go", "comes out as", "come out as", "as they come", "reckoned", "reckons")
"""Phrases that readers stumbled over; plain ones stand in their place."""

OLD_WORDS = ("evidence head", " word head", "synthetic world", "drawn world", "the world's")
"""Words of earlier versions for what the glossary calls otherwise."""

FOLDERS = ("src", "tests", "docs", "runs", "examples", ".ci")
SUFFIXES = {".py", ".md", ".yaml", ".yml", ".toml", ".sh", ".json", ".jinja", ".ipynb", ""}
MACHINE = re.compile(r"/root/|/work/|\bDESIGN\b")


@pytest.mark.parametrize("page", CURRENT_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_the_house_words(page: Path) -> None:
    text = " ".join(page.read_text(encoding="utf-8").lower().split())
    assert [phrase for phrase in (*NOT_ENGLISH, *OLD_WORDS) if phrase in text] == []


def test_no_text_names_a_machine_or_a_document_that_is_not_here() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    files += [path for path in ROOT.iterdir() if path.suffix in SUFFIXES - {""} or path.name == "Makefile"]
    named = [
        str(path.relative_to(ROOT))
        for path in files
        if path.is_file()
        and path.suffix in SUFFIXES
        and "__pycache__" not in path.parts
        and path != Path(__file__).resolve()
        and ROOT / "runs/out" not in path.parents
        and MACHINE.search(path.read_text(encoding="utf-8", errors="ignore"))
    ]
    assert named == []
