"""Throughput of a preset's sizes with random weights on one device, beside the device's limit.

Sizes decide the time of a model, not the values of its weights. So a model of any size is measured without a download.
Prompts and sentences have fixed lengths.
"""

from __future__ import annotations

import statistics
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from semantic_cc.bench.machine import Machine, measure_machine
from semantic_cc.bench.model_cost import PartCost, count_batch_costs
from semantic_cc.bench.model_parts import counted_by_part
from semantic_cc.bench.timing import time_in_turns
from semantic_cc.checkpoint.meta_model import random_model
from semantic_cc.compute_device import enough_memory, find_device, is_out_of_memory
from semantic_cc.config import load_config
from semantic_cc.errors import DeviceMemoryError, InputError
from semantic_cc.model.base import device_time
from semantic_cc.model.caption_decoder import CaptionDecoder
from semantic_cc.model.semantic_cc import SemanticCCModel
from semantic_cc.progress import Advance
from semantic_cc.runtime.torch_runtime import TorchRuntime, check_compiled
from semantic_cc.types import Json, to_json_value

PROMPT_TOKENS, SENTENCE_TOKENS = 90, 16
"""Tokens of a prompt, with the visual tokens, and of a sentence."""


@dataclass(frozen=True, kw_only=True)
class RandomWeightsOptions:
    """What is measured.

    Attributes:
        config: a preset, or a YAML file of a configuration.
        device: as in `SemanticCC.from_pretrained`.
        compiled: as in `SemanticCC.from_pretrained`.
        rounds: counted runs of each piece of work, which take turns.
        batches: batch sizes.
    """

    config: str
    device: str | None = None
    compiled: bool = False
    rounds: int = 5
    batches: tuple[int, ...] = (1, 4, 8, 16, 32)


@dataclass(frozen=True)
class RandomWeightsBatch:
    """Masks and sentences of one batch, under one instruction; times are medians.

    Attributes:
        pairs: batch size.
        described: pairs a second.
        tokens: tokens of the sentences a second, in the step that writes them.
        parts: part -> seconds of the batch. The parts of `costs`; "other" is all that the rest leaves of the whole,
            copies to and from the device among it.
        costs: part -> operations and bytes of the batch, see `count_batch_costs`.
        reached: part -> least time over measured time, in [0, 1], but of "other"; "in all" = of the whole.
        peak_gigabytes: most memory of tensors on the GPU, if `compiled` with the caches of other batch sizes; None on
            a CPU.
    """

    pairs: int
    described: float
    tokens: float
    parts: dict[str, float]
    costs: dict[str, PartCost]
    reached: dict[str, float]
    peak_gigabytes: float | None


@dataclass(frozen=True)
class RandomWeightsReport:
    """All measurements of a run.

    Attributes:
        machine: the machine and the limits of the device.
        config: as in the options.
        device: type of the device.
        parameters: number of the model's parameters.
        autocast: whether the vision part multiplies in bfloat16.
        llm_dtype: type of the language model's weights.
        compiled: whether greedy search ran a compiled step.
        image_size: pixels a side of the pairs.
        prompt_tokens: tokens of each prompt, with the visual tokens.
        sentence_tokens: tokens of each sentence.
        beams: beams of the search; 1 = greedy search.
        batches: by batch size.
    """

    machine: Machine
    config: str
    device: str
    parameters: int
    autocast: bool
    llm_dtype: str
    compiled: bool
    image_size: int
    prompt_tokens: int
    sentence_tokens: int
    beams: int
    batches: tuple[RandomWeightsBatch, ...]

    def to_json(self) -> Json:
        """Plain values."""
        return to_json_value(self)


