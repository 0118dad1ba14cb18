"""Losses of eq. 9 and of the optional change-flag head; all are means.

Legend: b pairs, K classes, H, W pixels, n caption tokens, V vocabulary size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from semantic_cc.types import BUILDING_CLASS, UNKNOWN_CLASS


def dice_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Soft Dice loss of the building class over the whole batch: 1 - 2 |P T| / (|P| + |T|), each sum plus 1.

    Milletari et al., 3DV 2016. Unknown pixels are ignored. In a batch without building pixels the loss penalises false
    positives.

    Args:
        logits, label: as `change_loss`.
    """
    building = (
        logits[:, 0].float().sigmoid()
        if logits.shape[1] == 1
        else logits.float().softmax(dim=1)[:, BUILDING_CLASS]
    )
    building = building * (label != UNKNOWN_CLASS)
    target = (label == BUILDING_CLASS).to(building.dtype)
    return 1 - (2 * (building * target).sum() + 1) / (building.sum() + target.sum() + 1)


def change_loss(logits: Tensor, label: Tensor) -> Tensor:
    """L_cd: binary cross-entropy on building change (K = 1), cross-entropy otherwise (K = 3).

    For label 3, "none or road", the likelihood is p_none + p_road: it penalises building and does not affect roads. For
    label 4, unknown, the loss is 0. The mean is over all pixels, so that the micro-batches of a step add up.

    Args:
        logits: (b, K, H, W).
        label: (b, H, W) int64 class indices, 0..4; with K = 1 only `BUILDING_CLASS` counts as change.
    """
    if logits.shape[1] == 1:
        target = (label == BUILDING_CLASS).to(torch.float32)
        known = (label != UNKNOWN_CLASS).to(torch.float32)
        return F.binary_cross_entropy_with_logits(logits[:, 0].float(), target, weight=known)
    return partial_cross_entropy(logits, label, but=BUILDING_CLASS)


def partial_cross_entropy(logits: Tensor, label: Tensor, but: int) -> Tensor:
    """Cross-entropy over K classes with partial labels.

    Args:
        logits: (b, K, H, W).
        label: (b, H, W) int64: a class; K = any class except `but`, with the sum of their likelihoods; K + 1 = unknown,
            with loss 0, included in the mean.
        but: the excluded class.
    """
    log_p = F.log_softmax(logits.float(), dim=1)
    others = [index for index in range(logits.shape[1]) if index != but]
    any_other = torch.logsumexp(log_p[:, others], dim=1, keepdim=True)
    certain = torch.zeros_like(any_other)  # unknown: log 1
    return F.nll_loss(torch.cat([log_p, any_other, certain], dim=1), label)  # (b, K + 2, H, W)


def caption_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """L_cc: token cross-entropy over the sentences and their end marks.

    Args:
        logits: (n, V). targets: (n,) int64 token ids.
    """
    return F.cross_entropy(logits.float(), targets)


def flag_loss(logits: Tensor, changed: Tensor) -> Tensor:
    """Binary cross-entropy of the change flag; logits (b,), changed (b,) of 0 and 1."""
    return F.binary_cross_entropy_with_logits(logits.float(), changed.float())
