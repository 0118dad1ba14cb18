"""The worked examples of the pages `extend-*` go into a copy of the package, and their tests pass."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doc_blocks import ROOT, Block, blocks_of

PACKAGE = Path("src/semantic_cc")
EXAMPLES = sorted((ROOT / "docs").glob("extend-*.md"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout with the package, without the tests and their fixtures; the packaged weights are linked."""
    ignore = shutil.ignore_patterns("pretrained", "__pycache__")
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=ignore)
    (tmp_path / PACKAGE / "pretrained").symlink_to(ROOT / PACKAGE / "pretrained")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def edited(text: str, block: Block) -> str:
    """`text` with the edit of a diff block made; what it removes stands there once."""
    lines = block.text.splitlines()
    before = "".join(f"{line[1:]}\n" for line in lines if line[:1] in ("-", " "))
    after = "".join(f"{line[1:]}\n" for line in lines if line[:1] in ("+", " "))
    assert text.count(before) == 1, f"{block.place}: {block.title} has the lines {text.count(before)} times"
    return text.replace(before, after)


def apply(block: Block, root: Path) -> None:
    path = root / block.title
    if block.language == "diff":
        path.write_text(edited(path.read_text(encoding="utf-8"), block), encoding="utf-8")
    else:
        assert not path.exists(), f"{block.place}: {block.title} exists"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.stem)
def test_a_worked_example_works(page: Path, copy: Path) -> None:
    blocks = [block for block in blocks_of(page) if block.title]
    tests = [block.title for block in blocks if block.title.startswith("tests/")]
    assert tests, f"{page.name} has no test"
    for block in blocks:
        apply(block, copy)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    for path in {block.title for block in blocks if block.title.endswith(".py")}:
        style = [sys.executable, "-m", "ruff", "check", "-q", "--config", str(ROOT / "pyproject.toml"), path]
        checked = subprocess.run(style, cwd=copy, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout


def test_an_edit_that_no_longer_fits_fails(tmp_path: Path) -> None:
    block = Block(ROOT / "docs/extend-dataset.md", 1, "diff", "a.py", "-one\n+two\n", "")
    assert edited("zero\none\n", block) == "zero\ntwo\n"
    with pytest.raises(AssertionError, match="0 times"):
        edited("zero\n", block)
