"""Semantic-CC, the paper's Fig. 1: encoder -> neck -> change decoder and caption decoder (eq. 1).

Parts arrive built (see `build.py`); this module only routes. Legend: b pairs, H, W pixels, K classes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semantic_cc.config import ModelConfig
from semantic_cc.model.caption_decoder import CaptionDecoder, consensus
from semantic_cc.model.change_decoder import ChangeDecoder
from semantic_cc.model.encoder import BitemporalEncoder, Features, pad_to_patches
from semantic_cc.model.neck import AggregationNeck
from semantic_cc.model.prompter import INSTRUCTIONS
from semantic_cc.sentences import UNCHANGED, says_change


@dataclass(frozen=True)
class ModelOutput:
    """What training reads.

    Attributes:
        change_logits: (b, K, H, W), None where the mask was not decoded.
        caption_logits: (k, V) over the k answer tokens of the batch, None without sentences.
        caption_targets: (k,) int64 token ids, None without sentences.
        flag_logits: (b,), None without sentences or without the flag head.
    """

    change_logits: Tensor | None
    caption_logits: Tensor | None = None
    caption_targets: Tensor | None = None
    flag_logits: Tensor | None = None


@dataclass(frozen=True)
class Location:
    """What `SemanticCCModel.locate` finds; attributes as a `Prediction`'s of these names."""

    class_probabilities: Tensor | None
    change_probability: Tensor | None
    heatmap: Tensor


@dataclass(frozen=True)
class Prediction:
    """What inference reads.

    Attributes:
        class_probabilities: (b, 2 or 3, H, W) float32, the class "none" first; None with the change task off.
        change_probability: (b,) float32 of the flag head, None without it.
        changed: b change flags.
        sentences: b dicts instruction -> sentence; empty where the flag closed the gate.
        sentence: b sentences.
        heatmap: (b, H, W) float32 in [0, 1]: |F1 - F2| / (|F1| + |F2|) of the captioning tokens after the neck.
        timings: seconds by step, for the whole batch.
    """

    class_probabilities: Tensor | None
    change_probability: Tensor | None
    changed: list[bool]
    sentences: list[dict[str, str]]
    sentence: list[str]
    heatmap: Tensor
    timings: dict[str, float]


