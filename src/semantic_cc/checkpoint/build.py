"""Builds every module of a model from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from peft import LoraConfig as PeftLora
from peft import inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.initialization import no_init_weights

from semantic_cc.baselines.build import build_baseline
from semantic_cc.config import EncoderConfig, LoraConfig, ModelConfig, NeckConfig
from semantic_cc.foundation.llm import LanguageModel, keep_layers, load_llm
from semantic_cc.foundation.parts import Part, load_part, read_named
from semantic_cc.foundation.tensor_shapes import qformer_part, sam_vision
from semantic_cc.model.answers import beam_width
from semantic_cc.model.base import ChangeModel
from semantic_cc.model.bcsf import BCSF
from semantic_cc.model.caption_decoder import CaptionDecoder
from semantic_cc.model.change_decoder import ChangeDecoder
from semantic_cc.model.encoder import BitemporalEncoder, filtered_layers
from semantic_cc.model.enhancer import Enhancer
from semantic_cc.model.hybrid import LEVEL_CHANNELS
from semantic_cc.model.keyword_head import KeywordHead
from semantic_cc.model.neck import (
    AggregationNeck,
    AggregationUnit,
    BilinearAttention,
    CrossAttention,
    intra_task_attention,
)
from semantic_cc.model.prompter import TEMPLATES, Prompter
from semantic_cc.model.qformer import QFormer, start_on_grid
from semantic_cc.model.semantic_cc import SemanticCCModel


def build_model(
    config: ModelConfig, seed: int = 0, llm: LanguageModel | None = None, adapters: bool = True
) -> ChangeModel:
    """Builds the model of `config.method` with its initial weights. The encoder's are the same for every method.

    Args:
        config: all sizes, and the foundation weights to start from.
        seed: seed of all weights that are not loaded.
        llm: an already loaded language model; None loads `config.llm` if the method needs one.
        adapters: whether to add LoRA; off for a merged checkpoint.

    Raises:
        FoundationWeightsError, CheckpointError: see `load_llm` and `read_named`.
    """
    parts = read_parts(config)
    if config.has_llm:
        llm = llm or load_llm(config.llm)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(config, llm, parts, adapters)
    model.foundation = {name: part.digest for name, part in parts.items()}
    if llm:
        model.foundation["llm"] = llm.digest
    return model


def _build(
    config: ModelConfig, llm: LanguageModel | None, parts: Mapping[str, Part], adapters: bool
) -> ChangeModel:
    encoder = build_encoder(config.encoder, parts.get("encoder"), adapters) if config.has_sam else None
    if config.method == "semantic-cc" and encoder and llm:
        return build_semantic_cc(config, encoder, llm, parts, adapters)
    return build_baseline(config, encoder, llm)


def read_parts(config: ModelConfig) -> dict[str, Part]:
    """The foundation weights that `config` names: encoder, qformer, enhancer; parts without a name are omitted."""
    parts = [read_named("encoder", config.encoder.weights)]
    if config.method == "semantic-cc":
        parts.append(read_named("qformer", config.qformer.weights))
        parts.append(read_named("enhancer", config.enhancer.weights))
    return {part.name: part for part in parts if part}


def build_semantic_cc(
    config: ModelConfig,
    encoder: BitemporalEncoder,
    llm: LanguageModel,
    parts: Mapping[str, Part],
    adapters: bool = True,
) -> SemanticCCModel:
    """Adds neck and decoders to the encoder."""
    return SemanticCCModel(
        config,
        encoder=encoder,
        neck=build_neck(config.neck, config.encoder) if config.change_task else None,
        change_decoder=build_change_decoder(config) if config.change_task else None,
        caption_decoder=build_caption_decoder(config, llm, parts, adapters),
    )


def build_encoder(
    config: EncoderConfig, weights: Part | None = None, adapters: bool = True
) -> BitemporalEncoder:
    """SAM's ViT (with pretrained weights if given), optional LoRA, and the filters."""
    with unfilled(weights is not None):
        vision = sam_vision(config)
        nn.init.trunc_normal_(vision.pos_embed, std=0.02)
    if weights:
        load_part(vision, weights)
    if config.adapt == "lora" and adapters:
        add_lora(vision, config.lora, ("qkv",))
    layers = filtered_layers(config) if config.bcsf else []
    return BitemporalEncoder(
        vision, {i: BCSF(config.width, config.image_size // config.patch) for i in layers}
    )


def unfilled(wanted: bool = True) -> AbstractContextManager[None]:
    """Context in which modules skip random initialisation (seconds at full size), for weights that are loaded later."""
    return no_init_weights() if wanted else nullcontext()


def add_lora(module: nn.Module, config: LoraConfig, targets: tuple[str, ...]) -> None:
    """Adds LoRA adapters to the named linear layers, in float32 for any base type."""
    lora = PeftLora(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        bias="none",
        target_modules=list(targets),
    )
    inject_adapter_in_model(lora, module)
    for name, parameter in module.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()


def merge_lora(model: nn.Module) -> None:
    """Merges every adapter into its base layer (W + scaled BA) and removes it; quantised layers keep theirs."""
    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer) and module.get_base_layer().weight.is_floating_point():
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.get_base_layer())


