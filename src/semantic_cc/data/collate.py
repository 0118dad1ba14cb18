"""Pairs -> one batch of tensors. Shape legend: b pairs, H, W image sides in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semantic_cc.data.labels import label_classes
from semantic_cc.errors import DataError
from semantic_cc.types import Pair


@dataclass(frozen=True)
class Batch:
    """A batch of pairs of one size.

    Attributes:
        before, after: ``(b, 3, H, W)`` float32 in [0, 1], RGB, earlier date first.
        label: ``(b, H, W)`` int64 class indices (0 none, 1 road, 2 building, 3 none or road, 4 not
            known), or None without masks.
        sentences: each pair's reference sentences.
        changed: ``(b,)`` float32 change flags, 0 or 1, or None where one of them is not known.
        names: each pair's name.
    """

    before: Tensor
    after: Tensor
    label: Tensor | None
    sentences: list[tuple[str, ...]]
    changed: Tensor | None
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)


def collate(pairs: Sequence[Pair], device: torch.device | str = "cpu") -> Batch:
    """Stacks pairs into a `Batch`; fits `torch.utils.data.DataLoader(collate_fn=...)`.

    Args:
        pairs: at least one.
        device: receives the bytes of the images, and converts them.

    Raises:
        DataError: no pairs, images or masks of more than one size, masks on only a part of the pairs, or a
            mask value that is no label value.
    """
    if not pairs:
        raise DataError("a batch needs at least one pair")
    check_sizes(pairs)
    label = changed = None
    masks = sum(pair.label is not None for pair in pairs)
    if 0 < masks < len(pairs):
        raise DataError(f"only {masks} of {len(pairs)} pairs of a batch have masks; leave the masks out")
    if masks:
        classes = [label_classes(pair.label, pair.name) for pair in pairs if pair.label is not None]
        label = torch.from_numpy(np.stack(classes)).to(device).long()  # (b, H, W)
    if all(pair.changed is not None for pair in pairs):
        changed = torch.tensor([float(bool(pair.changed)) for pair in pairs], device=device)
    return Batch(
        before=_to_tensor([pair.before for pair in pairs], device),
        after=_to_tensor([pair.after for pair in pairs], device),
        label=label,
        sentences=[pair.sentences for pair in pairs],
        changed=changed,
        names=[pair.name for pair in pairs],
    )


def _to_tensor(images: list[np.ndarray], device: torch.device | str) -> Tensor:
    stacked = torch.from_numpy(np.stack(images)).to(device)  # (b, H, W, 3) uint8
    return stacked.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def check_sizes(pairs: Sequence[Pair]) -> None:
    """Checks that all images and masks of a batch have one size.

    Raises:
        DataError: names the first pair that differs.
    """
    expected = pairs[0].before.shape
    for pair in pairs:
        label_fits = pair.label is None or pair.label.shape == pair.before.shape[:2]
        if pair.before.shape != expected or pair.after.shape != expected or not label_fits:
            raise DataError(f"{pair.name}: its size differs within the batch; cut all images to one size")
