"""From pixels to the map and to the ground: coordinates, geodesic areas and lengths of shapes in pixels.

Shapes are shapely geometries in pixel coordinates, x = column and y = row, both at pixels' upper left corners.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pyproj
import shapely

from semantic_cc.scene.grid import Grid, Window

LONGEST_EDGE = 256
"""Pixels between two vertices at most, before a shape leaves the grid: a straight edge on the map is no geodesic."""

ROUND_SCALE = 2e-3
"""A projection's own metre is taken for a metre on the ground where it differs by less (UTM: 4e-4)."""

WGS84 = "EPSG:4326"


@functools.lru_cache(maxsize=8)
def crs_of(grid: Grid) -> pyproj.CRS | None:
    """The grid's CRS without heights, as pyproj has it; None where it has none."""
    return None if grid.crs is None else pyproj.CRS.from_wkt(grid.crs.to_wkt()).to_2d()


def to_map(shapes: np.ndarray, grid: Grid) -> np.ndarray:
    """Shapes in pixels -> shapes in the grid's map coordinates.

    Args:
        shapes: (n,) objects, geometries.
        grid: where they lie.
    """
    linear, offset = _affine(grid)
    return shapely.transform(shapes, lambda points: points @ linear.T + offset)


def on_earth(grid: Grid) -> bool:
    """Whether the grid's coordinates say where on Earth it lies: it has a CRS, and that is no local one."""
    return _geodetic(grid) is not None


def to_lonlat(shapes: np.ndarray, grid: Grid, crs: pyproj.CRS | str = WGS84) -> np.ndarray:
    """Shapes in pixels -> longitude and latitude in degrees, with vertices added along long edges.

    Args:
        shapes: (n,) objects, geometries.
        grid: where they lie, `on_earth`.
        crs: the geographic system to go to.
    """
    crs = pyproj.CRS.from_user_input(crs)
    transformer = pyproj.Transformer.from_crs(crs_of(grid), crs, always_xy=True)
    degrees = math.degrees(crs.axis_info[0].unit_conversion_factor)  # old French maps are in grads
    dense = to_map(shapely.segmentize(shapes, LONGEST_EDGE), grid)
    return shapely.transform(
        dense, lambda points: degrees * np.column_stack(transformer.transform(points[:, 0], points[:, 1]))
    )


