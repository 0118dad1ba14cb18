"""Multi-task semantic aggregation neck (paper III-C, Figs. 3 and 4, eqs. 4 and 5).

Legend: b pairs, n = h w tokens, c1 channels of the updated task, c2 channels of the other task.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def intra_task_attention(width: int, heads: int) -> nn.Module:
    """Intra-task attention (eq. 4): a pre-norm Transformer encoder layer over the tokens of each date."""
    return nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


class BilinearAttention(nn.Module):
    """Inter-task attention by bilinear similarity (eq. 5).

    Args:
        width: c1. other_width: c2.
        tensor: whether to compute one score per channel of the other task (`nn.Bilinear`, the released code) instead
            of one score per position (the paper).
    """

    def __init__(self, width: int, other_width: int, tensor: bool = False) -> None:
        super().__init__()
        outputs = other_width if tensor else 1
        self.weight = nn.Parameter(torch.empty(outputs, width, other_width))
        nn.init.normal_(self.weight, std=(width * other_width) ** -0.5)  # sigmoid must not saturate
        self.project = nn.Linear(width + other_width, width)  # the 1x1 convolution

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """x (2b, n, c1), other (2b, n, c2) -> (2b, n, c1) in (0, 1)."""
        weight = self.weight.to(x.dtype)
        # for OpenVINO, which would form the outer products of x and other, (2b, n, c1, c2)
        if torch.jit.is_tracing():  # type: ignore[attr-defined]
            score = ((x[:, None] @ weight) * other[:, None]).sum(-1).transpose(1, 2)
        else:
            score = torch.einsum("bnc,kcd,bnd->bnk", x, weight, other)  # (2b, n, 1 or c2)
        read = other * torch.sigmoid(score)
        return torch.sigmoid(self.project(torch.cat([x, read], dim=-1)))


class CrossAttention(nn.Module):
    """Multi-head cross-attention with pre-norms (Table II, `Neck_cs`).

    It has no feed-forward network: it takes the place of `BilinearAttention` in a unit, and each unit has one already,
    in its intra-task attention. The paper does not say what `Neck_cs` contains.
    """

    def __init__(self, width: int, other_width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.other_norm = nn.LayerNorm(other_width)
        self.attention = nn.MultiheadAttention(
            width, heads, kdim=other_width, vdim=other_width, batch_first=True
        )

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """x (2b, n, c1), other (2b, n, c2) -> (2b, n, c1)."""
        context = self.other_norm(other)
        return self.attention(self.norm(x), context, context, need_weights=False)[0]


class AggregationUnit(nn.Module):
    """Intra-task attention in each task, then inter-task attention (eq. 4).

    Args:
        intra_change, intra_caption: attention within each task.
        into_caption: attention from captioning to change detection tokens.
        into_change: attention from change detection to captioning tokens; None = off.
    """

    def __init__(
        self,
        intra_change: nn.Module,
        intra_caption: nn.Module,
        into_caption: nn.Module,
        into_change: nn.Module | None,
    ) -> None:
        super().__init__()
        self.intra_change = intra_change
        self.intra_caption = intra_caption
        self.into_caption = into_caption
        self.into_change = into_change

    def forward(self, change: Tensor, caption: Tensor) -> tuple[Tensor, Tensor]:
        """change (2b, n, e), caption (2b, n, c) -> the same shapes. Both updates use the same intra-task outputs."""
        change_intra, caption_intra = self.intra_change(change), self.intra_caption(caption)
        caption = caption + self.into_caption(caption_intra, change_intra)
        if self.into_change is None:
            return change_intra, caption
        return change + self.into_change(change_intra, caption_intra), caption


class AggregationNeck(nn.Module):
    """A sequence of N aggregation units (paper: N = 3)."""

    def __init__(self, units: list[AggregationUnit]) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)

    def forward(self, change: Tensor, caption: Tensor) -> tuple[Tensor, Tensor]:
        """change (2b, h, w, e), caption (2b, h, w, c) -> the same shapes."""
        h, w = caption.shape[1:3]
        change, caption = change.flatten(1, 2), caption.flatten(1, 2)  # (2b, n, e), (2b, n, c)
        for unit in self.units:
            change, caption = unit(change, caption)
        return change.unflatten(1, (h, w)), caption.unflatten(1, (h, w))

    def reached_by(self, task: str) -> set[str]:
        """Names of the parameters, relative to the neck, that receive gradients from a task's loss.

        The streams mix, so these are all parameters except the other task's last update. Without `into_change`,
        change detection does not depend on the captioning stream.

        Args:
            task: "change" or "caption".
        """
        last = len(self.units) - 1
        one_way = any(unit.into_change is None for unit in self.units)
        names = {name for name, _ in self.named_parameters()}
        if task == "change" and one_way:
            return {name for name in names if ".intra_change." in name}
        other = "into_caption" if task == "change" else "into_change"
        return {name for name in names if not name.startswith(f"units.{last}.{other}.")}
