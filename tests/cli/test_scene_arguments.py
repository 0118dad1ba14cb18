"""`describe` and `synth` on scenes."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scenes import UTM, landscape, write_raster

from semantic_cc.scene import geo_detection, raster
from semantic_cc.scene.geo_detection import is_scene


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tuple(
        write_raster(tmp_path / f"{name}.tif", landscape(70, 90, seed))
        for seed, name in enumerate(("before", "after"))
    )


def test_a_scene_is_described(
    cli: Callable, paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    outcome = cli(
        "describe", *paths, "--model", tiny_folder, "--out", out, "--tile", 48, "--overlap", 16, "--batch", 3
    )
    assert (outcome.code, outcome.stderr) == (0, "")
    report = json.loads((out / "report.json").read_text())
    lines = outcome.stdout.splitlines()
    assert lines[0] == report["sentence"]
    assert any(line.startswith("changed: building ") and "(90x70 pixels)" in line for line in lines)
    assert lines[-1] == f"outputs: {', '.join(report['files'])} in {out}"
    assert sorted(report["files"]) == sorted(path.name for path in out.iterdir())
    settings = report["settings"]
    assert (settings["tile"], settings["overlap"], settings["batch"]) == (48, 16, 3)
    with rasterio.open(out / "mask.tif") as mask:
        assert mask.shape == (70, 90) and mask.crs == UTM


def test_each_image_is_opened_and_judged_once(
    cli: Callable, paths: tuple[Path, Path], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    look = raster.Raster._look
    monkeypatch.setattr(
        raster.Raster, "_look", lambda self, notes: looked.append(self.name) or look(self, notes)
    )
    assert cli("describe", *paths, "--model", tiny_folder, "--tile", 48, "--overlap", 16).code == 0
    assert looked == [str(path) for path in paths]


def test_json_is_the_report_and_nothing_else(
    paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    words = ["describe", *paths, "--model", tiny_folder, "--out", tmp_path / "out", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "semantic_cc", *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == 0
    # Every half minute a line says that the work goes on; on a busy machine that can be the case.
    assert all(re.match(r"(working for|windows:|places:) ", line) for line in done.stderr.splitlines())
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout) == json.loads((tmp_path / "out" / "report.json").read_text())


def test_without_out_nothing_is_written(
    cli: Callable, paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    before = set(tmp_path.rglob("*"))
    outcome = cli("describe", *paths, "--model", tiny_folder)
    assert outcome.code == 0 and "changed: building " in outcome.stdout and "outputs" not in outcome.stdout
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "words",
    [["--batch", "4"], ["--formats", "gpkg"], ["--formats"], ["--bands", "1,2,3"], ["--strict"], ["--tile", "64"],
     ["--no-match-radiometry"], ["--crs", "EPSG:32614"], ["--place-batch", "2"],
     ["--dates", "2019-05-31", "2024-06-02"]],
)  # fmt: skip
def test_options_of_scenes_are_refused_for_plain_images(
    words: list[str], cli: Callable, image_paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    outcome = cli("describe", *image_paths, "--model", tiny_folder, "--out", tmp_path / "out", *words)
    assert outcome.code == 2 and outcome.stdout == "" and outcome.stderr.count("\n") == 1
    assert f"{words[0]}: for georeferenced images only" in outcome.stderr
    assert not (tmp_path / "out").exists()


def test_an_input_is_not_overwritten(
    cli: Callable, paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    before = paths[0].rename(tmp_path / "mask.tif")
    content = before.read_bytes()
    outcome = cli("describe", before, paths[1], "--model", tiny_folder, "--out", tmp_path)
    assert outcome.code == 2 and outcome.stderr.count("\n") == 1
    assert "mask.tif would overwrite this input" in outcome.stderr
    assert before.read_bytes() == content and sorted(path.name for path in tmp_path.iterdir()) == [
        "after.tif", "mask.tif",
    ]  # fmt: skip


def test_warnings_are_said_and_strict_refuses(
    cli: Callable, paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    from affine import Affine

    far = Affine.translation(620_000, 3_350_000) @ Affine.scale(2, -2)
    images = [landscape(70, 90), landscape(70, 90)]
    images[1][20:40, 30:60] ^= 0x60  # what has changed
    for path, image in zip(paths, images, strict=True):
        write_raster(path, image, far)
    words = ["describe", *paths, "--model", tiny_folder, "--out", tmp_path / "out"]
    assert "warning: a pixel measures 2 m on the ground" in cli(*words).stdout
    outcome = cli(*words, "--strict")
    assert outcome.code == 2 and "a pixel measures 2 m" in outcome.stderr
    assert cli(*words, "--strict", "--resolution", 0.5).code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "OUT", "--bands", "1,2"], "give the numbers of red, green and blue"),
        (["--out", "OUT", "--crs", "nowhere"], "is not a coordinate reference system"),
        (["--out", "OUT", "--resolution", "-1"], "is not a length in metres"),
        (["--out", "OUT", "--tile", "32", "--overlap", "32"], "cannot overlap by 32"),
        (["--out", "OUT", "--bands", "1,2,9"], "has no band 9, only 3"),
    ],
)
def test_wrong_words_are_one_line(
    words: list[str], message: str, cli: Callable, paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    words = [str(tmp_path / "out") if word == "OUT" else word for word in words]
    outcome = cli("describe", *paths, "--model", tiny_folder, *words)
    assert outcome.code == 2 and message in outcome.stderr and outcome.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_swapped_bands_of_one_image_give_the_same(
    cli: Callable, paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path
) -> None:
    masks = []
    for name, words in (("plain", []), ("swapped", ["--bands", "1,2,3/3,2,1"])):
        if name == "swapped":
            write_raster(paths[1], landscape(70, 90, 1)[..., ::-1])
        assert cli("describe", *paths, "--model", tiny_folder, "--out", tmp_path / name, *words).code == 0
        with rasterio.open(tmp_path / name / "mask.tif") as mask:
            masks.append(mask.read())
    np.testing.assert_array_equal(*masks)


def test_a_model_without_masks_is_refused(
    cli: Callable, paths: tuple[Path, Path], captions_only_folder: Path, tmp_path: Path
) -> None:
    outcome = cli("describe", *paths, "--model", captions_only_folder, "--out", tmp_path / "out")
    assert outcome.code == 2 and "has no change-detection task" in outcome.stderr


def test_without_the_libraries_it_says_which_to_install(
    cli: Callable, paths: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geo_detection, "find_spec", lambda name: None)
    for words in (
        ["describe", *paths, "--out", tmp_path / "out"],
        ["synth", tmp_path / "out", "--scene", 64, "--seed", 1],
    ):
        outcome = cli(*words)
        assert outcome.code == 2 and "pip install 'semantic-cc[scene]'" in outcome.stderr


def test_plain_pictures_need_none_of_them(image_paths: tuple[Path, Path]) -> None:
    code = (
        "import sys, argparse\n"
        "for name in ('rasterio', 'affine', 'pyproj', 'shapely'): sys.modules[name] = None\n"
        "from semantic_cc.cli.describe import add_arguments\n"
        "from semantic_cc.scene.geo_detection import is_scene\n"
        "add_arguments(argparse.ArgumentParser())\n"
        f"sys.exit(is_scene({str(image_paths[0])!r}) or is_scene({str(image_paths[1])!r}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_what_is_a_scene(paths: tuple[Path, Path], image_paths: tuple[Path, Path], tmp_path: Path) -> None:
    from PIL import Image

    for scene in (*paths, "https://example.org/a.tif", "s3://bucket/a.tif", "/vsizip/a.zip/a.tif"):
        assert is_scene(scene)
    (tmp_path / "a.vrt").touch()
    Image.new("L", (8193, 16)).save(tmp_path / "long.png")
    assert is_scene(tmp_path / "a.vrt") and is_scene(tmp_path / "long.png")
    bare = write_raster(tmp_path / "bare.tif", landscape(40, 40), transform=None, crs=None)
    (tmp_path / "text.png").write_text("no image")
    for plain in (*image_paths, bare, tmp_path, tmp_path / "absent.tif", tmp_path / "text.png", "a\0b"):
        assert not is_scene(plain)
    image_paths[0].with_suffix(".pgw").touch()
    assert is_scene(image_paths[0])


def test_synth_makes_a_scene(cli: Callable, tmp_path: Path) -> None:
    outcome = cli("synth", tmp_path / "out", "--scene", 64, "--crs", "EPSG:3857", "--seed", 2)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "a scene of 64x64 pixels, seed 2" in outcome.stdout
    with rasterio.open(tmp_path / "out" / "after.tif") as after:
        assert after.crs == "EPSG:3857"
    assert (
        "takes neither --pairs nor"
        in cli("synth", tmp_path / "b", "--scene", 64, "--pairs", 2, "--seed", 1).stderr
    )
    assert cli("synth", tmp_path / "b", "--seed", 1).code == 2


def test_dates_of_a_scene(cli: Callable, paths: tuple[Path, Path], tiny_folder: Path, tmp_path: Path) -> None:
    argv = (
        "describe",
        *paths,
        "--model",
        tiny_folder,
        "--runtime",
        "torch",
        "--out",
        tmp_path / "out",
        "--dates",
    )
    outcome = cli(*argv, "2019-05-31", "31.5.2019")
    assert outcome.code == 2 and "'31.5.2019' is not a date in ISO 8601" in outcome.stderr
    assert cli(*argv, "2019-05-31", "2024-06-02").code == 0
    assert json.loads((tmp_path / "out/report.json").read_text())["dates"] == ["2019-05-31", "2024-06-02"]


def test_show_input_says_what_would_be_read_and_stops(
    cli: Callable, paths: tuple[Path, Path], tmp_path: Path
) -> None:
    outcome = cli("describe", *paths, "--model", tmp_path / "no model", "--show-input")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "before.tif: GTiff, uint8" in outcome.stdout and "common grid: 90 x 70 pixels" in outcome.stdout
    outcome = cli("describe", *paths, "--show-input", "--bands", "3,2,1", "--json")
    assert json.loads(outcome.stdout)["after"]["bands"] == [3, 2, 1]
    outcome = cli("describe", paths[0], tmp_path / "absent.tif", "--show-input")
    assert outcome.code == 2 and "absent.tif: no such file" in outcome.stderr
