"""What a scene takes is said before the work, and too small a disk is refused then."""

from collections import namedtuple
from pathlib import Path

import pytest
from scenes import ArrayPair, PixelModel, landscape, noise, write_raster

from semantic_cc.errors import OutputError
from semantic_cc.scene import scene_plan
from semantic_cc.scene.describe_scene import describe_scene, prepare_scene
from semantic_cc.scene.scene_plan import ScenePlan, measure_window, plan_scene
from semantic_cc.scene.tiling import Tiling

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    return [write_raster(tmp_path / f"{seed}.tif", landscape(300, 400, seed)) for seed in (1, 2)]


def test_the_plan_counts_windows_and_bytes() -> None:
    plan = plan_scene(ArrayPair(noise(500, 700), noise(500, 700)), Tiling(256, 64))
    assert (plan.windows, plan.empty_windows) == (4 * 5, 0) and not plan.is_long
    assert plan.work_bytes == 700 * 256 * (8 * 3 + 1)
    assert plan.disk_bytes == round(500 * 700 * 3.5 + 64 * 1 * 2 * 4 / 3)


def test_the_line_says_windows_time_disk_and_memory() -> None:
    plan = ScenePlan(
        windows=10_000,
        empty_windows=1_075_764,
        tile=256,
        disk_bytes=round(3.2e9),
        write_seconds=40,
        work_bytes=10**9,
    )
    line = plan.line(0.5, round(50e9))
    assert line.startswith(
        "plan: 10,000 windows of 256 pixels (1,075,764 more are empty and cost nothing), about 1:24:00"
    )
    assert (
        "then the sentence of each place; up to 3.2 GB on disk (50 GB are free)" in line
        and "of memory" in line
        and plan.is_long
    )


@pytest.mark.parametrize(
    "work",
    [
        lambda *images, out: prepare_scene(*images, out=out).__enter__(),
        lambda *images, out: describe_scene(PixelModel(), *images, out=out),
    ],
)
def test_a_disk_that_is_too_small_is_refused_before_the_work(
    work, pair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene_plan.shutil, "disk_usage", lambda _: Usage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(
        OutputError, match=r"out: the scene takes up to 0.00042 GB on disk .* choose another --out"
    ):
        work(*pair, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_an_interrupted_run_holds_counts_as_free(
    pair: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out" / ".scan").mkdir(parents=True)
    (tmp_path / "out" / ".scan" / "mask").write_bytes(bytes([1]) * 500_000)
    monkeypatch.setattr(scene_plan.shutil, "disk_usage", lambda _: Usage(10**6, 10**6 - 1000, 1000))
    with prepare_scene(*pair, out=tmp_path / "out") as scene:
        assert scene.plan.windows == 6


def test_a_window_is_timed() -> None:
    assert 0 < measure_window(PixelModel(), 32, 2) < 10
