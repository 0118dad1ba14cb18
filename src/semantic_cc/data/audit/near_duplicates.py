"""Pictures that show one place: recompressed, brightened, flipped, turned or shifted by up to an eighth of a side.

Three steps, each on fewer pictures than the one before. The amplitudes of a picture's spectrum, which no shift
moves, find the likeliest others in one product of matrices. Phase correlation under the eight symmetries finds
how the two lie on each other (Kuglin and Hines, 1975): it weighs all frequencies alike, so that one strong line,
which makes any two runways correlate, counts little. At last the fine structure must agree all over the overlap,
block by block.

Shape legend: n pictures, s side of a picture in cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from semantic_cc.data.augment.symmetry import SYMMETRIES, Symmetry

FINE, SIDE = 128, 64
"""Cells a side of a kept picture, and of its copy that is searched."""
NEAREST = 5
"""Pictures of other groups at which a picture is held."""
LIKELY = 0.6
"""Least peak of the phase correlation, 1 for a copy, for a look at the fine structure."""
SAME = 0.55
"""Least correlation of the fine structure in three quarters of the blocks."""
FLAT = 1.0
"""Standard deviation in grey levels below which there is no structure to compare."""
_REACH = SIDE // 8  # cells that one picture may be shifted by
_BLOCKS = 4  # a side
_LOW, _HIGH = 2, 20  # waves a side that are compared: neither light nor what compression loses
_SPECTRUM = 12  # waves a side of the amplitudes
_ROWS = 256  # pictures at once

_CLASSES = tuple(
    tuple(s for s in SYMMETRIES if (s.swaps_axes, s.mirror) == kind)
    for kind in ((False, False), (False, True), (True, False), (True, True))
)
"""The symmetries that a spectrum's amplitudes tell apart: a half turn leaves them as they are."""
_WINDOW = np.outer(*[np.hanning(SIDE + 2)[1:-1].astype(np.float32)] * 2)
_WAVES = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE, 1 / SIDE), np.arange(SIDE // 2 + 1), indexing="ij"))
_IN_BAND = (_WAVES >= _LOW) & (_WAVES <= _HIGH)
_COUNT = 2 * _IN_BAND[:, 1:].sum() + _IN_BAND[:, 0].sum()  # an rfft leaves out what is there again
_WEIGHT = (_IN_BAND / np.sqrt(_COUNT)).astype(np.float32)


@dataclass(frozen=True)
class NearDuplicate:
    """Two pictures of one place.

    Attributes:
        first, second: their positions.
        likeness: correlation of the fine structure that three quarters of the blocks exceed, in [`SAME`, 1].
        symmetry: what brings the second picture into the first one's place, before the shift.
    """

    first: int
    second: int
    likeness: float
    symmetry: Symmetry


def shrink(grey: np.ndarray) -> np.ndarray:
    """A grey picture ``(H, W)`` uint8 as it is kept: ``(128, 128)`` uint8, square whatever its shape was."""
    from PIL import Image

    return np.asarray(Image.fromarray(grey).resize((FINE, FINE), Image.Resampling.BOX))


def is_flat(picture: np.ndarray) -> bool:
    """Whether a kept picture has too little structure to be distinguished from others."""
    return float(_structure(_coarse(picture[None])).std()) < FLAT


def find_near_duplicates(
    pictures: np.ndarray, groups: np.ndarray, progress: Callable[[int, int], None] | None = None
) -> list[NearDuplicate]:
    """All pairs of pictures in two different groups that show one place.

    Each picture is held against its `NEAREST` likeliest ones in other groups, so of a place that occurs more
    often some pairs may be left out.

    Args:
        pictures: ``(n, 128, 128)`` uint8, from `shrink`.
        groups: ``(n,)`` integers; pictures of one group are not compared.
        progress: called with the pictures searched and their number.

    Returns:
        In the order of their positions, the earlier one first; each pair once.
    """
    seen: set[_Guess] = set()
    found: dict[tuple[int, int], NearDuplicate] = {}
    for done, guesses in _nearest(pictures, groups):
        new = [guess for guess in dict.fromkeys(guesses) if guess not in seen]
        seen.update(new)
        found |= {(pair.first, pair.second): pair for pair in _compare(pictures, new)}
        if progress:
            progress(done, len(pictures))
    return [found[pair] for pair in sorted(found)]


_Guess = tuple[int, int, int]  # two positions, and the position in _CLASSES of how they may lie on each other


def _nearest(pictures: np.ndarray, groups: np.ndarray) -> Iterator[tuple[int, list[_Guess]]]:
    """Batch by batch, how many pictures were searched and the likeliest others of those of the batch."""
    parts = range(0, len(pictures), _ROWS)
    spectra = np.concatenate([_amplitudes(pictures[start : start + _ROWS]) for start in parts])
    spread = spectra.std(axis=0)
    spectra = (spectra - spectra.mean(axis=0)) / np.where(spread > 0, spread, 1)
    known = _directions(spectra)
    for start in parts:
        rows = spectra[start : start + _ROWS]
        by_class = np.stack(
            [_directions(_moved(rows, turn)) @ known.T for turn, _ in _CLASSES]
        )  # (4, rows, n)
        likeness = by_class.max(axis=0)
        likeness[groups[start : start + _ROWS, None] == groups] = -np.inf
        count = min(NEAREST, len(pictures))
        nearest = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
        yield (
            start + len(rows),
            [
                (min(row, other), max(row, other), int(by_class[:, row - start, other].argmax()))
                for row, others in enumerate(nearest, start)
                for other in others.tolist()
                if groups[row] != groups[other]
            ],
        )


def _amplitudes(pictures: np.ndarray) -> np.ndarray:
    """Roots of the low amplitudes, (n, 25, 25), frequency 0 in the middle; the root keeps a few from ruling."""
    whole = np.sqrt(np.abs(fft.fft2(_structure(_coarse(pictures)) * _WINDOW)))
    middle = slice(SIDE // 2 - _SPECTRUM, SIDE // 2 + _SPECTRUM + 1)
    return np.asarray(fft.fftshift(whole, axes=(1, 2))[:, middle, middle])


def _moved(batch: np.ndarray, symmetry: Symmetry) -> np.ndarray:
    """A batch of squares (n, s, s) under a symmetry."""
    return np.moveaxis(symmetry.of_array(np.moveaxis(batch, 0, -1)), -1, 0)


def _directions(spectra: np.ndarray) -> np.ndarray:
    """(n, 25, 25) -> (n, 312) of length 1; the other half of a spectrum is the same again."""
    half = spectra.reshape(len(spectra), -1)[:, : (2 * _SPECTRUM + 1) ** 2 // 2]
    half = half - half.mean(axis=1, keepdims=True)
    return half / np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-9)


def _compare(pictures: np.ndarray, guesses: list[_Guess]) -> Iterator[NearDuplicate]:
    """Those of the guesses that show one place."""
    for index, symmetries in enumerate(_CLASSES):
        chosen = [guess for guess in guesses if guess[2] == index]
        if not chosen:
            continue
        first, second = (pictures[[guess[side] for guess in chosen]] for side in (0, 1))
        reference, other = (_structure(_coarse(side)) for side in (first, second))
        peaks, halves, shifts = _align(reference, other, symmetries)
        for at in np.flatnonzero(peaks >= LIKELY):
            symmetry = symmetries[halves[at]]
            likeness = _agreement(first[at], symmetry.of_array(second[at]), shifts[at])
            if likeness >= SAME:
                yield NearDuplicate(*chosen[at][:2], likeness, symmetry)


def _align(
    first: np.ndarray, second: np.ndarray, symmetries: tuple[Symmetry, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How the second picture of each pair lies best on the first.

    Args:
        first, second: (n, s, s) float32 structure.
        symmetries: those that are tried.

    Returns:
        Height of the peak (n,), position of the symmetry (n,), and the shift of the second in cells, down and to
        the right (n, 2).
    """
    reference, side = _phases(first), 2 * _REACH + 1
    heights, places = [], []
    for symmetry in symmetries:
        # The product of phases, back in space: 1 at the shift between copies.
        peaks = fft.irfft2(reference * _phases(_moved(second, symmetry)).conj(), s=(SIDE, SIDE)) * SIDE**2
        near = np.roll(peaks, (_REACH, _REACH), axis=(1, 2))[:, :side, :side].reshape(len(first), -1)
        heights.append(near.max(axis=1))
        places.append(np.stack(np.divmod(near.argmax(axis=1), side), axis=1) - _REACH)
    best = np.argmax(heights, axis=0)
    rows = np.arange(len(first))
    return np.array(heights)[best, rows], best, np.array(places)[best, rows]


def _phases(structure: np.ndarray) -> np.ndarray:
    """(n, s, s) -> (n, s, s // 2 + 1) complex, of one size within the band, 0 outside; length 1 in all."""
    spectrum = fft.rfft2(structure * _WINDOW)
    return np.asarray(spectrum * (_WEIGHT / np.maximum(np.abs(spectrum), 1e-6)))


def _agreement(first: np.ndarray, second: np.ndarray, shift: np.ndarray) -> float:
    """The correlation that three quarters of the blocks exceed, at the best shift within one cell of `shift`.

    Args:
        first, second: kept pictures (128, 128).
        shift: of the second, in cells of the searched copies.
    """
    one, other = (_structure(picture[None].astype(np.float32), 9)[0] for picture in (first, second))
    ratio = FINE // SIDE
    near = range(1 - ratio, ratio)
    return max(
        _of_blocks(*_overlap(one, other, int(shift[0]) * ratio + down, int(shift[1]) * ratio + right))
        for down in near
        for right in near
    )


def _overlap(one: np.ndarray, other: np.ndarray, down: int, right: int) -> tuple[np.ndarray, np.ndarray]:
    """The parts of two pictures (s, s) that lie on each other when `other` is moved `down` and `right`."""
    height, width = (side - abs(by) for side, by in zip(one.shape, (down, right), strict=True))
    y, x = max(down, 0), max(right, 0)
    return one[y:, x:][:height, :width], other[y - down :, x - right :][:height, :width]


def _of_blocks(one: np.ndarray, other: np.ndarray) -> float:
    """The lower quartile of the blocks' correlations; blocks flat in both say nothing, and half must say something."""
    first, second = _blocks(one), _blocks(other)
    size = np.sqrt((first**2).mean(axis=1) * (second**2).mean(axis=1))
    correlation = (first * second).mean(axis=1) / np.maximum(size, 1e-6)
    has_structure = (first.std(axis=1) >= FLAT) | (second.std(axis=1) >= FLAT)
    return (
        float(np.quantile(correlation[has_structure], 0.25))
        if has_structure.sum() >= _BLOCKS**2 / 2
        else -1.0
    )


def _blocks(picture: np.ndarray) -> np.ndarray:
    """(h, w) -> (16, pixels of a block), each of mean 0."""
    height, width = (side // _BLOCKS for side in picture.shape)
    cut = picture[: height * _BLOCKS, : width * _BLOCKS].reshape(_BLOCKS, height, _BLOCKS, width)
    blocks = cut.swapaxes(1, 2).reshape(_BLOCKS**2, -1)
    return np.asarray(blocks - blocks.mean(axis=1, keepdims=True))


def _coarse(pictures: np.ndarray) -> np.ndarray:
    """Kept pictures (n, 128, 128) uint8 -> (n, s, s) float32, the copies that are searched."""
    ratio = FINE // SIDE
    parts = (pictures[:, y::ratio, x::ratio] for y in range(ratio) for x in range(ratio))
    return np.asarray(sum(part.astype(np.float32) for part in parts) / ratio**2)


def _structure(pictures: np.ndarray, width: int = SIDE // 4) -> np.ndarray:
    """(n, s, s) without what is wider than about `width` cells: light and slow gradients."""
    return np.asarray(pictures - ndimage.uniform_filter(pictures, (1, width, width)))
