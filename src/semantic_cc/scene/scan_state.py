"""The results of a scan on disk while it runs: a run that was killed continues where it was.

The planes are flat files of bytes, rows of the scene one after the other. `state.json`, replaced as a whole after each
row of windows, holds the number of finished rows; bytes beyond them are overwritten.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from semantic_cc.decisions import class_mask
from semantic_cc.errors import OutputError
from semantic_cc.files import check_file, check_folder
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.tiling import Tiling
from semantic_cc.types import Json

MASK_UNKNOWN = 1
"""The mask's nodata value; `LABEL_VALUES` has no 1."""

PROBABILITY_STEPS, PROBABILITY_UNKNOWN = 254, 255
"""Probabilities 0..1 are stored as 0..254; 255 is their nodata value."""

SCAN = ".scan"
"""Folder of a scan that is not finished, in the output folder."""

_PLANES = ("mask", "probability")


class ScanState:
    """The `Sink` of a scan, and the files that are made of it until all are whole.

    Args:
        folder: the output folder; the state lies in `SCAN` within it.
        grid: the scene's.
        tiling: the windows.
        job: everything that the results depend on, in plain JSON values; the state of another job is removed.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, grid: Grid, tiling: Tiling, job: Mapping[str, Json]) -> None:
        self._out = check_folder(folder)
        self._folder = self._out / SCAN
        self._grid = grid
        self._rows = len(tiling.starts(grid.height, 0))
        self._job = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()
        self.rows = self._read()
        self.drafts = self._folder / "files"
        """An empty folder for the files that `publish` moves."""
        try:
            if self.rows == 0:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder.mkdir(parents=True)
                for name in _PLANES:
                    (self._folder / name).touch()
            shutil.rmtree(self.drafts, ignore_errors=True)
            self.drafts.mkdir()
        except OSError as error:
            raise OutputError(f"cannot write to {folder}: {error.strerror}; choose another place") from error

    def put(self, top: int, probabilities: np.ndarray, known: np.ndarray) -> None:
        """As `Sink.put`.

        Raises:
            OutputError: the disk is full or gone; finished rows are kept.
        """
        planes = np.empty((2, *known.shape), np.uint8)
        planes[0] = np.where(known, class_mask(probabilities), MASK_UNKNOWN)
        change = np.rint((1 - probabilities[0]).clip(0, 1) * PROBABILITY_STEPS)
        planes[1] = np.where(known, change, PROBABILITY_UNKNOWN)
        try:
            for name, plane in zip(_PLANES, planes, strict=True):
                self._write(name, top * self._grid.width, plane.tobytes())
            state = {"job": self._job, "rows": self.rows + 1, "lines": top + len(known)}
            part = self._folder / "state.json.tmp"
            self._write(part.name, 0, json.dumps(state).encode())
            part.replace(self._folder / "state.json")
        except OSError as error:
            raise OutputError(
                f"cannot write to {self._out}: {error.strerror or error}; free space and start again, "
                f"{self.rows} of {self._rows} rows of windows are kept"
            ) from error
        self.rows += 1

    def plane(self, name: str) -> np.ndarray:
        """The "mask" or "probability" of a finished scan, (H, W) uint8, read from the disk as it is needed."""
        shape = (self._grid.height, self._grid.width)
        return np.memmap(self._folder / name, np.uint8, mode="r", shape=shape)

    def publish(self, stale: Iterable[str]) -> None:
        """Moves the drafts into the output folder, in place of files of these names, and removes the state.

        Args:
            stale: names of an earlier run's files, which are removed unless a draft replaces them.

        Raises:
            OutputError: the folder cannot be written, or a directory has the name of a draft; nothing is moved then.
        """
        names = sorted(path.name for path in self.drafts.iterdir())
        try:
            for name in names:
                check_file(self._out / name)
            for name in names:
                (self.drafts / name).replace(self._out / name)
            for name in set(stale) - set(names):
                (self._out / name).unlink(missing_ok=True)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(
                f"cannot write to {self._out}: {error.strerror}; choose another place"
            ) from error
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self) -> int:
        """Rows of windows that are done."""
        try:
            state = json.loads((self._folder / "state.json").read_text())
            sizes = [(self._folder / name).stat().st_size for name in _PLANES]
        except (OSError, ValueError):
            return 0
        if state.get("job") != self._job or min(sizes) < state["lines"] * self._grid.width:
            return 0
        return int(state["rows"])

    def _write(self, name: str, offset: int, content: bytes) -> None:
        """Puts `content` into a file at `offset`, and makes sure that it has reached the disk."""
        path = self._folder / name
        with path.open("r+b" if path.exists() else "wb") as file:
            file.seek(offset)
            file.write(content)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
