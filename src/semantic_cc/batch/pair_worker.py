"""What is done with one pair: described into its own folder, once, whatever goes wrong with it."""

from __future__ import annotations

import dataclasses
import json
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas
from affine import Affine

from semantic_cc import __version__
from semantic_cc.batch.manifest import Entry
from semantic_cc.batch.result_folder import (
    CHANGES,
    RECORD,
    SCAN,
    clear,
    digest_of,
    folder_of,
    is_finished,
    lock_of,
)
from semantic_cc.errors import OutputError, SemanticCCError
from semantic_cc.figures.description_files import write_outputs
from semantic_cc.files import locked, new_files, write_files
from semantic_cc.images import read_pair
from semantic_cc.predictor import SemanticCC
from semantic_cc.scene.change_map import SceneOptions, map_changes, open_scene
from semantic_cc.scene.describe_changes import tell_changes
from semantic_cc.scene.gdal_files import read_crs
from semantic_cc.scene.geo_detection import is_scene
from semantic_cc.scene.geodesy import whole_of
from semantic_cc.scene.grid import Grid
from semantic_cc.scene.image_sources import identity_of
from semantic_cc.scene.places import CLASS_NAMES, Place
from semantic_cc.scene.polygons import find_polygons
from semantic_cc.scene.tiling import Tiling
from semantic_cc.scene.vector_export import FORMATS, make_frame, write_frame

TRIES = 3
"""Times that a pair is begun in one run, if the process that works on it dies each time."""

Load = Callable[[str | None], SemanticCC]
"""The device, None = the best there is -> the loaded model."""


