"""Counted operations and bytes of a model, and the least time that a machine needs for them.

The language model's table of embeddings is only looked up, and its head scores the tokens of the vocabulary.

Legend: k beams, t prompt tokens, s generated tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from semantic_cc.bench.machine import Machine
from semantic_cc.bench.model_parts import counted_by_part, vision_parts
from semantic_cc.model.prompter import INSTRUCTIONS
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.runtime.vision_graph import VisionPart


@dataclass(frozen=True)
class PartCost:
    """What one part of a model does for one pair.

    Attributes:
        gflops: billions of floating-point operations.
        gigabytes: weights read from memory.
        limit: the least seconds on the measured machine: the larger of operations over its bfloat16 products and
            bytes over its bandwidth.
    """

    gflops: float
    gigabytes: float
    limit: float


def count_costs(model: SemanticCCModel, side: int, tokens: int, machine: Machine) -> dict[str, PartCost]:
    """Costs of a changed pair, with weights of 16 bits: of the vision part, of its parts, and of the language model.

    The parts are those of `vision_parts`, and "other": the flag head, the keyword head and what lies between the parts.

    Args:
        model: the torch model; its parameters stop requiring gradients.
        side: pixels a side of the pair.
        tokens: s, the length of the sentence.
        machine: the measured machine.
    """
    part = VisionPart(model).eval().requires_grad_(False)  # the counter's hooks fail on parameters that do
    images = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    counter = FlopCounterMode(display=False)
    with counter, counted_by_part(model, counter.get_total_flops) as operations:
        part(images, images)
    weights = {
        name: _size(parameter for module in own for parameter in module.parameters())
        for name, own in vision_parts(model).items()
    }
    vision = _size(value for name, value in model.named_parameters() if ".llm." not in name)
    operations["other"] = counter.get_total_flops() - sum(operations.values())
    weights["other"] = vision - sum(weights.values())
    decoder = model.caption_decoder
    prompter = decoder.prompter
    head = decoder.llm.get_output_embeddings()
    scored = len(prompter.vocabulary_ids or range(head.out_features))
    llm = _size(decoder.llm.get_decoder().layers.parameters()) + scored * head.in_features
    prompt = len(prompter.start_ids) + decoder.queries.shape[1] + len(prompter.rest_ids(INSTRUCTIONS[0]))
    steps = tokens - 1  # the prompt gives the first token
    flops = 2 * llm * (prompt + steps * decoder.beams)
    return {
        **{name: _cost(operations[name], 2 * weights[name], machine) for name in operations},
        "vision": _cost(counter.get_total_flops(), 2 * vision, machine),
        "language model": _cost(flops, 2 * llm * (1 + steps), machine),
    }


def _size(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _cost(flops: float, read: float, machine: Machine) -> PartCost:
    limit = max(flops / (machine.gflops["bfloat16"] * 1e9), read / (machine.bandwidth * 1e9))
    return PartCost(flops / 1e9, read / 1e9, limit)
