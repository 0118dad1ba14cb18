"""Teacher forcing and generation with a language model on prompts that contain image tokens.

Legend: b prompts, t tokens per row, m LLM width, V vocabulary size.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel, StaticCache

from semantic_cc.model.answers import Candidate
from semantic_cc.model.prompter import Prompter


def contiguous_head(llm: PreTrainedModel) -> None:
    """Makes the LM head's input contiguous: for generate()'s strided slice, torch copies the LM head once per row."""
    llm.get_output_embeddings().register_forward_pre_hook(lambda _, given: (given[0].contiguous(),))


def teach_sentences(
    llm: PreTrainedModel, prompter: Prompter, prompts: Sequence[Tensor], sentences: Sequence[Sequence[str]]
) -> tuple[Tensor, Tensor]:
    """Logits of the reference sentences' tokens, end marks included (teacher forcing).

    All sentences of a prompt are packed into one row after it. Each attends only to the prompt and itself, with
    positions that start right after the prompt. One pass therefore equals one pass per sentence.

    Args:
        llm, prompter: the language model and its prompter.
        prompts: b rows (t_i, m).
        sentences: one or more texts per prompt.

    Returns:
        logits (k, V) and targets (k,), k = number of answer tokens in the batch.
    """
    device, embed = prompts[0].device, llm.get_input_embeddings()
    answers = [[prompter.answer_ids(text) for text in own] for own in sentences]
    starts = [len(prompt) for prompt in prompts]
    rows = [
        torch.cat([prompt, embed(torch.tensor(list(chain.from_iterable(own)), device=device))])
        for prompt, own in zip(prompts, answers, strict=True)
    ]
    embeds = pad_sequence(rows, batch_first=True)  # (b, t, m), right-padded
    parts, places = side_by_side(starts, [[len(answer) for answer in own] for own in answers])
    parts, places = parts.to(device), places.to(device)  # (b, t)
    seen = (parts[:, None, :] == parts[:, :, None]) | (parts[:, None, :] == 0)
    seen = seen.tril()[:, None]  # (b, 1, t, t)
    mask = torch.zeros_like(seen, dtype=embeds.dtype).masked_fill(~seen, torch.finfo(embeds.dtype).min)
    hidden = llm.get_decoder()(
        inputs_embeds=embeds, attention_mask=mask, position_ids=places, use_cache=False
    ).last_hidden_state
    # the preceding hidden state predicts a token: for the first of an answer, the last of the prompt
    picked, targets = [], []
    for row, (start, own) in enumerate(zip(starts, answers, strict=True)):
        at = start
        for answer in own:
            picked += [hidden[row, start - 1 : start], hidden[row, at : at + len(answer) - 1]]
            targets += answer
            at += len(answer)
    logits = llm.get_output_embeddings()(torch.cat(picked))
    return logits, torch.tensor(targets, device=device)


class VocabularyLogitsProcessor(LogitsProcessor):
    """Restricts generation to some tokens: log-probabilities over these, minus infinity for all others.

    Args:
        token_ids: the tokens.
        device: of the scores.
    """

    def __init__(self, token_ids: Sequence[int], device: torch.device) -> None:
        self.token_ids = torch.tensor(token_ids, device=device)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Generated tokens (b, t) and scores (b, V) -> new scores (b, V)."""
        restricted = torch.full_like(scores, -torch.inf)
        restricted[:, self.token_ids] = scores[:, self.token_ids].log_softmax(dim=-1)
        return restricted


