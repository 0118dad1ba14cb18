"""Change caption decoder (paper III-E, eq. 7): Q-Former, enhancer, prompter, LLM.

Legend: b pairs, n tokens a date, c encoder width, q queries, d Q-Former width, m LLM width,
t prompt length, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import chain, pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from semantic_cc.model.enhancer import Enhancer
from semantic_cc.model.prompter import Prompter
from semantic_cc.model.qformer import QFormer, sine_positions


class CaptionDecoder(nn.Module):
    """Tokens of two dates -> a sentence.

    Args:
        project: `Linear c -> v`, the Q-Former's input width; None where the enhancer does it (before).
        ln_vision: BLIP-2's norm of that input.
        queries: (1, q, d).
        qformer: the Q-Former.
        enhancer: eq. 8, at the width of its position.
        to_llm: `Linear d -> m` where the enhancer stands before the Q-Former, else None.
        flag: the optional change-flag head, a linear m -> 1.
        llm: any causal LM of transformers.
        prompter: template and tokenizer of that LLM.
        max_new_tokens: longest answer.
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
        llm: PreTrainedModel,
        prompter: Prompter,
        max_new_tokens: int,
    ) -> None:
        super().__init__()
        self.project = project
        self.ln_vision = ln_vision
        self.queries = queries
        self.qformer = qformer
        self.enhancer = enhancer
        self.to_llm = to_llm
        self.flag = flag
        self.llm = llm
        self.prompter = prompter
        self.max_new_tokens = max_new_tokens
        # generate() hands over a strided slice, for which torch copies the vocabulary matrix once per row
        llm.get_output_embeddings().register_forward_pre_hook(lambda _, given: (given[0].contiguous(),))

    @property
    def llm_width(self) -> int:
        """m."""
        return self.llm.config.get_text_config().hidden_size

    def answer_ids(self, sentence: str) -> list[int]:
        """The tokens that are learned from a sentence, its end mark included."""
        return self.prompter.answer_ids(sentence)

    def visual_tokens(self, tokens: Tensor, instructions: list[str] | None = None) -> Tensor:
        """Difference tokens for the LLM.

        Args:
            tokens: (2b, h, w, c), before first.
            instructions: b instructions, read by a text-aware Q-Former alone.

        Returns:
            (b, q, m).
        """
        if self.project is None:  # Table III, "before": one pass over the difference
            seen = self._seen(self.enhancer(*tokens.chunk(2)))  # (b, n, v)
            output = self.qformer(self.queries, seen, self._text(instructions, 1))
            return self.to_llm(output)  # type: ignore[misc]
        seen = self._seen(self.project(tokens))  # (2b, n, v)
        output = self.qformer(self.queries, seen, self._text(instructions, 2))  # (2b, q, d)
        return self.enhancer(*output.chunk(2))

    def _seen(self, tokens: Tensor) -> Tensor:
        """(B, h, w, v) -> what the Q-Former reads, (B, n, v): normalised, with positions where it wants them."""
        normal = self.ln_vision(tokens)
        if self.qformer.positions:
            normal = normal + sine_positions(*tokens.shape[1:]).to(normal)
        return normal.flatten(1, 2)

    def _text(self, instructions: list[str] | None, dates: int) -> tuple[Tensor, Tensor] | None:
        if not self.qformer.text:
            return None
        if instructions is None:
            raise ValueError("a text-aware Q-Former needs one instruction a pair")
        ids = [torch.tensor(self.prompter.ids(text)) for text in instructions]
        padded = pad_sequence(ids, batch_first=True).repeat(dates, 1)
        mask = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True).repeat(dates, 1)
        return padded.to(self.queries.device), mask.to(self.queries.device)

    def flag_logits(self, visual: Tensor) -> Tensor | None:
        """(b, q, m) -> logits of "changed", (b,); None without the head."""
        return None if self.flag is None else self.flag(visual.mean(dim=1))[:, 0]

    def _prompt(
        self, visual: Tensor, instructions: Sequence[str], answers: Sequence[list[int]]
    ) -> list[Tensor]:
        """Rows (t_i, m): start, image tokens, instruction, answer so far."""
        embed = self.llm.get_input_embeddings()
        rows = []
        for image, instruction, answer in zip(visual, instructions, answers, strict=True):
            rest = self.prompter.rest_ids(instruction) + answer
            ids = torch.tensor(self.prompter.start_ids + rest, device=visual.device)
            words = embed(ids)
            cut = len(self.prompter.start_ids)
            rows.append(torch.cat([words[:cut], image.to(words), words[cut:]]))
        return rows

    def teach(
        self, visual: Tensor, instructions: Sequence[str], sentences: Sequence[Sequence[str]]
    ) -> tuple[Tensor, Tensor]:
        """Logits of the true sentences' tokens, their end marks included (teacher forcing).

        All sentences of a pair follow its prompt, side by side: each sees the prompt and itself alone, at the
        positions right after the prompt. So one pass gives what a pass for each would give.

        Args:
            visual: (b, q, m).
            instructions: b texts.
            sentences: for each pair one or more texts.

        Returns:
            logits (k, V) and targets (k,), k = all answer tokens of the batch.
        """
        answers = [[self.prompter.answer_ids(text) for text in own] for own in sentences]
        rows = self._prompt(visual, instructions, [list(chain.from_iterable(own)) for own in answers])
        embeds = pad_sequence(rows, batch_first=True)  # (b, t, m), padded at the right
        starts = [len(row) - sum(map(len, own)) for row, own in zip(rows, answers, strict=True)]
        parts, places = side_by_side(starts, [[len(answer) for answer in own] for own in answers])
        parts, places = parts.to(visual.device), places.to(visual.device)  # (b, t)
        seen = (parts[:, None, :] == parts[:, :, None]) | (parts[:, None, :] == 0)
        seen = seen.tril()[:, None]  # (b, 1, t, t)
        mask = torch.zeros_like(seen, dtype=embeds.dtype).masked_fill(~seen, torch.finfo(embeds.dtype).min)
        hidden = self.llm.get_decoder()(
            inputs_embeds=embeds, attention_mask=mask, position_ids=places, use_cache=False
        ).last_hidden_state
        # a token is predicted by the hidden state before it: for an answer's first that is the prompt's last
        picked, targets = [], []
        for row, (start, own) in enumerate(zip(starts, answers, strict=True)):
            at = start
            for answer in own:
                picked += [hidden[row, start - 1 : start], hidden[row, at : at + len(answer) - 1]]
                targets += answer
                at += len(answer)
        logits = self.llm.get_output_embeddings()(torch.cat(picked))
        return logits, torch.tensor(targets, device=visual.device)

    @torch.no_grad()
    def generate(self, visual: Tensor, instructions: list[str], use_cache: bool = True) -> list[str]:
        """Greedy sentences for (b, q, m) under b instructions."""
        rows = self._prompt(visual, instructions, [[]] * len(instructions))
        embeds = pad_sequence(rows, batch_first=True, padding_side="left")
        mask = pad_sequence(
            [torch.ones(len(row), dtype=torch.long, device=visual.device) for row in rows],
            batch_first=True,
            padding_side="left",
        )
        end, stop_id = self.prompter.template.end, self.prompter.end_id
        stop = {"stop_strings": [end]} if stop_id is None else {"eos_token_id": stop_id}
        ids = self.llm.generate(
            inputs_embeds=embeds,
            attention_mask=mask,
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            repetition_penalty=1.0,  # whatever the LLM's own generation config says
            use_cache=use_cache,
            pad_token_id=self.prompter.ids(end)[0],
            tokenizer=self.prompter.tokenizer,
            **stop,
        )
        return [self.prompter.sentence(row) for row in ids.tolist()]


