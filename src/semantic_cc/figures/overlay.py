"""The two pictures of a description: the change painted over the later image, and the heatmap over it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from semantic_cc.figures.colours import CLASS_COLOURS, FAINT_INK, INK, PAPER, heat_colours
from semantic_cc.types import ChangeDescription

PANEL = 512
"""Longest side of each panel of the overlay, in pixels; small images are enlarged to it, large ones reduced."""

MARGIN, GUTTER = 20, 14
LABEL_SIZE, SENTENCE_SIZE, LEGEND_SIZE = 18, 24, 16
TINT = 0.38
"""Opacity of a changed area's colour; its outline is opaque."""


def draw_overlay(description: ChangeDescription, before: np.ndarray, after: np.ndarray) -> Image.Image:
    """Before and after side by side, the later one with the change tinted and outlined, the sentence below.

    Args:
        description: what is drawn; without a mask the later image stays as it is.
        before, after: ``(H, W, 3)`` uint8 RGB of the description's pair.
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
    """The heatmap over the later image, pixel for pixel; the image shows through in grey where nothing glows.

    Args:
        heatmap: ``(H, W)`` in [0, 1].
        after: ``(H, W, 3)`` uint8 RGB.
    """
    grey = np.asarray(Image.fromarray(after).convert("L"), np.float32)[..., None]  # (H, W, 1)
    opacity = (0.35 + 0.45 * np.clip(heatmap, 0, 1))[..., None]
    blend = grey * (1 - opacity) + heat_colours(heatmap) * opacity
    return Image.fromarray(blend.round().astype(np.uint8))


def paint_mask(image: Image.Image, mask: np.ndarray) -> Image.Image:
    """`image` with each class of `mask` ``(H, W)`` tinted and outlined; the mask is fitted to its size."""
    fitted = Image.fromarray(mask).resize(image.size, Image.Resampling.NEAREST)
    painted = image
    for value, colour in CLASS_COLOURS.items():
        area = fitted.point([255 * (level == value) for level in range(256)])
        outline = Image.fromarray(np.asarray(area) - np.asarray(area.filter(ImageFilter.MinFilter(5))))
        solid = Image.new("RGB", image.size, colour)
        painted = Image.composite(solid, painted, area.point([round(TINT * level) for level in range(256)]))
        painted = Image.composite(solid, painted, outline)
    return painted


def wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> list[str]:
    """`text` in lines of at most `width` pixels, broken between words; a longer word keeps its own line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _draw_legend(draw: ImageDraw.ImageDraw, description: ChangeDescription, top: int) -> None:
    """A swatch and the changed share of each class, or the word that this model gives no mask."""
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
    """The image at panel size; whole factors keep small images crisp."""
    picture = Image.fromarray(image)
    factor = PANEL / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.LANCZOS)


def _lefts(panel_width: int) -> tuple[int, int]:
    return MARGIN, MARGIN + panel_width + GUTTER


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
