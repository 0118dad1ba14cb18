"""Which bands of an image are red, green and blue, and whether one is transparency.

The order: what the user says, colour interpretation tags, wavelengths, band descriptions, known layouts. What is
assumed is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from semantic_cc.errors import ImageError, InputError
from semantic_cc.scene.scene_options import Bands

ALPHA_SHARE = 0.98
"""Share of a transparency band's pixels that are clear or opaque; the rest are feathered edges."""

TRUSTED_ALPHA = frozenset({"PNG", "WEBP", "GIF", "BIGGIF"})
"""Drivers of formats in which a band tagged alpha can be nothing else."""

_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_WORDS = {"red": 0, "r": 0, "green": 1, "g": 1, "blue": 2, "b": 2}
_SENTINEL = {4: 0, 3: 1, 2: 2}
"""Numbered bands of Sentinel-2 and Landsat 8 and 9: B4, B3, B2."""
_EARLY_LANDSAT = {3: 0, 2: 1, 1: 2}
"""Of Landsat 4 to 7, which have the bands 1, 2, 3, 4, 5 and 7."""
_INFRARED = re.compile(r"\bn(ir)?\b|infra|\bb0?8\b|\bnir", re.IGNORECASE)
_LENGTHS = ((0.62, 0.665, 0.70), (0.51, 0.555, 0.60), (0.45, 0.485, 0.51))
"""Lowest, usual and highest central wavelength of red, green and blue, in micrometres."""
_LENGTH = re.compile(r"(\d+(?:\.\d+)?) ?(nm|nanomet|[uµμ]m|micromet)", re.IGNORECASE)


@dataclass(frozen=True)
class BandChoice:
    """The bands to read.

    Attributes:
        rgb: numbers, from 1, of red, green and blue.
        alpha: number of the transparency band; None = there is none.
        source: "asked for", "colour tags", "descriptions", "wavelengths" or "layout".
        warnings: what was assumed, one line each.
    """

    rgb: Bands
    alpha: int | None
    source: str
    warnings: tuple[str, ...] = ()


def choose_bands(
    dataset: DatasetReader, wanted: Bands | None, name: str, alpha_values: np.ndarray | None
) -> BandChoice:
    """Chooses the bands of an image.

    Args:
        dataset: the image, without a colour table.
        wanted: what the user says.
        name: how messages call it.
        alpha_values: a sample of the band that `alpha_candidate` names.

    Raises:
        InputError: `wanted` has a number that the image has not.
        ImageError: its colours are CMYK or CIELAB.
    """
    if wanted is not None and max(wanted) > dataset.count:
        raise InputError(f"{name}: has no band {max(wanted)}, only {dataset.count}; choose other --bands")
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    lab = structure.get("SOURCE_COLOR_SPACE") == "CIELAB"
    if wanted is None and (lab or ColorInterp.cyan in dataset.colorinterp):
        raise ImageError(f"{name}: is {'CIELAB' if lab else 'CMYK'}; convert it to RGB first")
    warnings: list[str] = []
    if structure.get("MINISWHITE") == "YES":
        warnings.append(
            f"{name}: its smallest value is white (MINISWHITE) and it is read as a negative; turn it over, for 8 bits "
            "with 'gdal_translate -scale 0 255 255 0'"
        )
    alpha = _alpha(dataset, alpha_values, name, warnings, quiet=wanted is not None)
    if wanted is not None:
        return BandChoice(wanted, None if alpha in wanted else alpha, "asked for", tuple(warnings))
    colours, names = dataset.colorinterp, dataset.descriptions
    tagged = _tagged(colours)
    measured = _measured(dataset)
    named, source = (_named(names), "descriptions") if measured is None else (measured, "wavelengths")
    # A writer that knows of no colours leaves GDAL's default, red, green and blue first, in 8-bit files.
    if tagged is not None and (named is None or named == tagged or tagged != (1, 2, 3)):
        return BandChoice(tagged, alpha, "colour tags", tuple(warnings))
    if named is not None:
        if tagged is not None:
            warnings.append(
                f"{name}: colour tags say bands 1, 2, 3, band {source} {_list(named)}; the {source} are taken, choose "
                "others with --bands"
            )
        return BandChoice(named, alpha, source, tuple(warnings))
    others = [band for band in dataset.indexes if band != alpha]
    if len(others) < 3:
        band = others[0] if others else 1
        of = f", band {band} of {len(others)}," if len(others) > 1 else ""
        warnings.append(
            f"{name}: one band{of} converted to RGB (panchromatic); the models are trained on colour images, and "
            "heights, radar or an index mean nothing to them"
        )
        return BandChoice((band, band, band), alpha, "layout", tuple(warnings))
    chosen = others[0], others[1], others[2]
    if len(others) == 4:
        warnings.append(
            f"{name}: 4 bands without colour tags, {_list(chosen)} taken as red, green, blue and {others[3]} as "
            "near infrared; choose others with --bands"
        )
    elif len(others) > 4:
        warnings.append(
            f"{name}: {len(others)} bands, {_list(chosen)} taken as red, green, blue; choose others with --bands"
        )
    return BandChoice(chosen, alpha, "layout", tuple(warnings))


