"""Base classes of the captioning baselines: shared encoder -> method's neck -> caption decoder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from semantic_cc.baselines.word_decoder import WordDecoder
from semantic_cc.decisions import is_changed
from semantic_cc.errors import InputError
from semantic_cc.model.base import (
    ChangeModel,
    MaskPrediction,
    ModelOutput,
    Prediction,
    device_time,
    difference_map,
)
from semantic_cc.model.encoder import Features
from semantic_cc.sentences import says_change


class Captioner(ChangeModel):
    """A method that captions from the encoder's caption features. It predicts no mask and takes no instructions."""

    neck: nn.Module

    @abstractmethod
    def teach(self, tokens: Tensor, sentences: Sequence[Sequence[str]]) -> ModelOutput:
        """Tokens (2b, h, w, c), before first, and the sentences of each pair -> the inputs of the loss."""

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
        """One training pass, see `ChangeModel.forward`. Either every pair has a sentence or none has."""
        features = self.encode(before, after) if features is None else features
        return ModelOutput(None) if sentences is None else self.teach(features.caption, sentences)

    @abstractmethod
    def say(self, tokens: Tensor) -> tuple[Tensor | None, list[str]]:
        """Tokens (2b, h, w, c), before first -> change probabilities (b,), or None, and b sentences."""

    @torch.no_grad()
    def predict(self, before: Tensor, after: Tensor, instructions: Sequence[str] | None = None) -> Prediction:
        """Predicts the sentences and change flags of a batch, see `ChangeModel.predict`.

        Without a classifier, the flags are derived from the sentences.
        """
        if instructions is not None:
            raise InputError(
                f"the method {self.config.method} does not read an instruction; leave the instruction out"
            )
        start = device_time(before.device)
        tokens = self.encode(before, after).caption
        encoded = device_time(before.device)
        flag, sentence = self.say(tokens)
        written = device_time(before.device)
        return Prediction(
            class_probabilities=None,
            change_probability=flag,
            changed=[says_change(text) for text in sentence] if flag is None else is_changed(flag).tolist(),
            sentences=[{} for _ in sentence],
            sentence=sentence,
            heatmap=self._heatmap(tokens, before),
            timings={"encode": encoded - start, "sentence": written - encoded},
        )

    @torch.no_grad()
    def predict_masks(self, before: Tensor, after: Tensor) -> MaskPrediction:
        """Returns only the heatmap."""
        return MaskPrediction(None, None, self._heatmap(self.encode(before, after).caption, before))

    def _heatmap(self, tokens: Tensor, image: Tensor) -> Tensor:
        return difference_map(tokens, (image.shape[-2], image.shape[-1]), self.config.encoder.patch)


class WordCaptioner(Captioner):
    """A method that generates word by word. Its neck maps tokens (2b, h, w, c), before first, to memories (b, n, d).

    The neck returns one memory for all decoder layers, or one memory per layer.
    """

    caption_decoder: WordDecoder

    def teach(self, tokens: Tensor, sentences: Sequence[Sequence[str]]) -> ModelOutput:
        """Applies teacher forcing."""
        return ModelOutput(None, *self.caption_decoder.teach(self.neck(tokens), sentences))

    def say(self, tokens: Tensor) -> tuple[Tensor | None, list[str]]:
        """Generates sentences without change probabilities."""
        return None, self.caption_decoder.generate(self.neck(tokens))
