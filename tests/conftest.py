"""Shared by all tests: calm threads, a tiny model on disk, a pair of images, the command line in-process."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before torch is imported. Two OpenMP threads that spin on a busy core make a step ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Tests say by name where they mean the fast runtime: an export takes seconds.
os.environ["SEMANTIC_CC_RUNTIME"] = "torch"
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from semantic_cc.checkpoint.build import build_model
from semantic_cc.config import load_config
from semantic_cc.model.semantic_cc import SemanticCCModel

Build = Callable[..., SemanticCCModel]

pytest_plugins = ["fast_models"]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the preset `tiny`, untrained."""
    return _save_tiny(tmp_path_factory.mktemp("models") / "tiny", {})


@pytest.fixture(scope="session")
def captions_only_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without the change-detection task."""
    return _save_tiny(tmp_path_factory.mktemp("models") / "captions", {"model": {"change_task": False}})


def _save_tiny(folder: Path, overrides: dict) -> Path:
    from semantic_cc.checkpoint.serialization import save_pretrained

    save_pretrained(build_model(load_config("tiny", overrides).model), folder, name=folder.name)
    return folder


@pytest.fixture(scope="session")
def world_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pairs of the synthetic world in LEVIR-MCI's layout: 16 train, 2 val, 2 test."""
    from semantic_cc.synth.procedural import write_dataset

    folder = tmp_path_factory.mktemp("world") / "data"
    write_dataset(folder, 20, seed=1, workers=1)
    return folder


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    """Two different (48, 80, 3) uint8 RGB images."""
    rng = np.random.default_rng(0)
    before = rng.integers(0, 256, (48, 80, 3), dtype=np.uint8)
    return before, np.roll(before, 16, axis=1)


@pytest.fixture
def image_paths(images: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> tuple[Path, Path]:
    """The two images as PNG files, 80 pixels wide and 48 high."""
    paths = tmp_path / "before.png", tmp_path / "after.png"
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs a command line in this process."""

    def run(*argv: object) -> Outcome:
        from semantic_cc.cli.main import main

        capsys.readouterr()
        code = main([str(word) for word in argv])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def one_calm_thread() -> Iterator[None]:
    """One thread and a fixed seed, for tests that compare numbers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def shake() -> Callable[[nn.Module], None]:
    """Adds noise to every weight, the zero-started ones among them."""

    def run(module: nn.Module, scale: float = 0.2, seed: int = 1) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(scale * torch.randn(parameter.shape, generator=generator))

    return run


@pytest.fixture(scope="session")
def build(shake: Callable[[nn.Module], None]) -> Build:
    """Overrides of the model section -> a shaken `tiny` model in eval mode, without a keyword head unless asked for."""

    def run(
        model: dict[str, Any] | None = None, preset: str = "tiny", shaken: bool = True
    ) -> SemanticCCModel:
        built = build_model(load_config(preset, {"model": {"keywords": [], **(model or {})}}).model)
        if shaken:
            shake(built)
        return built.eval()

    return run


@pytest.fixture
def pair() -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """Size -> two random image batches (b, 3, H, W) in [0, 1]."""

    def run(b: int = 2, height: int = 32, width: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(height * 1000 + width)
        before, after = torch.rand(2, b, 3, height, width, generator=generator)
        return before, after

    return run
