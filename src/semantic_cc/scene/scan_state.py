"""A scan's results on disk while it runs: killed at any moment, it goes on where it was.

The planes are flat files of bytes, rows of the scene one after the other; `state.json`, replaced as a whole after each
row of windows, says how many of them count. Whatever lies beyond is written over.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from semantic_cc.decisions import class_mask
from semantic_cc.errors import OutputError
from semantic_cc.files import check_folder
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.sliding_window import FACTS
from semantic_cc.scene.tiling import Tiling

MASK_UNKNOWN = 1
"""The mask's nodata value; `LABEL_VALUES` has no 1."""

PROBABILITY_STEPS, PROBABILITY_UNKNOWN = 254, 255
"""Probabilities 0..1 are stored as 0..254; 255 is their nodata value."""

_PLANES = ("mask", "probability")


class ScanState:
    """The `Sink` of a scan into a folder.

    Args:
        folder: the scan's output folder; the state lies in `.scan` within it.
        grid: the scene's.
        tiling: the windows.
        job: everything that the results depend on, in plain JSON values; the state of another job is thrown away.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, grid: Grid, tiling: Tiling, job: dict[str, Any]) -> None:
        self._out = check_folder(folder)
        self._folder = self._out / ".scan"
        self._grid = grid
        self._shape = len(tiling.starts(grid.height)), len(tiling.starts(grid.width))
        self._job = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()
        self.rows = self._read()
        try:
            if self.rows == 0:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder.mkdir(parents=True)
                for name in (*_PLANES, "windows"):
                    (self._folder / name).touch()
        except OSError as error:
            raise OutputError(f"cannot write to {folder}: {error.strerror}; choose another place") from error

    def put(self, top: int, probabilities: np.ndarray, known: np.ndarray, facts: np.ndarray) -> None:
        """As `Sink.put`.

        Raises:
            OutputError: the disk is full or has gone; what was there before is kept.
        """
        planes = np.empty((2, *known.shape), np.uint8)
        planes[0] = np.where(known, class_mask(probabilities), MASK_UNKNOWN)
        change = np.rint((1 - probabilities[0]).clip(0, 1) * PROBABILITY_STEPS)
        planes[1] = np.where(known, change, PROBABILITY_UNKNOWN)
        try:
            for name, plane in zip(_PLANES, planes, strict=True):
                self._write(name, top * self._grid.width, plane.tobytes())
            self._write("windows", self.rows * facts.nbytes, facts.astype("<f4").tobytes())
            state = {"job": self._job, "rows": self.rows + 1, "lines": top + len(known)}
            part = self._folder / "state.json.tmp"
            self._write(part.name, 0, json.dumps(state).encode())
            part.replace(self._folder / "state.json")
        except OSError as error:
            raise OutputError(
                f"cannot write to {self._out}: {error.strerror or error}; free space and start again, "
                f"{self.rows} of {self._shape[0]} rows of windows are kept"
            ) from error
        self.rows += 1

    def plane(self, name: str) -> np.ndarray:
        """The "mask" or "probability" of a finished scan, (H, W) uint8, read from the disk as it is needed."""
        shape = (self._grid.height, self._grid.width)
        return np.memmap(self._folder / name, np.uint8, mode="r", shape=shape)

    def facts(self) -> np.ndarray:
        """Of each window of a finished scan, (rows, columns, len(FACTS)) float32."""
        values = np.fromfile(self._folder / "windows", "<f4")
        return values.reshape(*self._shape, len(FACTS))

    def draft(self, name: str) -> Path:
        """Where to write a file that `publish` puts into the folder."""
        return self._folder / name

    def publish(self, *names: str) -> list[Path]:
        """Puts the drafts of a finished scan into the folder, in place of those of an earlier one; ends the state.

        Raises:
            OutputError: the folder cannot be written.
        """
        paths = [self._out / name for name in names]
        try:
            for path in paths:
                self.draft(path.name).replace(path)
        except OSError as error:
            raise OutputError(
                f"cannot write to {self._out}: {error.strerror}; choose another place"
            ) from error
        shutil.rmtree(self._folder, ignore_errors=True)
        return paths

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
