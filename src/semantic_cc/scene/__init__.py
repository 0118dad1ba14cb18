"""Georeferenced images of any size: reading, common grid, windows, blending, polygons, report, export."""

from semantic_cc.scene.bundled_data import use_bundled_data

# At import, because rasterio and pyogrio read the environment when they are imported, which the modules here do.
use_bundled_data()
