"""Everything of a model that comes before its language model, as one function of two images.

Legend: b pairs, H, W pixels, K classes, q visual tokens, m LLM width, v keywords.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from semantic_cc.model.base import difference_map
from semantic_cc.model.keyword_head import mask_grid
from semantic_cc.model.semantic_cc import SemanticCCModel


class VisionPart(nn.Module):
    """Encoder, neck, mask decoder, Q-Former, flag head and keyword head.

    Args:
        model: with a Q-Former that reads no text.
    """

    def __init__(self, model: SemanticCCModel) -> None:
        super().__init__()
        self.model = model
        decoder = model.caption_decoder
        present = {
            "heatmap": True,
            "visual": True,
            "class_probabilities": model.change_decoder is not None,
            "change_probability": decoder.flag is not None,
            "log_odds": decoder.keyword_head is not None,
        }
        self.names = [name for name, is_there in present.items() if is_there]
        """Names of the outputs, in their order."""

    @torch.no_grad()
    def forward(self, before: Tensor, after: Tensor) -> tuple[Tensor, ...]:
        """Images (b, H, W, 3) uint8 -> the outputs of `names`, float32.

        Returns:
            heatmap (b, H, W), visual (b, q, m), class_probabilities (b, K, H, W), change_probability (b,), and the
            keywords' log_odds (b, v).
        """
        model, decoder = self.model, self.model.caption_decoder
        first, second = (images.permute(0, 3, 1, 2).float() / 255 for images in (before, after))
        size = first.shape[-2], first.shape[-1]
        decoded = model.decode(first, second)
        visual, masks = decoder.visual_tokens(decoded.seen), decoded.probabilities
        logits = decoder.flag_logits(visual)
        odds = None
        if decoder.keyword_head is not None:
            odds = decoder.keyword_head(visual, None if masks is None else mask_grid(masks))
        found = (
            difference_map(decoded.tokens, size, model.config.encoder.patch),
            visual.float(),
            masks,
            None if logits is None else torch.sigmoid(logits.float()),
            odds,
        )
        return tuple(value for value in found if value is not None)


@torch.no_grad()
def export_vision_part(model: SemanticCCModel, size: tuple[int, int]) -> Any:
    """An OpenVINO model of the vision part for one pair of one size.

    With a free number of pairs, a pair takes half as long again, and the first pair of each number seconds.

    Inputs: before and after, (1, H, W, 3) uint8. Outputs: as `VisionPart` with b = 1, under their names.

    Args:
        model: in float32.
        size: H, W.
    """
    import openvino as ov

    part = VisionPart(model).eval()
    images = torch.randint(
        0, 256, (1, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    example = (images, images.flip(2))
    traced = torch.jit.trace(part, example, check_trace=False)
    graph = ov.convert_model(traced, example_input=example, input=[ov.PartialShape([1, *size, 3])] * 2)
    for port, name in zip(graph.inputs, ("before", "after"), strict=True):
        port.get_tensor().set_names({name})
    for port, name in zip(graph.outputs, part.names, strict=True):
        port.get_tensor().set_names({name})
    return graph
