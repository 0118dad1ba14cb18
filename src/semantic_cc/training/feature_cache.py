"""Cache of the frozen encoder's features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from semantic_cc.data.collate import Batch
from semantic_cc.training.sampling import DrawnSample

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel
    from semantic_cc.model.encoder import Features


class FeatureCache:
    """Encoder features per item, in CPU memory.

    Items are encoded one at a time. Otherwise the features would depend on the batch composition, and a resumed run
    would differ in the last digits.

    Args:
        model: model with its encoder in eval mode and frozen while the cache is in use.
    """

    def __init__(self, model: ChangeModel) -> None:
        self.model = model
        self._known: dict[int, tuple[Tensor, ...]] = {}

    def clear(self) -> None:
        """Empties the cache; call it after training the encoder."""
        self._known.clear()

    def features(self, samples: list[DrawnSample], batch: Batch) -> Features:
        """The features of a batch, on its device.

        Args:
            samples: b items, without augmentation.
            batch: the items as tensors.
        """
        from semantic_cc.model.encoder import Features

        for place, sample in enumerate(samples):
            if sample.visit.index not in self._known:
                self._known[sample.visit.index] = self._encoded(batch, place)
        rows = zip(*(self._known[sample.visit.index] for sample in samples), strict=True)
        # rows (2, ...) -> (2b, ...), before first
        tiers = [torch.stack(row, dim=1).flatten(0, 1).to(batch.before.device) for row in rows]
        return Features(tiers[0], tiers[1] if len(tiers) > 1 else None, tuple(tiers[2:]))

    @torch.no_grad()
    def _encoded(self, batch: Batch, place: int) -> tuple[Tensor, ...]:
        features = self.model.encode(batch.before[place : place + 1], batch.after[place : place + 1])
        tiers = (
            features.caption,
            features.change,
            *features.trunk,
        )  # what there is comes before what is None
        return tuple(tier.cpu() for tier in tiers if tier is not None)
