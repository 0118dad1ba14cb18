"""In-memory cache of the tokens after the neck, so that encoder and neck run once per pair."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from semantic_cc.data.collate import collate
from semantic_cc.data.items import ChangeDataset, Item
from semantic_cc.model.prompter import INSTRUCTIONS
from semantic_cc.processes import end_with_parent
from semantic_cc.training.console_progress import Reporter
from semantic_cc.training.sample_loader import ErrorsAsItems, default_workers, raise_errors

if TYPE_CHECKING:
    from semantic_cc.model.caption_decoder import CaptionDecoder
    from semantic_cc.model.semantic_cc import Decoded, SemanticCCModel

AT_ONCE = 16
"""Batch size in pairs."""


def drawn(items: list[Item], count: int | None, seed: int) -> list[Item]:
    """A seeded random sample of `count` items; all items if `count` is None or not below their number."""
    return items if count is None or count >= len(items) else random.Random(seed).sample(items, count)


@torch.no_grad()
def encoded(
    model: SemanticCCModel, pairs: ChangeDataset, fabric: Fabric, change: bool = False
) -> Iterator[Decoded]:
    """Yields the output of `SemanticCCModel.decode` for each batch; masks only if `change`.

    Raises:
        DataError: an image cannot be read, or the images of a batch have different sizes.
    """
    model.eval()
    loader = DataLoader(
        ErrorsAsItems(pairs),
        AT_ONCE,
        num_workers=default_workers(),
        worker_init_fn=end_with_parent,
        collate_fn=list,
    )
    with Reporter("features", len(loader), 0) as reporter:
        started = time.perf_counter()
        for items in map(raise_errors, loader):
            given = collate(items, fabric.device)
            with fabric.autocast():
                decoded = model.decode(given.before, given.after, change=change)
            yield decoded
            seconds, started = time.perf_counter() - started, time.perf_counter()
            reporter.step("encode", 1, 1, {}, seconds, len(items))


def encode(model: SemanticCCModel, pairs: ChangeDataset, fabric: Fabric) -> Tensor:
    """What the caption decoder reads of all pairs: (n, 2, h, w, c) bfloat16 on the CPU."""
    batches = encoded(model, pairs, fabric)
    return torch.cat([by_pair(decoded.seen).to("cpu", torch.bfloat16) for decoded in batches])


def by_pair(x: Tensor) -> Tensor:
    """(2b, ...), before first -> (b, 2, ...)."""
    return torch.stack(x.chunk(2), dim=1)


def by_date(x: Tensor) -> Tensor:
    """(b, 2, ...) -> (2b, ...) float32, before first."""
    return x.float().transpose(0, 1).flatten(0, 1)


def visual_tokens(decoder: CaptionDecoder, tokens: Tensor) -> Tensor:
    """Tokens (b, 2, h, w, c) from `encode` -> visual tokens (b, q, m)."""
    return decoder.visual_tokens(by_date(tokens))


@torch.no_grad()
def all_visual_tokens(decoder: CaptionDecoder, tokens: Tensor, fabric: Fabric) -> Tensor:
    """`visual_tokens` of n pairs in batches, (n, q, m)."""
    with fabric.autocast():
        return torch.cat([visual_tokens(decoder, part.to(fabric.device)) for part in tokens.split(AT_ONCE)])


def instructions_for(rows: Iterable[int]) -> list[str]:
    """Instruction of each row; cycles through the paper's four."""
    return [INSTRUCTIONS[row % len(INSTRUCTIONS)] for row in rows]
