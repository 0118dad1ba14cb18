import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semantic_cc import __version__
from semantic_cc.errors import OutputError
from semantic_cc.figures.description_files import write_outputs
from semantic_cc.types import BUILDING, ROAD, ChangeDescription, ModelIdentity

ALL = {"mask.png", "probability.png", "overlay.png", "heatmap.png", "report.json"}


@pytest.fixture
def description() -> ChangeDescription:
    mask = np.zeros((48, 80), np.uint8)
    mask[:12, :40], mask[24:, :40] = ROAD, BUILDING
    return ChangeDescription(
        sentence="ein Häuschen",
        sentences={"what?": "ein Häuschen"},
        changed=True,
        change_probability=0.75,
        mask=mask,
        probability=np.linspace(0, 1, 48 * 80, dtype=np.float32).reshape(48, 80),
        heatmap=np.zeros((48, 80), np.float32),
        classes={ROAD: "road", BUILDING: "building"},
        notes=("a note",),
        model=ModelIdentity("m", "d"),
        timings={"total": 0.123456},
    )


def test_pictures_hold_the_values(
    description: ChangeDescription, images: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    paths = write_outputs(description, *images, tmp_path / "out")
    assert {path.name for path in paths} == ALL == {path.name for path in (tmp_path / "out").iterdir()}
    mask, probability = (Image.open(tmp_path / "out" / name) for name in ("mask.png", "probability.png"))
    assert mask.mode == probability.mode == "L"
    np.testing.assert_array_equal(np.asarray(mask), description.mask)
    np.testing.assert_allclose(np.asarray(probability) / 255, description.probability, atol=0.5 / 255 + 1e-6)
    assert Image.open(tmp_path / "out" / "heatmap.png").size == (80, 48)


def test_report(
    description: ChangeDescription, images: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    write_outputs(description, *images, tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == {
        "sentence": "ein Häuschen",
        "sentences": {"what?": "ein Häuschen"},
        "changed": True,
        "change_probability": 0.75,
        "changed_share": 0.375,
        "class_shares": {"road": 0.125, "building": 0.25},
        "image_size": {"width": 80, "height": 48},
        "notes": ["a note"],
        "model": {"name": "m", "digest": "d"},
        "timings": {"total": 0.1235},
        "version": __version__,
        "files": ["mask.png", "probability.png", "overlay.png", "heatmap.png", "report.json"],
    }


def test_without_a_mask_its_files_are_left_out_and_an_older_one_goes(
    description: ChangeDescription, images: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    write_outputs(description, *images, tmp_path)
    maskless = replace(description, mask=None, probability=None, classes={})
    write_outputs(maskless, *images, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == ALL - {"mask.png", "probability.png"}
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["changed_share"] is None
    assert report["class_shares"] is None
    assert report["files"] == ["overlay.png", "heatmap.png", "report.json"]


def test_more_pictures_are_written_together(
    description: ChangeDescription, images: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    write_outputs(description, *images, tmp_path, extra={"before.png": images[0]})
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "before.png")), images[0])


def test_a_folder_that_cannot_be_written(
    description: ChangeDescription, images: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="not a directory"):
        write_outputs(description, *images, tmp_path / "out")


def test_one_file_that_cannot_be_written_stops_all(
    description: ChangeDescription, images: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "heatmap.png").mkdir()
    with pytest.raises(OutputError, match=r"heatmap\.png"):
        write_outputs(description, *images, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["heatmap.png"]


def test_report_is_plain_json(description: ChangeDescription) -> None:
    assert json.loads(json.dumps(description.to_json())) == description.to_json()
