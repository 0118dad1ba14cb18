"""Semantic-CC (paper Fig. 1): encoder -> neck -> change decoder and caption decoder (eq. 1).

`checkpoint/build.py` builds the parts; this module connects them. Legend: b pairs, H, W pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from semantic_cc.decisions import is_changed
from semantic_cc.model.base import (
    ChangeModel,
    MaskPrediction,
    ModelOutput,
    Prediction,
    class_probabilities,
    device_time,
    difference_map,
)
from semantic_cc.model.caption_decoder import CaptionDecoder, consensus
from semantic_cc.model.change_decoder import ChangeDecoder
from semantic_cc.model.encoder import Features
from semantic_cc.model.neck import AggregationNeck
from semantic_cc.model.prompter import INSTRUCTIONS
from semantic_cc.sentences import UNCHANGED, says_change


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
        features = self.encode(before, after) if features is None else features
        change_tokens, caption_tokens = self.tokens(features)
        mask = None
        if change and self.change_decoder is not None and change_tokens is not None:
            mask = self.change_decoder(change_tokens, before, after, features.trunk)
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
            instructions: prompts for the LLM; None = the paper's four under consensus decoding, else the first of
                them. Of several answers, `consensus` selects one.
        """
        asked = list(
            instructions or (INSTRUCTIONS if self.config.decoding == "consensus" else INSTRUCTIONS[:1])
        )
        start = device_time(before.device)
        size = before.shape[-2], before.shape[-1]
        features = self.encode(before, after)
        change_tokens, caption_tokens = self.tokens(features)
        encoded = device_time(before.device)
        probabilities = self.masks(change_tokens, before, after, features.trunk)
        masked = device_time(before.device)
        flag, answers = self._answers(caption_tokens, asked, probabilities)
        written = device_time(before.device)
        sentence = [consensus(list(answer.values())) if answer else UNCHANGED for answer in answers]
        return Prediction(
            class_probabilities=probabilities,
            change_probability=flag,
            changed=[says_change(text) for text in sentence] if flag is None else is_changed(flag).tolist(),
            sentences=answers,
            sentence=sentence,
            heatmap=difference_map(caption_tokens, size, self.config.encoder.patch),
            timings={"encode": encoded - start, "mask": masked - encoded, "sentence": written - masked},
        )

    @torch.no_grad()
    def predict_masks(self, before: Tensor, after: Tensor) -> MaskPrediction:
        """Mask and flag of a batch, equal to those of `predict`, without running the LLM."""
        size = before.shape[-2], before.shape[-1]
        features = self.encode(before, after)
        change_tokens, caption_tokens = self.tokens(features)
        first = self._visual_tokens(caption_tokens, INSTRUCTIONS[0])
        return MaskPrediction(
            class_probabilities=self.masks(change_tokens, before, after, features.trunk),
            change_probability=self._flag(first),
            heatmap=difference_map(caption_tokens, size, self.config.encoder.patch),
        )

    @torch.no_grad()
    def predict_class_probabilities(self, before: Tensor, after: Tensor) -> Tensor | None:
        """As in `ChangeModel`, without the Q-Former."""
        features = self.encode(before, after)
        change_tokens, _ = self.tokens(features)
        return self.masks(change_tokens, before, after, features.trunk)

    def masks(
        self, tokens: Tensor | None, before: Tensor, after: Tensor, trunk: tuple[Tensor, ...]
    ) -> Tensor | None:
        """Class probabilities (b, 2 or 3, H, W) from the change tokens, None with the change task off."""
        if self.change_decoder is None or tokens is None:
            return None
        return class_probabilities(self.change_decoder(tokens, before, after, trunk).float())

    def _visual_tokens(self, tokens: Tensor, instruction: str) -> Tensor:
        """Visual tokens of each pair; a text-aware Q-Former also gets the instruction."""
        if self.caption_decoder.qformer.text:
            return self.caption_decoder.visual_tokens(tokens, [instruction] * (len(tokens) // 2))
        return self.caption_decoder.visual_tokens(tokens)

    def _flag(self, visual: Tensor) -> Tensor | None:
        logits = self.caption_decoder.flag_logits(visual)
        return None if logits is None else torch.sigmoid(logits.float())

    def _answers(
        self, tokens: Tensor, asked: list[str], masks: Tensor | None
    ) -> tuple[Tensor | None, list[dict[str, str]]]:
        """Change probabilities, and the answers of each pair; none for pairs that the flag head calls unchanged."""
        decoder, pairs = self.caption_decoder, len(tokens) // 2
        if decoder.qformer.text:  # one pass per instruction
            by_instruction = [self._visual_tokens(tokens, text) for text in asked]
        else:
            by_instruction = [self._visual_tokens(tokens, asked[0])] * len(asked)
        flag = self._flag(by_instruction[0])
        open_pairs = [i for i in range(pairs) if flag is None or is_changed(flag[i])]
        answers: list[dict[str, str]] = [{} for _ in range(pairs)]
        if open_pairs:
            visual = torch.cat([tokens_[open_pairs] for tokens_ in by_instruction])  # instruction-major
            texts = [text for text in asked for _ in open_pairs]
            seen = None if masks is None else masks[open_pairs].repeat(len(asked), 1, 1, 1)
            for place, sentence in enumerate(decoder.generate(visual, texts, seen)):
                answers[open_pairs[place % len(open_pairs)]][texts[place]] = sentence
        return flag, answers

    def timed_parts(self) -> dict[str, list[nn.Module | None]]:
        """As in `ChangeModel`, with the caption decoder split into Q-Former and LLM."""
        decoder = self.caption_decoder
        return {
            "encoder": [self.encoder],
            "neck": [self.neck],
            "change decoder": [self.change_decoder],
            "Q-Former": [decoder.project, decoder.qformer, decoder.enhancer, decoder.to_llm],
            "LLM": [decoder.llm.get_decoder(), decoder.llm.get_output_embeddings()],
        }

    def layers(self) -> Iterable[nn.Module]:
        """As in `ChangeModel`, plus the neck's units and the Q-Former's layers."""
        yield from super().layers()
        yield from [] if self.neck is None else self.neck.units
        body: Any = self.caption_decoder.qformer.body
        yield from body.encoder.layer