def build_neck(config: NeckConfig, encoder: EncoderConfig) -> AggregationNeck:
    """N units, in both directions or only from change detection to captioning."""
    change, caption = encoder.change_width, encoder.width

    def inter(width: int, other: int, heads: int) -> nn.Module:
        if config.attention == "cross":
            return CrossAttention(width, other, heads)
        return BilinearAttention(width, other, tensor=config.similarity == "tensor")

    return AggregationNeck(
        [
            AggregationUnit(
                intra_change=intra_task_attention(change, config.change_heads),
                intra_caption=intra_task_attention(caption, config.caption_heads),
                into_caption=inter(caption, change, config.caption_heads),
                into_change=inter(change, caption, config.change_heads)
                if config.directions == "both"
                else None,
            )
            for _ in range(config.units)
        ]
    )


def build_change_decoder(config: ModelConfig) -> ChangeDecoder:
    """SimpleFPN decoder at the width of SAM's neck."""
    encoder, decoder = config.encoder, config.change_decoder
    return ChangeDecoder(
        encoder.change_width, decoder.width, decoder.classes, encoder.patch,
        detail=decoder.detail, laterals=decoder.laterals, trunk=LEVEL_CHANNELS if encoder.hybrid else {},
        norm=decoder.norm,
    )  # fmt: skip


def build_caption_decoder(
    config: ModelConfig, llm: LanguageModel, parts: Mapping[str, Part] | None = None, adapters: bool = True
) -> CaptionDecoder:
    """Q-Former, enhancer, optional flag head, and the LLM with its adapters."""
    parts = parts or {}
    qformer, enhancer, width = config.qformer, config.enhancer, config.encoder.width
    if config.change_decoder.caption_features:
        width += config.change_decoder.channels + config.mask_classes
    llm_width = llm.model.config.get_text_config().hidden_size
    before = enhancer.position == "before"
    # without enhancer: the dates are concatenated and projected, eq. 8 without gates and difference
    active = enhancer.position != "off"
    llm.model.requires_grad_(False)
    if adapters:
        add_lora(llm.model, config.llm.lora, config.llm.lora_targets)
    with unfilled("qformer" in parts):
        reader = QFormer(qformer)
    queries = nn.Parameter(0.02 * torch.randn(1, qformer.queries, qformer.width))
    if qformer.positions:
        start_on_grid(reader, queries)
    decoder = CaptionDecoder(
        project=None if before else nn.Linear(width, qformer.encoder_width),
        ln_vision=nn.LayerNorm(qformer.encoder_width),
        queries=queries,
        qformer=reader,
        enhancer=Enhancer(
            width if before else qformer.width,
            qformer.encoder_width if before else llm_width,
            activation=active and enhancer.activation,
            subtraction=active and enhancer.subtraction,
        ),
        to_llm=nn.Linear(qformer.width, llm_width) if before else None,
        flag=nn.Linear(llm_width, 1) if config.flag_head else None,
        keyword_head=untrained_keyword_head(config, llm_width) if config.keywords else None,
        keywords=config.keywords,
        llm=llm.model,
        prompter=Prompter(llm.tokenizer, TEMPLATES[config.llm.template], config.llm.vocabulary),
        max_new_tokens=config.llm.max_new_tokens,
        beams=beam_width(config),
        mask_weight=config.ensemble.mask,
        keyword_weight=config.ensemble.keywords,
    )
    if "qformer" in parts:
        load_part(qformer_part(decoder.queries, decoder.ln_vision, decoder.qformer), parts["qformer"])
    if "enhancer" in parts:
        start_from_projection(decoder, parts["enhancer"])
    return decoder


