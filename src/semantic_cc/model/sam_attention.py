"""SAM's attention without the table of position biases: the same sums, folded into queries and keys.

SAM adds to the score of query i and key j a bias for their distance in rows and one for that in columns (MViTv2's
decomposed relative positions). Written out, that is one number for each pair of tokens, which keeps fused attention
kernels from being used. But the bias of row r is q . R[row(i) - r], so appending these h + w products to the query,
and to the key a one at its row and at its column, gives the same score from one product.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.models.sam.modeling_sam import SamVisionAttention, SamVisionEncoder


class FoldedAttention(SamVisionAttention):
    """Multi-head attention over (b, h, w, c) with SAM's weights and names, equal to transformers' own."""

    def forward(self, hidden_states: Tensor, output_attentions: bool = False) -> tuple[Tensor, None]:
        """(b, h, w, c) -> the same shape, and None in the place of attention weights."""
        b, h, w, _ = hidden_states.shape
        split = self.qkv(hidden_states).reshape(b, h * w, 3, self.num_attention_heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4).flatten(1, 2).unbind(0)  # (b heads, h w, c / heads)
        grid = query.unflatten(1, (h, w))
        rows = self.get_rel_pos(h, h, self.rel_pos_h).to(query.dtype)  # (h, h, c / heads)
        columns = self.get_rel_pos(w, w, self.rel_pos_w).to(query.dtype)
        by_row = torch.einsum("bhwc,hkc->bhwk", grid, rows).flatten(1, 2)  # (b heads, h w, h)
        by_column = torch.einsum("bhwc,wkc->bhwk", grid, columns).flatten(1, 2)
        places = _places(h, w, key).expand(len(key), -1, -1)  # (b heads, h w, h + w)
        query = torch.cat([query * self.scale, by_row.to(query.dtype), by_column.to(query.dtype)], dim=-1)
        key = torch.cat([key, places], dim=-1)
        width = value.shape[-1]
        value = F.pad(value, (0, h + w))  # fused kernels want one width
        heads = (b, self.num_attention_heads)
        read = F.scaled_dot_product_attention(
            query.unflatten(0, heads), key.unflatten(0, heads), value.unflatten(0, heads), scale=1.0
        )  # (b, heads, h w, width + h + w)
        read = read[..., :width].transpose(1, 2).reshape(b, h, w, -1)
        return self.proj(read), None


def _places(h: int, w: int, like: Tensor) -> Tensor:
    """(h w, h + w): a one at each token's row, and one at its column."""
    rows = torch.eye(h, device=like.device, dtype=like.dtype).repeat_interleave(w, dim=0)
    columns = torch.eye(w, device=like.device, dtype=like.dtype).repeat(h, 1)
    return torch.cat([rows, columns], dim=1)


def fold_positions(vision: SamVisionEncoder) -> None:
    """Gives every layer this attention in the place of transformers'; weights stay as they are."""
    for layer in vision.layers:
        layer.attn.__class__ = FoldedAttention  # the same parameters, another way to multiply them
