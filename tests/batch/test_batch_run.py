"""Batches of small pairs: what is left, what goes wrong with one pair, and starting again."""

import dataclasses
import json
import resource
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pyarrow.dataset
import pytest
import shapely
from batches import SETTINGS, TalkingModel, archive, left, manifest, run, table
from PIL import Image
from processes import forked, survives_kills
from scenes import landscape, write_raster

from semantic_cc.batch.batch_run import BatchProgress
from semantic_cc.batch.pair_worker import BatchSettings
from semantic_cc.batch.throughput import throughput_line
from semantic_cc.errors import OutputError
from semantic_cc.files import locked
from semantic_cc.scene.geodesy import cut_at_antimeridian

SCENE_FILES = {
    "mask.tif", "probability.tif", "scene.json", "changes.parquet", "report.json", "report.html", "pair.json",
}  # fmt: skip
PICTURE_FILES = {
    "mask.png", "probability.png", "overlay.png", "heatmap.png", "report.json", "changes.parquet", "pair.json",
}  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def with_options(**options: object) -> BatchSettings:
    return dataclasses.replace(SETTINGS, options=dataclasses.replace(SETTINGS.options, **options))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def times(out: Path) -> dict[Path, int]:
    """Of all files that belong to one pair."""
    return {path: path.stat().st_mtime_ns for path in (out / "pairs").rglob("*") if path.is_file()}


def test_scenes_and_pictures_and_a_bad_pair_among_them(tmp_path: Path, out: Path) -> None:
    summary = run(archive(tmp_path / "in", scenes=2, bad=True), out)
    assert (summary.pairs, summary.done, summary.failed) == (4, 3, 1)
    assert summary.to_json() == json.loads((out / "batch.json").read_text())
    assert names(out) == {"pairs", "changes", "pairs.csv", "batch.json"}
    assert names(out / "pairs") == {"scene 0", "scene 1", "plain%2F0"}
    assert names(out / "pairs" / "scene 0") == SCENE_FILES
    assert names(out / "pairs" / "plain%2F0") == PICTURE_FILES
    rows = table(out)
    assert list(rows) == ["scene 0", "bad", "scene 1", "plain/0"]
    assert [row["status"] for row in rows.values()] == ["done", "failed", "done", "done"]
    assert "broken.tif" in rows["bad"]["reason"] and rows["bad"]["folder"] == ""
    report = json.loads((out / "pairs" / "scene 0" / "report.json").read_text())
    row, figures = rows["scene 0"], report["figures"]
    assert (row["sentence"], row["kind"], row["crs"]) == (report["sentence"], "scene", "EPSG:32614")
    for name in ("building", "road"):
        assert int(row[f"{name}s"]) == figures["classes"][name]["objects"]
        assert float(row[f"{name}_m2"]) == figures["classes"][name]["area_m2"]
    assert float(row["changed_share"]) == pytest.approx(figures["changed_share"], abs=1e-6)
    assert rows["plain/0"]["sentence"].startswith("pixels differ") and rows["plain/0"]["building_m2"] == ""


def test_all_changes_are_one_dataset(tmp_path: Path, out: Path) -> None:
    run(archive(tmp_path / "in"), out)
    frame = geopandas.read_parquet(out / "changes")
    assert frame.crs == "EPSG:4326" and set(frame["part"].str.len()) == {3}
    kept = {name: frame[frame["pair"] == name].reset_index() for name in table(out)}
    for name, part in kept.items():
        own = geopandas.read_parquet(out / "pairs" / name.replace("/", "%2F") / "changes.parquet")
        columns = list(own.columns.drop("geometry"))
        pandas.testing.assert_frame_equal(part[columns], own[columns])
        assert len(set(part["part"])) <= 1
        if own.crs is None:
            assert len(own) and part.geometry.isna().all() and part["crs"].isna().all()
        else:
            assert set(part["crs"]) <= {"EPSG:32614"}
            back = part.geometry.to_crs(own.crs)
            assert all(shapely.hausdorff_distance(back.values, own.geometry.values) < 1e-3)
    assert len(kept["scene 0"]) and not len(kept["scene 2"])
    other = pyarrow.dataset.dataset(out / "changes", partitioning="hive").to_table()
    assert other.num_rows == len(frame) and "bbox" in other.column_names
    west, south, east, north = kept["scene 0"].total_bounds
    inside = geopandas.read_parquet(out / "changes", bbox=(west, south, east, north))
    assert "scene 0" in set(inside["pair"])


