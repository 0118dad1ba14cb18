"""Tiled = whole, whatever the size, tile, overlap, batch and order."""

import random
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from affine import Affine
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scenes import ArrayPair, PixelModel, noise
from scipy import ndimage

from semantic_cc.errors import InputError
from semantic_cc.scene import blend
from semantic_cc.scene.blend import BlendedPart, RowBlender
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.sliding_window import scan
from semantic_cc.scene.tiling import Tiling, scene_tiling
from semantic_cc.types import ChangeMaps


class MemorySink:
    """Keeps everything; `cut` stops the scan after so many rows of windows, as a kill would."""

    def __init__(self, width: int, cut: int | None = None, num_classes: int = 3) -> None:
        self.rows, self.cut = 0, cut
        self.parts: list[tuple[int, np.ndarray, np.ndarray]] = []
        self.width, self.num_classes = width, num_classes

    def put(self, top: int, count: int, parts: Iterable[BlendedPart]) -> None:
        if self.rows == self.cut:
            raise KeyboardInterrupt
        assert top == sum(part[2].shape[0] for part in self.parts)
        probabilities = np.zeros((self.num_classes, count, self.width), np.float32)
        known = np.zeros((count, self.width), bool)
        for part in parts:
            here = slice(part.left, part.left + part.known.shape[1])
            probabilities[..., here], known[:, here] = part.probabilities, part.known
        self.parts.append((top, probabilities, known))
        self.rows += 1

    @property
    def probabilities(self) -> np.ndarray:
        return np.concatenate([part[1] for part in self.parts], axis=1)

    @property
    def known(self) -> np.ndarray:
        return np.concatenate([part[2] for part in self.parts])


def scanned(
    pair: ArrayPair, tiling: Tiling, batch: int = 4, num_classes: int = 3, **options: object
) -> MemorySink:
    sink = MemorySink(pair.grid.width, num_classes=num_classes)
    scan(
        pair,
        PixelModel(num_classes).predict_masks,
        sink,
        num_classes=num_classes,
        tiling=tiling,
        batch=batch,
        **options,
    )
    return sink


def whole(pair: ArrayPair, num_classes: int = 3) -> np.ndarray:
    return PixelModel(num_classes).predict_masks(pair.before[None], pair.after[None]).class_probabilities[0]


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 3000), width=st.integers(1, 40), turned=st.booleans(), tile=st.integers(1, 400),
    share=st.floats(0, 0.99), batch=st.integers(1, 9),
    num_classes=st.sampled_from([2, 3]),
)  # fmt: skip
@example(height=1, width=1, turned=False, tile=1, share=0, batch=1, num_classes=2)
@example(height=3000, width=40, turned=False, tile=256, share=0.25, batch=8, num_classes=3)
@example(height=97, width=40, turned=True, tile=32, share=0.97, batch=3, num_classes=3)
@example(height=97, width=90, turned=False, tile=32, share=0.5, batch=3, num_classes=3)
def test_tiled_equals_whole(
    height: int,
    width: int,
    turned: bool,
    tile: int,
    share: float,
    batch: int,
    num_classes: int,
) -> None:
    if turned:
        height, width = width, height
    tiling = Tiling(tile, int(share * tile))
    assume(len(tiling.starts(height)) * len(tiling.starts(width)) <= 600)
    pair = ArrayPair(noise(height, width, 1), noise(height, width, 2))
    sink = scanned(pair, tiling, batch, num_classes)
    assert sink.known.all() and sink.known.shape == (height, width)
    np.testing.assert_allclose(sink.probabilities, whole(pair, num_classes), atol=1e-6, rtol=0)


def test_tiled_equals_whole_at_3000_by_3000() -> None:
    pair, sink = ArrayPair(noise(3000, 3000, 1), noise(3000, 3000, 2)), MemorySink(3000, num_classes=2)

    def predict_masks(before: np.ndarray, _: np.ndarray) -> ChangeMaps:
        share = before[..., 0] / np.float32(255)
        return ChangeMaps(np.stack([1 - share, share], axis=1))

    scan(pair, predict_masks, sink, num_classes=2, tiling=Tiling(700, 100), batch=1)
    worst = np.abs(sink.probabilities[1] - pair.before[..., 0] / np.float32(255)).max()
    assert worst < 1e-6


