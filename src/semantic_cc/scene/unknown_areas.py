"""Pixels that hold no ground though no tag says so: collars at the border, and fill values.

A collar is found on a reduced image, as a region near black or white that is constant (or nearly, after JPEG), reaches
the border at a corner, and has straight edges or surrounds the image; each window then takes those of its pixels that
have the region's value in that region. Dark water and white roofs within the image stay known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from shapely import MultiPoint

from semantic_cc.scene.grid import Window

NOISE, EDGE_NOISE = 6, 24
"""Levels, of 255, by which JPEG's noise in a collar may differ from black or white: within it, and beside its edge."""

LOSSLESS_SHARE = 0.98
"""Share of a collar that has the value itself, from which on it has no noise."""

EXACT_SHARE = 0.5
"""Share of a collar that has the value itself; noise comes near its edges only."""

MIN_STRAIGHT = 0.93
"""Share of its convex hull that a collar fills, or that the rest of the image fills of its own: straight edges."""

MIN_SIDE_SHARE = {"black": 0.1, "white": 0.25}
"""Share of the longer border run that a collar at one corner takes at least; a white roof may stand at a corner."""

MIN_SURROUNDED = 0.6
"""Share of the border from which on a constant area around the image is a collar, whatever its edge."""

MIN_AREA = 5e-4
"""Share of the image that a collar takes at least."""

FILL_VALUES, KNOWN_FILL_GAP = (-9999, -99999, -999, -32768, -32767), 0.1
"""Usual values for "nothing", and how far from all others they lie at least, as a share of the others' spread."""

_RING = 2
"""Pixels of the reduced image around a collar in which black or white pixels belong to it."""


@dataclass(frozen=True)
class Collar:
    """Where an image has a collar.

    Attributes:
        near: (h, w) bool, the reduced collar with a ring around it.
        value: (3,) what its pixels hold, as stored.
        tolerance: by how much they may differ from it, as stored.
        colour: "black" or "white".
        share: of the image.
        height, width: of the image, in pixels.
    """

    near: np.ndarray
    value: np.ndarray
    tolerance: float
    colour: str
    share: float
    height: int
    width: int

    def covers(self, values: np.ndarray, window: Window) -> np.ndarray:
        """Which pixels of a window of the image belong to it.

        Args:
            values: (3, h, w) as stored.
            window: where they lie.

        Returns:
            (h, w) bool.
        """
        rows, columns = (
            np.clip((np.arange(first, first + count) + 0.5) * side / length, 0, side - 1).astype(int)
            for first, count, side, length in (
                (window.top, window.height, self.near.shape[0], self.height),
                (window.left, window.width, self.near.shape[1], self.width),
            )
        )
        near = self.near[np.ix_(rows, columns)]
        if not near.any():
            return near
        return near & self._matches(values)

    def covers_reduced(self, values: np.ndarray) -> np.ndarray:
        """As `covers`, of the reduced image that it was found on."""
        return self.near & self._matches(values)

    def _matches(self, values: np.ndarray) -> np.ndarray:
        distance = np.abs(values.astype(np.float64) - self.value[:, None, None]).max(axis=0)
        return np.asarray(distance <= self.tolerance)


def find_collars(
    values: np.ndarray, known: np.ndarray, *, white: np.ndarray, height: int, width: int
) -> tuple[Collar, ...]:
    """Black and white collars of an image.

    Args:
        values: (3, h, w), the image, reduced by taking every n-th pixel, as stored.
        known: (h, w) bool, where nothing else says that a pixel is unknown.
        white: (k,) the values that white may have; black is 0.
        height, width: of the image.
    """
    found = []
    candidates = [("black", 0.0), *(("white", float(value)) for value in np.unique(white) if value > 0)]
    for colour, value in candidates:
        level = (float(np.min(white[white > 0])) if colour == "black" else value) / 255
        close = (np.abs(values.astype(np.float64) - value).max(axis=0) <= NOISE * level) & known
        collars: dict[tuple[float, ...], np.ndarray] = {}  # value -> where
        for region in _regions(close, ~known):
            if region.mean() < MIN_AREA:
                continue
            usual = tuple(np.median(values[:, region], axis=1).tolist())
            exact = (values[:, region] == np.array(usual)[:, None]).all(axis=0).mean()
            if exact < EXACT_SHARE:
                continue
            reaches = _reaches(region | ~known, region, MIN_SIDE_SHARE[colour]) and _is_straight(
                region, ~known
            )
            if reaches or (exact >= LOSSLESS_SHARE and _surrounds(region | ~known)):
                collars[usual] = collars.get(usual, np.zeros(known.shape, bool)) | region
        for usual, inner in collars.items():
            same = (values == np.array(usual)[:, None, None]).all(axis=0)
            is_lossless = same[inner].mean() >= LOSSLESS_SHARE
            inner = inner & same if is_lossless else inner
            near = ndimage.binary_dilation(inner, iterations=_RING)
            tolerance = 0.0 if is_lossless else EDGE_NOISE * level
            found.append(Collar(near, np.array(usual), tolerance, colour, float(inner.mean()), height, width))
    return tuple(found)


