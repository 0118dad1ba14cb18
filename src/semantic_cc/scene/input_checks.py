"""What is looked at before a scene is worked on: each finding a number, its limit and one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from semantic_cc.errors import InputError
from semantic_cc.scene.common_grid import AlignedPair
from semantic_cc.scene.coregister import MIN_WINDOWS, Shift, measure_shift, read_samples
from semantic_cc.scene.geodesy import ground_sampling

GROUND_SAMPLING = (0.3, 1.0)
"""Metres a pixel that models are trained for (LEVIR: 0.5)."""

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
"""Largest share of pixels that either image does not know (nodata, transparent, outside)."""


@dataclass(frozen=True)
class Finding:
    """One measured quantity beyond its limit.

    Attributes:
        check: "ground sampling distance", "co-registration", "radiometry", "bright", "saturated" or "blank".
        value, limit: in the unit that the message names.
        message: one sentence for people.
    """

    check: str
    value: float
    limit: float
    message: str


@dataclass(frozen=True)
class Inspection:
    """What was measured on a sample of windows before the work.

    Attributes:
        measured: quantity -> number, None where it could not be measured; shares in [0, 1].
        shift: of the later image, None where too few windows tell.
        findings: what lies beyond its limit.
    """

    measured: dict[str, float | None]
    shift: Shift | None
    findings: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        """`measured`, and `findings` as a list of objects."""
        return {"measured": self.measured, "warnings": [asdict(finding) for finding in self.findings]}


def inspect_pair(pair: AlignedPair, *, coregister: bool = False) -> Inspection:
    """Measures a pair on a sample of windows.

    Args:
        pair: the pair.
        coregister: whether a shift above `MAX_SHIFT` is taken back by `pair.shift_after`; what is left is reported.

    Raises:
        ImageError: a part of a file cannot be read.
        InputError: `coregister`, and the shift cannot be measured.
    """
    samples = read_samples(pair)
    shift, taken_back = measure_shift(samples), None
    if coregister and shift is None:
        raise InputError(
            f"the shift between the images cannot be measured: fewer than {MIN_WINDOWS} windows are clear about it; "
            "go on without --coregister"
        )
    if coregister and shift is not None and shift.length > MAX_SHIFT:
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
    findings = _sampling(pair, measured) + _shift(shift) + _levels(samples, measured)
    return Inspection(measured, shift, tuple(findings))


def refuse_findings(findings: Sequence[Finding]) -> None:
    """What --strict does.

    Raises:
        InputError: there are findings; the message holds them all.
    """
    if findings:
        raise InputError(
            "; ".join(finding.message for finding in findings) + "; mend it, or go on without --strict"
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
    text = f"a pixel measures {value:.3g} m on the ground, models are trained for {least} to {most} m; try --resolution"
    return [Finding("ground sampling distance", value, limit, text)]


def _shift(shift: Shift | None) -> list[Finding]:
    if shift is None or shift.length <= MAX_SHIFT:
        return []
    text = (
        f"the later image lies {shift.length:.1f} pixels off the earlier ({shift.columns:+.1f} across, "
        f"{shift.rows:+.1f} down, median of {shift.windows} windows, spread {shift.spread:.1f}); "
        "--coregister takes that back"
    )
    return [Finding("co-registration", shift.length, MAX_SHIFT, text)]


def _levels(
    samples: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], measured: dict[str, float | None]
) -> list[Finding]:
    """Radiometric difference, and the shares of bright, saturated and blank pixels of the sample."""
    known = np.concatenate([sample[2].ravel() for sample in samples])
    dates = [np.concatenate([sample[date].reshape(-1, 3) for sample in samples])[known] for date in (0, 1)]
    blank = float(1 - known.mean())
    measured["blank"] = round(blank, 4)
    findings = []
    if blank > MAX_BLANK:
        text = f"{blank:.0%} of the common area is unknown in one image or both"
        findings.append(Finding("blank", blank, MAX_BLANK, text))
    if not known.any():
        return findings
    difference = float(np.abs(dates[0].mean(axis=0) - dates[1].mean(axis=0)).max())
    measured["radiometric_difference"] = round(difference, 2)
    if difference > MAX_RADIOMETRIC:
        text = f"the dates' mean levels differ by {difference:.0f} of 255; match their radiometry first"
        findings.append(Finding("radiometry", difference, MAX_RADIOMETRIC, text))
    for date, pixels in zip(("before", "after"), dates, strict=True):
        bright = float(((pixels.min(axis=1) >= BRIGHT) & (np.ptp(pixels, axis=1) <= GREY)).mean())
        saturated = float((pixels >= SATURATED).any(axis=1).mean())
        measured |= {f"bright_{date}": round(bright, 4), f"saturated_{date}": round(saturated, 4)}
        if bright > MAX_BRIGHT:
            text = f"{bright:.0%} of the {date} image is white: cloud, snow or glare"
            findings.append(Finding("bright", bright, MAX_BRIGHT, text))
        if saturated > MAX_SATURATED:
            text = f"{saturated:.0%} of the {date} image is saturated"
            findings.append(Finding("saturated", saturated, MAX_SATURATED, text))
    return findings