def test_a_polygon_across_the_antimeridian_is_cut_there() -> None:
    east = np.array([180, 0])
    comb = shapely.box(179, 0, 182, 9) - shapely.box(181, 1, 182, 8)  # two parts in the west
    wrapped = shapely.transform(comb, lambda points: (points + east) % (360, 99) - east)
    for shape in (wrapped, comb):
        cut = cut_at_antimeridian(shape)
        assert cut.is_valid and cut.bounds == (-180, 0, 180, 9)
        assert cut.area == pytest.approx(comb.area)
    plain = shapely.box(170, 0, 180, 9)
    assert cut_at_antimeridian(plain) is plain


def test_a_second_run_leaves_everything_as_it_is(tmp_path: Path, out: Path) -> None:
    path = archive(tmp_path / "in", bad=True)
    run(path, out)
    before, first = times(out), left(out)
    seen: list[BatchProgress] = []
    run(path, out, progress=seen.append)
    assert times(out) == before and left(out) == first
    assert (seen[0].before, seen[-1].worked, seen[-1].failed) == (4, 1, 1)  # the bad one is tried again


@pytest.mark.parametrize("what", ["input", "settings", "file", "model"])
def test_what_a_pair_depends_on_decides_whether_it_is_done_again(
    what: str, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = archive(tmp_path / "in", scenes=2, pictures=1)
    run(path, out)
    settings, again = SETTINGS, {"scene 0"}
    if what == "input":
        write_raster(tmp_path / "in" / "after0.tif", landscape(90, 100, 77))
    elif what == "settings":
        settings, again = with_options(regularise=True), {"scene 0", "scene 1"}
    elif what == "file":
        (out / "pairs" / "scene 0" / "mask.tif").unlink()
    else:
        monkeypatch.setattr(TalkingModel, "digest", "d2")
        again = {"scene 0", "scene 1", "plain/0"}
    seen: list[str] = []
    run(path, out, settings, progress=lambda progress: progress.last and seen.append(progress.last.id))
    assert set(seen) == again
    run(path, tmp_path / "fresh", settings)
    assert left(out) == left(tmp_path / "fresh")


def pictures(folder: Path, sizes: list[int]) -> Path:
    """A manifest of plain pairs of these sides; the first pixel of an earlier image is its number."""
    folder.mkdir()
    rows = []
    for number, side in enumerate(sizes):
        for date in "ab":
            picture = landscape(side, side, 2 * number + (date == "b"))
            picture[0, 0] = number
            Image.fromarray(picture).save(folder / f"{date}{number}.png")
        rows.append((str(number), f"a{number}.png", f"b{number}.png"))
    return manifest(folder, rows)


def test_consecutive_pictures_of_one_size_are_described_together(tmp_path: Path, out: Path) -> None:
    path = pictures(tmp_path / "in", [32, 32, 32, 32, 48, 48, 32, 64, 64, 64])
    TalkingModel.batches.clear()
    run(path, out)
    assert TalkingModel.batches == [3, 1, 1, 1, 1, 2, 1]
    TalkingModel.batches.clear()
    run(path, tmp_path / "single", model={"pair_batches": {}})
    assert TalkingModel.batches == [1] * 10
    assert left(out) == left(tmp_path / "single")


def test_a_picture_that_fails_fails_by_itself(tmp_path: Path, out: Path) -> None:
    path = pictures(tmp_path / "in", [32] * 5)
    (tmp_path / "in" / "b3.png").write_bytes(b"no image")
    assert run(path, out, model={"refuses": 1}).failed == 2
    rows = table(out)
    assert {name: row["reason"] for name, row in rows.items() if row["status"] == "failed"}.keys() == {
        "1",
        "3",
    }
    assert rows["1"]["reason"] == "refused" and "b3.png" in rows["3"]["reason"]


def test_nothing_of_an_outdated_or_failed_result_stays(tmp_path: Path, out: Path) -> None:
    path = archive(tmp_path / "in", scenes=1, pictures=1)
    run(path, out, with_options(formats=("gpkg",)))
    assert "changes.gpkg" in names(out / "pairs" / "scene 0")
    (tmp_path / "in" / "after0.tif").write_bytes(b"no image")
    run(path, out)
    assert names(out / "pairs") == {"plain%2F0"}
    assert set(geopandas.read_parquet(out / "changes")["pair"]) == {"plain/0"}
    write_raster(tmp_path / "in" / "after0.tif", landscape(90, 100, 2))
    assert run(path, out).failed == 0
    assert names(out / "pairs" / "scene 0") == SCENE_FILES


def test_values_of_a_row_come_before_the_batchs(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "in"
    archive(folder, scenes=1, pictures=1)
    rows = [
        ("scene", "before0.tif", "after0.tif", "3,2,1", "", "2020-01-01", "2024-01-01"),
        ("plain", "a0.png", "b0.png", "", "", "", ""),
        ("dated", "a0.png", "b0.png", "", "", "2020-01-01", "2024-01-01"),
        ("bare", "a0.png", "b0.png", "1,2,3", "", "", ""),
    ]
    run(manifest(folder, rows, "id,before,after,bands,crs,date_before,date_after"), out)
    scene = json.loads((out / "pairs" / "scene" / "report.json").read_text())
    assert [image["bands"] for image in scene["inputs"]] == [[3, 2, 1]] * 2
    item = json.loads((out / "pairs" / "scene" / "scene.json").read_text())["properties"]
    assert (item["start_datetime"], item["end_datetime"]) == ("2020-01-01T00:00:00Z", "2024-01-01T00:00:00Z")
    assert [row["kind"] for row in table(out).values()] == ["scene", "plain", "plain", ""]
    notes = [
        json.loads((out / "pairs" / name / "pair.json").read_text())["notes"] for name in ("plain", "dated")
    ]
    assert notes[1] == [*notes[0], "the dates are not used, because these are plain images"]
    assert "plain images, for which bands and crs mean nothing" in table(out)["bare"]["reason"]


def test_a_new_manifest_adds_and_takes_away(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "in"
    run(archive(folder, scenes=1), out)
    seen: list[BatchProgress] = []
    path = manifest(folder, [("x", "before0.tif", "after0.tif"), ("plain/0", "a0.png", "b0.png")])
    run(path, out, progress=seen.append)
    assert (seen[0].before, seen[-1].worked) == (1, 1)
    assert list(table(out)) == ["x", "plain/0"]
    assert set(geopandas.read_parquet(out / "changes")["pair"]) == {"x", "plain/0"}
    assert "scene 0" in names(out / "pairs")  # results are never deleted because a manifest is shorter


def test_what_nobody_foresaw_fails_one_pair(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def describe_batch(self, before, after, instruction=None):
        raise ZeroDivisionError("odd\npixels")

    monkeypatch.setattr(TalkingModel, "describe_batch", describe_batch)
    summary = run(archive(tmp_path / "in"), out)
    reason = table(out)["plain/0"]["reason"]
    assert (
        reason.startswith("unexpected ZeroDivisionError (test_batch_run.py, line ") and "odd pixels" in reason
    )
    assert summary.done == 1  # the scene without a change asks nothing
    assert (
        names(out / "pairs" / "scene 0") == names(out / "pairs" / "scene 1") == {".scan"}
    )  # it can continue


def test_a_batch_of_failures_has_a_table_and_no_dataset(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    long = "x" * 300  # more than any file system takes
    run(manifest(folder, [("a", "none.tif", "none.tif"), ("b", long, long)]), out)
    assert "none.tif: no such file" in table(out)["a"]["reason"] and table(out)["b"]["reason"]
    assert names(out) == {"pairs.csv", "batch.json", "pairs"} and not names(out / "pairs")


def test_plain_pairs_are_checked_as_describe_checks_them(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "in"
    archive(folder, scenes=0, pictures=1)
    Image.new("RGB", (64, 48)).save(folder / "black.png")
    run(manifest(folder, [("black", "a0.png", "black.png"), ("twice", "a0.png", "a0.png")]), out)
    assert "black.png: has one value only" in table(out)["black"]["reason"]
    assert "the same file" in table(out)["twice"]["notes"]


def test_files_of_others_are_left_alone(tmp_path: Path, out: Path) -> None:
    notes = out / "pairs" / "scene 0" / "notes.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    run(archive(tmp_path / "in", scenes=2), out)
    assert "holds other files than a pair's results" in table(out)["scene 0"]["reason"]
    assert names(notes.parent) == {"notes.txt"} and table(out)["scene 1"]["status"] == "done"


@pytest.mark.parametrize("link", [False, True])
def test_an_image_among_the_results_stops_the_batch_before_any_work(
    link: bool, tmp_path: Path, out: Path
) -> None:
    folder = tmp_path / "in"
    run(archive(folder, scenes=2), out)
    image = out / "pairs" / "scene 1" / "mask.tif"
    if link:
        (folder / "linked.tif").hardlink_to(image)
    before = left(out)
    path = manifest(folder, [("scene 1", "before1.tif", str(folder / "linked.tif" if link else image))])
    with pytest.raises(OutputError, match="would overwrite this input"):
        run(path, out)
    assert left(out) == before


def test_a_full_disk_fails_pairs_that_are_done_later(tmp_path: Path, out: Path) -> None:
    path = archive(tmp_path / "in", pictures=0)
    run(path, tmp_path / "whole")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))  # a write beyond it fails as on a full disk
        run(path, out)

    process = forked(limited)
    process.join()
    assert process.exitcode == 0
    rows = table(out).values()
    assert {row["status"] for row in rows} == {"failed"} and all(
        "free space" in row["reason"] for row in rows
    )
    run(path, out)
    assert left(out) == left(tmp_path / "whole")


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path, out: Path) -> None:
    path = archive(tmp_path / "in", scenes=1)
    with locked(out / ".lock"), pytest.raises(OutputError, match="another run is writing there"):
        run(path, out)
    assert names(out) == set()
    run(path, out)


def _survives(tmp_path: Path, kills: int, **options) -> None:
    path = archive(tmp_path / "in", bad=True)
    formats = ("parquet", "gpkg", "geojson", "fgb") if kills > 5 else ("parquet",)
    settings = with_options(formats=formats)
    survives_kills(
        lambda name: run(path, tmp_path / name, settings, {"pause": 0.02}, **options),
        lambda name: left(tmp_path / name),
        kills,
    )


def test_five_random_kills_change_nothing(tmp_path: Path) -> None:
    _survives(tmp_path, 5)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_twenty_random_kills_change_nothing(workers: int, tmp_path: Path) -> None:
    _survives(tmp_path, 20, workers=workers)


def test_two_workers_leave_what_one_leaves_though_one_is_killed(tmp_path: Path, out: Path) -> None:
    path = archive(tmp_path / "in", bad=True)
    run(path, out)
    once = tmp_path / "once"
    seen: list[BatchProgress] = []
    model = {"dies_at": 1, "once": once}
    run(path, tmp_path / "two", model=model, workers=2, progress=seen.append)
    assert once.exists() and [progress.worked for progress in seen] == list(range(6))
    assert left(tmp_path / "two") == left(out)


@pytest.mark.slow
def test_a_pair_that_kills_every_process_fails_alone(tmp_path: Path, out: Path) -> None:
    run(archive(tmp_path / "in"), out, model={"dies_at": 1}, workers=2)
    failed = {name: row["reason"] for name, row in table(out).items() if row["status"] == "failed"}
    assert list(failed) == ["scene 1"] and failed["scene 1"].startswith("3 processes died of it")


def test_pace_counts_this_run_alone() -> None:
    assert throughput_line(BatchProgress(500, 100), 5.0) == "100 of 500 pairs"
    line = throughput_line(BatchProgress(500, 100, 40, 2), 60.0)
    assert line == "140 of 500 pairs, 2 failed, 40 pairs/min, ETA 0:09:00"
