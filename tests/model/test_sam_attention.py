"""SAM's attention with its positions folded in equals transformers', forward and backward."""

import pytest
import torch
from torch.testing import assert_close
from transformers import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionAttention, SamVisionEncoder

from semantic_cc.model.sam_attention import FoldedAttention, fold_positions


@pytest.mark.parametrize(("side", "h", "w"), [(8, 8, 8), (8, 5, 11), (1, 1, 1), (4, 9, 3)])
def test_it_equals_transformers(side: int, h: int, w: int) -> None:
    config = SamVisionConfig(hidden_size=24, num_attention_heads=3, image_size=16 * side, patch_size=16)
    theirs, ours = SamVisionAttention(config, 0), FoldedAttention(config, 0)
    torch.manual_seed(0)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    ours.load_state_dict(theirs.state_dict())
    given = torch.randn(2, h, w, 24, requires_grad=True)
    outputs = [module(given)[0] for module in (theirs, ours)]
    assert_close(outputs[1], outputs[0])
    gradients = [
        torch.autograd.grad(out.square().sum(), [given, *module.parameters()])
        for out, module in zip(outputs, (theirs, ours), strict=True)
    ]
    assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-4)  # sums in another order


def test_folding_changes_no_weight() -> None:
    torch.manual_seed(0)
    config = SamVisionConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_dim=32, image_size=64, window_size=2,
        global_attn_indexes=[1], output_channels=8, initializer_range=0.02,
    )  # fmt: skip
    vision = SamVisionEncoder(config).eval()
    before = {name: value.clone() for name, value in vision.state_dict().items()}
    pixels = torch.randn(1, 3, 64, 64)
    expected = vision(pixels).last_hidden_state
    fold_positions(vision)
    assert all(isinstance(layer.attn, FoldedAttention) for layer in vision.layers)
    assert_close(vision(pixels).last_hidden_state, expected)
    assert_close(vision.state_dict(), before, rtol=0, atol=0)
