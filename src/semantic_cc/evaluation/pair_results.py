"""Predictions for each pair of a split, and the state for resuming an interrupted evaluation."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Subset

from semantic_cc.data.collate import check_sizes
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.labels import true_classes
from semantic_cc.data.progress_callback import Progress
from semantic_cc.decisions import class_mask
from semantic_cc.errors import DataError
from semantic_cc.files import check_folder, write_files
from semantic_cc.metrics.precision_recall import probability_counts
from semantic_cc.runtime.interface import PairPredictions
from semantic_cc.types import BUILDING_CLASS, LEFT_OUT, Pair

if TYPE_CHECKING:
    from semantic_cc.runtime.interface import Runtime


@dataclass(frozen=True)
class PairResult:
    """A model's prediction for one pair, without images.

    Attributes:
        name: name of the pair.
        size: image size, for example "256x256" (height, width).
        sentence: None if no sentence was written.
        changed: predicted change flag, None if no sentence was written.
        probability: change probability in [0, 1] from the flag head; None without that head.
        mask: ``(H, W)`` uint8 of `LABEL_VALUES`; None without a mask.
        counts: ``(2, BINS)`` int64, histogram of the building probabilities of labelled pixels that are not, and that
            are, a changed building, see `probability_counts`; None without a mask or without a label.
        roads: whether the mask distinguishes roads.
        seconds: prediction time of the batch divided by its size.
    """

    name: str
    size: str
    sentence: str | None
    changed: bool | None
    probability: float | None
    mask: np.ndarray | None
    counts: np.ndarray | None
    roads: bool
    seconds: float


def predict_pairs(
    runtime: Runtime,
    pairs: Subset[Pair],
    *,
    batch: int = 8,
    progress: Progress | None = None,
    sentences: bool = True,
    state: EvaluationState | None = None,
) -> Iterator[PairResult]:
    """Predicts `pairs` in order, in batches, except those that `state` contains.

    Args:
        runtime: runs the model.
        pairs: pairs to predict.
        batch: batch size in pairs; all images of a batch must have the same size.
        progress: called with the number of pairs done and the total, after each batch.
        sentences: False = masks and flag probabilities only; the language model does not run.
        state: stores each finished batch.

    Raises:
        DataError: `batch` is below 1, or the images of a batch have different sizes.
        OutputError: the state cannot be written.
    """
    if batch < 1:
        raise DataError(f"batch is {batch}; give at least 1")
    for start in range(0, len(pairs), batch):
        stop = min(start + batch, len(pairs))
        results = None if state is None else state.read(start)
        if results is None:
            results = _predict(runtime, [pairs[index] for index in range(start, stop)], sentences)
            if state is not None:
                state.write(start, results)
        yield from results
        if progress:
            progress(stop, len(pairs))


def _predict(runtime: Runtime, pairs: Sequence[Pair], sentences: bool) -> list[PairResult]:
    check_sizes(pairs)
    before, after = _stack([pair.before for pair in pairs]), _stack([pair.after for pair in pairs])
    start = time.perf_counter()
    found = runtime.predict(before, after) if sentences else runtime.predict_masks(before, after)
    seconds = (time.perf_counter() - start) / len(pairs)
    planes_of = found.class_probabilities  # (b, 2 or 3, H, W)
    flags = found.change_probability
    shares = [None] * len(pairs) if flags is None else flags.tolist()
    written = found if isinstance(found, PairPredictions) and runtime.config.writes else None
    results = []
    for place, pair in enumerate(pairs):
        probabilities = None if planes_of is None else planes_of[place]
        results.append(
            PairResult(
                name=pair.name,
                size="x".join(map(str, pair.before.shape[:2])),
                sentence=None if written is None else written.sentence[place],
                changed=None if written is None else written.changed[place],
                probability=shares[place],
                mask=None if probabilities is None else class_mask(probabilities),
                counts=_building_counts(probabilities, pair),
                roads=probabilities is not None and len(probabilities) == 3,
                seconds=seconds,
            )
        )
    return results


def _stack(images: list[np.ndarray]) -> np.ndarray:
    """(H, W, 3) images -> (b, H, W, 3), in memory plane after plane: the sums of torch depend on the layout."""
    planes = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
    return planes.transpose(0, 2, 3, 1)


def _building_counts(probabilities: np.ndarray | None, pair: Pair) -> np.ndarray | None:
    """`probability_counts` of the last class, "building", against the pair's label."""
    if probabilities is None or pair.label is None:
        return None
    truth, _ = true_classes(pair.label, pair.name)
    labelled = truth != LEFT_OUT
    return probability_counts(np.clip(probabilities[-1][labelled], 0, 1), truth[labelled] == BUILDING_CLASS)


class EvaluationState:
    """The finished batches of an evaluation, one file each, in a folder next to its output.

    Batches are written atomically. A folder of a different evaluation (model, dataset, split or options) is emptied.

    Args:
        folder: folder for the state only; created if needed.
        key: from `state_key`.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = check_folder(folder)
        about = folder / "evaluation.json"
        if not about.is_file() or json.loads(about.read_text()) != {"key": key}:
            shutil.rmtree(folder, ignore_errors=True)
            write_files(folder, {about.name: json.dumps({"key": key}).encode()})

    def read(self, start: int) -> list[PairResult] | None:
        """The batch that starts at pair `start`; None if it is not finished."""
        path = self.folder / _file_name(start)
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            return [
                PairResult(**fact, mask=_array(arrays, f"mask{k}"), counts=_array(arrays, f"counts{k}"))
                for k, fact in enumerate(facts)
            ]

    def write(self, start: int, results: Sequence[PairResult]) -> None:
        """Stores the batch that starts at pair `start`.

        Raises:
            OutputError: it cannot be written.
        """
        arrays: dict[str, Any] = {}
        facts = []
        for k, result in enumerate(results):
            fact = asdict(replace(result, mask=None, counts=None))
            del fact["mask"], fact["counts"]
            facts.append(fact)
            for name, array in (("mask", result.mask), ("counts", result.counts)):
                if array is not None:
                    arrays[f"{name}{k}"] = array
        buffer = io.BytesIO()
        np.savez_compressed(buffer, facts=np.array(json.dumps(facts)), **arrays)
        write_files(self.folder, {_file_name(start): buffer.getvalue()})

    def remove(self) -> None:
        """Deletes the folder after the evaluation."""
        shutil.rmtree(self.folder, ignore_errors=True)


def state_key(data: ChangeDataset, indices: Sequence[int], **options: object) -> str:
    """Digest of all inputs of the predictions: the chosen items, their files' sizes and times, and `options`."""
    digest = hashlib.sha256()
    for index in indices:
        item = data.items[index]
        for path in (item.before, item.after, item.label):
            stat = Path(path).stat() if path else None
            digest.update(f"{item.name}|{path}|{item.box}|{item.classes}|".encode())
            digest.update(b"-" if stat is None else f"{stat.st_size} {stat.st_mtime_ns}".encode())
    digest.update(json.dumps(options, sort_keys=True).encode())
    return digest.hexdigest()


def _file_name(start: int) -> str:
    return f"batch-{start:07d}.npz"


def _array(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray | None:
    return arrays.get(name)
