"""README.md: what it shows first, in what order, and that the demo prints what it pastes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from doc_blocks import ROOT, blocks_of

README = ROOT / "README.md"
ORDER = (
    "Install", "Describe a pair", "Use it from Python", "Models", "Results", "Whole scenes", "An archive of pairs",
    "Train", "Reproduce the paper", "Documentation", "Limits", "Citation",
)  # fmt: skip


def test_the_sections_are_in_order() -> None:
    assert tuple(re.findall(r"^## (.+)$", README.read_text(encoding="utf-8"), re.MULTILINE)) == ORDER


def test_the_first_screen_has_picture_sentence_install_command_and_result() -> None:
    text = README.read_text(encoding="utf-8")
    assert text.startswith("![")
    first = [block for block in blocks_of(README) if block.line < 40][:3]
    assert [block.language for block in first] == ["bash", "bash", "text"]
    assert first[0].text.startswith("pip install") and first[1].text == "semantic-cc demo\n"


@pytest.mark.slow
def test_the_demo_prints_what_the_readme_pastes(
    cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (pasted,) = (block.text for block in blocks_of(README) if block.language == "text")
    assert cli("demo").stdout.startswith(pasted)