def side_by_side(starts: Sequence[int], lengths: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """How answers stand after their prompts.

    Args:
        starts: each row's tokens before its answers. lengths: the lengths of each row's answers.

    Returns:
        Two (b, t) int64 tensors, t = the longest row: whose each token is (0 the prompt's, n = 1, 2, ... the
        n-th answer's, -1 padding), and its position.
    """
    parts, places = [], []
    for start, own in zip(starts, lengths, strict=True):
        counts = [start, *own]
        parts.append(torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts)))
        places.append(torch.cat([torch.arange(start), *(start + torch.arange(n) for n in own)]))
    return pad_sequence(parts, batch_first=True, padding_value=-1), pad_sequence(places, batch_first=True)


def consensus(sentences: list[str]) -> str:
    """The sentence closest to the others (the multi-output ensemble, DESIGN section 3).

    Closeness is the mean of difflib's ratio over words in both directions; the first wins a tie.
    """

    def closeness(a: str, b: str) -> float:
        one, two = a.split(), b.split()
        return sum(SequenceMatcher(None, x, y).ratio() for x, y in pairwise((one, two, one))) / 2

    scores = [
        sum(closeness(a, b) for j, b in enumerate(sentences) if j != i) for i, a in enumerate(sentences)
    ]
    return sentences[scores.index(max(scores))]
