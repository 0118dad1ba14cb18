"""Draws a street, and selects building positions along it or elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from semantic_cc.synth.composite.image_tiles import SIDE
from semantic_cc.synth.procedural.geometry import Box, bezier, in_frame, ribbon

TONES = {"asphalt": (118.0, 118.0, 120.0), "cement": (188.0, 182.0, 170.0)}
"""RGB colour of each street surface."""
LOTS = ((104.0, 110.0, 78.0), (128.0, 120.0, 92.0), (186.0, 172.0, 142.0))
"""RGB colours of lots: lawn, dry grass, graded soil."""
_FINE = 2


@dataclass(frozen=True)
class Street:
    """A street through the image.

    Attributes:
        path: (M, 2) points about 4 pixels apart.
        width: width in pixels.
        tone: "asphalt" or "cement".
        shape: "straight", "curved", or "" in between.
        area: coverage of each pixel by the street, (SIDE, SIDE) float32 in [0, 1].
        kerb: coverage of each pixel by the kerbs, (SIDE, SIDE) float32 in [0, 1].
    """

    path: np.ndarray
    width: float
    tone: str
    shape: str
    area: np.ndarray
    kerb: np.ndarray


@dataclass(frozen=True)
class Spot:
    """A position for a building.

    Attributes:
        x, y: centre in pixels.
        turn: direction of the side that faces the street, in radians.
        side: side of the street, -1 or 1; 0 if not along a street.
        order: position in the row.
        mouth: the street point in front of the building; None if not along a street.
    """

    x: float
    y: float
    turn: float
    side: int = 0
    order: int = 0
    mouth: tuple[float, float] | None = None


def draw_street(rng: np.random.Generator, angle: float) -> Street:
    """Draws a street through the central part of the image, roughly in direction `angle` (radians)."""
    centre = np.array([SIDE, SIDE]) / 2 + rng.uniform(-60, 60, 2)
    along = np.array([math.cos(angle), math.sin(angle)])
    across = np.array([-along[1], along[0]])
    bend = float(rng.choice([0.0, rng.uniform(-70, 70)]))
    path = bezier(centre - 230 * along, centre + bend * across, centre + 230 * along)
    shape = "curved" if abs(bend) > 35 else "straight" if abs(bend) < 10 else ""
    width = float(rng.uniform(13, 19))
    area = _cover(ribbon(path, width))
    kerb = (area - _cover(ribbon(path, width - 2.4))).clip(0, 1)
    return Street(path, width, str(rng.choice(list(TONES))), shape, area, kerb)


def spots_along(street: Street, rng: np.random.Generator, pitch: float, depth: float) -> list[Spot]:
    """A row of spots on each side of a street, `pitch` pixels apart, for buildings `depth` pixels deep."""
    steps = np.hypot(*np.diff(street.path, axis=0).T)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    out = []
    setback = float(rng.uniform(9, 18))
    for side in (-1, 1):
        for order, at in enumerate(np.arange(rng.uniform(0, pitch), way[-1], pitch)):
            k = int(np.clip(np.searchsorted(way, at), 1, len(way) - 2))
            tangent = street.path[k + 1] - street.path[k - 1]
            turn = math.atan2(tangent[1], tangent[0])
            out_of = side * np.array([-math.sin(turn), math.cos(turn)])
            x, y = street.path[k] + out_of * (street.width / 2 + setback + depth / 2)
            mouth = (float(street.path[k][0]), float(street.path[k][1]))
            out.append(Spot(float(x), float(y), turn, side, order, mouth))
    return [spot for spot in out if in_frame(np.array([[spot.x, spot.y]]), 4)[0]]


def spots_anywhere(rng: np.random.Generator, count: int, turn: float) -> list[Spot]:
    """`count` spots, uniformly distributed over the image."""
    return [Spot(float(x), float(y), turn) for x, y in rng.uniform(16, SIDE - 16, (count, 2))]


def lay(image: np.ndarray, street: Street, rng: np.random.Generator) -> np.ndarray:
    """`image` (SIDE, SIDE, 3) with a street and slightly paler kerbs."""
    out = pave(image, street.area, TONES[street.tone], rng)
    return out + street.kerb[..., None] * rng.uniform(0, 40)


def lot_area(spot: Spot, wide: float, deep: float) -> np.ndarray:
    """Coverage of each pixel by the lot around a spot, (SIDE, SIDE) float32."""
    lot = Box(spot.x, spot.y, wide, deep, spot.turn)
    return np.asarray(ndimage.gaussian_filter(_cover(lot.corners()), 1.5))


def drive_area(street: Street, spot: Spot, wide: float) -> np.ndarray:
    """Coverage of each pixel by the driveway from the street to a spot, (SIDE, SIDE) float32."""
    assert spot.mouth is not None  # only spots along a street have a driveway
    start, end = np.array(spot.mouth), np.array([spot.x, spot.y])
    way = (end - start) / np.hypot(*(end - start))
    aside = np.array([-way[1], way[0]])
    start = start + way * (street.width / 2 - 0.5)
    offset = aside * wide * 0.9
    strip = np.array(
        [start - aside * wide / 2, end - aside * wide / 2, end + aside * wide / 2, start + aside * wide / 2]
    )
    return _cover(strip + offset)


def pave(
    image: np.ndarray, area: np.ndarray, colour: tuple[float, float, float], rng: np.random.Generator
) -> np.ndarray:
    """`image` (SIDE, SIDE, 3) with `area` paved; the brightness variation of the ground stays slightly visible."""
    grain = rng.standard_normal((SIDE, SIDE), dtype=np.float32)
    coarse = rng.standard_normal((24, 24), dtype=np.float32)
    worn = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    surface = np.array(colour, np.float32) * (1 + 0.03 * grain + 0.045 * worn)[..., None]
    surface = surface * (1 + rng.uniform(-0.18, 0.18))
    share = area[..., None]
    return image * (1 - share) + surface * share


def _cover(polygon: np.ndarray) -> np.ndarray:
    layer = Image.new("L", (SIDE * _FINE, SIDE * _FINE))
    ImageDraw.Draw(layer).polygon((polygon * _FINE).ravel().tolist(), fill=255)
    small = layer.reduce(_FINE).filter(ImageFilter.GaussianBlur(0.5))
    return np.asarray(small, np.float32) / 255