def measure(polygons: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Areas and perimeters on the ellipsoid of the grid's own datum, whatever its projection.

    Args:
        polygons: (n,) objects, polygons or multipolygons in pixels; empty ones measure 0.
        grid: where they lie.

    Returns:
        Square metres and metres, each (n,) float64; NaN where the grid is not `on_earth`. A perimeter counts
        the holes' too.
    """
    areas, lengths = np.full((2, len(polygons)), np.nan)
    geodetic = _geodetic(grid)
    if geodetic is None:
        return areas, lengths
    geod = geodetic.get_geod()
    assert geod is not None  # it has an ellipsoid
    for index, shape in enumerate(to_lonlat(polygons, grid, geodetic)):
        areas[index] = lengths[index] = 0
        for part in shapely.get_parts(shape):
            for number, ring in enumerate(shapely.get_rings(part)):
                area, length = geod.polygon_area_perimeter(*shapely.get_coordinates(ring).T)
                areas[index] += -abs(area) if number else abs(area)
                lengths[index] += length
    return areas, lengths


def metres_per_pixel(grid: Grid) -> np.ndarray:
    """Steps on the ground at the grid's centre, on the ellipsoid of its own datum.

    Returns:
        (2, 2) float64 that takes (columns, rows) to metres east and north; the identity with rows upwards where the
        grid is not `on_earth`.
    """
    geodetic = _geodetic(grid)
    if geodetic is None:
        return np.array([[1.0, 0.0], [0.0, -1.0]])
    centre = np.array([grid.width / 2, grid.height / 2])
    points = shapely.points(centre + np.array([(0, 0), (1, 0), (0, 1)]))
    (lon, lat), *ends = shapely.get_coordinates(to_lonlat(points, grid, geodetic))
    geod = geodetic.get_geod()
    assert geod is not None  # it has an ellipsoid
    steps = [geod.inv(lon, lat, *end) for end in ends]  # azimuth there, azimuth back, metres
    return np.array(
        [
            [math.sin(math.radians(there)) * far, math.cos(math.radians(there)) * far]
            for there, _, far in steps
        ]
    ).T


def ground_sampling(grid: Grid) -> tuple[float, float] | None:
    """Metres on the ground of a pixel at the grid's centre, along rows and along columns.

    None where the grid is not `on_earth`.
    """
    if not on_earth(grid):
        return None
    across, down = np.hypot(*metres_per_pixel(grid))
    return float(across), float(down)


def footprint(window: Window, grid: Grid) -> tuple[shapely.Geometry, list[float]]:
    """A window's outline on the globe, in degrees of WGS 84.

    Args:
        window: in pixels.
        grid: where it lies, `on_earth`.

    Returns:
        The outline, and west, south, east, north. One that crosses the antimeridian is cut there, and its west is
        larger than its east; one that holds a pole goes from -180 to 180 (RFC 7946, 3.1.9, 5.2 and 5.3).
    """
    shape = cut_at_antimeridian(to_lonlat(np.array([outline_of(window)]), grid)[0])
    west, south, east, north = shape.bounds
    if isinstance(shape, shapely.MultiPolygon) and abs(north) != 90 and abs(south) != 90:
        west, east = shape.geoms[0].bounds[0], shape.geoms[-1].bounds[2]
    return shape, [round(float(value), 7) for value in (west, south, east, north)]


def cut_at_antimeridian(shape: shapely.Geometry) -> shapely.Geometry:
    """A shape in degrees that crosses the antimeridian or holds a pole -> its parts, from west to east of it.

    A shape that holds a pole gets the pole's parallel as an edge, from -180 to 180 degrees (RFC 7946, 5.3). A shape may
    leave -180 to 180 degrees. Any other shape, of at most 180 degrees, comes back as it is.
    """
    west, _, east, _ = shape.bounds
    if not (east - west > 180 or west < -180 or east > 180):  # an empty shape has bounds of NaN
        return shape
    rolled = shapely.union_all([_unrolled(polygon) for polygon in shapely.get_parts(shape)])
    first, last = (math.floor((edge + 180) / 360) for edge in (rolled.bounds[0], rolled.bounds[2]))
    parts = []
    for turn in range(first, last + 1):
        piece = rolled & shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)
        parts += shapely.get_parts(shapely.affinity.translate(piece, -360 * turn)).tolist()
    merged = shapely.get_parts(shapely.union_all(parts)).tolist()
    polygons = [part for part in merged if part.geom_type == "Polygon" and part.area > 0]
    if len(polygons) == 1:
        return polygons[0]
    return shapely.MultiPolygon(sorted(polygons, key=lambda part: part.bounds[0] < 0))


def _unrolled(polygon: shapely.Polygon) -> shapely.Geometry:
    """A polygon whose longitudes do not jump, and may leave -180 to 180; closed along the pole that it holds."""
    rings: list[np.ndarray] = []
    for ring in (polygon.exterior, *polygon.interiors):
        points = shapely.get_coordinates(ring).copy()
        points[:, 0] = np.unwrap(points[:, 0], period=360)
        if rings:  # beside the outer ring
            points[:, 0] += 360 * round((rings[0][:, 0].mean() - points[:, 0].mean()) / 360)
        if abs(points[-1, 0] - points[0, 0]) > 180:
            pole = math.copysign(90, points[:, 1].mean())
            points = np.concatenate([points, [(points[-1, 0], pole), (points[0, 0], pole), points[0]]])
        rings.append(points)
    return shapely.Polygon(rings[0], rings[1:]).buffer(0)


def whole_of(grid: Grid) -> Window:
    """The window of all of a grid."""
    return Window(0, 0, grid.height, grid.width)


def outline_of(window: Window) -> shapely.Polygon:
    """A window's rectangle, in pixels."""
    return shapely.box(window.left, window.top, window.left + window.width, window.top + window.height)


def _geodetic(grid: Grid) -> pyproj.CRS | None:
    """The geographic CRS under the grid's, on the same datum; None without a CRS or under a local one."""
    crs = crs_of(grid)
    return None if crs is None else crs.geodetic_crs


def _affine(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    return np.array([[a, b], [d, e]]), np.array([c, f])
