"""A model of a configuration's sizes, without reading weights: on the meta device, or with random values."""

from __future__ import annotations

import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

from semantic_cc.checkpoint.build import build_model
from semantic_cc.checkpoint.stored_parameters import without_weights
from semantic_cc.config import LLMConfig, ModelConfig
from semantic_cc.errors import FoundationWeightsError
from semantic_cc.foundation.catalogue import FOUNDATIONS
from semantic_cc.foundation.llm import LanguageModel, byte_tokenizer, keep_layers, load_llm
from semantic_cc.model.base import ChangeModel


def outline(config: ModelConfig) -> ChangeModel:
    """The model of `config` on the meta device; its prompter has a placeholder tokenizer.

    Raises:
        FoundationWeightsError: the LLM is neither a known name nor a folder, so its sizes are unknown.
    """
    llm = _llm(config.llm, torch.device("meta")) if config.has_llm else None
    with torch.device("meta"):
        model = build_model(without_weights(config), llm=llm).to("meta")
    if model.llm is not None:
        model.llm.tie_weights()  # moving to another device separates the tied weights
    return model


def random_model(config: ModelConfig, device: torch.device) -> ChangeModel:
    """The model of `config` with random weights, made on a device, without adapters, in eval mode.

    Its prompter has a placeholder tokenizer, and the language model has the type of `config`.

    Raises:
        FoundationWeightsError: as `outline`.
    """
    llm = _llm(config.llm, device) if config.has_llm else None
    with device:
        model = build_model(without_weights(config), llm=llm, adapters=False)
    return model.to(device).eval()


def _llm(config: LLMConfig, device: torch.device) -> LanguageModel:
    if config.name == "random":
        return load_llm(config)
    known = FOUNDATIONS.get(config.name)
    try:
        sizes = LlamaConfig(**known.sizes) if known else AutoConfig.from_pretrained(config.name)
    except (OSError, ValueError) as error:
        raise FoundationWeightsError(
            f"the sizes of the language model {config.name} are not known: give its folder as model.llm.name"
        ) from error
    with device:
        model = AutoModelForCausalLM.from_config(sizes, dtype=getattr(torch, config.dtype))
    keep_layers(model, config.layers)
    return LanguageModel(model, byte_tokenizer(), "none")
