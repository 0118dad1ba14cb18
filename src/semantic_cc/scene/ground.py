"""Pixels and metres on the ground."""

from __future__ import annotations

import numpy as np
from affine import Affine
from pyproj import CRS as Projection
from pyproj import Geod, Transformer

from semantic_cc.scene.grid import Grid

ROUND_SCALE = 2e-3
"""A projection's own metre is taken for a metre on the ground where it differs by less (UTM: 4e-4)."""


def ground_sampling(grid: Grid) -> tuple[float, float] | None:
    """Metres on the ground of a pixel at the scene's middle, along rows and along columns (geodesic).

    None where the images have no place on the map.
    """
    if grid.crs is None:
        return None
    steps = np.array([[0, 1, 0], [0, 0, 1]])  # the middle, a column on, a row on
    x, y = carry(grid.transform, grid.width / 2 + steps[0], grid.height / 2 + steps[1])
    own = Projection.from_wkt(grid.crs.to_wkt())
    east, north = Transformer.from_crs(own, own.geodetic_crs, always_xy=True).transform(x, y)
    geod = own.get_geod() or Geod(ellps="WGS84")
    across, down = (float(geod.inv(east[0], north[0], east[n], north[n])[2]) for n in (1, 2))
    return across, down


def carry(transform: Affine, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An affine map of many points."""
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f
