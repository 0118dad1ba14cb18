"""Q-Former (paper III-E): learned queries read each date's tokens, with shared weights.

Legend: B = 2b dates, q queries, d their width, n tokens of width v.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, InstructBlipQFormerConfig
from transformers.models.blip_2.modeling_blip_2 import Blip2QFormerModel
from transformers.models.instructblip.modeling_instructblip import InstructBlipQFormerModel

from semantic_cc.config import QFormerConfig


class QFormer(nn.Module):
    """BLIP-2's Q-Former, or InstructBLIP's, which also reads the instruction.

    Args:
        config: sizes.
        vocabulary: ids the text-aware form must embed; those of the LLM's tokenizer.
    """

    def __init__(self, config: QFormerConfig, vocabulary: int) -> None:
        super().__init__()
        sizes: dict[str, float] = {
            "hidden_size": config.width,
            "num_hidden_layers": config.layers,
            "num_attention_heads": config.heads,
            "intermediate_size": 4 * config.width,
            "encoder_hidden_size": config.encoder_width,
            "cross_attention_frequency": 2,
        }
        if not config.frozen:  # BERT's dropout belongs to its pretraining
            sizes |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        self.text = config.text
        if config.text:
            self.body: nn.Module = InstructBlipQFormerModel(
                InstructBlipQFormerConfig(vocab_size=vocabulary, **sizes)
            )
        else:
            self.body = Blip2QFormerModel(Blip2QFormerConfig(**sizes))

    def forward(self, queries: Tensor, tokens: Tensor, text: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """queries (1, q, d), tokens (B, n, v) -> (B, q, d).

        Args:
            queries: the learned queries.
            tokens: visual tokens.
            text: instruction ids and attention mask, each (B, t), for the text-aware form.
        """
        count = queries.shape[1]
        queries = queries.expand(len(tokens), -1, -1)
        if not self.text:
            return self.body(query_embeds=queries, encoder_hidden_states=tokens).last_hidden_state
        if text is None:
            raise ValueError("a text-aware Q-Former needs the instruction's ids")
        ids, mask = text
        seen = torch.cat([mask.new_ones(len(tokens), count), mask], dim=1)
        output = self.body(
            input_ids=ids, attention_mask=seen, query_embeds=queries, encoder_hidden_states=tokens
        )
        return output.last_hidden_state[:, :count]
