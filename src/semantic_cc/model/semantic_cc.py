"""Semantic-CC (paper Fig. 1): encoder -> neck -> change decoder and caption decoder (eq. 1).

`checkpoint/build.py` builds the parts; this module connects them. Legend: b pairs, H, W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.metrics.consistency import SeenObjects
from semantic_cc.model.answers import Answers, Candidate, answer_pairs, instructions_of
from semantic_cc.model.base import (
    ChangeModel,
    MaskPrediction,
    ModelOutput,
    Prediction,
    class_probabilities,
    device_time,
    difference_map,
)
from semantic_cc.model.caption_decoder import CaptionDecoder
from semantic_cc.model.change_decoder import ChangeDecoder
from semantic_cc.model.encoder import Features
from semantic_cc.model.neck import AggregationNeck


@dataclass(frozen=True)
class Decoded:
    """Output of the change path of b pairs.

    Attributes:
        tokens: (2b, h, w, c), captioning tokens after the neck, before first.
        change_logits: (b, K, H, W); None with the change task off, or if neither mask nor features are needed.
        guide: the change decoder's logits and features, as from `ChangeDecoder.decode`; None without
            `change_decoder.caption_features`.
    """

    tokens: Tensor
    change_logits: Tensor | None = None
    guide: tuple[Tensor, Tensor] | None = None

    @property
    def seen(self) -> Tensor:
        """What the caption decoder reads, (2b, h, w, c + g): the tokens, followed by the change decoder's features."""
        return self.tokens if self.guide is None else with_change_features(self.tokens, *self.guide)

    @cached_property
    def probabilities(self) -> Tensor | None:
        """Class probabilities (b, 2 or 3, H, W), None without logits."""
        return None if self.change_logits is None else class_probabilities(self.change_logits.float())


def with_change_features(tokens: Tensor, logits: Tensor, fused: Tensor) -> Tensor:
    """Appends the change decoder's features and change probabilities to the later date's tokens, zeros to the earlier.

    Both are averaged over a token's cell. Probabilities are given as square roots, because a house covers little of
    a cell. Caption losses do not train the change decoder.

    Args:
        tokens: (2b, h, w, c), before first.
        logits: (b, K, h p, w p). fused: (b, f, h p / 4, w p / 4), as from `ChangeDecoder.decode`.

    Returns:
        (2b, h, w, c + f + k), k = 1 or 2 classes of change.
    """
    size = tokens.shape[1], tokens.shape[2]
    share = F.adaptive_avg_pool2d(class_probabilities(logits.float())[:, 1:], size)
    pooled = torch.cat([F.adaptive_avg_pool2d(fused.float(), size), share.sqrt()], dim=1)
    pooled = pooled.detach().permute(0, 2, 3, 1).to(tokens)  # (b, h, w, f + k)
    return torch.cat([tokens, torch.cat([torch.zeros_like(pooled), pooled])], dim=-1)


