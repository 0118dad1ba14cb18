"""The output files of a description: mask, probability, overlay, heatmap and report."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from semantic_cc.figures.overlay import draw_heatmap, draw_overlay
from semantic_cc.files import check_outputs, write_files
from semantic_cc.images import ImageSource, read_pair
from semantic_cc.types import ChangeDescription

MASK_FILES = ("mask.png", "probability.png")
"""Files that need the change detection task."""

OUTPUTS = (*MASK_FILES, "overlay.png", "heatmap.png", "report.json")
"""Names of all output files of a description."""


def write_outputs(
    description: ChangeDescription,
    before: ImageSource,
    after: ImageSource,
    folder: str | Path,
    extra: Mapping[str, np.ndarray] | None = None,
) -> list[Path]:
    """Writes a description to `folder`, which is created if necessary.

    - ``mask.png``: ``(H, W)`` of `LABEL_VALUES`; models without a mask write neither this nor the next file.
    - ``probability.png``: change probability, 8-bit grey, 0..255 for 0..1.
    - ``overlay.png``: both images, the change over the after image, and the sentence.
    - ``heatmap.png``: the heatmap over the after image.
    - ``report.json``: `ChangeDescription.to_json`, and the names of these files.

    Args:
        description: what `SemanticCC.describe` returned.
        before, after: the described pair.
        folder: output folder. Existing output files are replaced; without a mask, an earlier run's mask is deleted.
        extra: more images, file name -> ``(H, W[, 3])`` uint8, written together with the others.

    Returns:
        The paths written.

    Raises:
        OutputError: the folder cannot be written, or an output would overwrite an input image. No partial output
            remains.
    """
    folder = check_outputs(folder, [*OUTPUTS, *(extra or ())], _paths(before, after))
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
    report = {**description.to_json(), "files": [*files, "report.json"]}
    files["report.json"] = (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode()
    paths = write_files(folder, files)
    for name in MASK_FILES:
        if name not in files:
            (folder / name).unlink(missing_ok=True)
    return paths


def _paths(*images: ImageSource) -> list[str | Path]:
    return [image for image in images if isinstance(image, str | Path)]


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    # photographs hardly shrink further: level 6 takes four times as long for 4 % smaller files
    picture.save(buffer, format="PNG", compress_level=1 if picture.mode == "RGB" else 6)
    return buffer.getvalue()
