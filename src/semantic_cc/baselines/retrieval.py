"""Retrieval: answers a pair with a sentence of its nearest training pairs. A floor for methods that write sentences.

A logistic regression on pooled difference features gives the change flag. A changed pair gets the consensus of its
nearest changed training pairs: of all their sentences, the one with the highest CIDEr against the sentences of each of
them, with the document frequencies of all changed training pairs. Nothing else is learned.

Legend: n training pairs, m pairs to answer, f features of a pair, h, w tokens a side, c encoder width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from semantic_cc.decisions import is_changed
from semantic_cc.metrics.constant_cider import ConstantCider
from semantic_cc.metrics.tokenisation import reference_words
from semantic_cc.sentences import UNCHANGED

NEIGHBOURS = 12
_GRID = 2  # cells a side of the pooled differences
_PENALTY = 1e-2  # of the squared weights of the logistic regression, whose loss is a mean


def difference_features(tokens: Tensor) -> Tensor:
    """Tokens (2b, h, w, c) of both dates, before first -> pooled differences (b, f).

    The absolute difference, its mean and its maximum in each cell of a grid, and the mean of the difference.
    """
    before, after = tokens.float().permute(0, 3, 1, 2).chunk(2)
    difference = after - before
    size = difference.abs()
    parts = [
        F.adaptive_avg_pool2d(size, _GRID),
        F.adaptive_max_pool2d(size, _GRID),
        F.adaptive_avg_pool2d(difference, _GRID),
    ]
    return torch.cat([part.flatten(1) for part in parts], dim=1)


class Retrieval:
    """Remembers the training pairs, and answers others.

    Args:
        features: (n, f), from `difference_features`.
        changed: the change flag of each training pair; both flags occur.
        sentences: the sentences of each.
    """

    def __init__(self, features: Tensor, changed: Sequence[bool], sentences: Sequence[Sequence[str]]) -> None:
        self._mean, self._spread = features.mean(0), features.std(0).clamp_min(1e-6)
        known = self._standardised(features)
        flags = torch.tensor(changed, dtype=torch.bool)
        self._weight, self._bias = _logistic_regression(known, flags.float())
        self._known = F.normalize(known[flags], dim=1)
        captions = [own for own, flag in zip(sentences, changed, strict=True) if flag]
        self._truth = reference_words({str(place): own for place, own in enumerate(captions)})

    def answer(self, features: Tensor) -> tuple[list[bool], list[str]]:
        """Features (m, f) -> m change flags and m sentences."""
        own = self._standardised(features)
        changed = [is_changed(float(p)) for p in torch.sigmoid(own @ self._weight + self._bias)]
        near = F.normalize(own, dim=1) @ self._known.T  # (m, changed training pairs)
        nearest = near.topk(min(NEIGHBOURS, len(self._known)), dim=1).indices.tolist()
        return changed, [
            self._consensus(places) if flag else UNCHANGED
            for flag, places in zip(changed, nearest, strict=True)
        ]

    def _standardised(self, features: Tensor) -> Tensor:
        return (features - self._mean) / self._spread

    def _consensus(self, places: Sequence[int]) -> str:
        near = set(map(str, places))
        # document frequencies of all changed pairs: among the neighbours, the words that they share would count nothing
        cider = ConstantCider(self._truth, {name: name in near for name in self._truth})
        candidates = dict.fromkeys(sentence for name in near for sentence in self._truth[name])
        return max(sorted(candidates), key=lambda sentence: cider.shares(sentence)[True])


def _logistic_regression(x: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (f,) and bias () of the flag, at the minimum of the penalised loss."""
    weight, bias = torch.zeros(x.shape[1], requires_grad=True), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = (
            F.binary_cross_entropy_with_logits(x @ weight + bias, truth) + _PENALTY * weight.square().sum()
        )
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach(), bias.detach()
