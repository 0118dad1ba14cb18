"""Counted operations and bytes of a model, and the least time that a machine needs for them.

The language model's table of embeddings is only looked up, and its head scores the tokens of the vocabulary.

Legend: k beams, t prompt tokens, s generated tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from semantic_cc.bench.machine import Machine
from semantic_cc.bench.model_parts import counted_by_part, vision_parts
from semantic_cc.model.caption_decoder import CaptionDecoder
from semantic_cc.model.prompter import INSTRUCTIONS
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.runtime.vision_graph import VisionPart


@dataclass(frozen=True)
class PartCost:
    """What one part of a model does for one pair, or for a batch.

    Attributes:
        gflops: billions of floating-point operations.
        gigabytes: weights read from memory, and of `count_batch_costs` keys and values.
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
    vision = _count_vision(model, side)
    decoder = model.caption_decoder
    prompter = decoder.prompter
    llm = sum(_language_sizes(decoder))
    prompt = len(prompter.start_ids) + decoder.queries.shape[1] + len(prompter.rest_ids(INSTRUCTIONS[0]))
    steps = tokens - 1  # the prompt gives the first token
    flops = 2 * llm * (prompt + steps * decoder.beams)
    all_flops, all_read = (sum(values) for values in zip(*vision.values(), strict=True))
    return {
        **{name: _cost(*counted, machine) for name, counted in vision.items()},
        "vision": _cost(all_flops, all_read, machine),
        "language model": _cost(flops, 2 * llm * (1 + steps), machine),
    }


def count_batch_costs(
    model: SemanticCCModel, side: int, pairs: Sequence[int], prompt: int, tokens: int, machine: Machine
) -> dict[int, dict[str, PartCost]]:
    """Costs of batches under one instruction, with weights, keys and values of 16 bits.

    The parts are those of `count_costs`, with the language model split into "prompt", which gives the first token of
    the sentences, and "generation", the further ones. Operations of its attention are not counted.

    Args:
        model, side, machine: as in `count_costs`.
        pairs: batch sizes.
        prompt: t, with the visual tokens.
        tokens: s, the length of each sentence.
    """
    vision = _count_vision(model, side)
    decoder = model.caption_decoder
    layers, head = _language_sizes(decoder)
    sizes: Any = decoder.llm.config.get_text_config()
    cached = 2 * 2 * sizes.num_hidden_layers * sizes.num_key_value_heads * sizes.head_dim  # bytes of a token
    steps = tokens - 1
    found = {}
    for count in pairs:
        rows = count * decoder.beams
        read = 2 * (layers + head) * steps + cached * rows * sum(prompt + step for step in range(steps))
        found[count] = {
            **{name: _cost(count * flops, weights, machine) for name, (flops, weights) in vision.items()},
            "prompt": _cost(2 * count * (layers * prompt + head), 2 * (layers + head), machine),
            "generation": _cost(2 * rows * (layers + head) * steps, read, machine),
        }
    return found


def _count_vision(model: SemanticCCModel, side: int) -> dict[str, tuple[float, float]]:
    """Part of the vision part -> its operations for a pair, and the bytes of its weights."""
    part = VisionPart(model).eval().requires_grad_(False)  # the counter's hooks fail on parameters that do
    images = torch.zeros(1, side, side, 3, dtype=torch.uint8, device=model.caption_decoder.queries.device)
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
    return {name: (operations[name], 2 * weights[name]) for name in operations}


def _language_sizes(decoder: CaptionDecoder) -> tuple[int, int]:
    """Weights of the language model that a step reads: of its layers, and of the LM head for the scored tokens."""
    head = decoder.llm.get_output_embeddings()
    scored = len(decoder.prompter.vocabulary_ids or range(head.out_features))
    return _size(decoder.llm.get_decoder().layers.parameters()), scored * head.in_features


def _size(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _cost(flops: float, read: float, machine: Machine) -> PartCost:
    limit = max(flops / (machine.gflops["bfloat16"] * 1e9), read / (machine.bandwidth * 1e9))
    return PartCost(flops / 1e9, read / 1e9, limit)
