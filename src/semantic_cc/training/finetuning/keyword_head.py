"""Phase `keyword_head`: trains the head that predicts keywords from visual tokens and mask (`model.keywords`).

A small language model relies more on its language prior than on the visual tokens. A linear layer on these tokens
predicts places and numbers better, and the mask predicts them best. The head outputs log-odds relative to a keyword's
base rate, so they leave the language model's scores of average words unchanged. All other parts are frozen.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from semantic_cc.config import Config
from semantic_cc.data.items import ChangeDataset
from semantic_cc.data.open_dataset import name_of, open_dataset
from semantic_cc.errors import DataError
from semantic_cc.model.keyword_head import KeywordHead, mask_grid
from semantic_cc.training.pretraining.qformer import phrases_of, uses
from semantic_cc.training.pretraining.symmetric_views import SymmetricPairs, turn_tokens
from semantic_cc.training.pretraining.token_cache import (
    AT_ONCE,
    by_pair,
    drawn,
    encoded,
    visual_tokens,
)
from semantic_cc.training.row_task import RowTask, shuffled
from semantic_cc.training.sampling import SampleRef
from semantic_cc.training.task import OpenedData, PhaseRun

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from semantic_cc.model.base import ChangeModel
    from semantic_cc.model.semantic_cc import SemanticCCModel

VIEWS = 4
"""Number of symmetries per pair."""
SIZE = 20.0
"""Norm that the tokens are scaled to during training, independent of the LLM's embeddings."""


def with_keywords(config: Config) -> Config:
    """`config` with the frequent phrases that its phases of this kind ask for (`min_counts`) as further keywords.

    A compared method has no keyword head, and gets none.

    Raises:
        DataError: no such dataset.
    """
    if config.model.method != "semantic-cc":
        return config
    keywords = dict.fromkeys(config.model.keywords)
    for phase in config.phases.values():
        if phase.kind == "keyword_head" and phase.min_counts:
            items = open_dataset(phase.data or config.data, "train").items
            sentences = (text for item in items if item.changed for text in item.sentences)
            keywords |= dict.fromkeys(frequent_phrases(sentences, phase.min_counts))
    return replace(config, model=replace(config.model, keywords=tuple(keywords)))


def frequent_phrases(sentences: Iterable[str], min_counts: Sequence[int]) -> list[str]:
    """Phrases of n words that at least `min_counts[n - 1]` sentences contain, in alphabetical order."""
    counts = Counter(phrase for text in sentences for phrase in phrases_of([text], len(min_counts)))
    return sorted(phrase for phrase, count in counts.items() if count >= min_counts[len(phrase.split()) - 1])


def open_keyword_phase(run: PhaseRun) -> OpenedData:
    """Opens the phase's changed pairs.

    Raises:
        DataError: no such dataset; no changed pairs with sentences; images of different sizes.
    """
    items = [item for item in open_dataset(run.data, "train").items if item.changed and item.sentences]
    if not items:
        raise DataError(
            f"{name_of(run.data)}: no changed train pair with captions to learn keywords from; add some, or "
            "leave out the phase"
        )
    items = drawn(items, run.phase.items, run.seed)

    def task(given: ChangeModel) -> RowTask:
        torch.manual_seed(run.seed)
        model = cast("SemanticCCModel", given.to(run.fabric.device))
        pairs = ChangeDataset([replace(item, label=None) for item in items])
        tokens, grids = tokens_and_masks(model, pairs, run.fabric)
        views = SymmetricPairs(tokens, [item.sentences for item in items], run.seed)
        rows = augmented_views(model, views, grids, run.fabric)
        visual, present = rows[:2]
        size = SIZE / visual.float().norm(dim=-1).mean().item()
        sizes = model.config
        head = KeywordHead(visual.shape[-1], len(sizes.keywords), sizes.mask_classes).to(run.fabric.device)

        def loss_of(given: tuple[Tensor, ...], draw: random.Random) -> Tensor:
            tokens, present, *grid = given
            return F.binary_cross_entropy_with_logits(head(size * tokens.float(), *grid), present)

        def finish() -> dict[str, Any]:
            usual = torch.logit(present.mean(dim=0), eps=1 / (2 * len(present))).to(run.fabric.device)
            own = cast(KeywordHead, model.caption_decoder.keyword_head)
            own.load_state_dict(head.state_dict())
            with torch.no_grad():
                own.token_logits.weight.mul_(size)
                own.token_logits.bias.sub_(usual)
            return {"pairs": len(items)}

        order = shuffled(len(visual), run.seed)
        return RowTask(run, dict(head.named_parameters()), ViewRows(rows), order, loss_of, finish=finish)

    return OpenedData(len(items), run.phase.epochs * -(-VIEWS * len(items) // run.phase.batch), task)


class ViewRows(Dataset[tuple[Tensor, ...]]):
    """Tensors of equal length, indexed by the `SampleRef` of a `RowTask`."""

    def __init__(self, tensors: tuple[Tensor, ...]) -> None:
        self.tensors = tensors

    def __getitem__(self, ref: SampleRef) -> tuple[Tensor, ...]:
        return tuple(tensor[ref.index] for tensor in self.tensors)


@torch.no_grad()
def tokens_and_masks(
    model: SemanticCCModel, pairs: ChangeDataset, fabric: Fabric
) -> tuple[Tensor, Tensor | None]:
    """Captioning tokens and masks of n pairs, on the CPU.

    Returns:
        Captioning tokens as from `encode`, and `mask_grid` of the masks; None if the model predicts no masks.
    """
    tokens, grids = [], []
    for decoded in encoded(model, pairs, fabric, change=True):
        tokens.append(by_pair(decoded.seen).to("cpu", torch.bfloat16))
        if decoded.probabilities is not None:
            grids.append(mask_grid(decoded.probabilities).cpu())
    return torch.cat(tokens), torch.cat(grids) if grids else None


@torch.no_grad()
def augmented_views(
    model: SemanticCCModel, pairs: SymmetricPairs, grids: Tensor | None, fabric: Fabric
) -> tuple[Tensor, ...]:
    """Each of n pairs under `VIEWS` symmetries.

    Returns:
        Visual tokens (VIEWS n, q, m) bfloat16; multi-hot keywords of the sentences, (VIEWS n, v) float32; and, if
        `grids` (n, g, g, k) are given, the transformed grids (VIEWS n, g, g, k).
    """
    decoder, known = model.caption_decoder, model.config.keywords
    visual, present, turned = [], [], []
    for view in range(VIEWS):
        for start in range(0, len(pairs), AT_ONCE):
            refs = [SampleRef(row, view, row) for row in range(start, min(start + AT_ONCE, len(pairs)))]
            tokens, rows, symmetries = zip(*(pairs[ref] for ref in refs), strict=True)
            with fabric.autocast():
                part = visual_tokens(decoder, torch.stack(tokens).to(fabric.device))
            visual.append(part.to("cpu", torch.bfloat16))
            own = list(zip(rows, symmetries, strict=True))
            present.append(uses(known, [pairs.sentences[row][symmetry] for row, symmetry in own]))
            if grids is not None:
                turned += [turn_tokens(grids[row], pairs.symmetries[symmetry]) for row, symmetry in own]
    masks = [torch.stack(turned)] if turned else []
    return torch.cat(visual), torch.cat(present), *masks
