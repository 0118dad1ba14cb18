"""The Python blocks of the pages run as written, one after the other in one folder for each page.

The quick test puts an untrained model of the preset `tiny` in place of `small`, and small inputs beside the script. The
slow one runs README.md with the packaged model.
"""

import json
import shutil
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from doc_blocks import CURRENT_PAGES, ROOT, Block, blocks_of
from PIL import Image


def python_blocks(page: Path) -> list[Block]:
    """Blocks to run; those with a title are files of a worked example, which test_extend.py takes."""
    return [block for block in blocks_of(page) if block.language == "python" and not block.title]


WITH_PYTHON = [page for page in CURRENT_PAGES if python_blocks(page)]


@pytest.fixture
def tiny_for_small(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from semantic_cc import SemanticCC

    load = SemanticCC.from_pretrained.__func__

    def substitute(cls: type, name: str | Path = "small", *rest: object, **options: object) -> SemanticCC:
        return load(cls, tiny_folder if name in ("small", "owner/name") else name, *rest, **options)

    monkeypatch.setattr(SemanticCC, "from_pretrained", classmethod(substitute))
    monkeypatch.setattr(SemanticCC, "push_to_hub", lambda self, repository, **options: repository)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def prepare(workplace: Path, world_folder: Path, tiny_folder: Path) -> Callable[[str], None]:
    """Writes what a page's script reads, as the commands before it on the page would."""

    def write(script: str) -> None:
        for needed, make in (
            ("before.png", write_pair),
            (
                "captions.json",
                lambda: shutil.copy(next(world_folder.glob("*captions.json")), "captions.json"),
            ),
            ('"LEVIR-MCI"', lambda: Path("LEVIR-MCI").symlink_to(world_folder)),
            ("before.tif", lambda: write_scene(Path())),
            ("scene/", lambda: write_scene(Path("scene"))),
            (
                "changes/mask.tif",
                lambda: command("describe", *SCENE, "--out", "changes", "--model", tiny_folder),
            ),
            ("results/changes", lambda: write_batch(tiny_folder)),
        ):
            if needed in script:
                make()

    return write


SCENE = ("scene/before.tif", "scene/after.tif")


def write_pair() -> None:
    before = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(before).save("before.png")
    Image.fromarray(np.roll(before, 16, axis=1)).save("after.png")


def write_scene(folder: Path) -> None:
    pytest.importorskip("rasterio")
    if not Path("made").exists():
        command("synth", "made", "--scene", 256, "--crs", "EPSG:32614", "--seed", 1)
    shutil.copytree("made", folder, dirs_exist_ok=True)


def write_batch(model: Path) -> None:
    write_scene(Path("scene"))
    Path("pairs.csv").write_text(f"id,before,after\nblock 2,{SCENE[0]},{SCENE[1]}\n")
    command("batch", "pairs.csv", "--out", "results", "--model", model)


def command(*words: object) -> None:
    from semantic_cc.cli.main import main

    assert main([str(word) for word in words]) == 0


def run(page: Path, blocks: list[Block]) -> None:
    names = types.ModuleType("__main__").__dict__
    for block in blocks:
        lines = "\n" * block.line + block.text  # so that a traceback names the page's own line
        exec(compile(lines, str(page), "exec"), names)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("tiny_for_small")
def test_python_blocks_run(page: Path, prepare: Callable[[str], None]) -> None:
    blocks = [block for block in python_blocks(page) if not block.left_out]
    prepare("".join(block.text for block in blocks))
    run(page, blocks)


@pytest.mark.slow
def test_the_readme_runs_with_the_packaged_model(prepare: Callable[[str], None]) -> None:
    blocks = [block for block in python_blocks(ROOT / "README.md") if not block.left_out]
    prepare("".join(block.text for block in blocks))
    run(ROOT / "README.md", blocks)


def test_every_left_out_block_says_why() -> None:
    for page in CURRENT_PAGES:
        for block in blocks_of(page):
            assert not block.left_out or len(block.mark.split()) > 4, f"{block.place}: say why it is not run"


def test_blocks_are_found_with_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    first = "<!-- not run: needs a cluster -->\n```python\na\n```\n"
    page.write_text(first + 'text\n1. x\n   ```bash title="b c"\n   y\n   ```\n')
    found = [(block.line, block.language, block.title, block.text, block.mark) for block in blocks_of(page)]
    assert found == [(2, "python", "", "a\n", "not run: needs a cluster"), (7, "bash", "b c", "y\n", "")]


NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def cells(notebook: Path) -> list[Block]:
    """The code cells of a notebook."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    return [
        Block(notebook, 0, "python", "", "".join(cell["source"]) + "\n", "")
        for cell in content["cells"]
        if cell["cell_type"] == "code"
    ]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("tiny_for_small", "workplace")
def test_notebooks_run(notebook: Path) -> None:
    run(notebook, cells(notebook))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs(notebook: Path) -> None:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert all(not cell["outputs"] for cell in content["cells"] if cell["cell_type"] == "code")