def bench_random_weights(
    options: RandomWeightsOptions, progress: Advance | None = None
) -> RandomWeightsReport:
    """Measures a model with random weights. Every pair gets a sentence.

    Args:
        options: what is measured.
        progress: called with (step, done, of all).

    Raises:
        ConfigError: there is no such preset or file.
        InputError: a number is below 1, no such device, another method than semantic-cc, or `compiled` cannot be.
        FoundationWeightsError: the sizes of the language model are unknown.
        DeviceMemoryError: the memory does not suffice for the weights, or for a batch.
    """
    if min(options.rounds, *options.batches) < 1:
        raise InputError("bench: rounds and batch sizes must be at least 1")
    config = load_config(options.config).model
    if config.method != "semantic-cc":
        raise InputError(
            f"bench: --random-weights needs the method semantic-cc, but {options.config} has {config.method}; "
            "give another preset"
        )
    config = replace(config, flag_head=False, llm=replace(config.llm, max_new_tokens=SENTENCE_TOKENS))
    device = find_device(options.device)
    if options.compiled:
        check_compiled(config, device)
    machine = measure_machine(device)
    try:
        model = random_model(config, device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceMemoryError(
            f"{device} has not enough memory for the weights of {options.config}; use a smaller preset"
        ) from error
    assert isinstance(model, SemanticCCModel)
    if device.type == "cpu":
        model.caption_decoder.llm.float()  # as a model that is loaded
    prompt, instruction = _fix_lengths(model.caption_decoder)
    runtime = TorchRuntime(model, device, options.compiled)
    measured = _Measured(runtime, model, instruction, max(options.batches))
    work: dict[str, Callable[[], object]] = {}
    for size in options.batches:
        work[f"described {size}"] = partial(measured.describe, size)
        work[f"parts {size}"] = partial(measured.split, size)
    timings = time_in_turns(work, options.rounds, partial(progress, "batches") if progress else None)
    side = config.encoder.image_size
    costs = count_batch_costs(model, side, options.batches, prompt, SENTENCE_TOKENS, machine)
    return RandomWeightsReport(
        machine=machine,
        config=options.config,
        device=device.type,
        parameters=sum(value.numel() for value in model.parameters()),
        autocast=runtime.autocast,
        llm_dtype=str(model.caption_decoder.llm.dtype).removeprefix("torch."),
        compiled=options.compiled,
        image_size=side,
        prompt_tokens=prompt,
        sentence_tokens=SENTENCE_TOKENS,
        beams=model.caption_decoder.beams,
        batches=tuple(
            _batch(size, timings[f"described {size}"].median, measured, costs[size])
            for size in options.batches
        ),
    )


@torch.no_grad()
def _fix_lengths(decoder: CaptionDecoder) -> tuple[int, str]:
    """Lets sentences consist of letters only, so that none ends early; returns the prompt's tokens and an instruction.

    The placeholder tokenizer makes one token of each letter.
    """
    prompter = decoder.prompter
    head = decoder.llm.get_output_embeddings().weight
    letters = prompter.ids(string.ascii_lowercase)
    kept = head[letters].clone()
    head.zero_()
    head[letters] = kept
    others = len(prompter.start_ids) + decoder.queries.shape[1] + len(prompter.rest_ids(""))
    instruction = "x" * max(1, PROMPT_TOKENS - others)
    return others + len(instruction), instruction


class _Measured:
    """Runs batches and keeps the seconds of their parts.

    Args:
        runtime, model: the model and its runtime.
        instruction: of all pairs.
        most: largest batch.
    """

    def __init__(self, runtime: TorchRuntime, model: SemanticCCModel, instruction: str, most: int) -> None:
        self._runtime, self._model, self._asked = runtime, model, [instruction]
        side = model.config.encoder.image_size
        self._before, self._after = np.random.default_rng(0).integers(
            0, 256, (2, most, side, side, 3), np.uint8
        )
        self.seconds: dict[int, dict[str, list[float]]] = {}
        """Batch size -> part -> seconds of each run, the first of which compiles and allocates."""
        self.peaks: dict[int, float] = {}
        """Batch size -> most gigabytes of tensors on the GPU."""

    def describe(self, size: int) -> None:
        """Masks and sentences, undisturbed."""
        device = self._runtime.torch_device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        timings = self._predict(size)
        if device.type == "cuda":
            self.peaks[size] = torch.cuda.max_memory_allocated(device) / 1e9
        self._keep(size, {"sentence": timings["sentence"]})

    def split(self, size: int) -> None:
        """Masks and the first token of the sentences, with a clock at each part, for which the GPU is waited for."""
        decoder = self._model.caption_decoder
        decoder.max_new_tokens = 1
        try:
            with counted_by_part(self._model, partial(device_time, self._runtime.torch_device)) as parts:
                timings = self._predict(size)
        finally:
            decoder.max_new_tokens = SENTENCE_TOKENS
        self._keep(size, {**parts, "first token": timings["sentence"]})

    def _predict(self, size: int) -> dict[str, float]:
        before, after = self._before[:size], self._after[:size]
        with enough_memory(before.shape):
            return dict(self._runtime.predict(before, after, self._asked).timings)

    def _keep(self, size: int, parts: dict[str, float]) -> None:
        for part, seconds in parts.items():
            self.seconds.setdefault(size, {}).setdefault(part, []).append(seconds)


def _batch(size: int, whole: float, measured: _Measured, costs: dict[str, PartCost]) -> RandomWeightsBatch:
    parts = {part: statistics.median(seconds[1:]) for part, seconds in measured.seconds[size].items()}
    sentence, first = parts.pop("sentence"), parts.pop("first token")
    parts["prompt"] = first - parts["Q-Former"]
    parts["generation"] = sentence - first
    parts["other"] = max(0.0, whole - sum(parts.values()))
    reached = {part: cost.limit / parts[part] for part, cost in costs.items() if part != "other"}
    return RandomWeightsBatch(
        pairs=size,
        described=size / whole,
        tokens=size * SENTENCE_TOKENS / sentence,
        parts=parts,
        costs=costs,
        reached={**reached, "in all": sum(cost.limit for cost in costs.values()) / whole},
        peak_gigabytes=measured.peaks.get(size),
    )
