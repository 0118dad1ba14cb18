"""Base of the methods that predict only a mask: pair -> logits, as a `ChangeModel`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from semantic_cc.baselines.change_networks import ChangeNetwork, OnSharedEncoder
from semantic_cc.config import ModelConfig
from semantic_cc.decisions import class_indices
from semantic_cc.errors import InputError
from semantic_cc.model.base import (
    ChangeModel,
    MaskPrediction,
    ModelOutput,
    Prediction,
    class_probabilities,
    device_time,
)
from semantic_cc.model.encoder import BitemporalEncoder, Features


class MaskModel(ChangeModel):
    """A change detection method. `change_decoder` contains all of it except SAM's encoder, if the method uses SAM.

    Without SAM, `change_decoder` is a `change_networks.ChangeNetwork`: two images (b, 3, H, W) -> (b, K, H, W). With
    SAM, it also takes SAM's tokens (2b, h, w, e), as Semantic-CC's decoder does.

    A pair is changed if any pixel is. The heatmap is each pixel's change probability, because these methods have no
    common feature level to compare.
    """

    def forward(
        self,
        before: Tensor,
        after: Tensor,
        *,
        sentences: Sequence[Sequence[str]] | None = None,
        instructions: list[str] | None = None,
        change: bool = True,
        features: Features | None = None,
    ) -> ModelOutput:
        """One training pass, see `ChangeModel.forward`; ignores sentences."""
        return ModelOutput(self._logits(before, after, features) if change else None)

    @torch.no_grad()
    def predict(self, before: Tensor, after: Tensor, instructions: Sequence[str] | None = None) -> Prediction:
        """Predicts the masks of a batch, with empty sentences; see `ChangeModel.predict`."""
        if instructions is not None:
            raise InputError(
                f"the method {self.config.method} does not read an instruction; leave the instruction out"
            )
        start = device_time(before.device)
        planes = class_probabilities(self._logits(before, after).float())
        return Prediction(
            class_probabilities=planes,
            change_probability=None,
            changed=(class_indices(planes) > 0).flatten(1).any(dim=1).tolist(),
            sentences=[{} for _ in planes],
            sentence=["" for _ in planes],
            heatmap=1 - planes[:, 0],
            timings={"mask": device_time(before.device) - start},
        )

    @torch.no_grad()
    def predict_masks(self, before: Tensor, after: Tensor) -> MaskPrediction:
        """Predicts the masks of a batch, without a change flag."""
        planes = class_probabilities(self._logits(before, after).float())
        return MaskPrediction(planes, None, 1 - planes[:, 0])

    def layers(self) -> Iterable[nn.Module]:
        """SAM's layers, or the layers of the network."""
        return super().layers() if self.config.has_sam else self.change_decoder.layers()

    def _logits(self, before: Tensor, after: Tensor, features: Features | None = None) -> Tensor:
        if not self.config.has_sam:
            return self.change_decoder(before, after)
        features = self.encode(before, after) if features is None else features
        return self.change_decoder(features.change, before, after)


def mask_model(config: ModelConfig, network: ChangeNetwork, encoder: BitemporalEncoder | None) -> MaskModel:
    """Builds a `MaskModel` of `network` on the shared encoder, or on the network's own if `encoder` is None."""
    if encoder is None:
        return MaskModel(config, None, change_decoder=network)
    shared = OnSharedEncoder(
        network, config.encoder.change_width, config.encoder.patch, config.change_decoder.norm
    )
    return MaskModel(config, encoder, change_decoder=shared)
