"""The work on one pair: described into its own folder, once, whatever goes wrong with it."""

from __future__ import annotations

import dataclasses
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TypedDict, cast

import numpy as np
from affine import Affine

from semantic_cc import __version__
from semantic_cc.batch.manifest import ManifestEntry
from semantic_cc.batch.result_folder import (
    CHANGES,
    RECORD,
    PairRecord,
    clear,
    digest_of,
    folder_of,
    is_finished,
    lock_of,
)
from semantic_cc.errors import InputError, OutputError, SemanticCCError
from semantic_cc.figures.description_files import write_outputs
from semantic_cc.files import locked, new_files, write_files
from semantic_cc.images import read_pair
from semantic_cc.predictor import SemanticCC
from semantic_cc.scene.export_formats import FORMATS
from semantic_cc.scene.geo_detection import is_scene
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.image_sources import identity_of
from semantic_cc.scene.places import class_figures
from semantic_cc.scene.polygons import find_polygons
from semantic_cc.scene.scan_state import SCAN
from semantic_cc.scene.scene_options import SceneOptions
from semantic_cc.scene.scene_report import ClassStats
from semantic_cc.scene.vector_export import make_frame, write_frame
from semantic_cc.types import ChangeDescription, Json

_NO_DATES = "the dates are not used, because these are plain images"
TRIES = 3
"""Times that a pair is begun in one run, if the process that works on it dies each time."""

Load = Callable[[str | None], SemanticCC]
"""The device, None = the best there is -> the loaded model."""


PlainImages = tuple[np.ndarray, np.ndarray, tuple[str, ...]]
"""Before and after, (H, W, 3) uint8 RGB, and notes on them."""


class Amounts(TypedDict):
    """The columns of the table that count and measure changes."""

    buildings: int | None
    building_m2: float | None
    roads: int | None
    road_m2: float | None


@dataclass(frozen=True)
class BatchSettings:
    """How all pairs are described.

    Attributes:
        options: of the scenes; a row's own bands and system come first, and `CHANGES` is always written.
        instruction: the one text to ask instead of the model's own.
        llm_dtype: what the model was loaded with.
    """

    options: SceneOptions = field(default_factory=SceneOptions)
    instruction: str | None = None
    llm_dtype: str | None = None


@dataclass(frozen=True)
class PairOutcome:
    """The end of the work on a pair: `reason` is why it failed, in one line, or None."""

    id: str
    reason: str | None = None


@dataclass(frozen=True)
class DescribedPair:
    """A pair of plain images, (H, W, 3) uint8 RGB, with its description."""

    before: np.ndarray
    after: np.ndarray
    description: ChangeDescription


