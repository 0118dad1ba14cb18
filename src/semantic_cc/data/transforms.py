"""Paired augmentation: both dates and the mask move together.

Two sets, by what stays true. Mirroring, turning and exchanging the dates keep a *mask* right but make a
*sentence* false ("on the left", "a house is built"), so only `augment_change` does them and it drops the
sentences. A change of light keeps both right: `augment_caption` does that alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from semantic_cc.types import Pair

BRIGHTNESS = 0.15
"""Largest shift of brightness, as a share of full scale."""
CONTRAST = 0.2
"""Largest relative change of contrast about mid-grey."""
GAMMA = 0.2
"""Largest change of log gamma."""
COLOUR = 0.08
"""Largest relative change of each channel's gain."""


def augment_change(pair: Pair, rng: np.random.Generator) -> Pair:
    """Random mirroring, right-angle turn, exchange of the dates, and light; for training with masks alone.

    A quarter turn is drawn only for square images, so that a batch keeps one size. The mask says *where*
    something changed, in either direction, and so does the change flag: both survive the exchange.

    Returns:
        A pair of the same size with label and flag right and without sentences. The input is not modified.
    """
    before, after, label = _move(pair, rng)
    if rng.random() < 0.5:
        before, after = after, before
    return replace(
        pair, before=change_light(before, rng), after=change_light(after, rng), label=label, sentences=()
    )


def augment_caption(pair: Pair, rng: np.random.Generator) -> Pair:
    """Random light alone, for each date on its own; sentences, mask and flag stay as they are and true."""
    return replace(pair, before=change_light(pair.before, rng), after=change_light(pair.after, rng))


def change_light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random brightness, contrast, gamma and channel gain.

    Each channel's output depends on its input value alone, so one table of 256 values a channel does it all.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.

    Returns:
        A new array of the same shape and type.
    """
    value = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.uniform(-GAMMA, GAMMA))  # (256, 1)
    value = value * (1 + rng.uniform(-COLOUR, COLOUR, size=3))  # (256, 3)
    contrast, brightness = 1 + rng.uniform(-CONTRAST, CONTRAST), rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    value = (value - 0.5) * contrast + 0.5 + brightness
    table = (value.clip(0, 1) * 255).round().astype(np.uint8)
    changed = np.empty_like(image, order="C")
    for channel in range(3):
        changed[..., channel] = table[:, channel][image[..., channel]]
    return changed


def _move(pair: Pair, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Both dates and the mask under one random symmetry of the square (of the rectangle, if not square)."""
    square = pair.before.shape[0] == pair.before.shape[1]
    turns = int(rng.integers(4)) if square else 2 * int(rng.integers(2))
    mirror = bool(rng.integers(2))  # with the turns, this reaches the vertical mirror too

    def move(array: np.ndarray) -> np.ndarray:
        moved = np.rot90(array, turns)
        return np.ascontiguousarray(moved[:, ::-1] if mirror else moved)

    return move(pair.before), move(pair.after), None if pair.label is None else move(pair.label)
