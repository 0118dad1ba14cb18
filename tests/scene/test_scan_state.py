"""The blocks of a finished scan are read from where its sparse planes hold data."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from semantic_cc.scene.blend import BlendedPart
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.scan_state import MASK_UNKNOWN, ScanState
from semantic_cc.scene.tiling import Tiling


@pytest.mark.parametrize(("width", "side"), [(600, 512), (9_000, 512), (50_001, 512), (20_487, 128)])
def test_blocks_are_what_was_put_and_few_more_pixels(width: int, side: int, tmp_path: Path) -> None:
    random, tiling = np.random.default_rng(width), Tiling(256, 64)
    grid = Grid(width, 700, Affine.identity(), None)
    state = ScanState(tmp_path, grid, tiling, {})
    known = np.zeros((grid.height, width), bool)
    for top, left in zip(random.integers(0, 700, 3), random.integers(0, width, 3), strict=True):
        known[top : top + 90, left : left + 200] = True
    changed = known & (random.random(known.shape) < 0.5)
    starts = tiling.starts(grid.height, 0)
    for row, top in enumerate(starts):
        first = max(top, 0)
        last = max(starts[row + 1], 0) if row + 1 < len(starts) else grid.height
        probabilities = np.stack([~changed[first:last], changed[first:last]]).astype(np.float32)
        state.put(first, last - first, [BlendedPart(0, probabilities, known[first:last])])
    found, read = np.full(known.shape, MASK_UNKNOWN, np.uint8), 0
    for window, pixels in state.blocks("mask", side):
        part = np.s_[window.top : window.top + window.height, window.left : window.left + window.width]
        found[part] = pixels[0]
        read += pixels.size
    np.testing.assert_array_equal(found != MASK_UNKNOWN, known)
    np.testing.assert_array_equal(found > MASK_UNKNOWN, changed)
    assert read <= 3 * 4 * max(side, 200) ** 2 + 3 * 2 * side * 200
