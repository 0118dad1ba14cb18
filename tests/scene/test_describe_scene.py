"""From two rasters to mask, probability and scene.json, through kills and full disks."""

import hashlib
import json
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from processes import forked, survives_kills
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rio_cogeo import cog_validate
from scenes import PLACE, UTM, PixelModel, landscape, noise, write_raster

from semantic_cc import __version__
from semantic_cc.decisions import class_mask
from semantic_cc.errors import DeviceMemoryError, ImageError, InputError
from semantic_cc.figures.colours import CLASS_COLOURS
from semantic_cc.scene.change_map import device_batch, open_scene
from semantic_cc.scene.scan_state import MASK_UNKNOWN, PROBABILITY_STEPS, PROBABILITY_UNKNOWN
from semantic_cc.scene.scene_options import SceneOptions
from semantic_cc.scene.scene_report import SceneReport
from semantic_cc.scene.step_clock import STEPS
from semantic_cc.types import BUILDING, ROAD, ChangeMaps

OPTIONS = SceneOptions(tile=64, overlap=16, formats=("gpkg",))
FILES = {"mask.tif", "probability.tif", "changes.gpkg", "report.json", "report.html", "scene.json"}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two images of 300 x 260 pixels; a corner of the later one is nodata."""
    after = landscape(260, 300, 2)
    after[:40, :70] = 0
    return (
        write_raster(tmp_path / "before.tif", landscape(260, 300, 1)),
        write_raster(tmp_path / "after.tif", after, nodata=0),
    )


def mapped(pair: tuple[Path, Path], out: Path, model: PixelModel | None = None) -> SceneReport:
    return (model or PixelModel()).describe_scene(*pair, out=out, options=OPTIONS)


def outcome(out: Path) -> dict[str, object]:
    """All that a run leaves, except for the times it took."""
    kept = (path for path in out.iterdir() if path.suffix in (".tif", ".html"))
    found: dict[str, object] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}
    report = json.loads((out / "report.json").read_text())
    assert tuple(report.pop("timings")) == (*STEPS, "total") and report.pop("created")
    return {**found, "report": report, "files": sorted(path.name for path in out.iterdir())}


def test_the_files_and_what_they_say(pair: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = mapped(pair, out)
    assert {path.name for path in out.iterdir()} == FILES == set(report.files)
    for name in ("mask.tif", "probability.tif"):
        assert cog_validate(out / name) == (True, [], [])
    with rasterio.open(pair[0]) as before, rasterio.open(pair[1]) as after:
        images = [file.read().transpose(1, 2, 0) for file in (before, after)]
        known = after.dataset_mask() > 0
    expected = PixelModel().predict_masks(images[0][None], images[1][None]).class_probabilities[0]
    with rasterio.open(out / "mask.tif") as mask:
        assert (mask.transform, mask.crs, mask.nodata) == (PLACE, UTM, MASK_UNKNOWN)
        np.testing.assert_array_equal(mask.read(1), np.where(known, class_mask(expected), MASK_UNKNOWN))
        assert mask.colorinterp == (ColorInterp.palette,)
        colours = mask.colormap(1)
        assert {value: colours[value][:3] for value in (ROAD, BUILDING)} == CLASS_COLOURS
        tags = mask.tags()
    assert tags["TIFFTAG_SOFTWARE"] == f"semantic-cc {__version__}"
    assert (tags["SEMANTIC_CC_MODEL"], tags["SEMANTIC_CC_MODEL_DIGEST"]) == ("pixels", "d1")
    assert (tags["SEMANTIC_CC_BEFORE"], tags["SEMANTIC_CC_AFTER"]) == tuple(map(str, pair))
    with rasterio.open(out / "probability.tif") as probability:
        assert (probability.transform, probability.crs) == (PLACE, UTM)
        assert probability.nodata == PROBABILITY_UNKNOWN
        values = probability.read(1, masked=True) * probability.scales[0]
    np.testing.assert_array_equal(values.mask, ~known)
    assert np.abs(values - (1 - expected[0])).max() <= 0.5 / PROBABILITY_STEPS + 1e-6
    figures = report.figures
    assert (figures.known_pixels, figures.unknown_pixels) == (known.sum(), (~known).sum())
    assert figures.known_area_m2 == pytest.approx(known.sum() / 4, rel=1e-3)
    assert figures.changed_pixels == (class_mask(expected)[known] > 0).sum()


def test_twenty_random_kills_change_nothing(pair: tuple[Path, Path], tmp_path: Path) -> None:
    class SlowModel(PixelModel):
        def predict_masks(self, before, after):
            time.sleep(0.01)
            return super().predict_masks(before, after)

    survives_kills(
        lambda name: mapped(pair, tmp_path / name, SlowModel()), lambda name: outcome(tmp_path / name)
    )


def test_a_second_start_does_not_look_twice(pair: tuple[Path, Path], tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    class Counting(PixelModel):
        seen, last = 0, 10**9

        def predict_masks(self, before, after):
            self.seen += len(before)
            if self.seen > self.last:
                raise Killed
            return super().predict_masks(before, after)

    whole = Counting()
    mapped(pair, tmp_path / "whole", whole)
    cut, rest = Counting(), Counting()
    cut.last = 4 * 6  # four rows of windows of six
    with pytest.raises(Killed):
        mapped(pair, tmp_path / "cut", cut)
    mapped(pair, tmp_path / "cut", rest)
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
    assert rest.seen <= whole.seen - 3 * 6 + 6  # the last finished row is looked at again


def test_what_another_job_left_is_not_used(pair: tuple[Path, Path], tmp_path: Path) -> None:
    expected = mapped(pair, tmp_path / "whole")
    out = tmp_path / "out"

    class Broken(PixelModel):
        def predict_masks(self, before, after):
            if (out / ".scan" / "state.json").exists():
                raise KeyboardInterrupt
            return super().predict_masks(before, after)

    with pytest.raises(KeyboardInterrupt):
        mapped((pair[1], pair[0]), out, Broken())
    assert mapped(pair, out).figures == expected.figures
    assert outcome(out)["mask.tif"] == outcome(tmp_path / "whole")["mask.tif"]


class Unsure(PixelModel):
    """Finds no change, with probabilities that do not compress."""

    def predict_masks(self, before: np.ndarray, after: np.ndarray) -> ChangeMaps:
        none = 0.6 + before[..., 0].astype(np.float32) / 1000  # (n, h, w)
        return ChangeMaps(np.stack([none, 0.1 + 0 * none, 0.9 - none], axis=1))


@pytest.mark.parametrize("share", [0.25, 0.8, 0.97, 0.999])
def test_a_full_disk_leaves_what_was_there(
    share: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The limits strike in the scan, or in the writing of a later file."""
    pair = tuple(write_raster(tmp_path / f"{seed}.tif", noise(260, 300, seed)) for seed in (1, 2))
    whole, out = tmp_path / "whole", tmp_path / "out"
    mapped(pair, whole, Unsure())
    mapped((pair[1], pair[0]), out, Unsure())
    before = outcome(out)
    limit = int((whole / "probability.tif").stat().st_size * share)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # a write beyond it fails as on a full disk
        mapped(pair, out, Unsure())

    run = forked(limited)
    run.join()
    assert run.exitcode == 1
    said = capfd.readouterr().out
    assert "free space" in said and said.count("cannot") == 1
    assert outcome(out) == {**before, "files": [".scan", *before["files"]]}
    mapped(pair, out, Unsure())
    assert outcome(out) == outcome(whole)


