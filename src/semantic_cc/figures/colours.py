"""Colours of all figures."""

from __future__ import annotations

import numpy as np

from semantic_cc.types import BUILDING, ROAD

CLASS_COLOURS = {ROAD: (0, 176, 240), BUILDING: (255, 84, 32)}
"""Label value -> RGB, distinguishable with colour blindness and from vegetation and roofs."""

PAPER, INK, FAINT_INK = (255, 255, 255), (28, 28, 30), (118, 118, 122)
"""RGB of background, text and small print."""

RIGHT, WRONG = (0, 128, 60), (200, 30, 30)
"""RGB of correct and wrong words."""

# Nine stops of matplotlib's "inferno": lightness increases evenly from black to pale yellow.
_INFERNO = np.array(
    [
        (0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85),
        (227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164),
    ],
    dtype=np.float32,
)  # fmt: skip


def heat_colours(values: np.ndarray) -> np.ndarray:
    """Values ``(H, W)`` in [0, 1] -> RGB ``(H, W, 3)`` float32 in 0..255, dark to bright."""
    place = np.clip(values, 0, 1) * (len(_INFERNO) - 1)
    low = np.minimum(place.astype(np.int64), len(_INFERNO) - 2)
    share = (place - low)[..., None].astype(np.float32)
    return _INFERNO[low] * (1 - share) + _INFERNO[low + 1] * share