@settings(deadline=None)
@given(
    length=st.integers(1, 3000), tile=st.integers(1, 300), share=st.floats(0, 0.99), phase=st.floats(0, 0.999)
)  # fmt: skip
def test_windows_cover_a_side_and_reach_beyond_it(length: int, tile: int, share: float, phase: float) -> None:
    overlap = int(share * tile)
    tiling = Tiling(tile, overlap, (int(phase * (tile - overlap)), 0))
    starts = tiling.starts(length)
    assert tiling.totals(length).min() >= 1
    if length <= tile:
        assert starts == [0]
        return
    step = tile - overlap
    assert all(later - earlier == step for earlier, later in pairwise(starts))
    shown = [
        min(start + tile, length) - max(start, 0) for start in (starts[0] - step, *starts, starts[-1] + step)
    ]
    assert min(shown[1:-1]) > overlap // 2 >= max(shown[0], shown[-1])
    places = np.arange(length)
    from_border = [np.minimum(places - start, start + tile - 1 - places) for start in starts]
    assert np.max(from_border, axis=0).min() >= overlap // 2


@given(
    length=st.integers(500, 2000), cut=st.integers(0, 200), corner=st.integers(-(10**6), 10**6),
    turn=st.sampled_from([0, 10]),
)  # fmt: skip
def test_a_place_falls_into_the_same_windows_in_any_extent(
    length: int, cut: int, corner: int, turn: int
) -> None:
    step = 0.3
    whole = Grid(length, length, Affine.rotation(turn) @ Affine(step, 0, corner * step, 0, -step, 77.7), None)
    part = Grid(length - cut, length, whole.transform @ Affine.translation(cut, 0), None)
    windows = np.array(Tiling().anchored(whole).starts(length, 1))
    shown = windows[windows + 256 > cut + 32]  # windows that show more than half an overlap of the part
    assert [start + cut for start in Tiling().anchored(part).starts(length - cut, 1)] == shown.tolist()
    assert Tiling().anchored(whole).starts(length, 0) == Tiling().anchored(part).starts(length, 0)


@pytest.mark.parametrize("size", [(400, 500), (1023, 1024), (4096, 5000)])
def test_scenes_of_all_sizes_have_one_rule(size: tuple[int, int]) -> None:
    grid = Grid(*size, Affine(0.5, 0, 620_011, 0, -0.5, 3_350_077), None)
    assert scene_tiling(grid) == Tiling(256, 64).anchored(grid)
    assert scene_tiling(grid, 128) == Tiling(128, 32).anchored(grid)
    assert scene_tiling(grid, 64, 20) == Tiling(64, 20).anchored(grid)


def test_a_scene_without_a_place_begins_with_a_window() -> None:
    assert Tiling().anchored(Grid(900, 900, Affine.identity(), None)) == Tiling()


def test_the_order_of_windows_does_not_matter_to_a_bit() -> None:
    tiling = Tiling(32, 20)
    rng = np.random.default_rng(0)
    columns = len(tiling.starts(100))
    windows = rng.random((columns, 3, 32, 32), dtype=np.float32)

    def blended(order: list[int]) -> np.ndarray:
        blender = RowBlender(32, 100, tiling, 3)
        for column in order:
            blender.add(0, column, windows[column], np.ones((32, 32), bool))
        (part,) = blender.finish(0)[2]
        return part.probabilities

    first = blended(list(range(columns)))
    for seed in range(5):
        order = list(range(columns))
        random.Random(seed).shuffle(order)
        np.testing.assert_array_equal(blended(order), first)


def test_neither_batch_nor_a_new_start_changes_a_bit() -> None:
    known = np.random.default_rng(3).random((200, 150)) > 0.3
    pair = ArrayPair(noise(200, 150, 1), noise(200, 150, 2), known)
    tiling = Tiling(48, 33, (7, 3))
    expected = scanned(pair, tiling)
    np.testing.assert_array_equal(expected.known, known)
    for batch in (1, 7):
        np.testing.assert_array_equal(scanned(pair, tiling, batch).probabilities, expected.probabilities)
    for cut in range(len(tiling.starts(200))):
        sink = MemorySink(150, cut)
        with pytest.raises(KeyboardInterrupt):
            scan(pair, PixelModel().predict_masks, sink, num_classes=3, tiling=tiling, batch=4)
        assert sink.rows == cut
        sink.cut = None
        scan(pair, PixelModel().predict_masks, sink, num_classes=3, tiling=tiling, batch=4)
        np.testing.assert_array_equal(sink.probabilities, expected.probabilities)
        np.testing.assert_array_equal(sink.known, expected.known)


def test_a_finished_scan_reads_nothing_more() -> None:
    pair, tiling = ArrayPair(noise(60, 60, 1), noise(60, 60, 2)), Tiling(32, 8)
    sink = scanned(pair, tiling)
    pair.reads = 0
    scan(pair, PixelModel().predict_masks, sink, num_classes=3, tiling=tiling, batch=4)
    assert pair.reads == 0


