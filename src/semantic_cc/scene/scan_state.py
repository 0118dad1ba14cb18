"""The results of a scan on disk while it runs: a run that was killed continues where it was.

The planes are flat files of bytes, rows of the scene one after the other; a byte holds the pixel's value XOR the value
of "unknown", so that unknown areas are zeros, which take no disk space where the file system knows holes. `state.json`,
replaced as a whole after each row of windows, holds the number of finished rows; bytes beyond them are overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from semantic_cc.decisions import class_mask
from semantic_cc.errors import OutputError
from semantic_cc.files import check_file, check_folder
from semantic_cc.scene.blend import BlendedPart
from semantic_cc.scene.grid import Grid, Window
from semantic_cc.scene.sparse_blocks import runs
from semantic_cc.scene.tiling import Tiling
from semantic_cc.types import Json

MASK_UNKNOWN = 1
"""The mask's nodata value; `LABEL_VALUES` has no 1."""

PROBABILITY_STEPS, PROBABILITY_UNKNOWN = 254, 255
"""Probabilities 0..1 are stored as 0..254; 255 is their nodata value."""

SCAN = ".scan"
"""Folder of a scan that is not finished, in the output folder."""

_PLANES = {"mask": MASK_UNKNOWN, "probability": PROBABILITY_UNKNOWN}
"""Plane -> its value of "unknown"."""

_FORMAT = 2
"""Of the state; one of another format is removed."""


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
        self._job = hashlib.sha256(json.dumps([_FORMAT, job], sort_keys=True).encode()).hexdigest()
        self.known_pixels = 0
        """Pixels of the finished rows that both images show."""
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

    def put(self, top: int, count: int, parts: Iterable[BlendedPart]) -> None:
        """As `Sink.put`.

        Raises:
            OutputError: the disk is full or gone; finished rows are kept.
        """
        known = self.known_pixels
        try:
            with contextlib.ExitStack() as held:
                files = {name: held.enter_context((self._folder / name).open("r+b")) for name in _PLANES}
                for file in files.values():  # what a killed run left beyond the finished rows
                    os.ftruncate(file.fileno(), top * self._grid.width)
                for part in parts:
                    for name, plane in _planes(part).items():
                        for row, line in enumerate(plane, top):
                            place = row * self._grid.width + part.left
                            _write_at(files[name], place, line.tobytes())
                    known += int(part.known.sum())
                for file in files.values():
                    os.ftruncate(file.fileno(), (top + count) * self._grid.width)
                    os.fsync(file.fileno())
            state = {"job": self._job, "rows": self.rows + 1, "lines": top + count, "known": known}
            part_file = self._folder / "state.json.tmp"
            with part_file.open("w") as record:
                json.dump(state, record)
                record.flush()
                os.fsync(record.fileno())
            part_file.replace(self._folder / "state.json")
        except OSError as error:
            raise OutputError(
                f"cannot write to {self._out}: {error.strerror or error}; free space and start again, "
                f"{self.rows} of {self._rows} rows of windows are kept"
            ) from error
        self.rows, self.known_pixels = self.rows + 1, known

    def blocks(self, name: str, side: int) -> Iterator[tuple[Window, np.ndarray]]:
        """The parts of the "mask" or "probability" of a finished scan where something is known.

        Args:
            name: of the plane.
            side: of the square blocks that parts consist of, in pixels.

        Yields:
            Neighbouring blocks of one row, and their pixels (1, h, w) uint8.
        """
        width, empty = self._grid.width, np.uint8(_PLANES[name])
        with (self._folder / name).open("rb") as file:
            for top in range(0, self._grid.height, side):
                rows = min(side, self._grid.height - top)
                for left, right in runs(_columns_with_data(file, top, rows, width, side)):
                    first, last = left * side, min(right * side, width)
                    plane = np.stack(
                        [_read_at(file, row * width + first, last - first) for row in range(top, top + rows)]
                    )
                    held = np.logical_or.reduceat(plane.any(axis=0), np.arange(0, last - first, side))
                    for start, end in runs(held):
                        pixels = plane[:, start * side : end * side] ^ empty
                        yield Window(top, first + start * side, *pixels.shape), pixels[None]

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
        self.known_pixels = int(state["known"])
        return int(state["rows"])


def _planes(part: BlendedPart) -> dict[str, np.ndarray]:
    """The bytes of each plane, (n, w) uint8."""
    change = np.rint((1 - part.probabilities[0]).clip(0, 1) * PROBABILITY_STEPS).astype(np.uint8)
    values = {"mask": class_mask(part.probabilities), "probability": change}
    return {name: np.where(part.known, values[name] ^ np.uint8(empty), 0) for name, empty in _PLANES.items()}


def _write_at(file: BinaryIO, offset: int, content: bytes) -> None:
    """Writes all of `content`; the system may take it in parts."""
    while content:
        done = os.pwrite(file.fileno(), content, offset)
        content, offset = content[done:], offset + done


def _read_at(file: BinaryIO, offset: int, count: int) -> np.ndarray:
    """So many bytes, (count,) uint8."""
    return np.frombuffer(os.pread(file.fileno(), count, offset), np.uint8)


def _columns_with_data(file: BinaryIO, top: int, rows: int, width: int, side: int) -> np.ndarray:
    """Which columns of blocks of `side` pixels may hold anything but zeros in some rows of a plane, (n,) bool."""
    held = np.zeros(-(-width // side), bool)
    for start, end in _extents(file, top * width, (top + rows) * width):
        first, last = start % width // side, (end - 1) % width // side
        if end - start >= width:
            held[:] = True
        elif start // width == (end - 1) // width:
            held[first : last + 1] = True
        else:  # it reaches into the next row
            held[first:] = held[: last + 1] = True
    return held


def _extents(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int]]:
    """First byte and last + 1 of the parts of a file that are no holes; all of it where holes are not known."""
    while start < end:
        try:
            first = os.lseek(file.fileno(), start, os.SEEK_DATA)
            last = min(os.lseek(file.fileno(), first, os.SEEK_HOLE), end)
        except AttributeError:  # this system has no such call
            first, last = start, end
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but zeros up to the end
                return
            first, last = start, end
        if first < end:
            yield first, last
        start = max(last, first)
