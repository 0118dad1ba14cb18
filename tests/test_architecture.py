"""The layout keeps its rules: imports, unique names, typed signatures, light imports, small files."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import semantic_cc
from semantic_cc.config import Config, load_config, preset_names

PACKAGE = Path(semantic_cc.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

ORDER = (
    "errors", "types", "decisions", "config", "files", "processes", "read_ahead", "progress", "nouns", "sentences",
    "same_picture", "images", "compute_device", "data", "metrics", "model", "foundation", "baselines", "checkpoint",
    "runtime", "descriptions", "synth", "losses", "figures", "evaluation", "training", "scene", "predictor",
    "reproduce", "batch", "bench", "client", "serve", "cli", "__main__",
)  # fmt: skip
"""The way data flows: a subpackage imports only itself and those before it. There are no exceptions."""

NOT_IN_MODEL = {"checkpoint", "foundation", "baselines", "data", "training", "scene", "cli", "serve"}
"""What `model` must not import."""

ROLES = {
    "build": "builds what its subpackage holds",
    "encoder": "a part of the model, and the phase that trains it",
    "qformer": "a part of the model, and the phase that trains it",
    "llm": "a part of the model, and the phase that trains it",
    "keyword_head": "a part of the model, and the phase that trains it",
    "evaluate": "the evaluation, and its command",
}
"""Module names that occur more than once, with the role that the modules share."""

LONGEST = 320
"""Lines of a source file."""


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[str]:
    """Rooms of this package that a file imports, anywhere in it, type hints included."""
    package = ["semantic_cc", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "semantic_cc" and len(parts) > 1 and is_room(parts[1]):
                yield parts[1]


def is_room(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_the_rooms_before_it(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return  # hands out names of any room, on first use
    assert room in ORDER, f"{room} is a new room: give it its place in ORDER"
    assert set(imported_rooms(path)) <= set(ORDER[: ORDER.index(room) + 1])


def test_the_model_knows_nothing_of_what_feeds_it() -> None:
    for path in (PACKAGE / "model").rglob("*.py"):
        assert not set(imported_rooms(path)) & NOT_IN_MODEL, path


def test_a_module_name_is_used_once() -> None:
    counts = Counter(path.stem for path in SOURCES if path.stem not in ("__init__", "__main__"))
    assert {name for name, count in counts.items() if count > 1} == set(ROLES)


def public_classes(path: Path) -> list[ast.ClassDef]:
    body = ast.parse(path.read_text()).body
    return [node for node in body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def public_functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Name and node of the module's functions and of its public classes' methods, constructors included."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, functions) and not node.name.startswith("_"):
            yield node.name, node
    for owner in public_classes(path):
        for node in owner.body:
            if isinstance(node, functions) and (not node.name.startswith("_") or node.name == "__init__"):
                yield f"{owner.name}.{node.name}", node


def takes_or_returns_untyped(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether `dict[str, Any]` is in the signature.

    A typed result may turn itself into one by `to_json`, and `state_dict` has PyTorch's signature.
    """
    if function.name in ("to_json", "state_dict"):
        return False
    given = function.args
    arguments = (*given.posonlyargs, *given.args, *given.kwonlyargs)
    annotations = [*(argument.annotation for argument in arguments), function.returns]
    return any("dict[str, Any]" in ast.unparse(node) for node in annotations if node is not None)


def test_a_public_class_name_is_used_once() -> None:
    counts = Counter(node.name for path in SOURCES for node in public_classes(path))
    assert [name for name, count in counts.items() if count > 1] == []


def test_public_signatures_are_typed() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{name}"
        for path in SOURCES
        for name, function in public_functions(path)
        if takes_or_returns_untyped(function)
    }
    assert found == set()


def test_the_signature_reader_sees_arguments_results_and_methods(tmp_path: Path) -> None:
    path = tmp_path / "imagined.py"
    path.write_text(
        "def a(x: dict[str, Any]): ...\ndef b() -> tuple[dict[str, Any], int]: ...\ndef _c(x: dict[str, Any]): ...\n"
        "class D:\n    def __init__(self, *, x: dict[str, Any] | None = None): ...\n    def e(self) -> int: ...\n"
        "    def to_json(self) -> dict[str, Any]: ...\n"
    )
    seen = {name for name, function in public_functions(path) if takes_or_returns_untyped(function)}
    assert seen == {"a", "b", "D.__init__"}
    assert [node.name for node in public_classes(path)] == ["D"]


def test_the_import_reader_sees_all_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = PACKAGE / "model" / "imagined.py"
    text = "import semantic_cc.losses\nfrom semantic_cc import files\nfrom ..data import levir\nfrom . import neck\n"
    monkeypatch.setattr(Path, "read_text", lambda self: text)
    assert set(imported_rooms(path)) == {"losses", "files", "data", "model"}


@pytest.mark.parametrize(
    "module", ["semantic_cc", "semantic_cc.cli.main", "semantic_cc.config", "semantic_cc.types"]
)
def test_importing_stays_light(module: str) -> None:
    heavy = (
        "torch",
        "transformers",
        "peft",
        "lightning",
        "torchmetrics",
        "jsonargparse",
        "numpy",
        "PIL",
        "rich",
        "rasterio",
        "shapely",
        "geopandas",
        "ray",
    )
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_found_on_first_use() -> None:
    from semantic_cc.predictor import SemanticCC
    from semantic_cc.types import ChangeDescription

    assert semantic_cc.SemanticCC is SemanticCC
    assert semantic_cc.ChangeDescription is ChangeDescription
    assert {"SemanticCC", "ChangeDescription"} <= set(dir(semantic_cc))
    with pytest.raises(AttributeError, match="no attribute 'Semantic'"):
        _ = semantic_cc.Semantic


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_small(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines < LONGEST


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads(name: str) -> None:
    assert isinstance(load_config(name), Config)


def test_every_shipped_yaml_is_a_preset() -> None:
    shipped = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.y*ml")}
    assert shipped == {Path("presets", f"{name}.yaml") for name in preset_names()}