@pytest.mark.parametrize("seed", range(8))
def test_unknown_pixels_show_known_ones_of_the_same_place_in_both_dates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((64, 64), dtype=np.uint8)
    before = np.stack([rows, columns, rows], axis=-1)  # each pixel tells its place
    known = ndimage.gaussian_filter(rng.standard_normal((64, 64)), 6) > rng.uniform(-0.05, 0.05)
    after = np.where(known[..., None], before + 100, np.uint8(255))
    (first,), (second,), found = shown_to_the_model(ArrayPair(before, after, known), Tiling(64, 0))
    np.testing.assert_array_equal(found, known)
    np.testing.assert_array_equal(second, first + 100)
    assert known[first[..., 0], first[..., 1]].all()
    np.testing.assert_array_equal(first[known], before[known])


def test_unknown_areas_mirror_what_lies_beside_them() -> None:
    """Windows without a known pixel never reach the model."""
    known = np.zeros((64, 128), bool)
    known[:, :40] = True
    images = noise(64, 128, 1), noise(64, 128, 2)
    *dates, found = shown_to_the_model(ArrayPair(*images, known), Tiling(64, 0))
    np.testing.assert_array_equal(found, known)
    for windows, image in zip(dates, images, strict=True):
        assert len(windows) == 1
        np.testing.assert_array_equal(windows[0][:, :40], image[:, :40])
        np.testing.assert_array_equal(windows[0][:, 40:], image[:, 38:14:-1])


def test_beyond_the_edges_the_model_sees_the_scene_mirrored() -> None:
    """On all sides, as often as it takes."""
    images, tiling = (noise(70, 90, 1), noise(70, 90, 2)), Tiling(64, 16, (5, 30))
    *dates, _ = shown_to_the_model(ArrayPair(*images, np.ones((70, 90), bool)), tiling)
    corners = [(top, left) for top in tiling.starts(70, 0) for left in tiling.starts(90, 1)]
    assert min(corners) < (0, 0) and any(top + 64 > 70 and left + 64 > 90 for top, left in corners)
    for windows, image in zip(dates, images, strict=True):
        for (top, left), window in zip(corners, windows, strict=True):
            part = image[max(0, top) : top + 64, max(0, left) : left + 64]
            first = max(0, -top), max(0, -left)
            sides = [(before, 64 - before - side) for before, side in zip(first, part.shape, strict=False)]
            np.testing.assert_array_equal(window, np.pad(part, (*sides, (0, 0)), mode="symmetric"))


def shown_to_the_model(
    pair: ArrayPair, tiling: Tiling
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Both dates of every window that is predicted, and the known pixels of the result."""
    befores, afters, sink = [], [], MemorySink(pair.grid.width)

    def predict_masks(before: np.ndarray, after: np.ndarray) -> ChangeMaps:
        befores.extend(before)
        afters.extend(after)
        return PixelModel().predict_masks(before, after)

    scan(pair, predict_masks, sink, num_classes=3, tiling=tiling, batch=4)
    return befores, afters, sink.known


@pytest.mark.parametrize("segment", [1, 7, 32])
def test_segments_change_no_bit(segment: int, monkeypatch: pytest.MonkeyPatch) -> None:
    known = np.ones((90, 120), bool)
    known[10:60, 20:110] = False  # whole windows of it are unknown
    pair, tiling = ArrayPair(noise(90, 120, 1), noise(90, 120, 2), known), Tiling(24, 8)
    expected = scanned(pair, tiling)
    monkeypatch.setattr(blend, "SEGMENT", segment)
    found = scanned(pair, tiling)
    np.testing.assert_array_equal(found.known, known)
    np.testing.assert_array_equal(
        np.where(known, found.probabilities, 0), np.where(known, expected.probabilities, 0)
    )


def test_windows_that_show_nothing_are_not_read() -> None:
    known = np.zeros((300, 300), bool)
    known[100:150, 210:260] = True

    class Sparse(ArrayPair):
        def may_show(self, tops, lefts, height: int, width: int) -> np.ndarray:
            return np.array(
                [
                    [known[max(top, 0) : top + height, max(left, 0) : left + width].any() for left in lefts]
                    for top in tops
                ]
            )

    dense, sparse = (kind(noise(300, 300, 1), noise(300, 300, 2), known) for kind in (ArrayPair, Sparse))
    expected, found = scanned(dense, Tiling(32, 8)), scanned(sparse, Tiling(32, 8))
    np.testing.assert_array_equal(found.known, known)
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    assert sparse.reads == 4 * 3 and dense.reads == 14 * 14


def test_progress_counts_every_window_once() -> None:
    told: list[tuple[int, int]] = []
    scanned(
        ArrayPair(noise(70, 70), noise(70, 70)), Tiling(32, 8), progress=lambda *count: told.append(count)
    )
    assert told[-1] == (16, 16)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize(("tile", "overlap"), [(0, 0), (16, 16), (16, -1)])
def test_impossible_tiles_are_refused(tile: int, overlap: int) -> None:
    with pytest.raises(InputError, match=f"tiles of {tile} pixels cannot overlap by {overlap}"):
        Tiling(tile, overlap)
