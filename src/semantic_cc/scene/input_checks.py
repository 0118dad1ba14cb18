"""What is looked at before a scene is worked on: each finding a number, its limit and one sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from semantic_cc.errors import InputError
from semantic_cc.same_picture import PictureComparison, same_file_warning
from semantic_cc.scene.common_grid import AlignedPair
from semantic_cc.scene.coregister import MIN_WINDOWS, Shift, measure_shift, read_samples, sample_windows
from semantic_cc.scene.geodesy import ground_sampling
from semantic_cc.scene.grid import Window
from semantic_cc.scene.image_sources import is_over_network
from semantic_cc.scene.raster import Raster

GROUND_SAMPLING = (0.3, 1.0)
"""Metres a pixel that models are trained for (LEVIR: 0.5)."""

TOO_COARSE = 2.0
"""Metres a pixel above which a house is a few pixels only."""

MAX_SHIFT = 1.0
"""Pixels."""

MAX_RADIOMETRIC = 75.0
"""Largest difference of the dates' mean levels in any band, of 255; the eight real LEVIR pairs at hand reach 68."""

MAX_BRIGHT, BRIGHT = 0.25, 200
"""Largest share of white pixels (every band from `BRIGHT` on, within `GREY` of each other): cloud, snow, glare.

Of 2,100 aerial images without clouds 5 % exceed 0.21.
"""
GREY = 30

MAX_SATURATED, SATURATED = 0.10, 254
"""Largest share of pixels with a band at its end; of the same images 1 % exceed 0.067."""

MAX_BLANK = 0.10
"""Largest share of pixels that either image does not know (nodata, transparent, collar, outside)."""

BLOCK = 1024
"""Side in pixels of the blocks in which all of a scene is counted."""

MAX_COUNTED = 1_000_000_000
"""Pixels (of blocks that the files hold) up to which all are counted; else, and over a network, a sample is."""

_DATE_TAGS = (
    "ACQUISITIONDATETIME", "EXIF_DateTimeOriginal", "DATE_ACQUIRED", "acquisition_date", "SENSING_TIME", "datetime",
    "TIFFTAG_DATETIME",
)  # fmt: skip
"""Where files say when an image was taken, the surest first; their names come last."""

_DATE_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")


@dataclass(frozen=True)
class Finding:
    """One measured quantity beyond its limit.

    Attributes:
        check: "ground sampling distance", "co-registration", "radiometry", "bright", "saturated", "blank", "dates" or
            "same file".
        value, limit: in the unit that the message names.
        message: one sentence for people.
    """

    check: str
    value: float
    limit: float
    message: str


@dataclass(frozen=True)
class Inspection:
    """What was measured before the work.

    Attributes:
        measured: quantity -> number, None where it could not be measured; shares in [0, 1], over all pixels up to
            `MAX_COUNTED`.
        shift: of the later image, None where too few windows tell.
        findings: what lies beyond its limit.
    """

    measured: dict[str, float | None]
    shift: Shift | None
    findings: tuple[Finding, ...]


def inspect_pair(pair: AlignedPair, *, coregister: bool = False) -> Inspection:
    """Measures a pair: the shift on a sample of windows, shares over all pixels.

    All of both files is read once, so that a broken part is found before the work.

    Args:
        pair: the pair.
        coregister: whether a shift above `MAX_SHIFT` is taken back by `pair.shift_after`; what is left is reported.

    Raises:
        ImageError: a part of a file cannot be read.
        InputError: `coregister`, and the shift cannot be measured or differs from place to place; no pixel is known
            in both images.
    """
    samples = read_samples(pair)
    shift, taken_back = measure_shift(samples), None
    if coregister and shift is None:
        raise InputError(
            f"the shift between the images cannot be measured: fewer than {MIN_WINDOWS} windows show a clear shift; "
            "run without --coregister"
        )
    if coregister and shift is not None and shift.length > MAX_SHIFT:
        if not shift.agreed:
            raise InputError(
                f"the shift between the images cannot be measured: {shift.windows} windows differ by about "
                f"{shift.spread:.1f} pixels; run without --coregister"
            )
        pair.shift_after(shift.columns, shift.rows)
        taken_back, samples = shift, read_samples(pair)
        shift = measure_shift(samples)
    measured: dict[str, float | None] = {
        "shift_columns": None if shift is None else round(shift.columns, 3),
        "shift_rows": None if shift is None else round(shift.rows, 3),
        "shift_spread": None if shift is None else round(shift.spread, 3),
    }
    if taken_back is not None:
        measured["removed_columns"] = round(taken_back.columns, 3)
        measured["removed_rows"] = round(taken_back.rows, 3)
    counts = _count(pair)
    findings = _files(pair.rasters, counts.comparison) + _sampling(pair, measured) + _shift(shift)
    findings += _levels(counts, measured)
    return Inspection(measured, shift, tuple(findings))


