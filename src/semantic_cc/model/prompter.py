"""Prompter (paper III-E, eq. 7): converts instructions, templates and end marks to token ids.

The template depends on the LLM: MiniGPT-4's for Vicuna, the chat template for SmolLM2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

INSTRUCTIONS = (
    "Describe the difference between the new remote sensing image and the old one in detail.",
    "What is the main change between the two remote sensing scenes? Describe it in detail.",
    "Please provide a detailed description of the difference between these two remote sensing pictures.",
    "Can you describe what has been changed between these two remote sensing pictures for me?",
)
"""The paper's four instructions (IV-C)."""


@dataclass(frozen=True)
class Template:
    """Text around the image tokens.

    Attributes:
        start: text before the image tokens.
        rest: text after the image tokens; contains ``{instruction}``.
        end: end mark of the answer.
        bos: whether the prompt starts with the LLM's begin-of-sequence token.
    """

    start: str
    rest: str
    end: str
    bos: bool


TEMPLATES = {
    "minigpt4": Template("###Human: <Img>", "</Img> {instruction} ###Assistant: ", "###", bos=True),
    "chatml": Template(
        "<|im_start|>user\n<Img>",
        "</Img> {instruction}<|im_end|>\n<|im_start|>assistant\n",
        "<|im_end|>",
        bos=False,
    ),
}


class Prompter:
    """Converts instructions and sentences to token ids.

    Args:
        tokenizer: the LLM's tokenizer, or another object with the members of it that are read here.
        template: the LLM's template.
        vocabulary: the words that sentences are generated from; empty = no restriction.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase | Any, template: Template, vocabulary: Sequence[str] = ()
    ) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.vocabulary = tuple(vocabulary)
        self._known: dict[str, list[int]] = {}
        bos = [tokenizer.bos_token_id] if template.bos and tokenizer.bos_token_id is not None else []
        self.start_ids = bos + self.ids(template.start)

    def ids(self, text: str) -> list[int]:
        """Token ids of `text`, without the tokenizer's own begin and end tokens."""
        if text not in self._known:
            self._known[text] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._known[text]

    def rest_ids(self, instruction: str) -> list[int]:
        """Token ids of the prompt after the image tokens."""
        return self.ids(self.template.rest.format(instruction=instruction))

    def answer_ids(self, sentence: str) -> list[int]:
        """Token ids of the sentence and its end mark, the LLM's training target."""
        return self.ids(sentence + self.template.end)

    def keyword_ids(self, words: Sequence[str]) -> list[list[int]]:
        """Token ids of each word or phrase inside a sentence."""
        start = len(self.ids("a"))
        return [self.ids(f"a {word}")[start:] for word in words]

    @cached_property
    def vocabulary_ids(self) -> list[int] | None:
        """Ids of the tokens that a sentence of vocabulary words has, its end mark included, in order; None = all."""
        if not self.vocabulary:
            return None
        texts = [
            text for word in self.vocabulary for text in (word, f"a {word}")
        ]  # as the first word, and inside
        return sorted({token for text in texts for token in self.answer_ids(text)})

    @property
    def end_id(self) -> int | None:
        """Id of the end mark. None if the mark is plain text, whose ids depend on the preceding word."""
        end = self.ids(self.template.end)
        return end[0] if len(end) == 1 and end[0] in self.tokenizer.added_tokens_decoder else None

    def sentence(self, ids: list[int]) -> str:
        """Text of generated ids up to the end mark or end-of-sequence token, with white space collapsed."""
        text = self.tokenizer.decode(ids, skip_special_tokens=False)
        for mark in (self.template.end, self.tokenizer.eos_token or self.template.end):
            text = text.split(mark)[0]
        return " ".join(text.split())