class SemanticCCModel(nn.Module):
    """The multi-task model.

    Args:
        config: what it was built from.
        encoder: two images -> two tiers of tokens.
        neck: task interaction; None with the change task off.
        change_decoder: tokens -> mask; None with the change task off.
        caption_decoder: tokens -> sentence.
    """

    def __init__(
        self,
        config: ModelConfig,
        encoder: BitemporalEncoder,
        neck: AggregationNeck | None,
        change_decoder: ChangeDecoder | None,
        caption_decoder: CaptionDecoder,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.neck = neck
        self.change_decoder = change_decoder
        self.caption_decoder = caption_decoder
        self.foundation: dict[str, str] = {}
        """Part -> digest of the foundation weights that it started from; `build_model` fills it."""

    def encode(self, before: Tensor, after: Tensor) -> Features:
        """Images (b, 3, H, W) in [0, 1] -> the encoder's tiers that this model reads."""
        patch = self.config.encoder.patch
        padded = pad_to_patches(before, patch), pad_to_patches(after, patch)
        return self.encoder(*padded, change=self.neck is not None)

    def tokens(self, features: Features) -> tuple[Tensor | None, Tensor]:
        """The encoder's tiers -> change tokens (2b, h, w, e) or None, caption tokens (2b, h, w, c)."""
        if self.neck is None or features.change is None:
            return None, features.caption
        return self.neck(features.change, features.caption)

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
        """One training pass.

        Args:
            before, after: (b, 3, H, W) float in [0, 1], any H, W of at least 16.
            sentences: true sentences of each pair, none for pairs that the LLM shall not read; None = the
                caption decoder does not run.
            instructions: one for each pair.
            change: whether the mask is decoded.
            features: what `encode` gives for these images, where it is known already.
        """
        features = self.encode(before, after) if features is None else features
        change_tokens, caption_tokens = self.tokens(features)
        mask = None
        if change and self.change_decoder is not None and change_tokens is not None:
            mask = self.change_decoder(change_tokens)[..., : before.shape[-2], : before.shape[-1]]
        if sentences is None or instructions is None:
            return ModelOutput(mask)
        visual = self.caption_decoder.visual_tokens(caption_tokens, instructions)
        flag = self.caption_decoder.flag_logits(visual)
        told = [i for i, own in enumerate(sentences) if own]
        if not told:
            return ModelOutput(mask, flag_logits=flag)
        logits, targets = self.caption_decoder.teach(
            visual[told], [instructions[i] for i in told], [sentences[i] for i in told]
        )
        return ModelOutput(mask, logits, targets, flag)

    @torch.no_grad()  # not inference mode: layers that FSDP gathers in it could not be trained afterwards
    def predict(self, before: Tensor, after: Tensor, instructions: Sequence[str] | None = None) -> Prediction:
        """Mask, flag and sentences of a batch; the model should be in eval mode.

        Args:
            before, after: (b, 3, H, W) float in [0, 1].
            instructions: what to ask; None = the four of the paper under consensus decoding, the first
                of them under greedy decoding. Of several answers the closest to the others is chosen.
        """
        asked = list(
            instructions or (INSTRUCTIONS if self.config.decoding == "consensus" else INSTRUCTIONS[:1])
        )
        start = time.perf_counter()
        size = before.shape[-2], before.shape[-1]
        change_tokens, caption_tokens = self.tokens(self.encode(before, after))
        encoded = time.perf_counter()
        probabilities = self._class_probabilities(change_tokens, size)
        masked = time.perf_counter()
        flag, answers = self._answers(caption_tokens, asked)
        said = time.perf_counter()
        sentence = [consensus(list(answer.values())) if answer else UNCHANGED for answer in answers]
        return Prediction(
            class_probabilities=probabilities,
            change_probability=flag,
            changed=[says_change(text) for text in sentence] if flag is None else (flag >= 0.5).tolist(),
            sentences=answers,
            sentence=sentence,
            heatmap=difference_map(caption_tokens, size, self.config.encoder.patch),
            timings={"encode": encoded - start, "mask": masked - encoded, "sentence": said - masked},
        )

    @torch.no_grad()
    def locate(self, before: Tensor, after: Tensor) -> Location:
        """Mask and flag of a batch as `predict` gives them, and no sentence: the LLM does not run.

        Args:
            before, after: (b, 3, H, W) float in [0, 1].
        """
        size = before.shape[-2], before.shape[-1]
        change_tokens, caption_tokens = self.tokens(self.encode(before, after))
        first = self._visual_tokens(caption_tokens, INSTRUCTIONS[0])
        return Location(
            class_probabilities=self._class_probabilities(change_tokens, size),
            change_probability=self._flag(first),
            heatmap=difference_map(caption_tokens, size, self.config.encoder.patch),
        )

    def _class_probabilities(self, tokens: Tensor | None, size: tuple[int, int]) -> Tensor | None:
        """Change tokens -> (b, 2 or 3, H, W), None with the change task off."""
        if self.change_decoder is None or tokens is None:
            return None
        return class_probabilities(self.change_decoder(tokens)[..., : size[0], : size[1]].float())

    def _visual_tokens(self, tokens: Tensor, instruction: str) -> Tensor:
        """What the LLM reads of each pair; the instruction reaches it where the Q-Former reads text."""
        if self.caption_decoder.qformer.text:
            return self.caption_decoder.visual_tokens(tokens, [instruction] * (len(tokens) // 2))
        return self.caption_decoder.visual_tokens(tokens)

    def _flag(self, visual: Tensor) -> Tensor | None:
        logits = self.caption_decoder.flag_logits(visual)
        return None if logits is None else torch.sigmoid(logits.float())

    def _answers(self, tokens: Tensor, asked: list[str]) -> tuple[Tensor | None, list[dict[str, str]]]:
        """Flag probabilities, and each pair's answers; a pair that the flag calls unchanged gets none."""
        decoder, pairs = self.caption_decoder, len(tokens) // 2
        if decoder.qformer.text:  # one pass for each
            by_instruction = [self._visual_tokens(tokens, text) for text in asked]
        else:
            by_instruction = [self._visual_tokens(tokens, asked[0])] * len(asked)
        flag = self._flag(by_instruction[0])
        open_pairs = [i for i in range(pairs) if flag is None or flag[i] >= 0.5]
        answers: list[dict[str, str]] = [{} for _ in range(pairs)]
        if open_pairs:
            visual = torch.cat([tokens_[open_pairs] for tokens_ in by_instruction])  # instruction-major
            texts = [text for text in asked for _ in open_pairs]
            for place, sentence in enumerate(decoder.generate(visual, texts)):
                answers[open_pairs[place % len(open_pairs)]][texts[place]] = sentence
        return flag, answers


def class_probabilities(logits: Tensor) -> Tensor:
    """(b, K, H, W) logits -> (b, 2 or 3, H, W) probabilities, the class "none" first."""
    if logits.shape[1] > 1:
        return logits.softmax(dim=1)
    change = torch.sigmoid(logits)
    return torch.cat([1 - change, change], dim=1)


def difference_map(tokens: Tensor, size: tuple[int, int], patch: int) -> Tensor:
    """Relative size of the dates' difference (paper Fig. 8).

    Args:
        tokens: (2b, h, w, c), before first.
        size: H, W of the answer, in pixels.
        patch: pixels a side of a token.

    Returns:
        (b, H, W) in [0, 1].
    """
    first, second = tokens.float().chunk(2)
    total = first.norm(dim=-1) + second.norm(dim=-1)
    share = (first - second).norm(dim=-1) / total.clamp_min(1e-12)  # (b, h, w)
    height, width = share.shape[1] * patch, share.shape[2] * patch
    full = F.interpolate(share[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]
    return full[:, : size[0], : size[1]].clamp(0, 1)
