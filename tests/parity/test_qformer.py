"""Our Q-Former against transformers' BLIP-2 with the same weights."""

from collections.abc import Callable

import torch
from torch import nn
from torch.testing import assert_close
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from semantic_cc.config import QFormerConfig
from semantic_cc.model.qformer import QFormer

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "encoder_hidden_size": 24,
}
OURS = {"queries": 3, "width": 32, "layers": 4, "heads": 4, "encoder_width": 24}


def test_blip2(shake: Callable[[nn.Module], None]) -> None:
    ours = QFormer(QFormerConfig(**OURS)).eval()
    shake(ours)
    reference = Blip2QFormerModel(Blip2QFormerConfig(**SIZES)).eval()
    reference.load_state_dict(ours.body.state_dict())
    queries, tokens = torch.randn(1, 3, 32), torch.randn(4, 6, 24)
    expected = reference(query_embeds=queries.repeat(4, 1, 1), encoder_hidden_states=tokens).last_hidden_state
    assert_close(ours(queries, tokens), expected)


def test_cross_attention_sits_in_every_second_layer() -> None:
    body = QFormer(QFormerConfig(**OURS)).body
    assert [hasattr(layer, "crossattention") for layer in body.encoder.layer] == [True, False, True, False]