def find_fill(values: np.ndarray, known: np.ndarray) -> float | None:
    """A value that stands for "nothing" though no tag says so, such as -9999 or the largest of a float.

    It is one value at an end of the range, negative or absurd, and as far from the others as they spread at least; a
    usual one need not be so far.

    Args:
        values: (3, h, w), as stored; known: (h, w) bool.
    """
    pixels = values[0][known].astype(np.float64)
    if pixels.size < 2:
        return None
    for end in (pixels.min(), pixels.max()):
        rest = pixels[pixels != end]
        if rest.size == 0 or (pixels == end).mean() < 1e-5:
            continue
        if not (end < 0 or abs(end) >= 1e10):
            continue
        gap = min(abs(end - rest.min()), abs(end - rest.max()))
        if gap > (KNOWN_FILL_GAP if end in FILL_VALUES else 1) * (rest.max() - rest.min()):
            return float(end)
    return None


def _regions(close: np.ndarray, outside: np.ndarray) -> Iterator[np.ndarray]:
    """Connected parts that reach the border, or what is unknown already; thin leaks into dark ground are cut."""
    opened = ndimage.binary_opening(close, np.ones((3, 3), bool), border_value=0) | (
        close & ~ndimage.binary_erosion(np.ones_like(close), iterations=2)
    )
    labels, count = ndimage.label(opened)
    frame = np.ones(close.shape, bool)
    frame[1:-1, 1:-1] = False
    frame |= ndimage.binary_dilation(outside) & ~outside
    for label in np.unique(labels[frame & (labels > 0)])[:64] if count else ():
        region = labels == label
        # Noise pixels within the collar, and the pixels that opening took from its edge.
        region |= ndimage.binary_dilation(region) & close
        yield (
            ndimage.binary_closing(np.pad(region, 2, mode="edge"))[2:-2, 2:-2] & close
            if region.any()
            else region
        )


def _reaches(outside: np.ndarray, region: np.ndarray, share: float) -> bool:
    """Whether a region holds an image corner (or joins what is unknown there) and runs along enough of the border."""
    edges = outside[0], outside[-1], outside[:, 0], outside[:, -1]
    corners = (outside[0, 0], outside[0, -1], outside[-1, 0], outside[-1, -1])
    if not any(corners):
        return False
    longest = max(float(edge.mean()) for edge in edges)
    touches = bool(region[0].any() or region[-1].any() or region[:, 0].any() or region[:, -1].any())
    return longest >= share and (touches or bool((outside & ~region).any()))


def _surrounds(outside: np.ndarray) -> bool:
    """Whether a region holds all corners and most of the border: a mosaic with a ragged edge."""
    edges = np.concatenate([outside[0], outside[-1], outside[:, 0], outside[:, -1]])
    corners = outside[[0, 0, -1, -1], [0, -1, 0, -1]]
    return bool(corners.all() and edges.mean() >= MIN_SURROUNDED)


def _is_straight(region: np.ndarray, unknown: np.ndarray) -> bool:
    """Whether a region has straight edges: it is convex, or what it leaves of the image is."""
    rest = ~(region | unknown)
    if _solidity(region) >= MIN_STRAIGHT:
        return True
    labels, count = ndimage.label(rest)
    if count == 0:
        return True
    sizes = np.bincount(labels.ravel())[1:]
    return _solidity(labels == 1 + int(sizes.argmax())) >= MIN_STRAIGHT


def _solidity(region: np.ndarray) -> float:
    """Share of its convex hull that a region fills."""
    edge = region & ~ndimage.binary_erosion(region)
    rows, columns = np.nonzero(edge)
    if len(rows) < 3:
        return 0.0
    corners = np.concatenate([np.stack([columns + x, rows + y], axis=1) for x in (0, 1) for y in (0, 1)])
    hull = MultiPoint(corners).convex_hull.area
    return float(region.sum() / hull) if hull else 0.0
