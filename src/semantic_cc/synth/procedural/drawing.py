"""A drawing layer with 2x supersampling for anti-aliased edges."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from semantic_cc.synth.procedural.geometry import SIDE, Box

Colour = tuple[int, int, int]


class Layer:
    """A transparent layer. Coordinates and the global offset `shift` are in units.

    Edge colours average with the empty background (0), so the downsampled layer is premultiplied.
    """

    def __init__(self, size: int, shift: tuple[int, int], mono: bool = False) -> None:
        self.size = size
        self._k = 2 * size / SIDE
        self._shift = np.array(shift, dtype=float)
        self._mono = mono
        # RGBX with X as coverage: resizing RGBA would divide the colours by the coverage.
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
        """Fills a polygon with vertices (N, 2)."""
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
        """Composites the layer over `picture` (size, size, 3), with `grain` added to the layer's colours."""
        rgba = np.asarray(self._image.reduce(2), dtype=np.float32)
        a = rgba[..., 3:] / 255
        return picture * (1 - a) + rgba[..., :3] + grain * a
