"""Platt scaling finds the line that made the truth, and the head that holds it says the calibrated probability."""

from pathlib import Path

import pytest
import torch

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import load_config
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.metrics.calibration_error import calibration
from semantic_cc.synth.procedural import write_dataset
from semantic_cc.training.finetuning.calibration import calibrate, flag_probabilities, platt_scaling


def test_it_finds_the_line_that_made_the_truth() -> None:
    made = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(20000, generator=made, dtype=torch.float64)
    truth = torch.rand(20000, generator=made, dtype=torch.float64) < torch.sigmoid(0.5 * logits - 1)
    a, c = platt_scaling(logits, truth.double())
    assert (a, c) == (pytest.approx(0.5, abs=0.02), pytest.approx(-1, abs=0.05))
    said = torch.sigmoid(logits).tolist(), torch.sigmoid(a * logits + c).tolist()
    assert calibration(said[1], truth.tolist()).ece < 2 < calibration(said[0], truth.tolist()).ece


def test_classes_that_are_apart_have_an_end() -> None:
    a, c = platt_scaling(torch.tensor([-1.0, 1.0]).double(), torch.tensor([0.0, 1.0]).double())
    assert torch.sigmoid(torch.tensor(a + c)) == pytest.approx(2 / 3, abs=1e-3)  # Platt's (n + 1) / (n + 2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calibrate") / "world"
    write_dataset(out, 60, 5, workers=1)
    return out


def _model(folder: Path, **changes: object) -> Path:
    config = load_config("tiny", {"model": changes})
    save_pretrained(build_model(config.model), folder, name="tiny", training={"seed": 3})
    return folder


def test_the_head_holds_it(world: Path, tmp_path: Path) -> None:
    first = _model(tmp_path / "first")
    a, c = calibrate(first, world, tmp_path / "second")
    (old, _), (new, info) = load_pretrained(first), load_pretrained(tmp_path / "second")
    pairs = open_dataset(world, "val")
    expected = torch.sigmoid(a * torch.logit(flag_probabilities(old, pairs)) + c)
    torch.testing.assert_close(
        flag_probabilities(new, pairs), expected, atol=1e-3, rtol=0
    )  # float32 logits of p
    assert info.training["seed"] == 3
    assert info.training["flag_calibration"] == {
        "scale": a, "offset": c, "data": str(world), "pairs": len(pairs)
    }  # fmt: skip


def test_what_cannot_be_calibrated(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no flag head"):
        calibrate(_model(tmp_path / "none", flag_head=False), world, tmp_path / "out")
    captions = world / "LevirCCcaptions.json"
    captions.write_text(captions.read_text().replace('"changeflag": 0', '"changeflag": 1'))
    with pytest.raises(DataError, match="changed and unchanged"):
        calibrate(_model(tmp_path / "head"), world, tmp_path / "out")
    assert not (tmp_path / "out").exists()
