"""Draws the ground: grass, soil, patches, tracks and the yards of houses."""

from __future__ import annotations

import numpy as np

from semantic_cc.synth.procedural.appearance import Appearance, blend_colours, mix_colours, relit
from semantic_cc.synth.procedural.drawing import Colour, Layer
from semantic_cc.synth.procedural.geometry import SIDE, Box
from semantic_cc.synth.procedural.scene_objects import House, PairPlan
from semantic_cc.synth.procedural.texture import Texture, noise_field

# Several soils for each kind, each with (dry season, green season) colours; a scene uses one soil of each kind.
_SOILS: dict[str, tuple[tuple[Colour, Colour], ...]] = {
    "grassland": (
        ((138, 114, 84), (86, 90, 62)), ((152, 130, 98), (98, 100, 70)), ((122, 110, 93), (80, 86, 64)),
        ((130, 108, 82), (106, 100, 74)),
    ),
    "bareland": (
        ((212, 196, 158), (204, 190, 156)), ((196, 178, 144), (186, 170, 138)), ((182, 172, 154), (172, 164, 146)),
    ),
    "desert": (((190, 164, 124), (176, 156, 118)), ((178, 150, 118), (168, 144, 114))),
}  # fmt: skip
_SHADE = {"grassland": 7.5, "bareland": 7.0, "desert": 8.0}
_TUFTS = {"grassland": 10.0, "bareland": 4.5, "desert": 6.0}
_STREAKS = {"grassland": 3.5, "bareland": 4.5, "desert": 2.0}
_SOD = np.array((1.0, 0.95, 0.8), dtype=np.float32)


def draw_ground(
    plan: PairPlan, appearance: Appearance, date: str, size: int, texture: Texture, own: np.random.Generator
) -> np.ndarray:
    """Draws the ground with patches, tracks and yards, shifted by `appearance.shift`; (size, size, 3) float32.

    Args:
        own: random generator for the details specific to this date, such as moist spots.
    """
    place = np.random.default_rng(texture.seed)
    soils = {kind: soils[int(place.integers(len(soils)))] for kind, soils in _SOILS.items()}
    pic = _soil(plan.ground, soils[plan.ground], appearance, texture, texture.broad)
    for patch in plan.patches:
        depth = patch.depth(_pixels(size)).reshape(size, size).astype(np.float32)
        edge = np.clip((depth + 0.12 * texture.other + 0.05 * texture.broad) * 6 + 0.5, 0, 1)[..., None]
        if patch.kind == "bareland":
            edge *= appearance.worn
        pic += (_soil(patch.kind, soils[patch.kind], appearance, texture, texture.other) - pic) * edge
    pic += texture.tracks * (np.array((206, 190, 158), dtype=np.float32) - pic) * 0.75
    dated = noise_field(own, size, (4, 9, 30), 0.8)
    pic += dated[..., None] * (appearance.stains * _SOD)
    pic = _yards(pic, plan, appearance, date, size, texture)
    scale = size / SIDE
    return _moved(pic, round(appearance.shift[0] * scale), round(appearance.shift[1] * scale))


def _pixels(size: int) -> np.ndarray:
    yy, xx = np.mgrid[0:size, 0:size] * (SIDE / size)
    return np.stack([xx.ravel(), yy.ravel()], axis=1)


def _soil(
    kind: str, soil: tuple[Colour, Colour], appearance: Appearance, texture: Texture, shade: np.ndarray
) -> np.ndarray:
    """Textured ground of one kind, (H, W, 3)."""
    # Dry areas of a meadow stay brown longest.
    green = np.clip(appearance.green + 0.3 * texture.other + 0.1 * texture.broad, 0, 1)[..., None]
    pic = blend_colours(soil[0], soil[1], green)
    rough = _SHADE[kind] * shade + _STREAKS[kind] * texture.streaks
    pic = pic + (rough[..., None] + _TUFTS[kind] * texture.fine) * _SOD
    if kind == "desert":  # sparse dark shrubs
        pic = pic - np.clip(texture.broad - 1.1, 0, 1.5)[..., None] * np.array((48, 40, 34), dtype=np.float32)
    return np.asarray(pic, dtype=np.float32)


def _yards(
    pic: np.ndarray, plan: PairPlan, appearance: Appearance, date: str, size: int, texture: Texture
) -> np.ndarray:
    """Draws the lots of existing houses and the bare soil left by removed objects on `pic`."""
    soft = Layer(size, (0, 0))
    for house in plan.houses:
        lot = house.yard or house.boxes[0].grown(9)
        if getattr(house, date):
            soft.box(lot.grown(0.5), _lawn(house, appearance))
        elif house.before:
            soft.box(lot.part(0, 0, lot.w * 0.9, lot.h * 0.8), (190, 172, 138))
    if date == "after":
        gone = [b for x in plan.buildings if x.before and not x.after for b in x.boxes]
        gone += [x.box for x in plan.lots if x.before and not x.after]
        for box in gone:
            soft.box(box.grown(4), (172, 156, 128))
    return soft.over(pic, texture.fine * 6 + texture.broad[..., None] * 5)


def _lawn(house: House, appearance: Appearance) -> Colour:
    """The colour of a yard: green, dry or bare soil."""
    dice = own_dice(house.boxes[0])
    sown, tint = dice.random(2)
    if sown < 0.14 and not (house.before and house.after):
        return relit((188, 168, 134), 0.9 + 0.2 * tint)
    green = float(np.clip(appearance.green + dice.normal(0.1, 0.3), 0, 1))
    return relit(mix_colours((128, 108, 78), (74, 90, 52), green), 0.85 + 0.3 * tint)


def own_dice(box: Box) -> np.random.Generator:
    """A random generator seeded by the position of `box`, so that an object looks the same at both dates."""
    return np.random.default_rng((int(abs(box.x) * 64), int(abs(box.y) * 64)))


def _moved(pic: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """`pic` shifted by whole pixels with edge padding."""
    m = max(abs(dx), abs(dy))
    if not m:
        return pic
    h, w = pic.shape[:2]
    return np.pad(pic, ((m, m), (m, m), (0, 0)), mode="edge")[m - dy : m - dy + h, m - dx : m - dx + w]
