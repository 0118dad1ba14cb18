"""Paired augmentation: both dates, the mask and the sentences change together, so that all stay true.

Two sets, by what is there to stay true (docs/augmentation.md). `augment_caption` is for training with sentences:
symmetries of the square and the exchange of the dates as far as the sentences can be rewritten surely, a
small shift of one date, light, blur and JPEG. `augment_change` is for training with masks alone: the same
without sentences to hold it back, and crops, which no sentence that counts or places things survives.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

from semantic_cc.data.augment.exchange_dates import exchange_dates
from semantic_cc.data.augment.place_words import move_places
from semantic_cc.data.augment.symmetry import SYMMETRIES, Symmetry
from semantic_cc.types import BUILDING, ROAD, Pair

BRIGHTNESS = 0.15
"""Largest shift of brightness, as a share of full scale."""
CONTRAST = 0.2
"""Largest relative change of contrast about mid-grey."""
GAMMA = 0.2
"""Largest change of log gamma."""
COLOUR = 0.08
"""Largest relative change of each channel's gain."""
EXCHANGED, EXCHANGED_SAID = 0.5, 0.2
"""Share of the pairs whose dates are exchanged, without sentences and with sentences that allow it.

Fewer with sentences: in LEVIR-CC far more is built than removed, and half and half would unlearn that.
"""
CROPPED = 0.5
"""Share of the pairs that are cropped, in training with masks alone."""
SMALLEST_CROP = 0.6
"""Smallest side of a crop, as a share of the image's side."""
SHIFT = 3
"""Largest shift of the earlier date against mask and later date, in pixels each way."""
BLURRED, BLUR = 0.2, 1.0
"""Share of the images that are blurred, and the largest radius (standard deviation) in pixels."""
COMPRESSED, QUALITY = 0.2, (50, 95)
"""Share of the images that go through JPEG, and the range of its quality."""


def augment_change(pair: Pair, rng: np.random.Generator) -> Pair:
    """All augmentation there is, for training with masks alone.

    Returns:
        A pair of the same size with label and flag right and without sentences. The input is not modified.
    """
    pair = replace(pair, sentences=())
    return _augment(_crop_some(pair, rng), EXCHANGED, rng)


def augment_caption(pair: Pair, rng: np.random.Generator) -> Pair:
    """What keeps sentences, mask and flag true, with the sentences rewritten; for training with sentences.

    The symmetry is drawn evenly among those under which every sentence of the pair can be rewritten; dates
    are exchanged only where every sentence can be. The fewer sentences a pair brings, the more it moves:
    bring only those that are read. Light, blur and JPEG are drawn for each date on its own.

    Returns:
        A pair of the same size. The input is not modified.
    """
    return _augment(pair, EXCHANGED_SAID, rng)


def turn(pair: Pair, symmetry: Symmetry) -> Pair | None:
    """The pair under a symmetry of the square, with places rewritten; None if a sentence cannot be."""
    sentences = turn_sentences(pair.sentences, symmetry)
    if sentences is None:
        return None
    return replace(
        pair,
        before=symmetry.of_array(pair.before),
        after=symmetry.of_array(pair.after),
        label=None if pair.label is None else symmetry.of_array(pair.label),
        sentences=sentences,
    )


def turn_sentences(sentences: Iterable[str], symmetry: Symmetry) -> tuple[str, ...] | None:
    """What is true of the turned pair; None if one of the sentences cannot be rewritten."""
    return _all_or_none(move_places(sentence, symmetry) for sentence in sentences)


def exchange(pair: Pair) -> Pair | None:
    """The pair with its dates exchanged, comings rewritten as goings; None if a sentence cannot be.

    The mask says *where* something changed, in either direction, and so does the flag: both stay.
    """
    sentences = _all_or_none(exchange_dates(sentence) for sentence in pair.sentences)
    if sentences is None:
        return None
    return replace(pair, before=pair.after, after=pair.before, sentences=sentences)


