"""Builds every part from its configuration: all sizes on one screen."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig as PeftLora
from peft import inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionEncoder

from semantic_cc.config import EncoderConfig, LoraConfig, ModelConfig, NeckConfig
from semantic_cc.model.bcsf import BCSF
from semantic_cc.model.caption_decoder import CaptionDecoder
from semantic_cc.model.change_decoder import ChangeDecoder
from semantic_cc.model.encoder import PATCH, BitemporalEncoder
from semantic_cc.model.enhancer import Enhancer
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
from semantic_cc.model.weights import LanguageModel, load_llm, load_sam


def build_model(config: ModelConfig, seed: int = 0, llm: LanguageModel | None = None) -> SemanticCCModel:
    """The model at its starting weights.

    Args:
        config: all sizes.
        seed: seed of every weight that is not loaded.
        llm: a language model already at hand; None loads the one that `config.llm` names.

    Raises:
        FoundationWeightsError, CheckpointError: see `load_llm` and `load_sam`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SemanticCCModel(
            config,
            encoder=build_encoder(config.encoder),
            neck=build_neck(config.neck, config.encoder) if config.change_task else None,
            change_decoder=build_change_decoder(config) if config.change_task else None,
            caption_decoder=build_caption_decoder(config, llm or load_llm(config.llm)),
        )


def build_encoder(config: EncoderConfig) -> BitemporalEncoder:
    """SAM's ViT (pretrained where weights are named), LoRA where asked for, and the filters."""
    vision = SamVisionEncoder(
        SamVisionConfig(
            hidden_size=config.width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            mlp_dim=4 * config.width,
            window_size=config.window,
            global_attn_indexes=list(config.global_layers),
            image_size=config.image_size,
            patch_size=PATCH,
            output_channels=config.change_width,
            initializer_range=0.02,  # transformers' 1e-10 is of no use from scratch
        )
    )
    nn.init.trunc_normal_(vision.pos_embed, std=0.02)
    if config.weights:
        load_sam(vision, Path(config.weights))
    if config.adapt == "lora":
        add_lora(vision, config.lora, ("qkv",))
    has_filter = {
        i: (i in config.global_layers) == (config.bcsf_after == "global") for i in range(config.depth)
    }
    layers = [i for i, wanted in has_filter.items() if wanted and config.bcsf]
    return BitemporalEncoder(vision, {i: BCSF(config.width, config.image_size // PATCH) for i in layers})


def add_lora(module: nn.Module, config: LoraConfig, targets: tuple[str, ...]) -> None:
    """Adapters on the named linear layers, in float32 whatever the base's type."""
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
    """Folds every adapter into its base layer (W + scaled BA) and removes it."""
    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.get_base_layer())


def build_neck(config: NeckConfig, encoder: EncoderConfig) -> AggregationNeck:
    """N units; both directions or change detection into captioning alone."""
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
    """SimpleFPN decoder over SAM's neck width."""
    return ChangeDecoder(
        config.encoder.change_width, config.change_decoder.width, config.change_decoder.classes
    )


def build_caption_decoder(config: ModelConfig, llm: LanguageModel) -> CaptionDecoder:
    """Q-Former, enhancer in its place, optional flag head, and the LLM with its adapters."""
    qformer, enhancer, width = config.qformer, config.enhancer, config.encoder.width
    llm_width = llm.model.config.get_text_config().hidden_size
    before = enhancer.position == "before"
    # enhancer off: the dates are joined and projected, which is eq. 8 without gates and difference
    active = enhancer.position != "off"
    llm.model.requires_grad_(False)
    add_lora(llm.model, config.llm.lora, config.llm.lora_targets)
    reader = QFormer(qformer, vocabulary=len(llm.tokenizer))
    queries = nn.Parameter(0.02 * torch.randn(1, qformer.queries, qformer.width))
    if qformer.positions:
        start_on_grid(reader, queries)
    return CaptionDecoder(
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
        llm=llm.model,
        prompter=Prompter(llm.tokenizer, TEMPLATES[config.llm.template]),
        max_new_tokens=config.llm.max_new_tokens,
    )