def untrained_keyword_head(config: ModelConfig, width: int) -> KeywordHead:
    """A frozen keyword head that returns 0 for every keyword, until its own training phase replaces it."""
    head = KeywordHead(width, len(config.keywords), config.mask_classes)
    return head.zero_init(config.qformer.queries).requires_grad_(False)


def with_decoding_of(config: ModelConfig, other: ModelConfig) -> ModelConfig:
    """`config` with the fields of decoding of `other`, on which no weight depends, and with its keywords."""
    llm = replace(
        config.llm,
        beams=other.llm.beams,
        max_new_tokens=other.llm.max_new_tokens,
        min_count=other.llm.min_count,
        vocabulary=other.llm.vocabulary,
    )
    return replace(config, llm=llm, decoding=other.decoding, ensemble=other.ensemble, keywords=other.keywords)


def change_decoding(model: ChangeModel, config: ModelConfig) -> None:
    """Gives a model the fields of `with_decoding_of`. With other keywords, its keyword head is untrained."""
    decoder: Any = model.caption_decoder
    if tuple(decoder.keywords) != config.keywords:
        head = untrained_keyword_head(config, decoder.llm_width) if config.keywords else None
        decoder.keyword_head, decoder.keywords = head, config.keywords
    decoder.max_new_tokens, decoder.beams = config.llm.max_new_tokens, beam_width(config)
    decoder.mask_weight, decoder.keyword_weight = config.ensemble.mask, config.ensemble.keywords
    decoder.prompter = Prompter(decoder.prompter.tokenizer, decoder.prompter.template, config.llm.vocabulary)
    model.config = with_decoding_of(model.config, config)


def with_language_model_of(config: ModelConfig, other: ModelConfig) -> ModelConfig:
    """`config` with the language model's layers and adapted linear layers of `other`, where
    `change_language_model` can give them: no layer that `config` lacks, and no adapter less."""
    own, wanted = config.llm, other.llm
    has_layers = not own.layers or (bool(wanted.layers) and set(wanted.layers) <= set(own.layers))
    if not has_layers or not set(own.lora_targets) <= set(wanted.lora_targets):
        return config
    return replace(config, llm=replace(own, layers=wanted.layers, lora_targets=wanted.lora_targets))


def change_language_model(model: ChangeModel, config: ModelConfig) -> None:
    """Gives a model with adapters the fields of `with_language_model_of`.

    The layers that it keeps keep their adapters; linear layers that had none get untrained ones.

    Raises:
        ConfigError: see `keep_layers`.
    """
    own, wanted = model.config.llm, config.llm
    llm: Any = model.llm
    if wanted.layers != own.layers:
        keep_layers(llm, [own.layers.index(n) for n in wanted.layers] if own.layers else wanted.layers)
    further = tuple(name for name in wanted.lora_targets if name not in own.lora_targets)
    if further:
        add_lora(llm, wanted.lora, further)
    model.config = with_language_model_of(model.config, config)


def start_from_projection(decoder: CaptionDecoder, weights: Part) -> None:
    """Loads MiniGPT-4's projection into the layer between Q-Former and LLM."""
    projection = nn.Linear(decoder.queries.shape[-1], decoder.llm_width)
    load_part(nn.ModuleDict({"llama_proj": projection}), weights)
    if decoder.to_llm is None:
        decoder.enhancer.start_from(projection)
    else:
        decoder.to_llm.load_state_dict(projection.state_dict())
