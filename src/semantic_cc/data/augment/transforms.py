"""Paired augmentation: consistent transforms of both dates, the mask and the sentences (docs/augmentation.md).

`augment_caption`, for training with sentences: symmetries of the square and exchange of the dates if the sentences can
be rewritten, a small shift of one date, illumination, blur and JPEG. `augment_change`, for training with masks only:
the same without restrictions from sentences, plus crops, which make counts and places in sentences false.
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
"""Maximum brightness shift, as a fraction of full scale."""
CONTRAST = 0.2
"""Maximum relative change of contrast about mid-grey."""
GAMMA = 0.2
"""Maximum change of log gamma."""
COLOUR = 0.08
"""Maximum relative change of each channel's gain."""
EXCHANGED, EXCHANGED_SAID = 0.5, 0.2
"""Probability of exchanging the dates, without and with (rewritable) sentences.

Lower with sentences: LEVIR-CC has far more construction than removal, a prior that equal shares would lose.
"""
CROPPED = 0.5
"""Probability of a crop, in training with masks only."""
SMALLEST_CROP = 0.6
"""Minimum side of a crop, as a fraction of the image's side."""
WINDOW = (0.6, 1.5)
"""Range of the side of a random window of a scene, as a fraction of the trained size."""
SHIFT = 3
"""Maximum shift of the earlier date relative to mask and later date, in pixels per axis."""
BLURRED, BLUR = 0.2, 1.0
"""Probability of blur, and its maximum radius (standard deviation) in pixels."""
COMPRESSED, QUALITY = 0.2, (50, 95)
"""Probability of JPEG compression, and the quality range."""


def augment_change(pair: Pair, rng: np.random.Generator) -> Pair:
    """Full augmentation, for training with masks only.

    Returns:
        A pair of the same size, with label and flag but without sentences. The input is not modified.
    """
    pair = replace(pair, sentences=())
    return _augment(_crop_some(pair, rng), EXCHANGED, rng)


def augment_scene(scene: Pair, size: int, rng: np.random.Generator) -> Pair:
    """A random window of a scene, of random scale and place, with full augmentation; for training with masks only.

    Args:
        scene: a pair of any size without change flag and sentences.
        size: side of the result in pixels.
        rng: random generator.

    Returns:
        A pair of `size` x `size` pixels. The input is not modified.
    """
    height, width = scene.before.shape[:2]
    side = min(round(size * rng.uniform(*WINDOW)), height, width)
    x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    return _augment(_window(scene, (x, y, x + side, y + side), (size, size)), EXCHANGED, rng)


def augment_caption(pair: Pair, rng: np.random.Generator) -> Pair:
    """Augmentation that keeps sentences, mask and flag consistent, for training with sentences.

    The symmetry is uniform over those under which all sentences of the pair can be rewritten. Dates are exchanged only
    if all sentences can be rewritten. Pass only the sentences in use: each one may rule out transforms. Illumination,
    blur and JPEG are drawn independently for each date.

    Returns:
        A pair of the same size. The input is not modified.
    """
    return _augment(pair, EXCHANGED_SAID, rng)


def turn(pair: Pair, symmetry: Symmetry) -> Pair | None:
    """The pair under a symmetry of the square, with places rewritten; None if a sentence cannot be rewritten."""
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
    """The sentences for the transformed pair; None if one of them cannot be rewritten."""
    return _all_or_none(move_places(sentence, symmetry) for sentence in sentences)


def exchange(pair: Pair) -> Pair | None:
    """The pair with exchanged dates and rewritten sentences; None if a sentence cannot be rewritten.

    Mask and flag do not depend on the order of the dates and are unchanged.
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
        None if the pair is changed but its mask shows no change in the window, because the flag is then unknown.
    """
    inside = None if pair.label is None else pair.label[y : y + height, x : x + width]
    if pair.changed and (inside is None or not np.isin(inside, (ROAD, BUILDING)).any()):
        return None
    return _window(pair, (x, y, x + width, y + height), pair.before.shape[1::-1])


def _window(pair: Pair, box: tuple[int, int, int, int], size: tuple[int, ...]) -> Pair:
    """The part of a pair inside `box`, as PIL's (left, upper, right, lower), resized to `size` (width, height)."""

    def resized(array: np.ndarray, how: Image.Resampling) -> np.ndarray:
        return np.array(Image.fromarray(array).resize((size[0], size[1]), how, box))

    return replace(
        pair,
        before=resized(pair.before, Image.Resampling.BILINEAR),
        after=resized(pair.after, Image.Resampling.BILINEAR),
        label=None if pair.label is None else resized(pair.label, Image.Resampling.NEAREST),
    )


def shift(image: np.ndarray, x: int, y: int) -> np.ndarray:
    """Shifts an image ``(H, W, 3)`` by `x` pixels to the right and `y` down, with replicated edges."""
    rows = np.arange(-y, image.shape[0] - y).clip(0, image.shape[0] - 1)
    columns = np.arange(-x, image.shape[1] - x).clip(0, image.shape[1] - 1)
    return image.take(rows, axis=0).take(columns, axis=1)


def change_look(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random illumination, blur and JPEG: ``(H, W, 3)`` uint8 RGB -> a new array of the same shape."""
    image = change_light(image, rng)
    if rng.random() < BLURRED:
        image = np.array(Image.fromarray(image).filter(ImageFilter.GaussianBlur(rng.uniform(0, BLUR))))
    if rng.random() < COMPRESSED:
        image = through_jpeg(image, int(rng.integers(QUALITY[0], QUALITY[1] + 1)))
    return image


def change_light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random brightness, contrast, gamma and channel gain.

    Each channel's output depends only on its input value, so one table of 256 values per channel is enough.

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
    """JPEG-compresses an image (H, W, 3) uint8; the result depends on the library version."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def _turn_some(pair: Pair, rng: np.random.Generator) -> Pair:
    """Applies a random symmetry that all sentences allow, without quarter turns of a rectangle."""
    square = pair.before.shape[0] == pair.before.shape[1]
    for index in rng.permutation(len(SYMMETRIES)):
        symmetry = SYMMETRIES[index]
        if square or not symmetry.swaps_axes:
            moved = turn(pair, symmetry)
            if moved is not None:
                return moved
    return pair


def _crop_some(pair: Pair, rng: np.random.Generator) -> Pair:
    """Crops some pairs to a window of the same aspect ratio; returns the whole pair if the window misses the change."""
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
