"""A pair of a dataset beside the predicted mask."""

from __future__ import annotations

import numpy as np
from PIL import Image

from semantic_cc.figures.colours import PAPER
from semantic_cc.figures.overlay import paint_mask
from semantic_cc.types import Pair

GAP = 4
"""Pixels between panels."""


def draw_strip(pair: Pair, mask: np.ndarray | None) -> Image.Image:
    """Draws before, after, the true mask over after and the predicted mask over after; omits masks that are None.

    Args:
        pair: images of (H, W) pixels.
        mask: predicted, (H, W) uint8 of `LABEL_VALUES`, or None.

    Returns:
        An image with H pixels height and n panels of W pixels width, with gaps.
    """
    later = Image.fromarray(pair.after)
    masks = [known for known in (pair.label, mask) if known is not None]
    panels = [Image.fromarray(pair.before), later, *(paint_mask(later, known) for known in masks)]
    strip = Image.new("RGB", (len(panels) * (later.width + GAP) - GAP, later.height), PAPER)
    for place, panel in enumerate(panels):
        strip.paste(panel, (place * (later.width + GAP), 0))
    return strip
