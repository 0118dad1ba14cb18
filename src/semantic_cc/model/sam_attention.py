"""SAM's attention with the relative position biases folded into queries and keys.

SAM adds two biases to the score of query i and key j: one for their distance in rows, one for their distance in
columns (MViTv2's decomposed relative positions). The full bias matrix has one entry per pair of tokens, which rules
out fused attention kernels. The bias of row r is q . R[row(i) - r]. This module appends these h + w products to the
query, and a one-hot row and column to the key. One dot product then gives the same score.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.models.sam.modeling_sam import SamVisionAttention, SamVisionEncoder


class FoldedAttention(SamVisionAttention):
    """Multi-head attention over (b, h, w, c), equal to the transformers implementation, with the same parameters."""

    def forward(self, hidden_states: Tensor, output_attentions: bool = False) -> tuple[Tensor, None]:
        """(b, h, w, c) -> the same shape, and None for the attention weights."""
        b, h, w, _ = hidden_states.shape
        split = self.qkv(hidden_states).reshape(b, h * w, 3, self.num_attention_heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4).flatten(1, 2).unbind(0)  # (b heads, h w, c / heads)
        grid = query.unflatten(1, (h, w))
        rows = self.get_rel_pos(h, h, self.rel_pos_h).to(query.dtype)  # (h, h, c / heads)
        columns = self.get_rel_pos(w, w, self.rel_pos_w).to(query.dtype)
        by_row = torch.einsum("bhwc,hkc->bhwk", grid, rows).flatten(1, 2)  # (b heads, h w, h)
        by_column = torch.einsum("bhwc,wkc->bhwk", grid, columns).flatten(1, 2)
        places = _places(h, w, key).expand(key.shape[0], -1, -1)  # (b heads, h w, h + w)
        query = torch.cat([query * self.scale, by_row.to(query.dtype), by_column.to(query.dtype)], dim=-1)
        key = torch.cat([key, places], dim=-1)
        width = value.shape[-1]
        value = F.pad(value, (0, h + w))  # fused kernels need equal widths
        heads = (b, self.num_attention_heads)
        read = F.scaled_dot_product_attention(
            query.unflatten(0, heads), key.unflatten(0, heads), value.unflatten(0, heads), scale=1.0
        )  # (b, heads, h w, width + h + w)
        read = read[..., :width].transpose(1, 2).reshape(b, h, w, -1)
        return self.proj(read), None


def _places(h: int, w: int, like: Tensor) -> Tensor:
    """One-hot row and column of each token: (h w, h + w)."""
    rows = torch.eye(h, device=like.device, dtype=like.dtype).repeat_interleave(w, dim=0)
    return torch.cat([rows, torch.eye(w, device=like.device, dtype=like.dtype).repeat(h, 1)], dim=1)


def fold_positions(vision: SamVisionEncoder) -> None:
    """Replaces the attention of every layer with `FoldedAttention`; weights are unchanged."""
    for layer in vision.layers:
        layer.attn.__class__ = FoldedAttention  # same parameters, different forward
