"""A drawing layer at twice the picture's size, averaged down for smooth edges."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from semantic_cc.synth.procedural.geometry import SIDE, Box

Colour = tuple[int, int, int]


class Layer:
    """A transparent layer; coordinates in units, `shift` in units moves all that is drawn.

    Colours average with nothing (0) at edges, so that the reduced layer is premultiplied as is.
    """

    def __init__(self, size: int, shift: tuple[int, int], mono: bool = False) -> None:
        self.size = size
        self._k = 2 * size / SIDE
        self._shift = np.array(shift, dtype=float)
        self._mono = mono
        # RGBX, its X used as coverage: averaging RGBA would divide the colours by it again.
        self._image = Image.new("L" if mono else "RGBX", (2 * size, 2 * size))
        self._draw = ImageDraw.Draw(self._image)

    def _fill(self, colour: Colour | None) -> int | tuple[int, int, int, int]:
        if colour is None or self._mono:
            return 255
        r, g, b = (min(255, max(0, int(v))) for v in colour)
        return r, g, b, 255

    def _xy(self, points: np.ndarray) -> list[float]:
        return ((np.asarray(points, dtype=float) + self._shift) * self._k).ravel().tolist()

    def polygon(self, points: np.ndarray, colour: Colour | None = None) -> None:
        """Fills a polygon (N, 2)."""
        self._draw.polygon(self._xy(points), fill=self._fill(colour))

    def box(self, box: Box, colour: Colour | None = None) -> None:
        """Fills a box."""
        self.polygon(box.corners(), colour)

    def outline(self, box: Box, width: float, colour: Colour | None = None) -> None:
        """Draws a box's outline."""
        c = box.corners()
        self.line(np.concatenate([c, c[:1]]), width, colour)

    def line(self, points: np.ndarray, width: float, colour: Colour | None = None) -> None:
        """Draws a path (N, 2), `width` units wide."""
        self._draw.line(
            self._xy(points), fill=self._fill(colour), width=max(1, round(width * self._k)), joint="curve"
        )

    def disc(self, x: float, y: float, r: float, colour: Colour | None = None) -> None:
        """Fills a circle."""
        x, y, r = (x + self._shift[0]) * self._k, (y + self._shift[1]) * self._k, r * self._k
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=self._fill(colour))

    def alpha(self, soft: float = 0.0) -> np.ndarray:
        """The coverage of a mono layer, (size, size) float32 in 0..1, blurred by `soft` units."""
        small = self._image.reduce(2)
        if soft:
            small = small.filter(ImageFilter.GaussianBlur(soft * self._k / 2))
        return np.asarray(small, dtype=np.float32) / 255

    def over(self, picture: np.ndarray, grain: np.ndarray | float = 0.0) -> np.ndarray:
        """The layer on top of `picture` (size, size, 3), its colours roughened by `grain`."""
        rgba = np.asarray(self._image.reduce(2), dtype=np.float32)
        a = rgba[..., 3:] / 255
        return picture * (1 - a) + rgba[..., :3] + grain * a
