"""Draws roofs, shadows, fences and shrubs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semantic_cc.synth.procedural.appearance import Appearance, relit
from semantic_cc.synth.procedural.drawing import Colour, Layer
from semantic_cc.synth.procedural.geometry import Box
from semantic_cc.synth.procedural.ground import own_dice
from semantic_cc.synth.procedural.scene_objects import Building, House

_RELIEF = 0.42
"""Brightness change of a sloping roof face relative to the base colour."""
_FENCE: Colour = (62, 52, 44)


def _face(layer: Layer, box: Box, points: Sequence[tuple[float, float]], normal: tuple[float, float],
          colour: Colour, appearance: Appearance) -> None:  # fmt: skip
    """Draws one shaded roof face; `points` and the outward `normal` are in the frame of `box`."""
    nx, ny = np.subtract(box.at(*normal), (box.x, box.y))
    layer.polygon(
        np.array([box.at(u, v) for u, v in points]),
        relit(colour, 1.0 - _RELIEF * (nx * appearance.sun[0] + ny * appearance.sun[1])),
    )


def _draw_body(layer: Layer, box: Box, hip: bool, colour: Colour, appearance: Appearance) -> None:
    """Draws a roof with two faces along the longer side (gable), or four if `hip`."""
    if box.w < box.h:
        box = Box(box.x, box.y, box.h, box.w, box.angle + np.pi / 2)
    a, b = box.w / 2, box.h / 2
    i = b * 0.95 if hip else 0.0
    e, f = (-a + i, 0.0), (a - i, 0.0)
    for s in (-1, 1):
        _face(layer, box, [(-a, s * b), (a, s * b), f, e], (0, s), colour, appearance)
    if hip:
        _face(layer, box, [(-a, -b), (-a, b), e], (-1, 0), colour, appearance)
        _face(layer, box, [(a, -b), (a, b), f], (1, 0), colour, appearance)
    layer.line(np.array([box.at(*e), box.at(*f)]), 0.6, relit(colour, 1.3))


def _draw_wing(layer: Layer, main: Box, wing: Box, hip: bool, colour: Colour, appearance: Appearance) -> None:
    """Draws the roof of a wing on one side of `main`; its ridge ends on the slope of the main roof.

    Both roofs have the same pitch, so the ridge of a wing 2a wide meets the slope of `main` a units behind the eaves.
    """
    u, v = main.local(np.array([[wing.x, wing.y]]))[0]
    across = abs(v) / main.h > abs(u) / main.w
    turn = 0.0 if across and v > 0 else np.pi if across else -np.pi / 2 if u > 0 else np.pi / 2
    wide, long = (wing.w, wing.h) if across else (wing.h, wing.w)
    out = Box(wing.x, wing.y, wide, long, main.angle + turn)  # its +v axis points away from `main`
    a, front = wide / 2, long / 2
    ridge = (0.0, front - (0.9 * a if hip else 0.0))
    root = (0.0, -front - min(a, min(main.w, main.h) * 0.5))
    for s in (-1, 1):
        _face(layer, out, [(s * a, -front), (s * a, front), ridge, root], (s, 0), colour, appearance)
    if hip:
        _face(layer, out, [(-a, front), (a, front), ridge], (0, 1), colour, appearance)
    layer.line(np.array([out.at(*ridge), out.at(*root)]), 0.5, relit(colour, 1.25))


def draw_house(layer: Layer, house: House, appearance: Appearance) -> None:
    """Draws the main roof, the wings, a small gable and the vents."""
    main, *wings = house.boxes
    _draw_body(layer, main, house.hip, house.roof, appearance)
    dice = own_dice(main)
    for wing in wings:
        _draw_wing(layer, main, wing, bool(dice.random() < 0.6), house.roof, appearance)
    if dice.random() < 0.6 and main.w > 24:
        size = dice.uniform(7, 11)
        front = main.part(dice.uniform(-0.25, 0.25) * main.w, -main.h / 2 + 1.5, size, 3)
        _draw_wing(layer, main, front, False, house.roof, appearance)
    for _ in range(3):
        u, v = dice.uniform(-0.4, 0.4, 2) * (main.w, main.h)
        layer.box(main.part(u, v, 1.0, 1.0), relit(house.roof, float(dice.choice([0.45, 1.6]))))


def draw_building(layer: Layer, building: Building, appearance: Appearance) -> None:
    """Draws a flat roof with a parapet, seams and rooftop units, or ridged metal roofs."""
    if building.ridge:
        for box in building.boxes:
            _draw_body(layer, box, False, building.roof, appearance)
        return
    for box in building.boxes:
        layer.box(box, relit(building.roof, 0.78))
    for box in building.boxes:
        layer.box(box.grown(-1.2), building.roof)
    main = building.boxes[0]
    dice = own_dice(main)
    for u in np.arange(-main.w / 2 + 6, main.w / 2 - 5, dice.uniform(7, 15)):
        layer.line(
            np.array([main.at(u, -main.h / 2 + 2), main.at(u, main.h / 2 - 2)]),
            0.5,
            relit(building.roof, 0.94),
        )
    for _ in range(int(main.w * main.h / 420)):
        u, v = dice.uniform(-0.42, 0.42, 2) * (main.w, main.h)
        w, h = dice.uniform(1.5, 4.5, 2)
        unit = main.part(u, v, w, h)
        layer.box(
            Box(unit.x + appearance.sun[0] * 1.8, unit.y + appearance.sun[1] * 1.8, w, h, main.angle),
            relit(building.roof, 0.35),
        )
        layer.box(unit, relit(building.roof, 0.75))


def draw_fence(layer: Layer, house: House) -> None:
    """Draws a wooden fence around the sides and back of most yards."""
    if house.yard is None or own_dice(house.yard).random() < 0.2:
        return
    y = house.yard
    a, b = y.w / 2, y.h / 2
    layer.line(np.array([y.at(-a, 0), y.at(-a, b), y.at(a, b), y.at(a, 0)]), 1.3, _FENCE)


def draw_shrubs(layer: Layer, house: House, appearance: Appearance) -> None:
    """Draws shrubs and young trees in the yard, too small to count as trees."""
    lot = house.yard or house.boxes[0].grown(8)
    dice = own_dice(lot)
    for _ in range(int(dice.poisson(3.0))):
        u, v, r = dice.uniform(-0.48, 0.48) * lot.w, dice.uniform(-0.45, 0.48) * lot.h, dice.uniform(0.9, 2.6)
        x, y = lot.at(u, v)
        layer.disc(x + appearance.sun[0] * r, y + appearance.sun[1] * r, r, (40, 38, 32))
        layer.disc(x, y, r, (62, 66, 44))


def cast_shadow(layer: Layer, boxes: Sequence[Box], appearance: Appearance, height: float) -> None:
    """Draws the shadow of `boxes`: their footprints swept along the shadow direction."""
    step = np.array(appearance.sun) * appearance.reach * height
    for box in boxes:
        c = box.corners()
        layer.polygon(c + step)
        for i in range(4):
            a, b = c[i], c[(i + 1) % 4]
            layer.polygon(np.array([a, b, b + step, a + step]))
