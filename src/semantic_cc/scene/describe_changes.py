"""The second half of describing a scene: from its maps to polygons, sentences and reports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from semantic_cc.predictor import SemanticCC
from semantic_cc.scene.common_grid import AlignedPair
from semantic_cc.scene.input_checks import Inspection
from semantic_cc.scene.scene_report import write_report
from semantic_cc.scene.vector_export import FORMATS
from semantic_cc.types import ChangeDescription


def tell_changes(
    report: Mapping[str, Any],
    pair: AlignedPair,
    inspection: Inspection,
    model: SemanticCC,
    folder: Path,
    *,
    instruction: str | None = None,
    formats: Collection[str] = tuple(FORMATS),
    regularise: bool = False,
    dates: tuple[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Writes the files of `write_report` beside those of `map_changes`.

    Args:
        report: what `map_changes` returned.
        pair, inspection: of `open_scene`.
        model: is asked once for each place.
        folder: that of the maps.
        instruction: the one text to ask instead of the model's own.
        formats, regularise, progress: as `write_report`'s.
        dates: when the images were taken, in ISO 8601.

    Returns:
        ``sentence``, of the scene, and ``files``, the names of all that is in the folder now.

    Raises:
        As `write_report` and `SemanticCC.describe`.
    """

    def describe(before: np.ndarray, after: np.ndarray) -> ChangeDescription:
        return model.describe(before, after, instruction=instruction)

    warnings = [
        {"kind": finding.check, "text": finding.message, "number": finding.value}
        for finding in inspection.findings
    ]
    provenance = {key: report[key] for key in ("version", "model", "inputs", "tiling")}
    if dates is not None:
        provenance["dates"] = list(dates)
    told = write_report(
        folder, pair.grid, pair, describe, warnings, provenance,
        formats=formats, regularise=regularise, progress=progress,
    )  # fmt: skip
    return {"sentence": told["sentence"], "files": list(dict.fromkeys([*report["files"], *told["files"]]))}
