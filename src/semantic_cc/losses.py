"""The losses of eq. 9 and of the optional change-flag head; all are means.

Legend: b pairs, K classes, H, W pixels, n caption tokens, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BUILDING_CLASS = 2
"""Class index of a changed building (0 none, 1 road)."""


def change_loss(logits: Tensor, label: Tensor) -> Tensor:
    """L_cd: binary cross-entropy on building change (K = 1), cross-entropy otherwise.

    Args:
        logits: (b, K, H, W).
        label: (b, H, W) int64 class indices; with K = 1 only `BUILDING_CLASS` counts as change.
    """
    if logits.shape[1] == 1:
        target = (label == BUILDING_CLASS).to(torch.float32)
        return F.binary_cross_entropy_with_logits(logits[:, 0].float(), target)
    return F.cross_entropy(logits.float(), label)


def caption_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """L_cc: token cross-entropy on the sentences and their end marks.

    Args:
        logits: (n, V). targets: (n,) int64 token ids.
    """
    return F.cross_entropy(logits.float(), targets)


def flag_loss(logits: Tensor, changed: Tensor) -> Tensor:
    """Binary cross-entropy of the change flag; logits (b,), changed (b,) of 0 and 1."""
    return F.binary_cross_entropy_with_logits(logits.float(), changed.float())
