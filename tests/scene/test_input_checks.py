"""What is measured before a scene is worked on."""

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import PLACE, landscape, noise, write_raster
from scipy import fft, ndimage

from semantic_cc.errors import InputError
from semantic_cc.scene.common_grid import open_pair
from semantic_cc.scene.coregister import SAMPLE_TILE, measure_shift, sample_windows, window_shift
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.input_checks import inspect_pair


def moved(picture: np.ndarray, columns: float, rows: float) -> np.ndarray:
    """The content moved right and down by parts of a pixel, wrapped around (through its Fourier transform)."""
    planes = fft.fft2(picture.astype(float), axes=(0, 1))
    shifted = np.stack(
        [ndimage.fourier_shift(planes[..., band], (rows, columns)) for band in range(3)], axis=2
    )
    return fft.ifft2(shifted, axes=(0, 1)).real.clip(0, 255).round().astype(np.uint8)


@settings(max_examples=25, deadline=None)
@given(columns=st.floats(-12, 12), rows=st.floats(-12, 12), gain=st.floats(0.5, 1.4))
def test_a_shift_is_found_to_a_tenth_of_a_pixel_in_another_light(
    columns: float, rows: float, gain: float
) -> None:
    before = ndimage.gaussian_filter(landscape(256, 256).astype(float), (1, 1, 0))
    after = (moved(before, columns, rows) * gain + 10).clip(0, 255)
    (found_columns, found_rows), peak = window_shift(before, after)
    assert abs(found_columns - columns) < 0.1 and abs(found_rows - rows) < 0.1
    assert peak > 6


def test_windows_without_a_peak_do_not_vote() -> None:
    known = np.ones((128, 128), bool)
    picture = landscape(128, 128)
    good = (picture, np.roll(picture, (0, 5), axis=(0, 1)), known)
    empty = (np.full((128, 128, 3), 90, np.uint8),) * 2 + (known,)
    unlike = (noise(128, 128, 1), noise(128, 128, 2), known)
    hidden = (*good[:2], ~known)
    shift = measure_shift([good, good, good, empty, unlike, unlike, hidden])
    assert (shift.columns, shift.rows, shift.windows) == (
        pytest.approx(5, abs=0.1),
        pytest.approx(0, abs=0.1),
        3,
    )
    assert measure_shift([empty, unlike, hidden]) is None
    assert measure_shift([good, empty, empty]) is None
    assert measure_shift([good]) is None