class SemanticCCModel(ChangeModel):
    """The multi-task model.

    Args:
        config: model config.
        encoder: two images -> change and captioning tokens.
        neck: task interaction; None with the change task off.
        change_decoder: tokens -> mask; None with the change task off.
        caption_decoder: tokens -> sentence.
    """

    neck: AggregationNeck | None
    change_decoder: ChangeDecoder | None
    caption_decoder: CaptionDecoder

    def tokens(self, features: Features) -> tuple[Tensor | None, Tensor]:
        """Encoder features -> change tokens (2b, h, w, e) or None, captioning tokens (2b, h, w, c)."""
        if self.neck is None or features.change is None:
            return None, features.caption
        return self.neck(features.change, features.caption)

    def decode(
        self, before: Tensor, after: Tensor, features: Features | None = None, change: bool = True
    ) -> Decoded:
        """Runs encoder, neck and change decoder.

        Args:
            before, after: (b, 3, H, W) in [0, 1].
            features: precomputed output of `encode`.
            change: whether the mask is needed.
        """
        features = self.encode(before, after) if features is None else features
        change_tokens, tokens = self.tokens(features)
        guided = self.config.change_decoder.caption_features
        if self.change_decoder is None or change_tokens is None or not (change or guided):
            return Decoded(tokens)
        with torch.set_grad_enabled(change and torch.is_grad_enabled()):
            logits, fused = self.change_decoder.decode(change_tokens, before, after, features.trunk)
        inside = logits[..., : before.shape[-2], : before.shape[-1]]
        return Decoded(tokens, inside, (logits, fused) if guided else None)

    def forward(
        self,
        before: Tensor,
        after: Tensor,
        *,
        sentences: Sequence[Sequence[str]] | None = None,
        instructions: list[str] | None = None,
        change: bool = True,
        features: Features | None = None,
    ) -> ModelOutput:
        """One training pass, see `ChangeModel.forward`."""
        decoded = self.decode(before, after, features, change)
        mask = decoded.change_logits if change else None
        if sentences is None or instructions is None:
            return ModelOutput(mask)
        visual = self.caption_decoder.visual_tokens(decoded.seen)
        flag = self.caption_decoder.flag_logits(visual)
        logits, targets = self.caption_decoder.teach_captioned(visual, instructions, sentences) or (
            None,
            None,
        )
        return ModelOutput(mask, logits, targets, flag)

    @torch.no_grad()  # not inference mode: layers that FSDP gathers in it could not be trained afterwards
    def predict(self, before: Tensor, after: Tensor, instructions: Sequence[str] | None = None) -> Prediction:
        """Mask, flag and sentences of a batch; the model should be in eval mode.

        Args:
            before, after: (b, 3, H, W) float in [0, 1].
            instructions: prompts for the LLM; None = the paper's four under consensus decoding, else the first of
                them. Of several answers, `consensus` selects one.
        """
        asked = instructions_of(self.config, instructions)
        start = device_time(before.device)
        size = before.shape[-2], before.shape[-1]
        features = self.encode(before, after)
        encoded = device_time(before.device)
        decoded = self.decode(before, after, features)
        probabilities = decoded.probabilities
        masked = device_time(before.device)
        flag, answers = self._answers(decoded.seen, asked, probabilities)
        written = device_time(before.device)
        return Prediction(
            class_probabilities=probabilities,
            change_probability=flag,
            changed=answers.changed,
            sentences=answers.sentences,
            sentence=answers.sentence,
            heatmap=difference_map(decoded.tokens, size, self.config.encoder.patch),
            timings={"encode": encoded - start, "mask": masked - encoded, "sentence": written - masked},
        )

    @torch.no_grad()
    def predict_masks(self, before: Tensor, after: Tensor) -> MaskPrediction:
        """Mask and flag of a batch, equal to those of `predict`, without running the LLM."""
        size = before.shape[-2], before.shape[-1]
        decoded = self.decode(before, after)
        visual = self.caption_decoder.visual_tokens(decoded.seen)
        return MaskPrediction(
            class_probabilities=decoded.probabilities,
            change_probability=self._flag(visual),
            heatmap=difference_map(decoded.tokens, size, self.config.encoder.patch),
        )

    @torch.no_grad()
    def predict_class_probabilities(self, before: Tensor, after: Tensor) -> Tensor | None:
        """As in `ChangeModel`, without the Q-Former."""
        return self.decode(before, after).probabilities

    def _flag(self, visual: Tensor) -> Tensor | None:
        logits = self.caption_decoder.flag_logits(visual)
        return None if logits is None else torch.sigmoid(logits.float())

    def _answers(
        self, tokens: Tensor, asked: list[str], masks: Tensor | None
    ) -> tuple[Tensor | None, Answers]:
        """Change probabilities, and the answers of each pair."""
        decoder = self.caption_decoder
        visual = decoder.visual_tokens(tokens)
        flag = self._flag(visual)

        def write(
            pairs: list[int], texts: list[str], seen: list[SeenObjects] | None
        ) -> list[list[Candidate]]:
            rows = torch.stack([visual[i] for i in pairs])
            # contiguous: the mean of a cell depends on the memory layout
            return decoder.generate(rows, texts, None if masks is None else masks[pairs].contiguous(), seen)

        flags = None if flag is None else flag.tolist()
        planes = None if masks is None else lambda i: masks[i].cpu().numpy()
        return flag, answer_pairs(self.config, flags, len(tokens) // 2, asked, write, planes)

    def timed_parts(self) -> dict[str, list[nn.Module | None]]:
        """As in `ChangeModel`, with the caption decoder split into Q-Former and LLM."""
        decoder = self.caption_decoder
        return {
            "encoder": [self.encoder],
            "neck": [self.neck],
            "change decoder": [] if self.change_decoder is None else [*self.change_decoder.layers()],
            "Q-Former": [decoder.project, decoder.qformer, decoder.enhancer, decoder.to_llm],
            "LLM": [decoder.llm.get_decoder(), decoder.llm.get_output_embeddings()],
        }

    def layers(self) -> Iterable[nn.Module]:
        """As in `ChangeModel`, plus the neck's units and the Q-Former's layers."""
        yield from super().layers()
        yield from [] if self.neck is None else self.neck.units
        body: Any = self.caption_decoder.qformer.body
        yield from body.encoder.layer
