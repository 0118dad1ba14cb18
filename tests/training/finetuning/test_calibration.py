"""Platt scaling finds the line that made the truth, and the head that holds it says the calibrated probability."""

import math
import shutil
from pathlib import Path

import pytest
import torch
from phases import only
from PIL import Image

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.serialization import load_pretrained, save_pretrained
from semantic_cc.config import load_config
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.metrics.calibration_error import calibration
from semantic_cc.synth.procedural import write_dataset
from semantic_cc.training.finetuning.calibration import flag_probabilities, platt_scaling
from semantic_cc.training.pipeline import train


def test_it_finds_the_line_that_made_the_truth() -> None:
    made = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(20000, generator=made, dtype=torch.float64)
    truth = torch.rand(20000, generator=made, dtype=torch.float64) < torch.sigmoid(0.5 * logits - 1)
    a, c = platt_scaling(logits, truth.double())
    assert (a, c) == (pytest.approx(0.5, abs=0.02), pytest.approx(-1, abs=0.05))
    said = torch.sigmoid(logits).tolist(), torch.sigmoid(a * logits + c).tolist()
    assert calibration(said[1], truth.tolist()).ece < 2 < calibration(said[0], truth.tolist()).ece


def test_balanced_classes_move_the_offset_by_the_log_odds_of_their_shares() -> None:
    made = torch.Generator().manual_seed(1)
    truth = torch.rand(40000, generator=made, dtype=torch.float64) < 0.2
    logits = (
        torch.randn(40000, generator=made, dtype=torch.float64) + 2 * truth
    )  # log odds 2 z - 2 + log(share)
    a, c = platt_scaling(logits, truth.double(), balance=True)
    assert (a, c) == (pytest.approx(2, abs=0.06), pytest.approx(-2, abs=0.06))
    assert platt_scaling(logits, truth.double())[1] == pytest.approx(-2 + math.log(0.2 / 0.8), abs=0.08)


def test_classes_that_are_apart_have_an_end() -> None:
    a, c = platt_scaling(torch.tensor([-1.0, 1.0]).double(), torch.tensor([0.0, 1.0]).double())
    assert (a, c) == (pytest.approx(1.2266, abs=1e-3), pytest.approx(0, abs=1e-3))  # a = 1 + sigmoid(-a)


def test_a_calibrated_flag_stays_where_it_is() -> None:
    made = torch.Generator().manual_seed(2)
    logits = 2 * torch.randn(4000, generator=made, dtype=torch.float64)
    truth = torch.rand(4000, generator=made, dtype=torch.float64) < torch.sigmoid(logits)
    assert platt_scaling(logits, truth.double()) == (pytest.approx(1, abs=0.08), pytest.approx(0, abs=0.1))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calibrate") / "world"
    write_dataset(out, 60, 5, workers=1)
    return out


def _run(world: Path, out: Path, **model: object) -> tuple[Path, Path]:
    """Runs the phase on an untrained model; that and the calibrated one."""
    config = load_config("tiny", {"model": model})
    first = save_pretrained(build_model(config.model), out / "first", name="tiny", training={"note": 3})
    settings = {"data": str(world), "out": str(out / "run"), "model": model, "train": {"init": str(first)}}
    return first, train(load_config("tiny", {**settings, **only("calibration")}))


def test_the_head_holds_it(world: Path, tmp_path: Path) -> None:
    first, second = _run(world, tmp_path)
    (old, _), (new, info) = load_pretrained(first), load_pretrained(second)
    pairs = open_dataset(world, "val")
    facts = info.training["phases"]["calibration"]
    scale, offset = facts["scale"], facts["offset"]
    expected = torch.sigmoid(scale * torch.logit(flag_probabilities(old, pairs)) + offset)
    torch.testing.assert_close(
        flag_probabilities(new, pairs), expected, atol=1e-3, rtol=0
    )  # float32 logits of p
    moved = {n for n, value in new.state_dict().items() if not torch.equal(value, old.state_dict()[n])}
    assert moved == {"caption_decoder.flag.weight", "caption_decoder.flag.bias"}
    assert info.training["note"] == 3
    assert facts == {
        "kind": "calibration", "data": str(world), "scale": scale, "offset": offset, "pairs": len(pairs)
    }  # fmt: skip


def test_a_broken_label_stops_the_run_before_it_starts(world: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(world, tmp_path / "broken")
    label = next((broken / "images/val/label").iterdir())
    Image.new("L", Image.open(label).size, 200).save(label)
    with pytest.raises(DataError, match=rf"{label.name}: label value 200 is not one of"):
        _run(broken, tmp_path)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_calibrated(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no phase trains a part"):
        _run(world, tmp_path / "none", flag_head=False)
    captions = world / "LevirCCcaptions.json"
    captions.write_text(captions.read_text().replace('"changeflag": 0', '"changeflag": 1'))
    with pytest.raises(DataError, match="changed and unchanged"):
        _run(world, tmp_path / "head")
    assert not (tmp_path / "head" / "run").exists()
