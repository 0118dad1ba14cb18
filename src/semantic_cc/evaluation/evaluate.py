"""Evaluation of a model on a split: change flag, mask and sentences, as far as the dataset has ground truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils.data import Subset

from semantic_cc.data.dataset_checks import check_dataset
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import Data, index, name_of, open_dataset, roots_of
from semantic_cc.data.progress_callback import Progress
from semantic_cc.evaluation.evaluation_report import EvaluationReport, SplitScores
from semantic_cc.evaluation.pair_results import EvaluationState, predict_pairs, state_key
from semantic_cc.evaluation.split_scorer import SplitScorer
from semantic_cc.runtime.interface import RuntimeName
from semantic_cc.runtime.load import LoadOptions, load_runtime
from semantic_cc.runtime.torch_runtime import TorchRuntime
from semantic_cc.types import Pair

if TYPE_CHECKING:
    from semantic_cc.config import ModelConfig
    from semantic_cc.model.base import ChangeModel


def evaluate(
    model: str | Path,
    data: Data,
    split: str = "test",
    *,
    limit: int | None = None,
    batch: int = 8,
    sentences: bool = True,
    meteor: bool = True,
    worst: int = 0,
    runtime: RuntimeName = "auto",
    allow_foundation_mismatch: bool = False,
    state: Path | None = None,
    checking: Progress | None = None,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Scores a trained model on one split of a dataset.

    `check_dataset` checks the dataset before the model is loaded. Missing ground truth is skipped, with a note: without
    road labels, only buildings are scored.

    Args:
        model: a packaged model's name, or a folder from `save_pretrained`.
        data: one or several datasets in a layout of docs/data.md.
        split: "train", "val" or "test".
        limit: score only this many pairs, drawn with seed 0.
        batch: batch size in pairs; all images of a batch must have the same size.
        sentences: False = score masks only; the language model does not run.
        meteor: whether to compute METEOR, if Java is available.
        worst: number of pairs with the most wrong pixels to return.
        runtime: as in `SemanticCC.from_pretrained`.
        allow_foundation_mismatch: whether to accept different foundation weights, with a note.
        state: folder for finished batches, which lets the same call resume after an interruption; deleted at the end.
        checking, progress: called with the number of files checked (pairs predicted) and the total.

    Raises:
        CheckpointError: no such model, or a corrupt one.
        DataError: no such dataset, fewer than `limit` pairs, an invalid label, images of different sizes, `batch`
            below 1.
        OutputError: the state cannot be written.
        ScoringError: METEOR's process failed.

    Example:
        >>> evaluate("small", "LEVIR-MCI", limit=20).scores.change.building.f1  # doctest: +SKIP
    """
    pairs = open_dataset(data, split)
    chosen = _choose(pairs, limit)
    check_dataset(ChangeDataset([pairs.items[index] for index in chosen.indices]), checking)
    options = LoadOptions(allow_foundation_mismatch=allow_foundation_mismatch)
    loaded = load_runtime(model, runtime=runtime, options=options)
    info = loaded.info
    device_name = torch.cuda.get_device_name() if loaded.runtime.device == "cuda" else "cpu"
    kept = None
    if state is not None:
        key = state_key(
            pairs,
            chosen.indices,
            model=info.digest,
            batch=batch,
            sentences=sentences,
            device=device_name,
            runtime=loaded.runtime.name,
        )
        kept = EvaluationState(state, key)
    train = _train_sentences(data) if any(item.sentences for item in pairs.items) else []
    scorer = SplitScorer(pairs, info.config, worst)
    results = predict_pairs(
        loaded.runtime, chosen, batch=batch, progress=progress, sentences=sentences, state=kept
    )
    for place, result in zip(chosen.indices, results, strict=True):
        scorer.update(place, result)
    scores = scorer.compute(train, meteor)
    if kept is not None:
        kept.remove()
    return EvaluationReport(
        model=info.name,
        digest=info.digest,
        training=info.training,
        data=name_of(data),
        split=split,
        pairs=len(chosen),
        limit=limit,
        device=device_name,
        runtime=loaded.runtime.name,
        sizes=tuple(sorted(scorer.sizes)),
        decoding=_decoding(info.config),
        classes=pairs.classes,
        scores=replace(scores, notes=(*info.notes, *scores.notes)),
        predictions=scorer.predictions,
        seconds_per_pair=scorer.seconds / len(chosen),
        worst=scorer.worst(),
    )


def score(
    model: ChangeModel, pairs: ChangeDataset, limit: int | None = None, batch: int = 8, sentences: bool = True
) -> SplitScores:
    """Scores `model`, in eval mode, on `pairs`, without METEOR; arguments as in `evaluate`.

    Raises:
        DataError: fewer than `limit` pairs, images of different sizes, `batch` below 1.
    """
    chosen = _choose(pairs, limit)
    scorer = SplitScorer(pairs, model.config)
    runtime = TorchRuntime(model, next(model.parameters()).device)
    for place, result in zip(
        chosen.indices, predict_pairs(runtime, chosen, batch=batch, sentences=sentences), strict=True
    ):
        scorer.update(place, result)
    return scorer.compute()


def _choose(pairs: ChangeDataset, limit: int | None) -> Subset[Pair]:
    return pairs.subset(limit) if limit is not None else Subset(pairs, range(len(pairs)))


def _train_sentences(data: Data) -> list[str]:
    known = [item for root in roots_of(data) for item in index(root, "train", skip_missing=True)]
    return [sentence for item in known for sentence in item.sentences]


def _decoding(config: ModelConfig) -> str:
    if config.has_llm:
        return f"beam-{config.llm.beams}" if config.decoding == "beam" else config.decoding
    return config.decoding if config.baseline.beam == 1 else f"beam-{config.baseline.beam}"
