"""The map in CONTRIBUTING.md leads to files that hold what it says."""

import re

import pytest
from doc_blocks import ROOT

ROWS = re.findall(
    r"^\| (.+?) \| `([^`|]+)` \| `([^`|]+)` \|$",
    (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE,
)

NEEDED = ("eq. 5", "stage i, ii, iii", "GeoTIFF", "threshold", "dataset format", "`small` was trained on")
"""What a newcomer asks first."""


def test_the_map_answers_a_newcomers_questions() -> None:
    for words in NEEDED:
        assert any(words in question for question, _, _ in ROWS), words


@pytest.mark.parametrize(("question", "path", "text"), ROWS)
def test_a_path_of_the_map_holds_what_it_says(question: str, path: str, text: str) -> None:
    assert text in (ROOT / path).read_text(encoding="utf-8"), f"{question}: not in {path}"
