"""Writing a dataset in another layout, as PNG."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.labels import write_classes
from semantic_cc.data.layouts.caption_files import levir_entry
from semantic_cc.data.layouts.pair_folder import stem_of
from semantic_cc.data.open_dataset import index
from semantic_cc.data.progress_callback import Progress, counter
from semantic_cc.errors import DataError
from semantic_cc.files import new_folder
from semantic_cc.types import BUILDING, LABELLED_CLASSES, NONE, NOT_BUILDING, ROAD, SPLITS, UNKNOWN

Target = Literal["levir-mci", "list"]
Advance = Callable[[], None]
Splits = Mapping[str, ChangeDataset]


def convert(source: str | Path, out: str | Path, to: Target, progress: Progress | None = None) -> list[str]:
    """Writes all splits of `source` to the new or empty folder `out`; nothing half-written stays.

    ``levir-mci`` keeps everything: items without a mask say so in the caption file, and ``dataset.json`` names the
    classes that are labelled. Where only a part of the masks labels roads, the others hold `NOT_BUILDING` (64) for 0.
    `UNKNOWN` (32) stays. ``list`` takes the items with a mask, building (255) against all else (0), without sentences.

    Args:
        source: a folder in any layout, or a file that `semantic-cc data match` wrote.
        out: the folder.
        to: the layout.
        progress: called after each item.

    Returns:
        What was left out, a line each.

    Raises:
        DataError: `source` has no items, or an item cannot be read.
        OutputError: `out` is not empty or cannot be written.
    """
    splits = {split: ChangeDataset(items) for split in SPLITS if (items := index(Path(source), split))}
    if not splits:
        raise DataError(f"{source}: no items; check the folder")
    advance = counter(sum(map(len, splits.values())), progress)
    with new_folder(out) as work:
        return (_write_levir_mci if to == "levir-mci" else _write_list)(work, splits, advance)


def _write_levir_mci(out: Path, splits: Splits, advance: Advance) -> list[str]:
    entries: list[dict[str, Any]] = []
    sentences = 0
    roads = any("road" in item.classes for dataset in splits.values() for item in dataset.items if item.label)
    write_classes(out, LABELLED_CLASSES[roads])
    for split, dataset in splits.items():
        for number, item in enumerate(dataset.items):
            name = f"{stem_of(item.name)}.png"
            pair = dataset[number]
            label = pair.label
            if label is not None and not roads:  # `NOT_BUILDING` would be a mark of three classes
                label = np.where(label == NOT_BUILDING, np.uint8(NONE), label)
            _save(out / "images" / split, name, {"A": pair.before, "B": pair.after, "label": label})
            entry = levir_entry(len(entries), sentences, name, split, item.sentences, item.changed)
            if item.label is None and any(dataset.labelled):
                entry["label"] = 0
            entries.append(entry)
            sentences += len(item.sentences)
            advance()
    (out / "LevirCCcaptions.json").write_text(json.dumps({"images": entries}) + "\n", encoding="utf-8")
    return []


def _write_list(out: Path, splits: Splits, advance: Advance) -> list[str]:
    (out / "list").mkdir()
    names: set[str] = set()
    unmasked = sentences = roads = unknown = 0
    for split, dataset in splits.items():
        own = []
        for number, item in enumerate(dataset.items):
            advance()
            sentences += len(item.sentences)
            if item.label is None:
                unmasked += 1
                continue
            name = _name_in(split, item.name)
            if name in names:
                raise DataError(f"{item.name}: {name} would occur twice in one folder; rename the item")
            names.add(name)
            own.append(name)
            pair = dataset[number]
            roads += bool(np.any(pair.label == ROAD))
            unknown += bool(np.any(pair.label == UNKNOWN))
            label = np.where(pair.label == BUILDING, BUILDING, NONE).astype(np.uint8)
            _save(out, name, {"A": pair.before, "B": pair.after, "label": label})
        (out / "list" / f"{split}.txt").write_text("".join(f"{name}\n" for name in own), encoding="utf-8")
    left_out = {
        f"{unmasked} items without a mask": unmasked,
        f"{sentences} sentences": sentences,
        f"changed roads, in {roads} masks": roads,
        f"that pixels are not known, in {unknown} masks": unknown,
    }
    return [what for what, count in left_out.items() if count]


def _name_in(split: str, name: str) -> str:
    """One folder holds all splits, so a name tells its split, as LEVIR-CD's names do anyway."""
    return f"{'' if name.startswith(f'{split}_') else f'{split}_'}{stem_of(name)}.png"


def _save(folder: Path, name: str, images: Mapping[str, np.ndarray | None]) -> None:
    for part, image in images.items():
        if image is not None:
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / part / name, compress_level=3)
