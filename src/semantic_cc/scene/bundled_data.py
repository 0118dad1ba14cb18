"""The data files of PROJ and GDAL: those of the installed wheel, whatever the environment names.

QGIS, PostGIS, conda and others set PROJ_LIB, PROJ_DATA or GDAL_DATA for themselves; the PROJ within rasterio's wheel
cannot read the database of another version.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

_VARIABLES = {"PROJ_DATA": "proj_data", "PROJ_LIB": "proj_data", "GDAL_DATA": "gdal_data"}
"""Environment variable -> the folder of rasterio's wheel that it would replace."""


def use_bundled_data() -> tuple[str, ...]:
    """Removes the variables from this process's environment where rasterio brings its own files.

    Must run before rasterio and pyogrio are imported, which read the environment then. A build of rasterio without
    own files (conda, Debian) needs the variables, and keeps them.

    Returns:
        The names of the removed variables.
    """
    found = find_spec("rasterio") if any(name in os.environ for name in _VARIABLES) else None
    if found is None or found.origin is None:
        return ()
    wheel = Path(found.origin).parent
    removed = tuple(
        name for name, folder in _VARIABLES.items() if name in os.environ and (wheel / folder).is_dir()
    )
    for name in removed:
        del os.environ[name]
    if removed and "rasterio.env" in sys.modules:  # imported by someone else, with the variables as they were
        from rasterio._env import set_gdal_config, set_proj_data_search_path

        set_proj_data_search_path(str(wheel / "proj_data"))
        set_gdal_config("GDAL_DATA", str(wheel / "gdal_data"))
    return removed
