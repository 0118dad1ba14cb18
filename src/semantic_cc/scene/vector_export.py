"""Writes the change polygons of a scene in the usual vector formats."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from semantic_cc.errors import OutputError
from semantic_cc.scene.export_formats import FORMATS, LAYER
from semantic_cc.scene.geodesy import crs_of, measure, on_earth, to_map
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.places import CLASS_NAMES
from semantic_cc.scene.polygons import Polygons

_CLOCK = "OGR_CURRENT_DATE"
"""GDAL's option for the time of the last change in a GeoPackage."""

_LAST_CHANGE = "1970-01-01T00:00:00.000Z"
"""This time if the option is not set, so that the same polygons give the same bytes."""


def make_frame(
    polygons: Polygons, outlines: np.ndarray, home: np.ndarray, sentences: Sequence[str], grid: Grid
) -> geopandas.GeoDataFrame:
    """One row for each polygon, in map coordinates.

    Columns: id (from 1), class, pixels, area_m2 (of the mask), perimeter_m (of the outline), probability (mean),
    xmin, ymin, xmax, ymax (of the outline, in map coordinates), place (its number), sentence (of the place), geometry.

    Args:
        polygons: the n polygons of the mask.
        outlines: (n,) shapely geometries to write, in pixels.
        home: (n,) index of each polygon's place.
        sentences: descriptions of the places, in the order of their numbers.
        grid: the scene's grid.
    """
    geometry = to_map(outlines, grid)
    bounds = shapely.bounds(geometry).reshape(-1, 4)
    columns = {
        "id": np.arange(1, len(polygons) + 1, dtype=np.int64),
        "class": np.array([CLASS_NAMES[value] for value in polygons.classes], object),
        "pixels": polygons.pixels,
        "area_m2": polygons.area_m2.round(3),
        "perimeter_m": measure(outlines, grid)[1].round(3),
        "probability": polygons.probability.round(4),
        **dict(zip(("xmin", "ymin", "xmax", "ymax"), bounds.T, strict=True)),
        "place": home.astype(np.int64) + 1,
        "sentence": np.array([sentences[index] for index in home], object),
    }
    frame = geopandas.GeoDataFrame(columns, geometry=geometry, crs=crs_of(grid))
    return frame.astype({"class": "string", "sentence": "string"})  # empty columns have no type of their own


def write_frame(frame: geopandas.GeoDataFrame, folder: Path, suffix: str) -> Path:
    """Writes changes.`suffix`; without rows, the file is still valid and has all columns.

    GeoJSON is in WGS 84, as RFC 7946 requires, with seven decimals (a centimetre) and a bounding box for each feature;
    shapes are cut at the antimeridian. The other formats keep the CRS. The same frame gives the same bytes.

    Args:
        frame: from `make_frame`; for GeoJSON, it needs a location on Earth.
        folder: output folder.
        suffix: one of `FORMATS`.

    Raises:
        OutputError: the file cannot be written.
    """
    path = folder / f"{LAYER}.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path, index=False)
        return path
    options = {"RFC7946": "YES", "WRITE_BBOX": "YES", "WRITE_NAME": "NO"} if suffix == "geojson" else {}
    try:
        with warnings.catch_warnings(), _stopped_clock():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            pyogrio.write_dataframe(
                frame,
                path,
                layer=LAYER,
                driver=FORMATS[suffix].driver,
                geometry_type="Polygon",
                layer_options=options,
            )
        # On a full disk GDAL cuts a GeoJSON short and reports nothing; for the others it raises.
        whole = suffix != "geojson" or pyogrio.read_info(path)["features"] == len(frame)
    except (DataSourceError, DataLayerError) as error:
        raise OutputError(f"{path.name}: cannot be written ({error}); free space") from error
    if not whole:
        raise OutputError(f"{path.name}: was not written completely; free space")
    return path


@contextmanager
def _stopped_clock() -> Iterator[None]:
    before = pyogrio.get_gdal_config_option(_CLOCK)
    pyogrio.set_gdal_config_options({_CLOCK: before or _LAST_CHANGE})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({_CLOCK: before})


def can_hold(suffix: str, grid: Grid) -> bool:
    """Whether a format can store the coordinates of `grid`."""
    return not FORMATS[suffix].lonlat_only or on_earth(grid)
