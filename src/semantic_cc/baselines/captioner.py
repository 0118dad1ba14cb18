"""What the methods that write word by word have in common: encoder -> neck of their own -> word decoder."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from semantic_cc.baselines.decoder import WordDecoder
from semantic_cc.errors import InputError
from semantic_cc.model.encoder import Features
from semantic_cc.model.method import ChangeModel, Location, ModelOutput, Prediction, difference_map
from semantic_cc.sentences import says_change


class WordCaptioner(ChangeModel):
    """A captioning method whose neck turns (2b, h, w, c) tokens, before first, into memories (b, n, d).

    The neck gives one memory, which every layer of the decoder reads, or one for each of its layers.
    """

    neck: nn.Module
    caption_decoder: WordDecoder

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
        """One training pass, see `ChangeModel.forward`; there is no mask, and no instruction is read."""
        features = self.encode(before, after) if features is None else features
        if sentences is None:
            return ModelOutput(None)
        told = [i for i, own in enumerate(sentences) if own]
        memories = [memory[told] for memory in self.neck(features.caption)]
        return ModelOutput(None, *self.caption_decoder.teach(memories, [sentences[i] for i in told]))

    @torch.no_grad()
    def predict(self, before: Tensor, after: Tensor, instructions: Sequence[str] | None = None) -> Prediction:
        """Sentences of a batch, and the flags that are read from them; see `ChangeModel.predict`."""
        if instructions is not None:
            raise InputError(f"the method {self.config.method} reads no instruction; leave it out")
        start = time.perf_counter()
        tokens = self.encode(before, after).caption
        encoded = time.perf_counter()
        sentence = self.caption_decoder.generate(self.neck(tokens))
        said = time.perf_counter()
        return Prediction(
            class_probabilities=None,
            change_probability=None,
            changed=[says_change(text) for text in sentence],
            sentences=[{} for _ in sentence],
            sentence=sentence,
            heatmap=self._heatmap(tokens, before),
            timings={"encode": encoded - start, "sentence": said - encoded},
        )

    @torch.no_grad()
    def locate(self, before: Tensor, after: Tensor) -> Location:
        """The heatmap alone: neither mask nor flag is there without a sentence."""
        return Location(None, None, self._heatmap(self.encode(before, after).caption, before))

    def _heatmap(self, tokens: Tensor, image: Tensor) -> Tensor:
        return difference_map(tokens, (image.shape[-2], image.shape[-1]), self.config.encoder.patch)