def alpha_candidate(dataset: DatasetReader) -> int | None:
    """The band that could be transparency: one that is tagged so, or an untagged last one of two or four."""
    if ColorInterp.alpha in dataset.colorinterp:
        return dataset.colorinterp.index(ColorInterp.alpha) + 1
    if dataset.count in (2, 4) and dataset.colorinterp[-1] == ColorInterp.undefined:
        return int(dataset.count)
    return None


def looks_like_alpha(values: np.ndarray) -> bool:
    """Whether a band is clear or opaque nearly everywhere, and has nothing else than that for most of its levels."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return False
    full = finite.max()
    return bool(((finite == 0) | (finite == full)).mean() >= ALPHA_SHARE)


def _alpha(
    dataset: DatasetReader, values: np.ndarray | None, name: str, warnings: list[str], *, quiet: bool
) -> int | None:
    band = alpha_candidate(dataset)
    if band is None:
        return None
    tagged = dataset.colorinterp[band - 1] == ColorInterp.alpha
    if dataset.driver in TRUSTED_ALPHA and tagged:
        return band
    infrared = bool(_INFRARED.search(dataset.descriptions[band - 1] or ""))
    if infrared or values is None or not looks_like_alpha(values):
        if tagged and not quiet:
            warnings.append(
                f"{name}: band {band} is tagged as transparency, but holds other values than clear and opaque; it is "
                "taken for near infrared and not used"
            )
        return None
    if not tagged and values.min() == values.max():
        return None
    if not tagged and not quiet:
        warnings.append(
            f"{name}: band {band} holds two values only and is taken for transparency; if it is not, remove it"
        )
    return band


def _tagged(colours: Sequence[ColorInterp]) -> Bands | None:
    if not all(colour in colours for colour in _RGB):
        return None
    red, green, blue = (list(colours).index(colour) + 1 for colour in _RGB)
    return red, green, blue


def _named(descriptions: Sequence[str | None]) -> Bands | None:
    """The bands whose descriptions say red, green and blue, in words or as satellites number them."""
    words = [re.sub(r"[^a-z0-9]+", " ", (text or "").lower()).split() for text in descriptions]
    exact = _complete([{_WORDS[w[0]]} if len(w) == 1 and w[0] in _WORDS else set() for w in words])
    if exact is not None:
        return exact
    coloured = [
        set()
        if any(word.startswith(("edge", "rededge", "infra", "nir", "coastal")) for word in parts)
        else {_WORDS[word] for word in parts if word in ("red", "green", "blue")}
        for parts in words
    ]
    found = _complete(coloured)
    if found is not None:
        return found
    if len(words) == 3 and sum(map(bool, coloured)) == 2:  # two of three bands have a name
        rest = {0, 1, 2}.difference(*coloured)
        return _complete([roles or rest for roles in coloured])
    if len(words) <= 4 and words == [["band", str(band)] for band in range(1, len(words) + 1)]:
        return None  # what ENVI writes for bands without names
    numbers = [
        int(match.group(1))
        if (match := re.search(r"\b(?:b|band|sr b) ?0*(\d+)\b", " ".join(parts)))
        else None
        for parts in words
    ]
    table = _EARLY_LANDSAT if {n for n in numbers if n} == {1, 2, 3, 4, 5, 7} else _SENTINEL
    return _complete([{table[n]} if n in table else set() for n in numbers])


def _measured(dataset: DatasetReader) -> Bands | None:
    """The bands whose central wavelengths are those of red, green and blue, as tags or descriptions give them."""
    lengths = []
    for band, text in zip(dataset.indexes, dataset.descriptions, strict=True):
        tag = dataset.tags(band, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM", "")
        found = _LENGTH.search(f"{tag} um" if tag else text or "")
        number = float(found.group(1)) if found else float("nan")
        lengths.append(number / 1000 if found and found.group(2).lower().startswith("n") else number)
    chosen = []
    for lowest, usual, highest in _LENGTHS:
        near = [
            (abs(length - usual), band)
            for band, length in enumerate(lengths, 1)
            if lowest <= length <= highest
        ]
        if not near:
            return None
        chosen.append(min(near)[1])
    red, green, blue = chosen
    return red, green, blue


def _complete(roles: Sequence[set[int]]) -> Bands | None:
    """Three bands of which each is the first that has one role, None where a role is missing."""
    places = [
        next((band for band, found in enumerate(roles, 1) if found == {role}), None) for role in range(3)
    ]
    red, green, blue = places
    return None if red is None or green is None or blue is None else (red, green, blue)


def _list(bands: Sequence[int]) -> str:
    return ", ".join(map(str, bands))
