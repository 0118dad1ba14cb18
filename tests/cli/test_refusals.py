"""Every input that is refused: exit 2, one line that says what and where, an empty stdout, no file left."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def noise(*shape: int, kind: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 200, shape).astype(kind)


def check(cli: Callable, folder: Path, argv: list[object], *words: str) -> None:
    before = snapshot(folder)
    outcome = cli(*argv)
    assert outcome.code == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("semantic-cc: error: ")
    assert outcome.stderr.count("\n") == 1
    for word in words:
        assert word in outcome.stderr
    assert snapshot(folder) == before


def snapshot(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def missing(path: Path) -> None:
    path.unlink()


def not_an_image(path: Path) -> None:
    path.write_text("once upon a time")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def other_size(path: Path) -> None:
    Image.fromarray(noise(64, 80, 3)).save(path)


def one_pixel(path: Path) -> None:
    Image.fromarray(noise(1, 1, 3)).save(path)


def too_large(path: Path) -> None:
    Image.fromarray(noise(16, 8193, 3)).save(path)


def one_colour(path: Path) -> None:
    Image.new("RGB", (80, 48)).save(path)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILERS = [
    (missing, "no such file"),
    (not_an_image, "not an image"),
    (empty, "not an image"),
    (truncated, "truncated"),
    (other_size, "sizes differ"),
    (one_colour, "one"),
    (one_pixel, "too small"),
    (too_large, "sizes differ"),  # a scene, which may be of any size, but both of one
    (directory, "directory"),
]


@pytest.mark.parametrize("place", [0, 1], ids=["before", "after"])
@pytest.mark.parametrize(("spoil", "words"), SPOILERS, ids=lambda value: getattr(value, "__name__", ""))
def test_images(
    spoil: Callable, words: str, place: int, cli: Callable, image_paths: tuple[Path, Path], tiny_folder: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    spoil(image_paths[place])
    argv = ["describe", *image_paths, "--model", tiny_folder, "--out", tmp_path / "out", "--json"]
    check(cli, tmp_path, argv, str(image_paths[place]), words)


@pytest.mark.parametrize("suffix", ["png", "tif", "vrt"])
def test_a_path_that_the_system_refuses(
    suffix: str, cli: Callable, image_paths: tuple[Path, Path], tmp_path: Path
) -> None:
    """A folder without permission raises the same kind of error, but not for root."""
    long = "long" * 64
    scene = tmp_path / "other.img"  # whose suffix makes the pair a scene
    scene.write_bytes(b"")
    for argv in ([f"{long}.{suffix}", image_paths[0]], [f"{long}.{suffix}", scene]):
        check(cli, tmp_path, ["describe", *argv], f"{long}.{suffix}", "cannot be read (File name too long)")
    check(cli, tmp_path, ["batch", f"{long}.csv", "--out", tmp_path / "out"], "no such file")
    check(cli, tmp_path, ["score", "a.json", "b.json", "--out", tmp_path / long], "a.json: no such file")


def test_both_images_of_one_pixel(cli: Callable, image_paths: tuple[Path, Path], tmp_path: Path) -> None:
    for path in image_paths:
        one_pixel(path)
    check(cli, tmp_path, ["describe", *image_paths, "--out", tmp_path / "out"], "too small")


@pytest.mark.parametrize("inside", ["file", "file/deeper"])
def test_an_output_that_cannot_be_written(
    inside: str, cli: Callable, image_paths: tuple[Path, Path], tmp_path: Path, world_folder: Path
) -> None:
    (tmp_path / "file").write_text("mine")  # a file in place of the folder: chmod does not stop root
    out = tmp_path / inside
    for argv in (
        ["describe", *image_paths, "--out", out],
        ["demo", "--out", out],
        ["synth", out, "--pairs", 2, "--seed", 1],
        ["train", "--config", "tiny", "--data", world_folder, "--out", out],
        ["evaluate", "--model", "small", "--data", world_folder, "--out", out / "scores.json"],
    ):
        check(cli, tmp_path, argv, str(out), "not a directory")


def test_the_output_is_checked_before_the_work(
    cli: Callable, image_paths: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from semantic_cc.predictor import SemanticCC

    monkeypatch.setattr(SemanticCC, "from_pretrained", lambda *_: pytest.fail("loaded a model"))
    (tmp_path / "file").write_text("mine")
    check(cli, tmp_path, ["describe", *image_paths, "--out", tmp_path / "file"], "not a directory")
    check(cli, tmp_path, ["demo", "--out", tmp_path / "file"], "not a directory")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--config", "paprika"], "unknown preset 'paprika'"),
        (["--config", "tiny", "--optim.speed", "3"], "speed"),
        (["--config", "tiny", "--colour", "red"], "colour"),
        (["--config", "tiny", "--optim.lr", "fast"], "optim.lr"),
        (["--config", "tiny", "--optim.lr"], "--optim.lr needs a value"),
        (["--config", "tiny", "--optim.lr", "[1"], "--optim.lr"),
        (["--config", "tiny", "extra"], "unexpected argument 'extra'"),
        (["--config", "tiny", "--optim", "1", "--optim.lr", "1"], "contradict"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--config", "tiny", "--data", "no-such-data"], "no-such-data"),
        (["--config", "tiny", "--resume", "perhaps"], "--resume"),
        (["--config", "tiny", "--train.change_items", "3"], "phases.NAME.stages.change.items"),
        (["--config", "tiny", "--phase", "a", "--from", "b"], "not allowed with"),
    ],
)
def test_training_configurations(
    argv: list[str], words: str, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check(cli, tmp_path, ["train", *argv, "--out", tmp_path / "run"], words)


def test_an_unknown_key_in_a_configuration_file(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("preset: tiny\ntrain: {epoch: 3}\n")
    check(cli, tmp_path, ["train", "--config", tmp_path / "mine.yaml", "--out", tmp_path / "run"], "epoch")


@pytest.fixture
def broken(tiny_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_folder, tmp_path / "broken")


def describe_with(model: object, images: tuple[Path, Path], out: Path) -> list[object]:
    return ["describe", *images, "--model", model, "--out", out]


def test_an_unknown_model(cli: Callable, image_paths: tuple[Path, Path], tmp_path: Path) -> None:
    check(cli, tmp_path, describe_with("enormous", image_paths, tmp_path / "out"), "enormous")


def test_a_checkpoint_of_another_shape(
    cli: Callable, image_paths: tuple[Path, Path], broken: Path, tmp_path: Path
) -> None:
    content = json.loads((broken / "config.json").read_text())
    content["model"]["change_decoder"]["width"] *= 2
    (broken / "config.json").write_text(json.dumps(content))
    check(cli, tmp_path, describe_with(broken, image_paths, tmp_path / "out"), str(broken), "change_decoder")


@pytest.mark.parametrize("keep", [0, 4, 1000, -100])
def test_a_corrupt_safetensors_file(
    keep: int, cli: Callable, image_paths: tuple[Path, Path], broken: Path, tmp_path: Path
) -> None:
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    check(cli, tmp_path, describe_with(broken, image_paths, tmp_path / "out"), str(weights))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 1, "model": {"depth": 2}}']
)
def test_a_broken_config_json(
    text: str, cli: Callable, image_paths: tuple[Path, Path], broken: Path, tmp_path: Path
) -> None:
    (broken / "config.json").write_text(text)
    check(cli, tmp_path, describe_with(broken, image_paths, tmp_path / "out"), "config.json")


def test_a_folder_that_is_no_model(cli: Callable, image_paths: tuple[Path, Path], tmp_path: Path) -> None:
    check(cli, tmp_path, describe_with(tmp_path, image_paths, tmp_path / "out"), "not a model folder")


def test_an_output_folder_where_nothing_is_written(
    cli: Callable, image_paths: tuple[Path, Path], tmp_path: Path
) -> None:
    argv = ["describe", *image_paths, "--show-input", "--out", tmp_path / "out", "--instruction", "what?"]
    check(cli, tmp_path, argv, "--out, --instruction: --show-input")


def test_an_empty_instruction(
    cli: Callable, image_paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    argv = [*describe_with(tiny_folder, image_paths, tmp_path / "out"), "--instruction", " "]
    check(cli, tmp_path, argv, "instruction is empty")


def test_evaluating_on_what_is_no_dataset(cli: Callable, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    check(cli, tmp_path, ["evaluate", "--model", tiny_folder, "--data", tmp_path / "data"], "data")


def test_calibration_of_masks_alone(
    cli: Callable, tiny_folder: Path, world_folder: Path, tmp_path: Path
) -> None:
    argv = ["evaluate", "--model", tiny_folder, "--data", world_folder, "--no-sentences"]
    check(cli, tmp_path, [*argv, "--reliability", tmp_path / "r.png"], "--reliability", "--no-sentences")


def test_making_a_world_where_something_is(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    check(cli, tmp_path, ["synth", tmp_path, "--pairs", 2, "--seed", 1], "not an empty directory")


@pytest.mark.parametrize("numbers", [["--pairs", 0, "--seed", 1], ["--pairs", 1, "--seed", -1]])
def test_numbers_of_a_world(numbers: list[object], cli: Callable, tmp_path: Path) -> None:
    check(cli, tmp_path, ["synth", tmp_path / "out", *numbers], "")
