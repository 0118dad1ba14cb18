"""Scores of a model on a split: change flag, mask and sentences, each where the dataset has the truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Subset

from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.data.collate import Batch, collate
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.labels import true_classes
from semantic_cc.data.open_dataset import Data, index, name_of, open_dataset, roots_of
from semantic_cc.data.progress_callback import Progress
from semantic_cc.decisions import class_indices
from semantic_cc.errors import DataError
from semantic_cc.evaluation.diagnostics import Study
from semantic_cc.metrics import ChangeMetric
from semantic_cc.metrics import report as caption_report
from semantic_cc.metrics.calibration_error import calibration
from semantic_cc.model.base import Prediction
from semantic_cc.types import Pair

if TYPE_CHECKING:
    from semantic_cc.config import ModelConfig
    from semantic_cc.model.base import ChangeModel


def evaluate(
    model: str | Path,
    data: Data,
    split: str = "test",
    limit: int | None = None,
    batch: int = 8,
    progress: Progress | None = None,
    predictions: bool = False,
    study: Study | None = None,
    meteor: bool = True,
    allow_foundation_mismatch: bool = False,
    sentences: bool = True,
) -> dict[str, Any]:
    """Scores a trained model on one split of a dataset.

    What the items have no truth for is left out, and a line under ``notes`` says so: where roads are not
    labelled, building alone is scored.

    Args:
        model: a shipped name, or a folder that `save_pretrained` wrote.
        data: a dataset in a layout of docs/data.md, or several to be joined.
        split: "train", "val" or "test".
        limit: score only so many pairs, drawn with seed 0.
        batch: pairs predicted at once; their images must be of one size.
        progress: told after each batch.
        predictions: also return what was predicted, under ``predictions``.
        study: what gathers the rest; give one to ask it for the worst cases afterwards.
        meteor: score METEOR too, where there is Java.
        allow_foundation_mismatch: score on other foundation weights than the accepted, with a note.
        sentences: False = masks alone: no sentence is written, and neither sentences nor flags are scored.

    Returns:
        A dict for JSON: ``model`` (name, digest, training with its seed), ``data``, ``split``, ``pairs``,
        ``limit``, ``device``, ``tiles`` ("256x256"), ``decoding``, ``seconds_per_pair`` (prediction alone),
        ``notes``; ``change``: `ChangeScore` over all pixels, or for building alone its ``building`` and
        ``pixels``; ``captions``: `semantic_cc.metrics.report` in the `word` protocol; and what `Study.report`
        has; ``calibration``: `Calibration` of the change probability; all scores in percent. ``change``,
        ``calibration`` and ``captions`` may be None.

    Raises:
        CheckpointError: no such model, or a corrupt one.
        DataError: no such dataset, fewer than `limit` pairs, images of several sizes, batch below 1.
        ScoringError: METEOR's process has failed.
    """
    pairs = open_dataset(data, split)
    loaded, info = load_pretrained(model, allow_foundation_mismatch=allow_foundation_mismatch)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    known = [item for root in roots_of(data) for item in index(root, "train", skip_missing=True)]
    train = [sentence for item in known for sentence in item.sentences]
    study = study or Study()
    result, scores = score(
        loaded.to(device), pairs, limit, batch, progress, study.see, train, meteor, sentences
    )
    report: dict[str, Any] = {
        "model": {"name": info.name, "digest": info.digest, "training": info.training},
        "data": name_of(data),
        "split": split,
        "pairs": len(result.sentences),
        "limit": limit,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "tiles": " ".join(sorted(result.sizes)),
        "decoding": _decoding(info.config),
        "seconds_per_pair": result.seconds / len(result.sentences),
        **scores,
        **study.report(),
        "notes": [*info.notes, *scores["notes"]],
    }
    if predictions:
        report["predictions"] = {
            name: {
                "sentence": sentence,
                "changed": result.changed[name],
                "probability": result.probability[name],
            }
            for name, sentence in result.sentences.items()
        }
    return report


def _decoding(config: ModelConfig) -> str:
    if config.has_llm:
        return f"beam-{config.llm.beams}" if config.decoding == "beam" else config.decoding
    return config.decoding if config.baseline.beam == 1 else f"beam-{config.baseline.beam}"


def score(
    model: ChangeModel,
    pairs: ChangeDataset,
    limit: int | None = None,
    batch: int = 8,
    progress: Progress | None = None,
    watch: Watch | None = None,
    train: Sequence[str] = (),
    meteor: bool = False,
    sentences: bool = True,
) -> tuple[Predicted, dict[str, Any]]:
    """What `model`, in eval mode, says of `pairs`, and its scores and ``notes`` as in `evaluate`.

    `train` holds the training sentences, of which the most frequent one is a baseline; `sentences` as in `evaluate`.

    Raises:
        DataError: fewer than `limit` pairs, images of several sizes, batch below 1.
    """
    chosen = pairs.subset(limit) if limit is not None else Subset(pairs, range(len(pairs)))
    result = predict_all(model, chosen, batch, progress, watch, sentences)
    notes: list[str] = []
    change = _change_scores(result, binary=model.config.change_decoder.classes == 1, notes=notes)
    captions = calibrated = None
    if not model.config.writes:
        notes.append("sentences are not scored: the model writes none")
    elif sentences:
        captions = _caption_scores(result, pairs, notes, train, meteor)
    if sentences:
        calibrated = _calibration(result, pairs)
    return result, {"change": change, "captions": captions, "calibration": calibrated, "notes": notes}


@dataclass
class Predicted:
    """What a model said of a split.

    Attributes:
        sentences: name -> sentence.
        changed: name -> predicted change flag.
        probability: name -> the flag head's probability in [0, 1], None without the head.
        mask: the confusion matrix of all pixels that have a label.
        masks: how many pairs are in it.
        roads: whether all of their labels tell changed roads from no change.
        sizes: image sizes seen, as "256x256".
        seconds: spent predicting.
    """

    sentences: dict[str, str] = field(default_factory=dict)
    changed: dict[str, bool] = field(default_factory=dict)
    probability: dict[str, float | None] = field(default_factory=dict)
    mask: ChangeMetric = field(default_factory=ChangeMetric)
    masks: int = 0
    roads: bool = True
    sizes: set[str] = field(default_factory=set)
    seconds: float = 0.0


Watch = Callable[[Pair, str | None, Tensor | None], None]
"""Called with each pair, its sentence where one was written, and its class probabilities (2 or 3, H, W) on the CPU."""


def predict_all(
    model: ChangeModel,
    pairs: Sequence[Pair] | Subset[Pair],
    batch: int,
    progress: Progress | None = None,
    watch: Watch | None = None,
    sentences: bool = True,
) -> Predicted:
    """Runs `model`, in eval mode, over `pairs` in batches of `batch`; masks are scored as they come.

    Raises:
        DataError: batch below 1, or images of several sizes in one batch.
    """
    if batch < 1:
        raise DataError(f"batch is {batch}; give at least 1")
    device = next(model.parameters()).device
    result = Predicted()
    for start in range(0, len(pairs), batch):
        stop = min(start + batch, len(pairs))
        chosen = [pairs[index] for index in range(start, stop)]
        given = collate([replace(pair, label=None) for pair in chosen]).to(device)
        began = time.perf_counter()
        prediction = model.predict(given.before, given.after) if sentences else _unsaid(model, given)
        result.seconds += time.perf_counter() - began
        _gather(result, given, prediction)
        if prediction.class_probabilities is not None:
            _score_masks(result, chosen, class_indices(prediction.class_probabilities).cpu())
        if watch:
            _show(watch, chosen, prediction, written=sentences and model.config.writes)
        if progress:
            progress(stop, len(pairs))
    return result


def _unsaid(model: ChangeModel, given: Batch) -> Prediction:
    """A prediction without sentences, for which the language model does not run."""
    found, pairs = model.predict_masks(given.before, given.after), len(given)
    return Prediction(
        found.class_probabilities, found.change_probability, [False] * pairs, [{}] * pairs, [""] * pairs,
        found.heatmap, {},
    )  # fmt: skip


def _show(watch: Watch, pairs: Sequence[Pair], prediction: Prediction, written: bool) -> None:
    planes = prediction.class_probabilities
    planes = None if planes is None else planes.float().cpu()
    for place, pair in enumerate(pairs):
        watch(
            pair, prediction.sentence[place] if written else None, None if planes is None else planes[place]
        )


def _gather(result: Predicted, given: Batch, prediction: Prediction) -> None:
    probability = prediction.change_probability
    shares = [None] * len(given) if probability is None else probability.tolist()
    for name, sentence, changed, share in zip(
        given.names, prediction.sentence, prediction.changed, shares, strict=True
    ):
        result.sentences[name], result.changed[name], result.probability[name] = sentence, changed, share
    result.sizes.add("x".join(map(str, given.before.shape[-2:])))


def _score_masks(result: Predicted, pairs: Sequence[Pair], classes: Tensor) -> None:
    for pair, predicted in zip(pairs, classes, strict=True):
        if pair.label is None:
            continue
        truth, roads = true_classes(pair.label, pair.name)
        result.mask.update(predicted[None], torch.from_numpy(truth)[None])
        result.masks += 1
        result.roads = result.roads and roads


def _change_scores(result: Predicted, binary: bool, notes: list[str]) -> dict[str, Any] | None:
    if not result.masks:
        notes.append("change detection is not scored: the model has no mask, or the dataset no labels")
        return None
    scores = result.mask.compute().to_dict()
    if not result.roads and not binary:
        notes.append("roads are not labelled in every mask, so building change alone is scored")
        binary = True
    return {name: scores[name] for name in ("building", "pixels")} if binary else scores


def _calibration(result: Predicted, pairs: ChangeDataset) -> dict[str, Any] | None:
    flags = pairs.flags
    said = {name: share for name, share in result.probability.items() if share is not None and name in flags}
    return calibration(list(said.values()), [flags[name] for name in said]).to_dict() if said else None


def _caption_scores(
    result: Predicted, pairs: ChangeDataset, notes: list[str], train: Sequence[str], meteor: bool
) -> dict[str, Any] | None:
    references = pairs.references
    names = [name for name in result.sentences if references[name]]
    if len(names) < len(result.sentences):
        left_out = len(result.sentences) - len(names)
        notes.append(
            f"{left_out} pairs without reference sentences are left out of the captions and the flag"
        )
    if not names:
        return None
    flags = pairs.flags
    known = all(name in flags for name in names)
    if not known:
        notes.append("the dataset does not give every change flag; what its sentences say stands for it")
    return caption_report(
        {name: result.sentences[name] for name in names},
        {name: references[name] for name in names},
        changed={name: flags[name] for name in names} if known else None,
        flags={name: result.changed[name] for name in names},
        train=train,
        meteor=meteor,
    )
