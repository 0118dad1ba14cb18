"""Validation after an epoch: scores on the val split in validation.csv, and selection of the best model."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric import Fabric
from PIL import Image

from semantic_cc.data.collate import collate
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.decisions import class_mask
from semantic_cc.errors import DataError
from semantic_cc.evaluation.evaluate import score
from semantic_cc.figures.comparison_strip import draw_strip
from semantic_cc.files import write_files
from semantic_cc.training.devices import on_first
from semantic_cc.training.task import PhaseRun
from semantic_cc.types import Pair

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel

METRICS = {
    "building_f1": ("change", "building", "f1"),
    "flag": ("captions", "flag_accuracy"),
    "cider": ("captions", "all", "CIDEr"),
}
"""Name in the configuration and in validation.csv -> path in the scores of `evaluate`; all in percent."""


def validation_pairs(run: PhaseRun) -> ChangeDataset | None:
    """The val split, or None if the phase is not validated.

    Raises:
        DataError: no val split, or fewer pairs than `train.val_items`.
    """
    if run.config.train.val_items == 0 or run.phase.val_metric is None:
        return None
    pairs = open_dataset(run.val_data, "val")
    pairs.subset(run.config.train.val_items)  # fail now, not after the first epoch
    return pairs


class Validation:
    """The val split with the scores of this phase.

    Args:
        run: the phase, with a `val_metric`, and `train.val_items` of at least 1.
        pairs: the val split.
    """

    def __init__(self, run: PhaseRun, pairs: ChangeDataset) -> None:
        self.metric, self.patience = run.phase.val_metric or "", run.phase.patience
        self.config, self.pairs, self.folder = run.config.train, pairs, run.folder
        self.rows: list[dict[str, str]] = []
        if self.folder.validation.exists():
            with self.folder.validation.open(newline="") as file:
                self.rows = list(csv.DictReader(file))

    def run(self, fabric: Fabric, model: ChangeModel, epoch: int) -> bool:
        """Scores `model` after `epoch`, counted from 1, and writes the row; returns whether it is the best so far.

        Leaves the model in eval mode.

        Raises:
            DataError: `val_metric` does not apply to the val split or the model.
            OutputError: the row cannot be written.
        """
        model.eval()
        with torch.no_grad(), fabric.autocast():
            written = self.metric != "building_f1"  # the mask needs no language model
            scores = score(model, self.pairs, self.config.val_items, sentences=written)
        row = {"epoch": str(epoch)}
        for name, path in METRICS.items():
            value: Any = scores.to_json()
            for key in path:
                value = None if value is None else value.get(key)
            row[name] = "" if value is None else f"{value:.4f}"
        row = fabric.broadcast(row)  # the same decision on all devices
        if not row[self.metric]:
            raise DataError(
                f"validation cannot measure val_metric {self.metric}: the val split has no truth "
                "for it, or the model no such output; choose another metric, or train.val_items 0"
            )
        self.rows = [
            known for known in self.rows if int(known["epoch"]) < epoch
        ]  # a resumed epoch is repeated
        better = all(self._value(row) > self._value(known) for known in self.rows)
        self.rows.append(row)
        on_first(fabric, self._write)
        return better

    def pictures(self, fabric: Fabric, model: ChangeModel) -> list[tuple[str, Image.Image, str]]:
        """Name, image strip and sentences of the first `train.val_pictures` validated pairs.

        Args:
            fabric: precision.
            model: in eval mode.
        """
        chosen = self.pairs.subset(self.config.val_items)
        shown = [chosen[place] for place in range(min(self.config.val_pictures, len(chosen)))]
        return [self._picture(fabric, model, pair) for pair in shown]

    def _picture(self, fabric: Fabric, model: ChangeModel, pair: Pair) -> tuple[str, Image.Image, str]:
        batch = collate([replace(pair, label=None)], fabric.device)
        with fabric.autocast():
            prediction = model.predict(batch.before, batch.after)
        mask = None
        if prediction.class_probabilities is not None:
            mask = class_mask(prediction.class_probabilities[0].float().cpu().numpy())
        truth = "; ".join(pair.sentences) or "no sentences in the dataset"
        return pair.name, draw_strip(pair, mask), f"ours: {prediction.sentence[0]}\ntruth: {truth}"

    def latest(self) -> dict[str, float]:
        """The last epoch's scores by name."""
        return {f"val/{name}": float(self.rows[-1][name]) for name in METRICS if self.rows[-1][name]}

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, ("epoch", *METRICS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_files(self.folder.root, {self.folder.validation.name: text.getvalue().encode()})

    def gives_up(self, epoch: int) -> bool:
        """Whether the best score has not improved in the last `train.patience` epochs up to `epoch`."""
        known = [row for row in self.rows if int(row["epoch"]) <= epoch]
        if self.patience is None or not known:
            return False
        best = max(known, key=self._value)  # the first one on ties
        return epoch - int(best["epoch"]) >= self.patience

    def _value(self, row: dict[str, str]) -> float:
        return float(row[self.metric])


def write_pictures(folder: Path, shown: list[tuple[str, Image.Image, str]]) -> None:
    """Writes the output of `Validation.pictures`: a PNG per pair, and all sentences in sentences.txt.

    Raises:
        OutputError: `folder` cannot be written.
    """
    files: dict[str, bytes] = {}
    for number, (name, picture, _) in enumerate(shown, 1):
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG")
        stem = PurePath(name).stem  # of pairs of several datasets it may be the same
        files[f"{stem}-{number}.png" if f"{stem}.png" in files else f"{stem}.png"] = buffer.getvalue()
    files["sentences.txt"] = "\n\n".join(f"{name}\n{text}" for name, _, text in shown).encode()
    write_files(folder, files)
