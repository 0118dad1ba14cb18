"""Builds a compared method on the encoder that all methods share."""

from __future__ import annotations

from semantic_cc.baselines.rsiccformer import build_rsiccformer
from semantic_cc.config import ModelConfig
from semantic_cc.model.encoder import BitemporalEncoder
from semantic_cc.model.method import ChangeModel
from semantic_cc.model.weights import LanguageModel


def build_baseline(
    config: ModelConfig, encoder: BitemporalEncoder, llm: LanguageModel | None = None
) -> ChangeModel:
    """The method that `config.method` names, at random weights but for encoder and language model.

    Args:
        config: all sizes.
        encoder: built, without BCSF.
        llm: the language model, for methods that have one.

    Raises:
        ValueError: the method is none of those compared.
    """
    match config.method:
        case "rsiccformer":
            return build_rsiccformer(config, encoder)
    raise ValueError(f"{config.method} is no compared method")
