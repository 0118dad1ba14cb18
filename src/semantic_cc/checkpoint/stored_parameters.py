"""Which tensors of a model come from foundation weights, and which a checkpoint stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from semantic_cc.config import ModelConfig


def as_stored(config: ModelConfig) -> ModelConfig:
    """The configuration that a checkpoint stores: without foundation weights that training only started from."""
    encoder, qformer = config.encoder, config.qformer
    return replace(
        config,
        encoder=encoder if encoder.adapt == "lora" else replace(encoder, weights=None),
        qformer=qformer if qformer.frozen else replace(qformer, weights=None),
        enhancer=replace(config.enhancer, weights=None),
    )


def foundation_parts(config: ModelConfig) -> dict[str, str]:
    """Part with frozen tensors from foundation weights -> the name of those weights."""
    kept = as_stored(config)
    names = {"encoder": kept.encoder.weights}
    if config.method == "semantic-cc":
        names["qformer"] = kept.qformer.weights
    if config.has_llm:
        names["llm"] = kept.llm.name
    return {part: name for part, name in names.items() if name}


def is_adapted(config: ModelConfig) -> bool:
    """Whether LoRA adapts any of these foundation weights."""
    return config.method == "semantic-cc" or config.encoder.adapt == "lora"


FROZEN = {
    "encoder": ("encoder.vision.",),
    "qformer": ("caption_decoder.qformer.", "caption_decoder.queries", "caption_decoder.ln_vision."),
    "llm": ("caption_decoder.llm.",),
}
"""Part -> prefixes of its tensor names."""


def own_parameter(config: ModelConfig) -> Callable[[str], bool]:
    """Returns a test by tensor name: whether the checkpoint stores it (all but foundation weights)."""
    given = tuple(start for part in foundation_parts(config) for start in FROZEN[part])
    return lambda name: "lora_" in name or not name.startswith(given)


def without_weights(config: ModelConfig) -> ModelConfig:
    """`config` without foundation weights except the language model's, for merged models, which store their own."""
    return replace(
        config,
        encoder=replace(config.encoder, weights=None),
        qformer=replace(config.qformer, weights=None),
        enhancer=replace(config.enhancer, weights=None),
    )
