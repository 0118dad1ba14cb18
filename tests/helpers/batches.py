"""Batches for tests: archives of small pairs, a model that looks at single pixels, and what a batch leaves."""

import csv
import hashlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image
from scenes import PixelModel, landscape, write_raster

from semantic_cc.batch.batch_run import BatchSummary, run_batch
from semantic_cc.batch.manifest import read_manifest
from semantic_cc.batch.pair_worker import BatchSettings
from semantic_cc.errors import SemanticCCError
from semantic_cc.scene.scene_options import SceneOptions
from semantic_cc.types import ChangeDescription

LISTED = {"timings", "created", "datetime"}
"""Keys of JSON files that may differ between two runs."""

SETTINGS = BatchSettings(SceneOptions(tile=64, overlap=16, formats=("parquet",)))

PAIR_BATCHES = {32: 3, 64: 2}


class TalkingModel(PixelModel):
    """A `PixelModel` that can be slow, or kill its process.

    Args:
        pause: seconds that each batch of windows takes.
        pair_batches: side of square images -> `pair_batch`; 1 for others.
        refuses: a level in the first pixel of an earlier image that cannot be described.
        dies_at: the process is killed at images with this level in the first pixel of the earlier one.
        once: a file that is made by the first death, after which there is none.
    """

    digest = "d1"

    batches: ClassVar[list[int]] = []
    """Sizes of all batches of pairs."""

    def __init__(
        self,
        pause: float = 0,
        dies_at: int | None = None,
        once: Path | None = None,
        pair_batches: Mapping[int, int] = PAIR_BATCHES,
        refuses: int | None = None,
    ) -> None:
        super().__init__()
        self.info.digest = self.digest
        self.pause, self.dies_at, self.once = pause, dies_at, once
        self.pair_batches, self.refuses = pair_batches, refuses

    def predict_masks(self, before: np.ndarray, after: np.ndarray):
        if before[0, 0, 0, 0] == self.dies_at and not (self.once and self.once.exists()):
            if self.once:
                self.once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.pause)
        return super().predict_masks(before, after)

    def pair_batch(self, height: int, width: int) -> int:
        return self.pair_batches.get(height, 1) if height == width else 1

    def describe_batch(
        self, before: np.ndarray, after: np.ndarray, instruction: str | None = None
    ) -> list[ChangeDescription]:
        self.batches.append(len(before))
        if self.refuses in before[:, 0, 0, 0]:
            raise SemanticCCError("refused")
        return super().describe_batch(before, after, instruction)

    def describe(
        self, before: np.ndarray, after: np.ndarray, instruction: str | None = None
    ) -> ChangeDescription:
        (description,) = self.describe_batch(before[None], after[None], instruction)
        return description


def load(device: str | None = None, **options) -> TalkingModel:
    return TalkingModel(**options)


def archive(folder: Path, scenes: int = 3, pictures: int = 1, bad: bool = False) -> Path:
    """A manifest of pairs in `folder`: scenes of 100 x 90 pixels, pictures of 64 x 48; a bad one second."""
    folder.mkdir()
    rows = []
    for number in range(scenes):
        for date, seed in (("before", 1), ("after", 2)):
            picture = landscape(90, 100, 10 * number + seed)
            if date == "after":
                picture = np.where(landscape(90, 100, 9) > 150, picture, landscape(90, 100, 10 * number + 1))
            picture[0, 0] = number
            write_raster(folder / f"{date}{number}.tif", picture)
        rows.append((f"scene {number}", f"before{number}.tif", f"after{number}.tif"))
    for number in range(pictures):
        for date, seed in (("a", 1), ("b", 2)):
            Image.fromarray(landscape(48, 64, seed + number)).save(folder / f"{date}{number}.png")
        rows.append((f"plain/{number}", f"a{number}.png", f"b{number}.png"))
    if bad:
        (folder / "broken.tif").write_bytes((folder / "before0.tif").read_bytes()[:300])
        rows.insert(1, ("bad", "broken.tif", "after0.tif"))
    return manifest(folder, rows)


def manifest(folder: Path, rows: list[tuple[str, ...]], header: str = "id,before,after") -> Path:
    path = folder / "pairs.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


def run(
    path: Path, out: Path, settings: BatchSettings = SETTINGS, model: dict | None = None, **options
) -> BatchSummary:
    """A batch with the talking model; `model` are its arguments."""
    return run_batch(read_manifest(path).entries, partial(load, **(model or {})), settings, out, **options)


def table(out: Path) -> dict[str, dict[str, str]]:
    """id -> row of pairs.csv."""
    with (out / "pairs.csv").open(newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def left(out: Path) -> dict[str, str]:
    """Every file -> digest of all in it that must not depend on when and how often a batch was run."""
    return {str(path.relative_to(out)): _digest(path) for path in sorted(out.rglob("*")) if path.is_file()}


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".json":
        content = json.dumps(_without(json.loads(content))).encode()
    if path.suffix == ".gpkg":
        with sqlite3.connect(path) as base:
            base.execute("update gpkg_contents set last_change = ''")
            content = "\n".join(base.iterdump()).encode()
            base.rollback()
    return hashlib.sha256(content).hexdigest()


def _without(value):
    if isinstance(value, dict):
        return {key: _without(part) for key, part in value.items() if key not in LISTED}
    return [_without(part) for part in value] if isinstance(value, list) else value
