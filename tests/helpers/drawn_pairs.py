"""A drawn pair with real-looking values, and the ways in which users store one."""

from collections.abc import Callable

import numpy as np
from scipy import ndimage


def drawn_pair(side: int = 160, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ground with texture, shadows and roofs; the later image has more roofs. (side, side, 3) uint8 each.

    Values reach from near 0 to 255, as in an aerial image.
    """
    rng = np.random.default_rng(seed)
    ground = np.full((side, side, 3), (112.0, 118.0, 84.0))
    for cell, strength in ((20, 14), (5, 8), (1, 6)):
        coarse = rng.normal(0, strength, (-(-side // cell) + 1, -(-side // cell) + 1))
        ground += ndimage.zoom(coarse, cell, order=1)[:side, :side, None]
    before = ground.clip(2, 250)
    after = before.copy()
    for number, (top, left) in enumerate(
        (t, x) for t in range(8, side - 30, 38) for x in range(8, side - 30, 38)
    ):
        for image in (before, after) if number % 3 == 0 else (after,):
            image[top + 3 : top + 25, left + 3 : left + 25] = (14, 16, 12)  # shadow
            image[top : top + 22, left : left + 22] = (248, 244, 240) if number % 2 else (176, 92, 74)
    return before.round().astype(np.uint8), after.round().astype(np.uint8)


def collar(shape: tuple[int, int], kind: str) -> np.ndarray:
    """Where a collar lies, (h, w) bool: "strip", "sides", "frame", "wedge", "slanted" or "notch"."""
    height, width = shape
    rows, columns = np.mgrid[0:height, 0:width]
    shapes: dict[str, Callable[[], np.ndarray]] = {
        "strip": lambda: rows < height // 5,
        "sides": lambda: (columns < width // 6) | (columns >= width - width // 8),
        "frame": lambda: (
            (np.minimum(rows, height - 1 - rows) < height // 8)
            | (np.minimum(columns, width - 1 - columns) < width // 9)
        ),
        "wedge": lambda: rows + 2 * columns < height * 0.7,
        "slanted": lambda: (
            (0.95 * (rows - height / 2) + 0.3 * (columns - width / 2) < -0.35 * height)
            | (0.95 * (columns - width / 2) - 0.3 * (rows - height / 2) > 0.38 * width)
        ),
        "notch": lambda: (rows >= height * 2 // 3) & (columns < width // 3),
    }
    return shapes[kind]()
