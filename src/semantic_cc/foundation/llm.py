"""Loads the language model of a configuration and its tokenizer, or a random one for tests."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from semantic_cc.config import LLMConfig
from semantic_cc.errors import CheckpointError, ConfigError, InputError, one_line
from semantic_cc.foundation.llm_conversion import whole_model
from semantic_cc.foundation.llm_files import find, llm_digest

LLMType = Literal["float32", "bfloat16", "int8", "int4"]
"""Types in which the weights of a language model can be loaded; int4 is NF4."""


@dataclass(frozen=True)
class LanguageModel:
    """A loaded LLM, its tokenizer and the digest of its weights."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    digest: str


def load_llm(config: LLMConfig, dtype: LLMType | None = None) -> LanguageModel:
    """Loads the base language model `config.name`, without adapters, in eval mode.

    Args:
        config: the language model's configuration.
        dtype: type of the weights, overrides `config.dtype`; ignored by the random LLM.

    Raises:
        FoundationWeightsError: not found; the message says what to put where.
        CheckpointError: the folder does not contain a causal LM.
        ConfigError: `config.layers` names a layer that the language model lacks.
        InputError: `dtype` needs a library that is not installed.
    """
    if config.name == "random":
        loaded = _random_llm(config)
        keep_layers(loaded.model, config.layers)
        return loaded
    folder, digest = find(config.name)
    # eager attention halves the time of a training step with short sequences on a CPU
    attention = "sdpa" if torch.cuda.is_available() else "eager"
    model = whole_model(folder, attn_implementation=attention, **_types(dtype or config.dtype))
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} holds no tokenizer: {one_line(error)}") from error
    keep_layers(model, config.layers)
    return LanguageModel(model.eval(), tokenizer, digest)


def keep_layers(llm: PreTrainedModel, layers: Sequence[int]) -> None:
    """Removes all layers of a language model but those at `layers`, in place; no layers = keeps all.

    Raises:
        ConfigError: it lacks one of them.
    """
    if not layers:
        return
    body = llm.get_decoder()
    if layers[-1] >= len(body.layers):
        raise ConfigError(
            f"configuration: model.llm.layers names layer {layers[-1]}; the language model has layers 0 to "
            f"{len(body.layers) - 1}"
        )
    body.layers = nn.ModuleList([body.layers[number] for number in layers])
    for place, layer in enumerate(body.layers):
        layer.self_attn.layer_idx = place  # its place in the key-value cache
    llm.config.get_text_config().num_hidden_layers = len(layers)


def _types(dtype: str) -> dict[str, Any]:
    """The options of transformers' `from_pretrained` for a weight type."""
    if not dtype.startswith("int"):
        return {"dtype": getattr(torch, dtype)}
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(
            f"{dtype} weights of the language model need bitsandbytes: pip install 'semantic-cc[quantised]', or use "
            "bfloat16"
        )
    from transformers import BitsAndBytesConfig

    eight = BitsAndBytesConfig(load_in_8bit=True)
    four = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )
    return {"dtype": torch.bfloat16, "quantization_config": eight if dtype == "int8" else four}


def _random_llm(config: LLMConfig) -> LanguageModel:
    """A LLaMA with seeded random weights and a byte-level tokenizer."""
    tokenizer = byte_tokenizer()
    sizes = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=config.random_width,
        intermediate_size=2 * config.random_width,
        num_hidden_layers=config.random_layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.random_seed)
        model = LlamaForCausalLM(sizes).to(getattr(torch, config.dtype))
    return LanguageModel(model.eval(), tokenizer, llm_digest(config))


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with ChatML's marks; encodes any text and needs no download."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
