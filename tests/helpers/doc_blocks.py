"""Reads the Markdown pages: fenced code blocks with their marks, command lines in them, and inline code.

A comment in the line above a block marks it: ``<!-- not run: REASON -->`` leaves it out, ``<!-- run -->`` runs a bash
block that is otherwise only parsed, and ``<!-- slow -->`` leaves it to `make test-all`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

HISTORY = {"log.md", "decisions.md"}
"""Pages that name what was true at their date: their commands and keys may be gone."""

PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
CURRENT_PAGES = [path for path in PAGES if path.name not in HISTORY]

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
_MARK = re.compile(r"^ *<!-- *(?P<mark>run|slow|not run: *\S.*?) *-->$")


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        page: the file it is in.
        line: line number of the opening fence, from 1.
        language: first word of the info string, "" where there is none.
        title: the file that the block is said to hold, "" where there is none.
        text: the code, with the indentation of the fence removed.
        mark: "run", "slow", "not run: REASON" or "".
    """

    page: Path
    line: int
    language: str
    title: str
    text: str
    mark: str

    @property
    def place(self) -> str:
        """Page and line, for messages and test ids."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"

    @property
    def left_out(self) -> bool:
        """Whether a mark gives a reason not to run it."""
        return self.mark.startswith("not run")


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    mark, open_at, info, fence, indent = "", 0, "", "", 0
    lines: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if open_at:
            if line.strip() == fence:
                language, _, rest = info.partition(" ")
                title = re.search(r'title="([^"]+)"', rest)
                text = "\n".join(lines) + "\n"
                found.append(Block(page, open_at, language, title[1] if title else "", text, mark))
                open_at, mark = 0, ""
            else:
                lines.append(line[indent:] if line[:indent].isspace() else line)
            continue
        opening = _FENCE.match(line)
        if opening:
            open_at, info, fence = number, opening["info"].strip(), opening["fence"]
            indent, lines = len(opening["indent"]), []
        else:
            marked = _MARK.match(line)
            mark = marked["mark"] if marked else ""
    assert not open_at, f"{page}: the block of line {open_at} is not closed"
    return found


def inline_code(page: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of each inline code span outside the blocks."""
    inside = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            for match in re.finditer(r"(`+)(.+?)\1", line):
                yield number, match[2].strip()


def command_lines(script: str) -> Iterator[list[str]]:
    """The words behind `semantic-cc` in each of its calls in a shell script."""
    script = re.sub(r"<<'?(\w+)'?.*?^\1$", "", script, flags=re.DOTALL | re.MULTILINE)  # here-documents
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
        words.whitespace_split = True
        words.commenters = "#"
        yield from _calls(list(words))


def _calls(words: list[str]) -> Iterator[list[str]]:
    call: list[str] | None = None
    previous = ""
    for word in words:
        if set(word) <= set(";&|()<>"):
            if call is not None:
                yield call
            call = None
        elif call is not None:
            call.append(word)
        elif word.rsplit("/", 1)[-1] == "semantic-cc" or (previous == "-m" and word == "semantic_cc"):
            call = []
        previous = word
    if call is not None:
        yield call
