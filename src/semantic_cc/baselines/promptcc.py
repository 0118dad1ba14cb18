"""PromptCC: separate predictions of whether and what changed; learned prompts condition a frozen language model.

C. Liu, R. Zhao, J. Chen, Z. Qi, Z. Zou, Z. Shi, "A Decoupling Paradigm With Prompt Learning for Remote Sensing Image
Change Captioning", IEEE TGRS 61, 2023.

Implemented (F_1, F_2 are a date's tokens with position embeddings, D = F_2 - F_1)::

    whether  p = Classifier([class ; [F_1 ; F_2]])                       image-level classifier, three layers at 2d
    what     F_k <- Siamese(F_k);  V_k = Linear_{2d -> m}(Encoder([F_k ; D]) + time_k)         feature-level encoder
    prompt   [V_1 ; V_2 ; unified ; change or no change]                 multi-prompt learning, input of the LLM

The LLM is frozen. The change or no-change prompt follows the ground truth in training and p in inference. The LLM
describes unchanged pairs too.

Differences from the original:
- The LLM is Semantic-CC's (SmolLM2 or Vicuna) instead of GPT-2. Its head is frozen; the released code trains a new one.
- The shared image encoder replaces a frozen CLIP ViT-B/32. Its tokens are averaged to CLIP's 7 x 7 grid, so that the
  prompt has the original's length.
- The classifier trains in the same stage as the captions, with an additional loss, not in an earlier run.
- The class tokens of the dates are omitted, because nothing uses them.
- Prompts are initialised at the scale of the LLM's word embeddings. At four times that scale they dominate the word
  embeddings, and a frozen head cannot adapt.
- Greedy decoding replaces beam search with three beams.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from semantic_cc.baselines.captioner import Captioner
from semantic_cc.baselines.captioning_blocks import Entrance
from semantic_cc.config import ModelConfig
from semantic_cc.decisions import is_changed
from semantic_cc.foundation.llm import LanguageModel
from semantic_cc.model.base import MaskPrediction, ModelOutput
from semantic_cc.model.encoder import BitemporalEncoder
from semantic_cc.model.generation import contiguous_head, teach_sentences, write_candidates
from semantic_cc.model.prompter import TEMPLATES, Prompter
from semantic_cc.sentences import says_change

GRID = 7
"""Maximum visual tokens a side of each date: CLIP ViT-B/32's."""
SIAMESE_LAYERS, CLASSIFIER_LAYERS = 2, 3
UNIFIED = 5
"""Learned prompt tokens that all pairs share."""


