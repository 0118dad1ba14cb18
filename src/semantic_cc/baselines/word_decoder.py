"""Transformer decoder that generates a sentence word by word, greedily or by beam search.

Legend: b pairs, k beams, B sentences, n tokens of a memory, d width, t words, V words and marks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from semantic_cc.baselines.captioning_blocks import Attention, feed_forward
from semantic_cc.baselines.vocabulary import END, START, UNKNOWN, Vocabulary
from semantic_cc.config import BaselineConfig


class DecoderLayer(nn.Module):
    """Post-norm Transformer decoder layer: causal self-attention, attention to the memory, FFN.

    Args:
        width: d. heads: attention heads. dropout: of attention and FFN.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.words, self.memory = (Attention(width, heads, dropout) for _ in range(2))
        self.ffn = feed_forward(width, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """x (B, t, d) and the output of `memory.remember` -> (B, t, d)."""
        x = self.norms[0](x + self.dropout(self.words(x, self.words.remember(x), causal=True)))
        x = self.norms[1](x + self.dropout(self.memory(x, known)))
        return self.norms[2](x + self.dropout(self.ffn(x)))


class WordDecoder(nn.Module):
    """Post-norm Transformer decoder over the memories of a pair, as in RSICCFormer.

    Args:
        sizes: heads, layers, dropout, beam, maximum length, vocabulary.
        width: d, of words and memories.
        layers: overrides `sizes.decoder_layers`.
        skip: whether each layer's input is added to its output once more (Chg2Cap).
    """

    def __init__(
        self, sizes: BaselineConfig, width: int, layers: int | None = None, skip: bool = False
    ) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(sizes.vocabulary)
        self.beam, self.max_words, self.skip = sizes.beam, sizes.max_words, skip
        self.embed = nn.Embedding(len(self.vocabulary), width)
        self.layers = nn.ModuleList(
            DecoderLayer(width, sizes.heads, sizes.dropout) for _ in range(layers or sizes.decoder_layers)
        )
        self.dropout = nn.Dropout(sizes.dropout)
        self.score = nn.Linear(width, len(self.vocabulary))
        nn.init.uniform_(self.embed.weight, -0.1, 0.1)
        nn.init.uniform_(self.score.weight, -0.1, 0.1)
        nn.init.zeros_(self.score.bias)

    def answer_ids(self, sentence: str) -> list[int]:
        """The target ids of a sentence, including the end mark."""
        return self.vocabulary.ids(sentence)

    def remember(self, memories: Sequence[Tensor]) -> list[Tensor]:
        """Keys and values of each layer from the memories (b, n, d), one for all layers or one per layer."""
        layers: Any = self.layers
        each = memories if len(memories) > 1 else [*memories] * len(layers)
        return [layer.memory.remember(own) for layer, own in zip(layers, each, strict=True)]

    def forward(self, ids: Tensor, known: Sequence[Tensor]) -> Tensor:
        """Logits of the next word at each position.

        Args:
            ids: (B, t) int64, the start mark first.
            known: the output of `remember`, for B pairs.

        Returns:
            (B, t, V).
        """
        x = self.dropout(self.embed(ids) + places(ids.shape[1], self.embed.embedding_dim).to(ids.device))
        for layer, own in zip(self.layers, known, strict=True):
            y = layer(x, own)
            x = x + y if self.skip else y
        return self.score(self.dropout(x))

    def teach(self, memories: Sequence[Tensor], sentences: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Logits of the ground truth words, including the end marks (teacher forcing).

        Args:
            memories: (b, n, d), as in `remember`.
            sentences: one or more for each pair.

        Returns:
            logits (m, V) and targets (m,), m = all words and end marks.
        """
        device = memories[0].device
        answers = [torch.tensor(self.answer_ids(text)) for own in sentences for text in own]
        pair_of = torch.tensor([i for i, own in enumerate(sentences) for _ in own], device=device)
        targets = pad_sequence(answers, batch_first=True, padding_value=-1)  # (B, t), on the CPU
        ids = torch.cat([torch.full_like(targets[:, :1], START), targets[:, :-1].clamp_min(END)], dim=1)
        logits = self(ids.to(device), [known[:, pair_of] for known in self.remember(memories)])
        words = (targets >= 0).flatten().nonzero()[:, 0]
        return logits.flatten(0, 1)[words.to(device)], targets.flatten()[words].to(device)

    @torch.no_grad()
    def generate(self, memories: Sequence[Tensor]) -> list[str]:
        """The most probable sentence found for each pair with `beam` beams (1 = greedy), without unknown words.

        Args:
            memories: (b, n, d), as in `remember`.
        """
        pairs, k, device = len(memories[0]), self.beam, memories[0].device
        known = [own.repeat_interleave(k, dim=1) for own in self.remember(memories)]
        ids = torch.full((pairs, k, 1), START, device=device)
        scores = torch.full((pairs, k), -math.inf, device=device)
        scores[:, 0] = 0.0  # the other beams would duplicate the first
        for _ in range(self.max_words):
            ended = ids[:, :, -1] == END
            if ended.all():
                break
            step = self(ids.flatten(0, 1), known)[:, -1].float()
            step[:, [START, UNKNOWN]] = -math.inf
            step = step.log_softmax(dim=-1).view(pairs, k, -1)  # (b, k, V)
            only_end = torch.full_like(step[0, 0], -math.inf)
            only_end[END] = 0.0
            step = torch.where(ended[..., None], only_end, step)
            scores, best = (scores[..., None] + step).flatten(1).topk(k)  # (b, k)
            beam, word = best // step.shape[-1], best % step.shape[-1]
            ids = torch.cat([ids.gather(1, beam[..., None].expand_as(ids)), word[..., None]], dim=2)
        return [self.vocabulary.sentence(row) for row in ids[:, 0, 1:].tolist()]


def places(length: int, width: int) -> Tensor:
    """Sinusoidal position embeddings ("Attention is all you need"): (length, width)."""
    rates = torch.exp(-math.log(10000) * torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