class KeywordLogitsProcessor(LogitsProcessor):
    """Adds log-odds to the scores of keywords that a sentence does not contain yet (K2T: Pascual et al., EMNLP
    Findings 2021).

    For a keyword of several tokens, the log-odds are added to its last token in rows that end with its other tokens.

    Args:
        keyword_ids: token ids of v keywords.
        log_odds: (b, v), one row per prompt.
    """

    def __init__(self, keyword_ids: Sequence[Sequence[int]], log_odds: Tensor) -> None:
        used = log_odds.any(dim=0).nonzero()[:, 0].tolist()
        self.keyword_ids = [torch.tensor(keyword_ids[place], device=log_odds.device) for place in used]
        self.log_odds = log_odds[:, used]

    def expanded(self, beams: int, prompts: int | None = None) -> KeywordLogitsProcessor:
        """Copy of the processor with `beams` consecutive rows per prompt, for beam search.

        Args:
            beams: beam width.
            prompts: number of prompts, if the last one is repeated up to it.
        """
        processor = copy(self)
        count = len(self.log_odds)
        rows = torch.arange(prompts or count, device=self.log_odds.device).clamp(max=count - 1)
        processor.log_odds = self.log_odds[rows.repeat_interleave(beams)]
        return processor

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Generated tokens (b, t) and scores (b, V) -> new scores (b, V)."""
        scores, t = scores.clone(), input_ids.shape[1]
        for ids, log_odds in zip(self.keyword_ids, self.log_odds.unbind(dim=1), strict=True):
            prefix, last = len(ids) - 1, ids[-1]
            if prefix > t:
                continue
            applies = (input_ids[:, t - prefix :] == ids[:-1]).all(dim=1)
            if prefix < t:
                applies &= ~_contains(input_ids, ids)
            scores[:, last] += log_odds.masked_fill(~applies, 0).to(scores)
        return scores


def _contains(rows: Tensor, ids: Tensor) -> Tensor:
    """Whether each row of (b, t) contains `ids`, n <= t consecutive tokens: (b,) bool."""
    return (rows.unfold(1, len(ids), 1) == ids).all(dim=2).any(dim=1)


LENGTH_STEP = 64
"""Lengths of static caches are multiples of it."""


class StaticCaches:
    """Key-value caches of few fixed shapes, for greedy search with a compiled step.

    On a GPU, transformers compiles the step for such a cache, once for each shape. The caches are kept, because the
    recorded CUDA graph refers to their memory.
    """

    def __init__(self) -> None:
        self._caches: dict[tuple[int, int], StaticCache] = {}

    @staticmethod
    def rows(prompts: int) -> int:
        """The number of rows that a batch of so many prompts is filled up to: a power of two."""
        return 1 << (prompts - 1).bit_length()

    def empty(self, llm: PreTrainedModel, rows: int, tokens: int) -> StaticCache:
        """An empty cache for so many rows and at least so many tokens in each."""
        length = -(-tokens // LENGTH_STEP) * LENGTH_STEP
        if (rows, length) not in self._caches:
            self._caches[rows, length] = StaticCache(config=llm.config, max_cache_len=length)
        cache = self._caches[rows, length]
        cache.reset()
        return cache


@torch.no_grad()
def write_candidates(
    llm: PreTrainedModel,
    prompter: Prompter,
    prompts: Sequence[Tensor],
    max_new_tokens: int,
    use_cache: bool = True,
    beams: int = 1,
    keywords: KeywordLogitsProcessor | None = None,
    caches: StaticCaches | None = None,
) -> list[list[Candidate]]:
    """Generates sentences for each of b prompts: all beams, the likeliest first; one by greedy search.

    Args:
        llm, prompter: the language model and its prompter, which may restrict the tokens.
        prompts: b rows (t_i, m), at least one.
        max_new_tokens: maximum answer length.
        use_cache: whether to use the key-value cache.
        beams: beam width, without length penalty; 1 = greedy search.
        keywords: logits processor for keyword-guided decoding; None = off.
        caches: static caches for greedy search; None = a cache that grows. transformers does not compile beam search.
    """
    count, is_static = len(prompts), caches is not None and use_cache and beams == 1
    rows = StaticCaches.rows(count) if is_static else count
    prompts = [*prompts, *[prompts[-1]] * (rows - count)]
    embeds = pad_sequence(list(prompts), batch_first=True, padding_side="left")
    mask = pad_sequence(
        [torch.ones(len(row), dtype=torch.long, device=embeds.device) for row in prompts],
        batch_first=True,
        padding_side="left",
    )
    end, stop_id = prompter.template.end, prompter.end_id
    options: dict[str, Any] = {"stop_strings": [end]} if stop_id is None else {"eos_token_id": stop_id}
    processors: list[LogitsProcessor] = []
    if prompter.vocabulary_ids is not None:
        processors.append(VocabularyLogitsProcessor(prompter.vocabulary_ids, embeds.device))
    if keywords is not None:
        processors.append(keywords.expanded(beams, rows))
    if beams > 1:
        options["length_penalty"] = 0.0  # with a penalty, the longest sentence wins
    if caches is not None and is_static:
        options["past_key_values"] = caches.empty(llm, rows, embeds.shape[1] + max_new_tokens)
    found = llm.generate(
        inputs_embeds=embeds,
        attention_mask=mask,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        repetition_penalty=1.0,  # overrides the LLM's generation config
        use_cache=use_cache,
        pad_token_id=prompter.ids(end)[0],
        tokenizer=prompter.tokenizer,
        num_beams=beams,
        num_return_sequences=beams,
        return_dict_in_generate=True,
        output_scores=beams > 1,  # gives the scores of the beams
        logits_processor=LogitsProcessorList(processors),
        **options,
    )
    scores = found.sequences_scores.tolist() if beams > 1 else [0.0] * len(prompts)
    candidates = [
        Candidate(prompter.sentence(row), score)
        for row, score in zip(found.sequences.tolist(), scores, strict=True)
    ]
    return [candidates[start : start + beams] for start in range(0, count * beams, beams)]


def side_by_side(starts: Sequence[int], lengths: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Segment and position of each token where answers are packed after their prompts.

    Args:
        starts: prompt length of each row. lengths: lengths of each row's answers.

    Returns:
        Two (b, t) int64 tensors, t = length of the longest row: the segment of each token (0 = prompt, n = n-th
        answer, -1 = padding), and its position.
    """
    parts, places = [], []
    for start, own in zip(starts, lengths, strict=True):
        counts = [start, *own]
        parts.append(torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts)))
        places.append(torch.cat([torch.arange(start), *(start + torch.arange(n) for n in own)]))
    return pad_sequence(parts, batch_first=True, padding_value=-1), pad_sequence(places, batch_first=True)