@given(height=st.integers(1, 4000), width=st.integers(1, 4000))
def test_sample_windows_lie_within_and_apart(height: int, width: int) -> None:
    pair = SimpleNamespace(grid=Grid(width, height, PLACE, None), may_show=lambda *_: np.ones((1, 1), bool))
    windows = sample_windows(pair)
    assert 1 <= len(windows) <= 49
    for window in windows:
        assert 0 <= window.top <= height - window.height and 0 <= window.left <= width - window.width
    tops, lefts = (sorted({getattr(window, name) for window in windows}) for name in ("top", "left"))
    for starts, side in ((tops, height), (lefts, width)):
        size = windows[0].height if starts is tops else windows[0].width
        assert all(
            b - a >= (SAMPLE_TILE if side >= 3 * SAMPLE_TILE else size // 2) for a, b in pairwise(starts)
        )
        assert len(starts) == (1 if side < 96 else 2 if side < 128 else min(7, max(3, side // SAMPLE_TILE)))


def test_sample_windows_of_a_sparse_scene_lie_where_it_holds_something() -> None:
    def may_show(tops, lefts, height: int, width: int) -> np.ndarray:
        rows, columns = np.asarray(tops)[:, None], np.asarray(lefts)
        return (rows < 40_000) & (rows + height + 1000 > 40_000) & (columns > 99_000)

    windows = sample_windows(SimpleNamespace(grid=Grid(100_000, 100_000, PLACE, None), may_show=may_show))
    assert len(windows) == 5 * 3
    assert all(may_show([window.top], [window.left], window.height, window.width) for window in windows)


def inspected(
    tmp_path: Path, before: np.ndarray, after: np.ndarray, transform=PLACE, coregister=False, **profile
):
    first = write_raster(tmp_path / "before.tif", before, transform, **profile)
    with open_pair(first, write_raster(tmp_path / "after.tif", after, transform, **profile)) as pair:
        return inspect_pair(pair, coregister=coregister)


def test_a_good_pair_has_no_findings(tmp_path: Path) -> None:
    picture = landscape(600, 600)
    inspection = inspected(tmp_path, picture, (picture * 0.9).astype(np.uint8))
    assert inspection.measured["shift_columns"] == pytest.approx(0, abs=0.05)
    assert inspection.measured["metres_across"] == pytest.approx(0.5, rel=1e-3)
    assert inspection.findings == ()


def test_a_shifted_pair_is_found_and_mended(tmp_path: Path) -> None:
    picture = landscape(600, 600)
    after = np.roll(darker(picture), (3, -4), axis=(0, 1))
    (finding,) = inspected(tmp_path, picture, after).findings
    assert (finding.check, finding.value) == ("co-registration", pytest.approx(5, abs=0.1))
    assert "-4.0 across, +3.0 down" in finding.message and "--coregister" in finding.message
    mended = inspected(tmp_path, picture, after, coregister=True)
    assert mended.findings == () and mended.shift.length < 0.2
    assert mended.measured["removed_columns"] == pytest.approx(-4, abs=0.1)


def darker(picture: np.ndarray) -> np.ndarray:
    """The same ground in another light."""
    return (picture * 0.7 + 1).astype(np.uint8)


def torn(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A pair without one shift: its quarters move in four directions."""
    picture, half = landscape(side, side), side // 2
    after = picture.copy()
    for top, left, shift in ((0, 0, (10, 0)), (0, half, (0, 10)), (half, 0, (4, 4)), (half, half, (-2, -2))):
        part = np.s_[top : top + half, left : left + half]
        after[part] = np.roll(picture, shift, axis=(0, 1))[part]
    return picture, after


@pytest.mark.parametrize("side", [128, 256, 320, 500])
def test_a_small_scene_is_measured_in_several_places(side: int, tmp_path: Path) -> None:
    picture = landscape(side, side)
    shift = inspected(tmp_path, picture, np.roll(picture, (3, -4), axis=(0, 1))).shift
    assert shift.windows == 9 and (shift.columns, shift.rows) == (
        pytest.approx(-4, abs=0.1),
        pytest.approx(3, abs=0.1),
    )


def test_places_that_move_apart_are_no_shift(tmp_path: Path) -> None:
    before, after = torn(320)
    inspection = inspected(tmp_path, before, after)
    assert inspection.shift.windows >= 3 and not inspection.shift.agreed
    assert "co-registration" not in [finding.check for finding in inspection.findings]
    with pytest.raises(InputError, match=r"windows differ by about .* without --coregister"):
        inspected(tmp_path, before, after, coregister=True)


@pytest.mark.parametrize(("side", "words"), [(0.1, "0.1 m on the ground"), (2.5, "2.5 m on the ground")])
def test_ground_sampling_out_of_range(side: float, words: str, tmp_path: Path) -> None:
    from affine import Affine

    transform = Affine.translation(620_000, 3_350_000) @ Affine.scale(side, -side)
    (finding,) = inspected(tmp_path, landscape(300, 300), 255 - landscape(300, 300), transform).findings
    assert finding.check == "ground sampling distance" and words in finding.message


def test_cloud_saturation_blank_and_radiometry_have_numbers(tmp_path: Path) -> None:
    before = landscape(256, 256)
    after = before.copy()
    after[:128] = 230  # half under cloud
    after[:64, :, 0] = 255
    after[200:] = 0  # unknown
    found = {finding.check: finding for finding in inspected(tmp_path, before, after, nodata=0).findings}
    assert found["bright"].value == pytest.approx(128 / 200, abs=0.01)
    assert found["saturated"].value == pytest.approx(64 / 200, abs=0.01)
    assert found["blank"].value == pytest.approx(56 / 256, abs=0.01)
    assert "of the after image is white" in found["bright"].message
    dark, light = noise(64, 64) // 8 + 24, noise(64, 64) // 8 + 164
    (finding,) = inspected(tmp_path, dark, light).findings
    assert (finding.check, finding.value) == ("radiometry", pytest.approx(140, abs=1))


def test_a_shift_that_cannot_be_measured_cannot_be_taken_back(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be measured.*without --coregister"):
        inspected(tmp_path, noise(300, 300, 1), noise(300, 300, 2), coregister=True)


def test_a_pair_without_a_pixel_known_in_both_is_refused(tmp_path: Path) -> None:
    left, right = noise(64, 64) // 2 + 1, noise(64, 64) // 2 + 1
    left[:, 32:], right[:, :32] = 0, 0
    with pytest.raises(InputError, match="no pixel is known in both"):
        inspected(tmp_path, left, right, nodata=0)


@pytest.mark.parametrize("place", ["left", "right", "top", "middle"])
def test_the_unknown_share_is_exact_wherever_it_lies(place: str, tmp_path: Path) -> None:
    after = np.maximum(landscape(320, 320), 1)
    part = {
        "left": np.s_[:, :80],
        "right": np.s_[:, -80:],
        "top": np.s_[:80],
        "middle": np.s_[80:240, 80:240],
    }[place]
    after[part] = 0
    (finding,) = inspected(tmp_path, darker(np.maximum(landscape(320, 320), 1)), after, nodata=0).findings
    assert finding.value == 0.25 and "25% of the common area is unknown" in finding.message


@pytest.mark.parametrize(
    ("tag", "dates"),
    [
        ("TIFFTAG_DATETIME", ("2024:05:01 10:00:00", "2019:05:01 10:00:00")),
        ("DATE_ACQUIRED", ("20240501", "2019-05-01")),
    ],
)
def test_swapped_dates_are_named(tag: str, dates: tuple[str, str], tmp_path: Path) -> None:
    def findings(dates: tuple[str, ...]) -> list[str]:
        paths = []
        for name, date in zip(("a.tif", "b.tif"), dates, strict=True):
            paths.append(write_raster(tmp_path / name, landscape(300, 300, len(paths))))
            with rasterio.open(paths[-1], "r+") as file:
                file.update_tags(**{tag: date})
        with open_pair(*paths) as pair:
            return [finding.message for finding in inspect_pair(pair).findings if finding.check == "dates"]

    (text,) = findings(dates)
    assert "a.tif is dated 2024-05-01, later than" in text and "b.tif (2019-05-01)" in text
    assert findings(dates[::-1]) == [] and findings(("soon", dates[0])) == []


@pytest.mark.parametrize(
    "names", [("2024-05-01 x.tif", "2019-05-01.tif"), ("S2A_20240501T17.tif", "20190501.tif")]
)
def test_dates_in_names_count_where_no_tag_has_one(names: tuple[str, str], tmp_path: Path) -> None:
    paths = [write_raster(tmp_path / name, landscape(300, 300, seed)) for seed, name in enumerate(names)]
    for order, count in ((paths, 1), (paths[::-1], 0)):
        with open_pair(*order) as pair:
            found = [finding for finding in inspect_pair(pair).findings if finding.check == "dates"]
        assert len(found) == count


def test_one_file_given_twice_is_named(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", landscape(300, 300))
    (tmp_path / "link.tif").symlink_to(path)
    (tmp_path / "copy.tif").write_bytes(path.read_bytes())
    for other in ("a.tif", "link.tif", "copy.tif"):
        with open_pair(path, tmp_path / other) as pair:
            assert any("same file" in finding.message for finding in inspect_pair(pair).findings)


def test_one_picture_in_two_encodings_is_named(tmp_path: Path) -> None:
    """Eight bits and JPEG, against 16 bits."""
    picture = ndimage.gaussian_filter(landscape(300, 300), (1, 1, 0))
    first = write_raster(tmp_path / "a.tif", picture, compress="jpeg", photometric="ycbcr")
    second = write_raster(tmp_path / "b.tif", picture.astype(np.uint16) * 257)
    with open_pair(first, second) as pair:
        (finding,) = [finding for finding in inspect_pair(pair).findings if finding.check == "same file"]
    assert "show one picture, perhaps in two encodings" in finding.message
