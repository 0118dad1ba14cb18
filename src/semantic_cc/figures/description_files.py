"""The files of one description: mask, probability, overlay, heatmap and report."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from semantic_cc import __version__
from semantic_cc.figures.overlay import draw_heatmap, draw_overlay
from semantic_cc.files import check_folder, write_files
from semantic_cc.images import ImageSource, read_pair
from semantic_cc.types import ChangeDescription

MASK_FILES = ("mask.png", "probability.png")
"""What a model without the change-detection task does not write."""


def write_outputs(
    description: ChangeDescription,
    before: ImageSource,
    after: ImageSource,
    folder: str | Path,
    extra: Mapping[str, np.ndarray] | None = None,
) -> list[Path]:
    """Writes a description to `folder`, which is created if need be.

    - ``mask.png``: ``(H, W)`` of `LABEL_VALUES`; left out, as is the next, by a model without a mask.
    - ``probability.png``: probability of change, 8-bit grey, 0..255 for 0..1.
    - ``overlay.png``: both images, the change over the later one, and the sentence.
    - ``heatmap.png``: the heatmap over the later image.
    - ``report.json``: `make_report`.

    Args:
        description: what `SemanticCC.describe` returned.
        before, after: the pair it was made of.
        folder: where to write. Files of these names are replaced; a mask of an earlier run does not stay.
        extra: more pictures, file name -> ``(H, W[, 3])`` uint8, written together with the others.

    Returns:
        The paths written.

    Raises:
        OutputError: the folder cannot be written; nothing is left half-written.
    """
    folder = check_folder(folder)
    earlier, later, _ = read_pair(before, after)
    pictures: dict[str, Image.Image] = {}
    if description.mask is not None and description.probability is not None:
        pictures["mask.png"] = Image.fromarray(description.mask)
        grey = (description.probability * 255).round().astype(np.uint8)
        pictures["probability.png"] = Image.fromarray(grey)
    pictures["overlay.png"] = draw_overlay(description, earlier, later)
    pictures["heatmap.png"] = draw_heatmap(description.heatmap, later)
    pictures |= {name: Image.fromarray(array) for name, array in (extra or {}).items()}
    files = {name: _png(picture) for name, picture in pictures.items()}
    report = {**make_report(description), "files": [*files, "report.json"]}
    files["report.json"] = (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode()
    paths = write_files(folder, files)
    for name in MASK_FILES:
        if name not in files:
            (folder / name).unlink(missing_ok=True)
    return paths


def make_report(description: ChangeDescription) -> dict[str, Any]:
    """A description in plain JSON values; keys that do not apply to the model are null.

    ``changed_share`` and the values of ``class_shares`` are shares of the pixels in [0, 1], ``timings`` seconds.
    """
    height, width = description.heatmap.shape
    return {
        "sentence": description.sentence,
        "sentences": description.sentences,
        "changed": description.changed,
        "change_probability": description.change_probability,
        "changed_share": description.changed_share,
        "class_shares": description.class_shares,
        "image_size": {"width": width, "height": height},
        "notes": list(description.notes),
        "model": description.model,
        "timings": {step: round(seconds, 4) for step, seconds in description.timings.items()},
        "version": __version__,
    }


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
