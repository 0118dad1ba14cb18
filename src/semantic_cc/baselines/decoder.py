"""Transformer decoder that writes a sentence word by word, greedily or by beam search.

Legend: b pairs, k beams, n tokens of a memory, d width, t words, V words and marks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from semantic_cc.baselines.words import END, START, UNKNOWN, Vocabulary
from semantic_cc.config import BaselineConfig


class WordDecoder(nn.Module):
    """Post-norm Transformer decoder over memories of the pair, as RSICCFormer's.

    Args:
        sizes: heads, layers, dropout, beam, longest sentence, vocabulary.
        width: d, of words and memories.
        layers: instead of `sizes.decoder_layers`.
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
            nn.TransformerDecoderLayer(width, sizes.heads, 4 * width, sizes.dropout, batch_first=True)
            for _ in range(layers or sizes.decoder_layers)
        )
        self.dropout = nn.Dropout(sizes.dropout)
        self.score = nn.Linear(width, len(self.vocabulary))
        nn.init.uniform_(self.embed.weight, -0.1, 0.1)
        nn.init.uniform_(self.score.weight, -0.1, 0.1)
        nn.init.zeros_(self.score.bias)

    def answer_ids(self, sentence: str) -> list[int]:
        """The words that are learned from a sentence, and its end mark."""
        return self.vocabulary.ids(sentence)

    def forward(self, ids: Tensor, memories: Sequence[Tensor]) -> Tensor:
        """Logits of the word after each.

        Args:
            ids: (B, t) int64, the start mark first.
            memories: (B, n, d), one for all layers or one for each.

        Returns:
            (B, t, V).
        """
        length = ids.shape[1]
        x = self.dropout(self.embed(ids) + places(length, self.embed.embedding_dim).to(ids.device))
        later = torch.ones(length, length, dtype=torch.bool, device=ids.device).triu(1)
        for number, layer in enumerate(self.layers):
            memory = memories[number if len(memories) > 1 else 0]
            y = layer(x, memory, tgt_mask=later)
            x = x + y if self.skip else y
        return self.score(self.dropout(x))

    def teach(self, memories: Sequence[Tensor], sentences: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Logits of the true sentences' words, their end marks included (teacher forcing).

        Args:
            memories: (b, n, d), as `forward`'s.
            sentences: for each pair one or more.

        Returns:
            logits (m, V) and targets (m,), m = all words and end marks.
        """
        device = memories[0].device
        answers = [torch.tensor(self.answer_ids(text)) for own in sentences for text in own]
        pair_of = torch.tensor([i for i, own in enumerate(sentences) for _ in own], device=device)
        targets = pad_sequence(answers, batch_first=True, padding_value=-1)  # (B, t), on the CPU
        ids = torch.cat([torch.full_like(targets[:, :1], START), targets[:, :-1].clamp_min(END)], dim=1)
        logits = self(ids.to(device), [memory[pair_of] for memory in memories])
        known = (targets >= 0).flatten().nonzero()[:, 0]
        return logits.flatten(0, 1)[known.to(device)], targets.flatten()[known].to(device)

    @torch.no_grad()
    def generate(self, memories: Sequence[Tensor]) -> list[str]:
        """The most probable sentence found for each pair, `beam` held at a time (1 = greedy); never an unknown word.

        Args:
            memories: (b, n, d), as `forward`'s.
        """
        pairs, k, device = len(memories[0]), self.beam, memories[0].device
        rows = [memory.repeat_interleave(k, dim=0) for memory in memories]  # (b k, n, d)
        ids = torch.full((pairs, k, 1), START, device=device)
        scores = torch.full((pairs, k), -math.inf, device=device)
        scores[:, 0] = 0.0  # the others would be the same sentence
        for _ in range(self.max_words):
            ended = ids[:, :, -1] == END
            if ended.all():
                break
            step = self(ids.flatten(0, 1), rows)[:, -1].float()
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
    """Sines and cosines of a word's place in the sentence ("Attention is all you need"): (length, width)."""
    rates = torch.exp(-math.log(10000) * torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
