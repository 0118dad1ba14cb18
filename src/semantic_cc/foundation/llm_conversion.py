"""Loads complete language models, and converts them to safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from semantic_cc.errors import CheckpointError, one_line
from semantic_cc.foundation.weight_files import is_finite


def convert(given: Path, folder: Path) -> None:
    """Writes a GGUF file, or a folder with pickles, to `folder` as safetensors with a tokenizer.

    Raises:
        CheckpointError: no complete language model in it.
    """
    place = {"gguf_file": given.name} if given.is_file() else {}
    home = given.parent if given.is_file() else given
    model = whole_model(home, dtype="auto", **place)
    if place:
        model.hf_quantizer = None  # transformers still treats the model as quantised after dequantising
        del model.config.quantization_config
        model.is_quantized = False
        model.to(torch.bfloat16)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(home, **place).save_pretrained(folder)


def whole_model(folder: Path, **options: Any) -> PreTrainedModel:
    """Loads a complete causal LM: all tensors come from the files and are finite.

    Raises:
        CheckpointError: a tensor is missing, unknown, of the wrong shape or not finite, or there is no language model.
    """
    try:
        model, loading = AutoModelForCausalLM.from_pretrained(
            folder,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # rejected below, with their names
            **options,
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{folder} does not hold a language model: {one_line(error)}") from error
    problems = [f"{key} is missing" for key in sorted(loading["missing_keys"])]
    problems += [f"{key} is unknown" for key in sorted(loading["unexpected_keys"])]
    problems += [
        f"{key} is {tuple(given)}, the model needs {tuple(needed)}"
        for key, given, needed in sorted(loading["mismatched_keys"])
    ]
    problems += [
        f"{key} holds values that are not numbers"
        for key, value in model.named_parameters()
        if not is_finite(value)
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CheckpointError(f"{folder} does not hold a whole language model: {problems[0]}{more}")
    return model