def refuse_findings(findings: Sequence[Finding]) -> None:
    """What --strict does.

    Raises:
        InputError: there are findings; the message holds them all.
    """
    if findings:
        raise InputError(
            "; ".join(finding.message for finding in findings) + "; correct it, or run without --strict"
        )


def _sampling(pair: AlignedPair, measured: dict[str, float | None]) -> list[Finding]:
    found = ground_sampling(pair.grid)
    for name, side in zip(("metres_across", "metres_down"), found or (None, None), strict=True):
        measured[name] = None if side is None else round(side, 4)
    if found is None:
        return []
    least, most = GROUND_SAMPLING
    if max(found) > most * 1.01:
        value, limit = max(found), most
    elif min(found) < least * 0.99:
        value, limit = min(found), least
    else:
        return []
    text = f"a pixel measures {value:.3g} m on the ground, models are trained for {least} to {most} m; "
    if value > TOO_COARSE:
        text += "buildings are too small to be seen: do not trust the result (--resolution adds no detail)"
    else:
        text += "try --resolution"
    return [Finding("ground sampling distance", value, limit, text)]


def _shift(shift: Shift | None) -> list[Finding]:
    if shift is None or shift.length <= MAX_SHIFT or not shift.agreed:
        return []
    text = (
        f"the later image is {shift.length:.1f} pixels off the earlier one ({shift.columns:+.1f} across, "
        f"{shift.rows:+.1f} down, median of {shift.windows} windows, spread {shift.spread:.1f}); "
        "--coregister corrects this"
    )
    return [Finding("co-registration", shift.length, MAX_SHIFT, text)]


@dataclass
class _Counts:
    """Sums over the pixels that both images know; lists hold before and after."""

    exact: bool
    pixels: int = 0
    known: int = 0
    levels: list[np.ndarray] = field(default_factory=lambda: [np.zeros(3), np.zeros(3)])
    bright: list[int] = field(default_factory=lambda: [0, 0])
    saturated: list[int] = field(default_factory=lambda: [0, 0])
    comparison: PictureComparison = field(default_factory=PictureComparison)

    def add(self, before: np.ndarray, after: np.ndarray, known: np.ndarray) -> None:
        """Counts a window."""
        self.pixels += known.size
        self.known += int(known.sum())
        self.comparison.add(before, after, known)
        for date, image in enumerate((before, after)):
            pixels = image[known]
            self.levels[date] += pixels.sum(axis=0, dtype=np.float64)
            red, green, blue = pixels.T  # NumPy takes 30 times as long to reduce rows of three
            least = np.minimum(np.minimum(red, green), blue)
            most = np.maximum(np.maximum(red, green), blue)
            self.bright[date] += int(((least >= BRIGHT) & (most - least <= GREY)).sum())
            self.saturated[date] += int((most >= SATURATED).sum())


