"""The commands of the pages that cost little run as written; blocks marked `run` do so in `make test-all`."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from doc_blocks import CURRENT_PAGES, ROOT, Block, blocks_of, inline_code

MARKED = [
    (page, [block for block in blocks_of(page) if block.language == "bash" and block.mark == "run"])
    for page in CURRENT_PAGES
]
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def environment(folder: Path) -> dict[str, str]:
    """This process's, with a `semantic-cc` and a `python` that run this checkout."""
    programs = folder / "bin"
    programs.mkdir()
    for name, words in (("semantic-cc", "-m semantic_cc"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
    }


def run(script: str, folder: Path) -> str:
    work = folder / "work"
    work.mkdir()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=work,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "blocks"),
    [marked for marked in MARKED if marked[1]],
    ids=lambda value: value.stem if isinstance(value, Path) else "",
)
def test_marked_blocks_run_in_order(page: Path, blocks: list[Block], tmp_path: Path) -> None:
    run("\n".join(block.text for block in blocks), tmp_path)


def test_a_block_runs_this_checkout_and_its_failure_is_seen(tmp_path: Path) -> None:
    assert run("semantic-cc --version\n", tmp_path).startswith("semantic-cc ")
    (tmp_path / "other").mkdir()
    with pytest.raises(AssertionError, match="no such file"):
        run("semantic-cc describe a.png b.png\n", tmp_path / "other")


@pytest.mark.parametrize("page", CURRENT_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    text = "\n".join(block.text for block in blocks_of(page) if block.language == "bash")
    lines = [line for line in text.splitlines() if line.startswith("make ")]
    lines += [code for _, code in inline_code(page) if code.startswith("make ")]
    for line in lines:
        for target in line.partition("#")[0].split()[1:]:
            assert target in TARGETS, f"{page.name}: make {target}"
