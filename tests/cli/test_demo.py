from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from semantic_cc.cli.demo import building_line, demo_pair
from semantic_cc.types import BUILDING, ROAD


def test_prints_truth_beside_the_sentence_and_writes_all(
    cli: Callable, tiny_folder: Path, tmp_path: Path
) -> None:
    outcome = cli("demo", "--model", tiny_folder, "--out", tmp_path / "out")
    assert (outcome.code, outcome.stderr) == (0, "")
    pair = demo_pair()
    for words in ("the model says", "F1 ", "IoU ", str(tmp_path / "out"), *pair.sentences):
        assert words in outcome.stdout
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {
        "before.png", "after.png", "truth.png", "mask.png", "probability.png", "overlay.png", "heatmap.png",
        "report.json",
    }  # fmt: skip
    for name, array in (("before", pair.before), ("after", pair.after), ("truth", pair.label)):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / f"{name}.png")), array)


def test_the_pair_shows_new_buildings() -> None:
    pair = demo_pair()
    assert pair.changed
    assert pair.before.shape == pair.after.shape == (256, 256, 3) and pair.label.shape == (256, 256)
    assert len(set(pair.sentences)) == 5
    assert (pair.label == BUILDING).mean() > 0.05


def test_building_line_counts_buildings_alone() -> None:
    truth = np.zeros((4, 4), np.uint8)
    truth[:2], truth[2] = BUILDING, ROAD
    mask = np.zeros((4, 4), np.uint8)
    mask[:1], mask[3] = BUILDING, ROAD
    assert building_line(mask, truth) == "F1 66.7 %, IoU 50.0 % against the true mask"


def test_a_model_without_masks_has_no_building_line(
    cli: Callable, captions_only_folder: Path, tmp_path: Path
) -> None:
    outcome = cli("demo", "--model", captions_only_folder, "--out", tmp_path / "out")
    assert outcome.code == 0
    assert "F1" not in outcome.stdout
