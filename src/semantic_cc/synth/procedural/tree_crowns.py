"""Draws trees: irregular crowns shaded from one side, and their shadows."""

from __future__ import annotations

import numpy as np

from semantic_cc.synth.procedural.appearance import Appearance, mix_colours, relit
from semantic_cc.synth.procedural.drawing import Layer

DICE = 14
"""Number of random values in 0..1 that define the shape of a tree."""
_CLUMPS = 8


def tree_shadows(layer: Layer, xyr: np.ndarray, appearance: Appearance) -> None:
    """Draws circular shadows for the crowns `xyr` (T, 3)."""
    for x, y, r in xyr:
        k = appearance.reach * (0.12 + r / 22)
        layer.disc(x + appearance.sun[0] * k, y + appearance.sun[1] * k, r * 0.82)


def draw_trees(layer: Layer, xyr: np.ndarray, appearance: Appearance, dice: np.ndarray) -> None:
    """Draws the crowns `xyr` (T, 3): a dark irregular outline with clumps that are lighter on the sunlit side.

    `dice` (T, `DICE`) in 0..1 defines the shape of each tree; use the same values for both dates.
    """
    base = mix_colours((66, 76, 52), (48, 70, 46), appearance.green)
    edge = np.linspace(0, 2 * np.pi, 11, endpoint=False)
    turn = 2 * np.pi * dice[:, :1]
    reach = xyr[:, 2:] * (0.66 + 0.44 * dice[:, 1:12])
    outline = xyr[:, None, :2] + reach[..., None] * np.stack([np.cos(edge + turn), np.sin(edge + turn)], -1)
    for (x, y, r), d, ragged in zip(xyr, dice, outline, strict=True):
        tint = 0.7 + 0.55 * d[12]
        layer.polygon(ragged, relit(base, tint * 0.66))
        count = _CLUMPS if r > 6 else 4 if r > 3.5 else 2
        for k in range(count):
            a = 6.28 * (d[0] + k / count)
            far = 0.2 + 0.5 * d[1 + k]
            u, v = np.cos(a) * far, np.sin(a) * far
            facing = -(u * appearance.sun[0] + v * appearance.sun[1])
            light = relit(base, tint * (0.8 + 0.6 * facing + 0.3 * d[11 - k]))
            layer.disc(x + u * r, y + v * r, r * (0.2 + 0.2 * d[10 - k]), light)