def _transformer(width: int, ffn: int, config: ModelConfig, layers: int) -> nn.Module:
    sizes = config.baseline
    layer = nn.TransformerEncoderLayer(width, sizes.heads, ffn, sizes.dropout, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


class PromptCCNeck(nn.Module):
    """Image-level classifier and feature-level encoder.

    Args:
        config: the sizes.
        llm_width: m.
        size: initial standard deviation of the visual prompts, ().
    """

    def __init__(self, config: ModelConfig, llm_width: int, size: Tensor) -> None:
        super().__init__()
        width, layers = config.baseline.width, config.baseline.layers
        self.entrance = Entrance(config)
        self.class_token = nn.Parameter(torch.randn(1, 1, 2 * width) * width**-0.5)
        self.classifier = _transformer(2 * width, 4 * width, config, CLASSIFIER_LAYERS)
        self.flag = nn.Linear(2 * width, 1)
        self.siamese = _transformer(width, 4 * width, config, SIAMESE_LAYERS)
        self.encoder = _transformer(2 * width, 8 * width, config, layers)
        self.time = nn.Parameter(torch.randn(2, 2 * width) * width**-0.5)
        self.project = nn.Linear(2 * width, llm_width)
        with torch.no_grad():  # the input is LayerNorm's output
            self.project.weight.normal_().mul_(size * (2 * width) ** -0.5)
            self.project.bias.zero_()

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(2b, h, w, c), before first -> change logits (b,), visual prompts (b, 2n, m), n at most 7 x 7."""
        grid = self.entrance(tokens).permute(0, 3, 1, 2)
        size = min(GRID, grid.shape[2]), min(GRID, grid.shape[3])
        x = F.adaptive_avg_pool2d(grid, size).flatten(2).mT  # (2b, n, d)
        return self._whether(x), self._what(x)

    def _whether(self, x: Tensor) -> Tensor:
        both = torch.cat(x.chunk(2), dim=-1)  # (b, n, 2d)
        read = self.classifier(torch.cat([self.class_token.expand(len(both), -1, -1), both], dim=1))
        return self.flag(read[:, 0])[:, 0]

    def _what(self, x: Tensor) -> Tensor:
        x = self.siamese(x)
        before, after = x.chunk(2)
        x = self.encoder(torch.cat([x, (after - before).repeat(2, 1, 1)], dim=-1))  # (2b, n, 2d)
        dates = [self.project(date + time) for date, time in zip(x.chunk(2), self.time, strict=True)]
        return torch.cat(dates, dim=1)


def embedding_size(llm: PreTrainedModel) -> Tensor:
    """Standard deviation of the entries of the word embeddings, ()."""
    deviation: Tensor = llm.get_input_embeddings().weight.detach().float().std()
    return deviation


class PromptDecoder(nn.Module):
    """Learned prompts before a frozen LLM.

    Args:
        llm, prompter: the language model and its tokenizer; of the prompt template, only the end mark is used.
        max_new_tokens: maximum length of a sentence.
    """

    def __init__(self, llm: PreTrainedModel, prompter: Prompter, max_new_tokens: int) -> None:
        super().__init__()
        width, size = llm.config.get_text_config().hidden_size, embedding_size(llm)
        self.unified = nn.Parameter(size * torch.randn(UNIFIED, width))
        self.of_change = nn.Parameter(size * torch.randn(2, 1, width))  # no change, change
        self.llm = llm.requires_grad_(False)
        self.prompter, self.max_new_tokens = prompter, max_new_tokens
        contiguous_head(llm)

    def answer_ids(self, sentence: str) -> list[int]:
        """The target tokens of a sentence, including the end mark."""
        return self.prompter.answer_ids(sentence)

    def prompts(self, visual: Tensor, changed: Sequence[bool]) -> list[Tensor]:
        """Visual prompts (b, 2n, m) and b flags -> b prompts (2n + 6, m) in the LLM's dtype."""
        dtype = self.llm.get_input_embeddings().weight.dtype
        flags = [self.of_change[int(flag)] for flag in changed]
        return [
            torch.cat([seen, self.unified, flag]).to(dtype) for seen, flag in zip(visual, flags, strict=True)
        ]


class PromptCC(Captioner):
    """Classifier, feature encoder and prompts before a frozen LLM."""

    neck: PromptCCNeck
    caption_decoder: PromptDecoder

    def teach(self, tokens: Tensor, sentences: Sequence[Sequence[str]]) -> ModelOutput:
        """Applies teacher forcing to the sentences. The flag of a pair is derived from its sentences."""
        flag, visual = self.neck(tokens)
        decoder = self.caption_decoder
        prompts = decoder.prompts(visual, [any(map(says_change, own)) for own in sentences])
        return ModelOutput(None, *teach_sentences(decoder.llm, decoder.prompter, prompts, sentences), flag)

    def say(self, tokens: Tensor) -> tuple[Tensor | None, list[str]]:
        """The classifier's probabilities, and sentences generated with the prompts that they select."""
        logits, visual = self.neck(tokens)
        flag, decoder = torch.sigmoid(logits.float()), self.caption_decoder
        prompts = decoder.prompts(visual, is_changed(flag).tolist())
        found = write_candidates(decoder.llm, decoder.prompter, prompts, decoder.max_new_tokens)
        return flag, [own[0].sentence for own in found]

    @torch.no_grad()
    def predict_masks(self, before: Tensor, after: Tensor) -> MaskPrediction:
        """The classifier's flag and the heatmap."""
        tokens = self.encode(before, after).caption
        return MaskPrediction(
            None, torch.sigmoid(self.neck(tokens)[0].float()), self._heatmap(tokens, before)
        )


def build_promptcc(config: ModelConfig, encoder: BitemporalEncoder, llm: LanguageModel) -> PromptCC:
    """PromptCC on `encoder`, with `llm`."""
    prompter = Prompter(llm.tokenizer, TEMPLATES[config.llm.template], config.llm.vocabulary)
    decoder = PromptDecoder(llm.model, prompter, config.llm.max_new_tokens)
    neck = PromptCCNeck(config, llm.model.config.get_text_config().hidden_size, embedding_size(llm.model))
    return PromptCC(config, encoder, neck, None, decoder)
