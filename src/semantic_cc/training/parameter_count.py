"""Number of parameters of each part of a model, in total and trained per stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from semantic_cc.training.stages import Stage, trainable_names

if TYPE_CHECKING:
    from semantic_cc.model.base import ChangeModel

PARTS = {
    "image encoder": "encoder.vision.",
    "BCSF": "encoder.filters.",
    "neck": "neck.",
    "change decoder": "change_decoder.",
    "Linear c -> Q-Former": "caption_decoder.project.",
    "ln_vision": "caption_decoder.ln_vision.",
    "queries": "caption_decoder.queries",
    "Q-Former": "caption_decoder.qformer.",
    "enhancer": "caption_decoder.enhancer.",
    "Linear Q-Former -> LLM": "caption_decoder.to_llm.",
    "flag head": "caption_decoder.flag.",
    "keyword head": "caption_decoder.keyword_head.",
    "language model": "caption_decoder.llm.",
    "caption decoder": "caption_decoder.",
}
"""Part -> prefixes of its parameters' names; the first match counts."""

ADAPTED = ("image encoder", "language model")
"""Parts that may have LoRA, which is counted separately."""


@dataclass(frozen=True)
class PartCount:
    """Parameters of one part.

    Attributes:
        part: name.
        total: number of parameters.
        trained: stage -> number of parameters that train in it.
    """

    part: str
    total: int
    trained: dict[str, int]


def count(model: ChangeModel, stages: tuple[Stage, ...]) -> list[PartCount]:
    """Counts of the parts of `model`, LoRA separate from its base, and their sum at the end."""
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    trained = {stage.name: trainable_names(stage, model) for stage in stages}

    def counted(part: str, names: set[str]) -> PartCount:
        return PartCount(
            part,
            sum(sizes[name] for name in names),
            {stage: sum(sizes[name] for name in names & own) for stage, own in trained.items()},
        )

    rows, left = [], set(sizes)
    for part, start in PARTS.items():
        names = {name for name in left if name.startswith(start)}
        left -= names
        lora = {name for name in names if "lora_" in name and part in ADAPTED}
        rows += [counted(part, names - lora), counted(f"LoRA of the {part}", lora)]
    return [row for row in rows if row.total] + [counted("all", set(sizes))]
