"""A tiny model whose graphs are exported once, in a cache of its own."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from engines import need_engine
from torch import nn

from semantic_cc import SemanticCC


@pytest.fixture(scope="session")
def shaken_folder(tmp_path_factory: pytest.TempPathFactory, shake) -> Path:
    """A model folder of the preset `tiny` with noise on every weight, and beam search."""
    from semantic_cc.checkpoint.build import build_model
    from semantic_cc.checkpoint.serialization import save_pretrained
    from semantic_cc.config import load_config

    values = {"decoding": "beam", "llm": {"beams": 3}, "change_decoder": {"caption_features": True}}
    config = load_config("tiny", {"model": values}).model
    model = build_model(config)
    for part in (model.encoder, model.neck, model.change_decoder, model.caption_decoder.qformer):
        shake(part)
    shake(model.caption_decoder.keyword_head, 0.5)
    centre_flag(model.caption_decoder.flag)
    folder = tmp_path_factory.mktemp("models") / "shaken"
    save_pretrained(model, folder, name="shaken")
    return folder


def centre_flag(flag: nn.Linear) -> None:
    """Random weights, of a seed of their own: nine of the twelve pairs are called changed."""
    nn.init.normal_(flag.weight, std=2.0, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache that holds the graphs."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def in_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lets a test use the cache."""
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(cache))
    return cache


@pytest.fixture(scope="session")
def fast(shaken_folder: Path, cache: Path) -> Iterator[SemanticCC]:
    """The model on the fast runtime."""
    need_engine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEMANTIC_CC_CACHE", str(cache))
        patch.setattr(
            "semantic_cc.runtime.engine.has_bfloat16", lambda: False
        )  # random weights amplify rounding
        yield SemanticCC.from_pretrained(shaken_folder, runtime="openvino")


@pytest.fixture(scope="session")
def reference(shaken_folder: Path) -> SemanticCC:
    """The model on the reference runtime."""
    return SemanticCC.from_pretrained(shaken_folder, runtime="torch")


@pytest.fixture(scope="session")
def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Twelve pairs of smooth random images, (12, 64, 64, 3) uint8."""
    rng = np.random.default_rng(5)
    before = np.kron(rng.integers(0, 256, (12, 8, 8, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    after = before.copy()
    after[:, 16:48, 8:40] = rng.integers(0, 256, (12, 1, 1, 3), dtype=np.uint8)
    return before, after
