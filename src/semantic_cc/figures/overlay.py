"""The two images of a description: the change and the heatmap, each drawn over the after image."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from semantic_cc.figures.colours import CLASS_COLOURS, FAINT_INK, INK, PAPER, heat_colours
from semantic_cc.types import ChangeDescription

PANEL = 512
"""Longest side of each panel of the overlay, in pixels; images are resized to it."""

MARGIN, GUTTER = 20, 14
LABEL_SIZE, SENTENCE_SIZE, LEGEND_SIZE = 18, 24, 16
TINT = 0.38
"""Opacity of a changed area; its outline is opaque."""


def draw_overlay(description: ChangeDescription, before: np.ndarray, after: np.ndarray) -> Image.Image:
    """Draws before and after side by side, with the change tinted and outlined in after, and the sentence below.

    Args:
        description: what to draw; without a mask, the after image is unchanged.
        before, after: ``(H, W, 3)`` uint8 RGB of the pair.
    """
    panels = [_panel(before), _panel(after)]
    if description.mask is not None:
        panels[1] = paint_mask(panels[1], description.mask)
    width = 2 * MARGIN + GUTTER + panels[0].width * 2
    lines = wrap(description.sentence, _font(SENTENCE_SIZE), width - 2 * MARGIN)
    top = MARGIN + LABEL_SIZE + 8
    text_top = top + panels[0].height + 14
    legend_top = text_top + len(lines) * (SENTENCE_SIZE + 8) + 6
    canvas = Image.new("RGB", (width, legend_top + LEGEND_SIZE + MARGIN), PAPER)
    draw = ImageDraw.Draw(canvas)
    for panel, label, left in zip(panels, ("before", "after"), _lefts(panels[0].width), strict=True):
        draw.text((left, MARGIN - 4), label, FAINT_INK, _font(LABEL_SIZE))
        canvas.paste(panel, (left, top))
    for row, line in enumerate(lines):
        draw.text((MARGIN, text_top + row * (SENTENCE_SIZE + 8)), line, INK, _font(SENTENCE_SIZE))
    _draw_legend(draw, description, legend_top)
    return canvas


def draw_heatmap(heatmap: np.ndarray, after: np.ndarray) -> Image.Image:
    """Draws the heatmap over the after image, at the same size; low values show the image in grey.

    Args:
        heatmap: ``(H, W)`` in [0, 1].
        after: ``(H, W, 3)`` uint8 RGB.
    """
    grey = np.asarray(Image.fromarray(after).convert("L"), np.float32)[..., None]  # (H, W, 1)
    opacity = (0.35 + 0.45 * np.clip(heatmap, 0, 1))[..., None]
    blend = grey * (1 - opacity) + heat_colours(heatmap) * opacity
    return Image.fromarray(blend.round().astype(np.uint8))


def paint_mask(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """`image` with each class of `mask` ``(H, W)`` tinted and outlined; the mask is resized to the image."""
    fitted = Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST)
    painted = image
    for value, colour in CLASS_COLOURS.items():
        if not (mask == value).any():
            continue
        area = fitted.point([255 * (level == value) for level in range(256)])
        outline = Image.fromarray(np.asarray(area) - np.asarray(area.filter(ImageFilter.MinFilter(5))))
        solid = Image.new("RGB", image.size, colour)
        painted = Image.composite(solid, painted, area.point([round(TINT * level) for level in range(256)]))
        painted = Image.composite(solid, painted, outline)
    return painted


def wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> list[str]:
    """Wraps `text` between words into lines of at most `width` pixels; a longer word gets its own line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _draw_legend(draw: ImageDraw.ImageDraw, description: ChangeDescription, top: int) -> None:
    """Draws a swatch and the changed share of each class, or a note that the model predicts no mask."""
    font, left = _font(LEGEND_SIZE), float(MARGIN)
    shares = description.class_shares
    if shares is None:
        draw.text(
            (left, top), "no mask: this model was made without the change-detection task", FAINT_INK, font
        )
        return
    for value, name in description.classes.items():
        draw.rectangle((left, top + 2, left + 13, top + 15), fill=CLASS_COLOURS[value])
        text = f"{name} {shares[name]:.1%}"
        draw.text((left + 20, top), text, FAINT_INK, font)
        left += 20 + font.getlength(text) + 24


def _panel(image: np.ndarray) -> Image.Image:
    """Resizes the image so that its longest side is `PANEL`."""
    picture = Image.fromarray(image)
    factor = PANEL / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.LANCZOS)


def _lefts(panel_width: int) -> tuple[int, int]:
    return MARGIN, MARGIN + panel_width + GUTTER


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
