"""Change caption decoder (paper III-E, eq. 7): Q-Former, enhancer, prompter, LLM.

Legend: b pairs, n tokens per date, c encoder width, v Q-Former input width, q queries, d Q-Former width, m LLM width,
t prompt length, V vocabulary size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from semantic_cc.metrics.consistency import SeenObjects
from semantic_cc.model.answers import Candidate
from semantic_cc.model.enhancer import Enhancer
from semantic_cc.model.generation import (
    KeywordLogitsProcessor,
    StaticCaches,
    contiguous_head,
    teach_sentences,
    write_candidates,
)
from semantic_cc.model.keyword_head import KeywordHead, mask_grid
from semantic_cc.model.mask_guidance import BUILDING_NOUNS, building_log_odds
from semantic_cc.model.prompter import Prompter
from semantic_cc.model.qformer import QFormer, sine_positions


class CaptionDecoder(nn.Module):
    """Tokens of two dates -> a sentence.

    Args:
        project: `Linear c -> v`; None if the enhancer comes before the Q-Former and projects to v.
        ln_vision: BLIP-2's LayerNorm of the Q-Former's input.
        queries: (1, q, d).
        qformer: the Q-Former.
        enhancer: eq. 8, with the width at its position.
        to_llm: `Linear d -> m` if the enhancer comes before the Q-Former, else None.
        flag: optional change-flag head, `Linear m -> 1`.
        keyword_head: optional head that predicts which keywords the sentence uses.
        keywords: keywords of the head, words or phrases.
        llm: any causal LM of transformers.
        prompter: template and tokenizer of the LLM.
        max_new_tokens: maximum answer length.
        beams: beam width; 1 = greedy search.
        mask_weight: weight of `mask_guidance`, in nats; 0 = off.
        keyword_weight: factor of the keyword head's log-odds.
    """

    def __init__(
        self,
        project: nn.Module | None,
        ln_vision: nn.Module,
        queries: nn.Parameter,
        qformer: QFormer,
        enhancer: Enhancer,
        to_llm: nn.Module | None,
        flag: nn.Module | None,
        keyword_head: KeywordHead | None,
        keywords: Sequence[str],
        llm: PreTrainedModel,
        prompter: Prompter,
        max_new_tokens: int,
        beams: int = 1,
        mask_weight: float = 0.0,
        keyword_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.project = project
        self.ln_vision = ln_vision
        self.queries = queries
        self.qformer = qformer
        self.enhancer = enhancer
        self.to_llm = to_llm
        self.flag = flag
        self.keyword_head = keyword_head
        self.keywords = keywords
        self.llm = llm
        self.prompter = prompter
        self.max_new_tokens = max_new_tokens
        self.beams = beams
        self.mask_weight = mask_weight
        self.keyword_weight = keyword_weight
        self.static_caches: StaticCaches | None = None
        """Set where greedy search is compiled."""
        contiguous_head(llm)

    @property
    def keyword_ids(self) -> list[list[int]]:
        """Token ids of each keyword inside a sentence."""
        return self.prompter.keyword_ids(self.keywords)

    @property
    def llm_width(self) -> int:
        """m."""
        return self.llm.config.get_text_config().hidden_size

    def answer_ids(self, sentence: str) -> list[int]:
        """Target token ids of a sentence, end mark included."""
        return self.prompter.answer_ids(sentence)

    def visual_tokens(self, tokens: Tensor) -> Tensor:
        """Difference tokens for the LLM: (2b, h, w, c), before first -> (b, q, m)."""
        if self.project is None:  # Table III, "before": one pass over the difference
            seen = self._seen(self.enhancer(*tokens.chunk(2)))  # (b, n, v)
            output = self.qformer(self.queries, seen)
            return self.to_llm(output)  # type: ignore[misc]
        seen = self._seen(self.project(tokens))  # (2b, n, v)
        output = self.qformer(self.queries, seen)  # (2b, q, d)
        return self.enhancer(*output.chunk(2))

    def _seen(self, tokens: Tensor) -> Tensor:
        """(B, h, w, v) -> Q-Former input (B, n, v): normalised, plus sine positions if configured."""
        normal = self.ln_vision(tokens)
        if self.qformer.positions:
            normal = normal + sine_positions(*tokens.shape[1:]).to(normal)
        return normal.flatten(1, 2)

    def flag_logits(self, visual: Tensor) -> Tensor | None:
        """(b, q, m) -> change logits (b,); None without the flag head."""
        return None if self.flag is None else self.flag(visual.mean(dim=1))[:, 0]

    def _prompts(self, visual: Tensor, instructions: Sequence[str]) -> list[Tensor]:
        """Rows (t_i, m): start, image tokens, instruction."""
        embed, cut = self.llm.get_input_embeddings(), len(self.prompter.start_ids)
        rows = []
        for image, instruction in zip(visual, instructions, strict=True):
            ids = self.prompter.start_ids + self.prompter.rest_ids(instruction)
            words = embed(torch.tensor(ids, device=visual.device))
            rows.append(torch.cat([words[:cut], image.to(words), words[cut:]]))
        return rows

    def teach(
        self, visual: Tensor, instructions: Sequence[str], sentences: Sequence[Sequence[str]]
    ) -> tuple[Tensor, Tensor]:
        """Logits of the reference sentences' tokens, see `teach_sentences`.

        Args:
            visual: (b, q, m).
            instructions: b texts.
            sentences: one or more texts per pair.

        Returns:
            logits (k, V) and targets (k,), k = number of answer tokens in the batch.
        """
        return teach_sentences(self.llm, self.prompter, self._prompts(visual, instructions), sentences)

    def teach_captioned(
        self, visual: Tensor, instructions: Sequence[str], sentences: Sequence[Sequence[str]]
    ) -> tuple[Tensor, Tensor] | None:
        """As `teach`, but only for the pairs that have sentences; None if no pair has one."""
        captioned = [i for i, own in enumerate(sentences) if own]
        if not captioned:
            return None
        return self.teach(
            visual[captioned], [instructions[i] for i in captioned], [sentences[i] for i in captioned]
        )

    @torch.no_grad()
    def generate(
        self,
        visual: Tensor,
        instructions: list[str],
        masks: Tensor | None = None,
        seen: Sequence[SeenObjects] | None = None,
        use_cache: bool = True,
    ) -> list[list[Candidate]]:
        """Generates sentences for each of b pairs: all beams, the likeliest first; one by greedy search.

        Args:
            visual: (b, q, m).
            instructions: b texts.
            masks: class probabilities (b, 1 + k, H, W), for a keyword head with mask classes.
            seen: the buildings of each mask, for mask guidance.
            use_cache: whether to use the key-value cache.
        """
        prompts, guidance = self._prompts(visual, instructions), self._guidance(visual, masks, seen)
        return write_candidates(
            self.llm, self.prompter, prompts, self.max_new_tokens, use_cache, self.beams, guidance,
            self.static_caches,
        )  # fmt: skip

    def _guidance(
        self, visual: Tensor, masks: Tensor | None, seen: Sequence[SeenObjects] | None
    ) -> KeywordLogitsProcessor | None:
        """The keyword head's log-odds and those of mask guidance; None with neither."""
        ids: list[list[int]] = []
        log_odds: list[Tensor] = []
        if self.keyword_head is not None:
            ids += self.keyword_ids
            own = self.keyword_head(visual, None if masks is None else mask_grid(masks))
            log_odds.append(self.keyword_weight * own)
        if self.mask_weight > 0 and seen is not None:
            ids += self.prompter.keyword_ids(BUILDING_NOUNS)
            log_odds.append(torch.from_numpy(building_log_odds(seen, self.mask_weight)).to(visual.device))
        return KeywordLogitsProcessor(ids, torch.cat(log_odds, dim=1)) if ids else None