def crop(pair: Pair, x: int, y: int, width: int, height: int) -> Pair | None:
    """A window of the pair, resized to the size of the whole; for pairs without sentences.

    Args:
        x, y: the window's top left corner in pixels.
        width, height: its sides in pixels.

    Returns:
        None where a changed pair shows no mask of a change inside the window, since its flag is then unsure.
    """
    inside = None if pair.label is None else pair.label[y : y + height, x : x + width]
    if pair.changed and (inside is None or not np.isin(inside, (ROAD, BUILDING)).any()):
        return None
    box = (x, y, x + width, y + height)

    def resized(array: np.ndarray, how: Image.Resampling) -> np.ndarray:
        return np.array(Image.fromarray(array).resize(array.shape[1::-1], how, box))

    return replace(
        pair,
        before=resized(pair.before, Image.Resampling.BILINEAR),
        after=resized(pair.after, Image.Resampling.BILINEAR),
        label=None if pair.label is None else resized(pair.label, Image.Resampling.NEAREST),
    )


def shift(image: np.ndarray, x: int, y: int) -> np.ndarray:
    """An image ``(H, W, 3)`` moved by `x` pixels to the right and `y` down, its edge repeated."""
    rows = np.arange(-y, image.shape[0] - y).clip(0, image.shape[0] - 1)
    columns = np.arange(-x, image.shape[1] - x).clip(0, image.shape[1] - 1)
    return image.take(rows, axis=0).take(columns, axis=1)


def change_look(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light always, blur and JPEG sometimes: ``(H, W, 3)`` uint8 RGB -> a new array of the same shape."""
    image = change_light(image, rng)
    if rng.random() < BLURRED:
        image = np.array(Image.fromarray(image).filter(ImageFilter.GaussianBlur(rng.uniform(0, BLUR))))
    if rng.random() < COMPRESSED:
        image = through_jpeg(image, int(rng.integers(QUALITY[0], QUALITY[1] + 1)))
    return image


def change_light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random brightness, contrast, gamma and channel gain.

    Each channel's output depends on its input value alone, so one table of 256 values a channel does it all.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.

    Returns:
        A new array of the same shape and type.
    """
    value = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.uniform(-GAMMA, GAMMA))  # (256, 1)
    value = value * (1 + rng.uniform(-COLOUR, COLOUR, size=3))  # (256, 3)
    contrast, brightness = 1 + rng.uniform(-CONTRAST, CONTRAST), rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    value = (value - 0.5) * contrast + 0.5 + brightness
    table = (value.clip(0, 1) * 255).round().astype(np.uint8)
    changed = np.empty_like(image, order="C")
    for channel in range(3):
        changed[..., channel] = table[:, channel][image[..., channel]]
    return changed


def _augment(pair: Pair, exchanged: float, rng: np.random.Generator) -> Pair:
    pair = _turn_some(pair, rng)
    if rng.random() < exchanged:
        pair = exchange(pair) or pair
    x, y = rng.integers(-SHIFT, SHIFT + 1, size=2).tolist()
    return replace(
        pair, before=change_look(shift(pair.before, x, y), rng), after=change_look(pair.after, rng)
    )


def through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """An image (H, W, 3) uint8 after compression; the same bytes from the same library alone."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def _turn_some(pair: Pair, rng: np.random.Generator) -> Pair:
    """One of the symmetries that the sentences can follow; no quarter turn of a rectangle, so that sizes stay."""
    square = pair.before.shape[0] == pair.before.shape[1]
    for index in rng.permutation(len(SYMMETRIES)):
        symmetry = SYMMETRIES[index]
        if square or not symmetry.swaps_axes:
            moved = turn(pair, symmetry)
            if moved is not None:
                return moved
    return pair


def _crop_some(pair: Pair, rng: np.random.Generator) -> Pair:
    """A window of the pair's own shape in some pairs; the whole pair where the window misses the change."""
    if rng.random() >= CROPPED:
        return pair
    height, width = pair.before.shape[:2]
    share = rng.uniform(SMALLEST_CROP, 1)
    high, wide = round(share * height), round(share * width)
    x, y = int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1))
    return crop(pair, x, y, wide, high) or pair


def _all_or_none(sentences: Iterable[str | None]) -> tuple[str, ...] | None:
    known = []
    for sentence in sentences:
        if sentence is None:
            return None
        known.append(sentence)
    return tuple(known)