@dataclass(frozen=True)
class Settings:
    """How all pairs are described.

    Attributes:
        options: how images become scenes; an entry's own bands and system come first.
        tiling, batch: as `map_changes` has them.
        all_scenes: plain pictures are scenes too.
        instruction, formats, regularise: as `tell_changes` has them; `CHANGES` is always written.
        llm_dtype: what the model was loaded with.
    """

    options: SceneOptions = field(default_factory=SceneOptions)
    tiling: Tiling = field(default_factory=Tiling)
    batch: int | None = None
    all_scenes: bool = False
    instruction: str | None = None
    formats: tuple[str, ...] = tuple(FORMATS)
    regularise: bool = False
    llm_dtype: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How it went with a pair: `reason` is why it failed, one line, or None."""

    id: str
    reason: str | None = None


class Worker:
    """Describes pairs, one after the other, with one model.

    Args:
        load: loads it, when it is first needed.
        settings: of the batch.
        out: the batch's folder.
        run: name of this run of the batch.
        device: for `load`.
    """

    def __init__(
        self, load: Load, settings: Settings, out: Path, run: str, device: str | None = None
    ) -> None:
        self.settings, self.out, self.run = settings, out, run
        self._load, self._device = load, device

    @cached_property
    def model(self) -> SemanticCC:
        """The loaded model."""
        return self._load(self._device)

    def __call__(self, entry: Entry) -> Outcome:
        """Describes a pair into its folder, unless that is done; never raises for what is wrong with a pair."""
        folder = folder_of(self.out, entry)
        try:
            with locked(lock_of(folder)) as lock:
                begun = self._begin(folder, lock)
                if begun == TRIES:
                    clear(folder)
                    return died(entry)
                job = self._job(entry)
                if not is_finished(folder, job):
                    self._describe(entry, job, folder)
        except SemanticCCError as error:
            return Outcome(entry.id, " ".join(str(error).split()))
        except Exception as error:  # what nobody foresaw must not stop the other pairs
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = " ".join(str(error).split())
            where = f"{Path(last.filename).name}, line {last.lineno}"
            return Outcome(entry.id, f"unexpected {type(error).__name__} ({where}): {text}")
        return Outcome(entry.id)

    def is_finished(self, entry: Entry) -> bool:
        """Whether the pair's folder holds what this model makes of these files under these settings."""
        try:
            return is_finished(folder_of(self.out, entry), self._job(entry))
        except (SemanticCCError, OSError):
            return False  # the work will say what is wrong

    def _begin(self, folder: Path, lock: IO[str]) -> int:
        """How often this run began with a pair before, and never came to its end.

        Each time leaves a mark in the lock, which stays if the process dies.

        Raises:
            OutputError: what is in the folder is nothing that a batch left.
        """
        lock.seek(0)
        marks = lock.read().split()
        found = {path.name for path in folder.iterdir()} if folder.is_dir() and not marks else set()
        if RECORD not in found and not found <= {SCAN}:
            raise OutputError(f"{folder}: holds something else than a pair's results; choose another --out")
        lock.write(f"{self.run}\n")
        lock.flush()
        return marks.count(self.run)

    def _describe(self, entry: Entry, job: dict[str, Any], folder: Path) -> None:
        clear(folder)
        describe = self._describe_scene if job["kind"] == "scene" else self._describe_pictures
        try:
            record = {"id": entry.id, "job": digest_of(job), "kind": job["kind"], **describe(entry, folder)}
            text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
            write_files(folder, {RECORD: text.encode()})
        except BaseException:
            clear(folder)
            raise

    def _job(self, entry: Entry) -> dict[str, Any]:
        """All that a pair's results depend on, in plain JSON values.

        Raises:
            ImageError: a file is missing.
        """
        settings, info = self.settings, self.model.info
        job: dict[str, Any] = {
            "version": __version__,
            "model": [info.name, info.digest, *info.notes],
            "llm_dtype": settings.llm_dtype,
            "instruction": settings.instruction,
            "inputs": [identity_of(entry.before), identity_of(entry.after)],
            "kind": "pictures",
        }
        asked = settings.all_scenes or entry.bands is not None or entry.crs is not None
        if not (asked or is_scene(entry.before) or is_scene(entry.after)):
            return job
        options = self._options(entry)
        crs = None if options.crs is None else options.crs.to_wkt()
        return job | {
            "kind": "scene",
            **asdict(dataclasses.replace(options, crs=None)),
            "crs": crs,
            "tiling": asdict(settings.tiling),
            "formats": sorted(self._formats),
            "regularise": settings.regularise,
            "dates": entry.dates,
        }

    @property
    def _formats(self) -> set[str]:
        return {"parquet", *self.settings.formats}

    def _options(self, entry: Entry) -> SceneOptions:
        options = self.settings.options
        if entry.bands is not None:
            options = dataclasses.replace(options, bands=entry.bands)
        if entry.crs is not None:
            options = dataclasses.replace(options, crs=read_crs(entry.crs))
        return options

    def _describe_scene(self, entry: Entry, folder: Path) -> dict[str, Any]:
        settings = self.settings
        with open_scene(entry.before, entry.after, self._options(entry)) as (pair, inspection):
            report = map_changes(
                pair, inspection, self.model, folder, tiling=settings.tiling, batch=settings.batch
            )
            report |= tell_changes(
                report, pair, inspection, self.model, folder, instruction=settings.instruction,
                formats=self._formats, regularise=settings.regularise, dates=entry.dates,
            )  # fmt: skip
        pixels = report["pixels"]
        known = sum(pixels.values()) - pixels["unknown"]
        return {
            "sentence": report["sentence"],
            "changed_share": round((known - pixels["none"]) / max(known, 1), 6),
            **_amounts(folder / CHANGES),
            "crs": report["grid"]["crs"],
            "notes": [*(finding.message for finding in inspection.findings), *report["notes"]],
            "files": report["files"],
        }

    def _describe_pictures(self, entry: Entry, folder: Path) -> dict[str, Any]:
        before, after, notes = read_pair(entry.before, entry.after)
        description = self.model.describe(before, after, instruction=self.settings.instruction)
        description = dataclasses.replace(description, notes=notes + description.notes)
        files = [path.name for path in write_outputs(description, before, after, folder)]
        amounts, share = {}, description.changed_share
        if description.mask is not None:
            grid = Grid(before.shape[1], before.shape[0], Affine.identity(), None)
            polygons = find_polygons(folder / "mask.png", folder / "probability.png", grid)
            whole = Place(
                whole_of(grid), whole_of(grid), {}, 1,
                description.sentence, description.changed, description.change_probability,
            )  # fmt: skip
            frame = make_frame(polygons, polygons.shapes, np.zeros(len(polygons), np.int64), [whole], grid)
            with new_files(folder) as work:
                write_frame(frame, work, "parquet")
            amounts = _amounts(folder / CHANGES)
            files.append(CHANGES)
        return {
            "sentence": description.sentence,
            "changed_share": None if share is None else round(share, 6),
            **amounts,
            "crs": None,
            "notes": list(description.notes),
            "files": files,
        }


def died(entry: Entry) -> Outcome:
    """Of a pair that no process survived."""
    reason = (
        f"{TRIES} processes died of it, perhaps for lack of memory; try fewer workers or a smaller --batch"
    )
    return Outcome(entry.id, reason)


def _amounts(path: Path) -> dict[str, Any]:
    """Polygons of each class, and their area on the ground; None where that is not known."""
    frame = pandas.read_parquet(path, columns=["class", "area_m2"])
    amounts: dict[str, Any] = {}
    for name in CLASS_NAMES.values():
        areas = frame.loc[frame["class"] == name, "area_m2"]
        known = bool(areas.notna().all())
        amounts |= {f"{name}s": len(areas), f"{name}_m2": round(float(areas.sum()), 3) if known else None}
    return amounts