class PairWorker:
    """Describes pairs, one after another, with one model.

    Args:
        load: loads it, when it is first needed.
        settings: of the batch.
        out: the batch's folder.
        run: name of this run of the batch.
        device: for `load`.
    """

    def __init__(
        self, load: Load, settings: BatchSettings, out: Path, run: str, device: str | None = None
    ) -> None:
        self.settings, self.out, self.run = settings, out, run
        self._load, self._device = load, device

    @cached_property
    def model(self) -> SemanticCC:
        """The loaded model."""
        return self._load(self._device)

    def __call__(self, entry: ManifestEntry, described: DescribedPair | None = None) -> PairOutcome:
        """Describes a pair into its folder, unless that is done; never raises for what is wrong with a pair.

        Args:
            entry: the pair.
            described: of a pair of plain images that is read and described already.
        """
        folder = folder_of(self.out, entry)
        try:
            with locked(lock_of(folder)) as lock:
                begun = self._begin(folder, lock)
                if begun == TRIES:
                    clear(folder)
                    return died(entry)
                job = self._job(entry)
                if not is_finished(folder, job):
                    self._describe(entry, job, folder, described)
        except SemanticCCError as error:
            return PairOutcome(entry.id, " ".join(str(error).split()))
        except Exception as error:  # what nobody foresaw must not stop the other pairs
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = " ".join(str(error).split())
            where = f"{Path(last.filename).name}, line {last.lineno}"
            return PairOutcome(entry.id, f"unexpected {type(error).__name__} ({where}): {text}")
        return PairOutcome(entry.id)

    def read_plain(self, entry: ManifestEntry) -> PlainImages | None:
        """The images of a pair and notes on them; None for a scene, or if something is wrong with the pair."""
        try:
            return read_pair(entry.before, entry.after, check=True) if self._is_plain(entry) else None
        except Exception:
            return None  # the work on the pair will say what is wrong

    def describe_plain(self, images: Sequence[PlainImages]) -> list[DescribedPair]:
        """Describes pairs of one size together.

        Raises:
            InputError, SemanticCCError: as `SemanticCC.describe_batch`.
        """
        before, after = (np.stack([pair[date] for pair in images]) for date in (0, 1))
        found = self.model.describe_batch(before, after, self.settings.instruction)
        return [
            DescribedPair(first, second, dataclasses.replace(one, notes=notes + one.notes))
            for (first, second, notes), one in zip(images, found, strict=True)
        ]

    def is_finished(self, entry: ManifestEntry) -> bool:
        """Whether the pair's folder holds what this model makes of these files under these settings."""
        try:
            return is_finished(folder_of(self.out, entry), self._job(entry))
        except (SemanticCCError, OSError):
            return False  # the work will say what is wrong

    def _begin(self, folder: Path, lock: IO[str]) -> int:
        """How often this run began a pair and did not end it.

        Each start leaves a mark in the lock, which stays if the process dies.

        Raises:
            OutputError: the folder holds files that no batch left.
        """
        lock.seek(0)
        marks = lock.read().split()
        found = {path.name for path in folder.iterdir()} if folder.is_dir() and not marks else set()
        if RECORD not in found and not found <= {SCAN}:
            raise OutputError(f"{folder}: holds other files than a pair's results; choose another --out")
        lock.write(f"{self.run}\n")
        lock.flush()
        return marks.count(self.run)

    def _describe(
        self, entry: ManifestEntry, job: Mapping[str, Json], folder: Path, described: DescribedPair | None
    ) -> None:
        clear(folder)
        try:
            if job["kind"] == "scene":
                record = self._describe_scene(entry, digest_of(job), folder)
            else:
                record = self._describe_plain(entry, digest_of(job), folder, described)
            text = json.dumps(record.to_json(), indent=2, ensure_ascii=False) + "\n"
            write_files(folder, {RECORD: text.encode()})
        except BaseException:
            clear(folder)
            raise

    def _job(self, entry: ManifestEntry) -> dict[str, Json]:
        """All that a pair's results depend on, in plain JSON values.

        Raises:
            ImageError: a file is missing.
            InputError: the row has bands or a system, and the images are plain.
        """
        settings, info = self.settings, self.model.info
        job: dict[str, Json] = {
            "version": __version__,
            "model": [info.name, info.digest, *info.notes],
            "llm_dtype": settings.llm_dtype,
            "instruction": settings.instruction,
            "inputs": [cast(Json, identity_of(path)) for path in (entry.before, entry.after)],
            "dates": list(entry.dates or ()),
            "kind": "plain",
        }
        if not self._is_plain(entry):
            options = asdict(self._options(entry))
            del options["batch"]
            return job | {"kind": "scene", "options": options}
        if entry.bands is not None or entry.crs is not None:
            raise InputError(
                f"{entry.before} and {entry.after} are plain images, for which bands and crs mean nothing; empty "
                "these cells"
            )
        return job

    def _is_plain(self, entry: ManifestEntry) -> bool:
        return not (is_scene(entry.before) or is_scene(entry.after))

    def _options(self, entry: ManifestEntry) -> SceneOptions:
        options = self.settings.options
        formats = {"parquet", *options.formats}
        return dataclasses.replace(
            options,
            bands=entry.bands or options.bands,
            crs=entry.crs or options.crs,
            formats=tuple(suffix for suffix in FORMATS if suffix in formats),
        )

    def _describe_scene(self, entry: ManifestEntry, job: str, folder: Path) -> PairRecord:
        report = self.model.describe_scene(
            entry.before, entry.after, out=folder, options=self._options(entry),
            instruction=self.settings.instruction, dates=entry.dates,
        )  # fmt: skip
        return PairRecord(
            id=entry.id,
            job=job,
            kind="scene",
            sentence=report.sentence,
            changed_share=round(report.figures.changed_share, 6),
            **_amounts(report.figures.classes),
            crs=report.grid.crs,
            notes=(*(warning.text for warning in report.warnings), *report.notes),
            files=report.files,
        )

    def _describe_plain(
        self, entry: ManifestEntry, job: str, folder: Path, described: DescribedPair | None
    ) -> PairRecord:
        if described is None:
            (described,) = self.describe_plain([read_pair(entry.before, entry.after, check=True)])
        before, after, description = described.before, described.after, described.description
        files = [path.name for path in write_outputs(description, before, after, folder)]
        classes: Mapping[str, ClassStats] = {}
        share = description.changed_share
        if description.mask is not None:
            grid = Grid(before.shape[1], before.shape[0], Affine.identity(), None)
            polygons = find_polygons(folder / "mask.png", folder / "probability.png", grid)
            home = np.zeros(len(polygons), np.int64)
            with new_files(folder) as work:
                write_frame(
                    make_frame(polygons, polygons.shapes, home, [description.sentence], grid), work, "parquet"
                )
            classes = class_figures(polygons, grid, list(description.classes.values()))
            files.append(CHANGES)
        return PairRecord(
            id=entry.id,
            job=job,
            kind="plain",
            sentence=description.sentence,
            changed_share=None if share is None else round(share, 6),
            **_amounts(classes),
            crs=None,
            notes=(*description.notes, *((_NO_DATES,) if entry.dates else ())),
            files=tuple(files),
        )


def died(entry: ManifestEntry) -> PairOutcome:
    """Of a pair that no process survived."""
    reason = (
        f"{TRIES} processes died of it, perhaps for lack of memory; try fewer workers or a smaller --batch"
    )
    return PairOutcome(entry.id, reason)


def _amounts(classes: Mapping[str, ClassStats]) -> Amounts:
    building, road = classes.get("building"), classes.get("road")
    return {
        "buildings": None if building is None else building.objects,
        "building_m2": None if building is None else building.area_m2,
        "roads": None if road is None else road.objects,
        "road_m2": None if road is None else road.area_m2,
    }