def _count(pair: AlignedPair) -> _Counts:
    grid = pair.grid
    tops, lefts = range(0, grid.height, BLOCK), range(0, grid.width, BLOCK)
    blocks = [
        Window(
            tops[row],
            lefts[column],
            min(BLOCK, grid.height - tops[row]),
            min(BLOCK, grid.width - lefts[column]),
        )
        for row, column in np.argwhere(pair.may_show(tops, lefts, BLOCK, BLOCK))
    ]
    pixels = sum(block.height * block.width for block in blocks)
    exact = pixels <= MAX_COUNTED and not any(is_over_network(raster.name) for raster in pair.rasters)
    counts = _Counts(exact)
    for window in blocks if exact else sample_windows(pair):
        counts.add(*pair.read(window))
    if exact:
        counts.pixels = grid.width * grid.height
    if counts.known == 0 and exact:
        names = " and ".join(raster.name for raster in pair.rasters)
        raise InputError(f"{names}: no pixel is known in both; check nodata values and that they overlap")
    return counts


def _files(rasters: tuple[Raster, Raster], comparison: PictureComparison) -> list[Finding]:
    """Swapped dates, and one file or picture given twice."""
    before, after = rasters
    findings = []
    same = same_file_warning(before.name, after.name) or comparison.warning(before.name, after.name)
    if same is not None:
        findings.append(Finding("same file", 1.0, 0.0, same))
    dates = [_date(raster) for raster in rasters]
    if dates[0] is not None and dates[1] is not None and dates[0] > dates[1]:
        days = (dates[0] - dates[1]).total_seconds() / 86400
        text = (
            f"the dates look swapped: {before.name} is dated {dates[0]:%Y-%m-%d}, later than {after.name} "
            f"({dates[1]:%Y-%m-%d}); give the earlier image first"
        )
        findings.append(Finding("dates", round(days, 3), 0.0, text))
    return findings


def _date(raster: Raster) -> datetime | None:
    """When an image was taken, as its tags or its name say."""
    tags = {**raster.dataset.tags(), **raster.dataset.tags(ns="IMAGERY"), **raster.dataset.tags(ns="EXIF")}
    found = [re.match(r"\s*(\d{4})[-:/]?(\d\d)[-:/]?(\d\d)", str(tags.get(name, ""))) for name in _DATE_TAGS]
    for numbers in (*found, _DATE_IN_NAME.search(Path(raster.name).name)):
        if numbers:
            try:
                return datetime(*(int(number) for number in numbers.groups()))  # type: ignore[arg-type]
            except ValueError:
                continue
    return None


def _levels(counts: _Counts, measured: dict[str, float | None]) -> list[Finding]:
    """Radiometric difference, and the shares of bright, saturated and unknown pixels."""
    about = "" if counts.exact else "about "
    blank = 1 - counts.known / counts.pixels
    measured["blank"] = round(blank, 4)
    findings = []
    if blank > MAX_BLANK:
        text = f"{about}{blank:.0%} of the common area is unknown in one image or both"
        findings.append(Finding("blank", blank, MAX_BLANK, text))
    if counts.known == 0:
        return findings
    means = [levels / counts.known for levels in counts.levels]
    difference = float(np.abs(means[0] - means[1]).max())
    measured["radiometric_difference"] = round(difference, 2)
    if difference > MAX_RADIOMETRIC:
        text = f"the dates' mean levels differ by {difference:.0f} of 255; match their radiometry first"
        findings.append(Finding("radiometry", difference, MAX_RADIOMETRIC, text))
    for index, date in enumerate(("before", "after")):
        bright, saturated = counts.bright[index] / counts.known, counts.saturated[index] / counts.known
        measured |= {f"bright_{date}": round(bright, 4), f"saturated_{date}": round(saturated, 4)}
        if bright > MAX_BRIGHT:
            text = f"{about}{bright:.0%} of the {date} image is white: cloud, snow or glare"
            findings.append(Finding("bright", bright, MAX_BRIGHT, text))
        if saturated > MAX_SATURATED:
            text = f"{about}{saturated:.0%} of the {date} image is saturated"
            findings.append(Finding("saturated", saturated, MAX_SATURATED, text))
    return findings