def test_strict_refuses_what_else_is_a_warning(tmp_path: Path) -> None:
    dark, light = noise(80, 80) // 8 + 4, noise(80, 80, 1) // 8 + 164
    paths = write_raster(tmp_path / "dark.tif", dark), write_raster(tmp_path / "light.tif", light)
    with open_scene(*paths, SceneOptions()) as (_, inspection):
        assert [finding.check for finding in inspection.findings] == ["radiometry"]
    with (
        pytest.raises(InputError, match=r"mean levels differ by 160 of 255.*without --strict"),
        open_scene(*paths, SceneOptions(strict=True)),
    ):
        pass


def test_an_unreadable_tile_is_named_and_nothing_is_half_written(tmp_path: Path) -> None:
    before = write_raster(tmp_path / "before.tif", landscape(300, 300, 1))
    after = write_raster(
        tmp_path / "after.tif",
        landscape(300, 300, 2),
        tiled=True,
        blockxsize=64,
        blockysize=64,
        compress="deflate",
    )
    content = bytearray(after.read_bytes())
    middle = len(content) * 3 // 4
    content[middle : middle + 400] = bytes(400)
    after.write_bytes(content)
    out = tmp_path / "out"
    with pytest.raises(ImageError, match=r"after.tif: .*cannot be read"):
        mapped((before, after), out)
    assert not (out / "mask.tif").exists()


@pytest.mark.parametrize(("room", "batch"), [(100, 64), (64, 64), (20, 16), (1, 1)])
def test_a_gpu_gets_the_batch_that_its_memory_holds(room: int, batch: int) -> None:
    class SmallGpu(PixelModel):
        def predict_masks(self, before, after):
            if len(before) > room:
                raise DeviceMemoryError("the memory does not suffice")
            return super().predict_masks(before, after)

    model = SmallGpu()
    assert device_batch(model, 32) == 4
    model.device = "cuda"
    assert device_batch(model, 32) == batch


@pytest.mark.parametrize(
    ("system", "corner"), [("EPSG:3413", (-75, 65)), ("EPSG:32660", (829_780, 1_000_065))]
)
def test_a_scene_over_a_pole_or_the_antimeridian(
    system: str, corner: tuple[float, float], tmp_path: Path
) -> None:
    place = Affine(0.5, 0, corner[0], 0, -0.5, corner[1])
    pair = [
        write_raster(tmp_path / f"{seed}.tif", landscape(260, 300, seed), place, system) for seed in (1, 2)
    ]
    options = SceneOptions(tile=64, overlap=16)
    report = PixelModel().describe_scene(*pair, out=tmp_path / "out", options=options)
    with rasterio.open(tmp_path / "out" / "mask.tif") as mask:
        assert mask.crs == CRS.from_string(system) and mask.transform == place
        changed = (mask.read(1) > MASK_UNKNOWN).sum()
    across, down = report.grid.pixel_size_m
    found = geopandas.read_file(tmp_path / "out" / "changes.geojson")
    assert found.is_valid.all() and np.abs(found.total_bounds).max() <= 180
    assert found.total_bounds[0] < -179 and found.total_bounds[2] > 179
    assert found["area_m2"].sum() == pytest.approx(changed * across * down, rel=1e-3)
    assert geopandas.read_file(tmp_path / "out" / "changes.gpkg").crs == system


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_forked_and_spawned_processes_describe_scenes(
    method: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """GDAL is in use in the parent by then."""
    expected = mapped(pair, tmp_path / "here")
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        runs = [
            pool.submit(PixelModel().describe_scene, *pair, out=tmp_path / name, options=OPTIONS)
            for name in "ab"
        ]
        others = [run.result() for run in runs]
    assert [other.figures for other in others] == [expected.figures] * 2
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b") == outcome(tmp_path / "here")
