"""What can be configured: dataclasses whose defaults are the paper's values and whose docstrings are the help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters (paper IV-C): y = Wx + (alpha / rank) B A x, without bias.

    Args:
        rank: inner width of the adapter.
        alpha: scale of the adapter, divided by the rank.
        dropout: dropout probability on the adapter's input, in [0, 1).
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05


@dataclass(frozen=True)
class EncoderConfig:
    """Bi-temporal SAM encoder (paper III-B); the defaults are SAM ViT-L at 256 px.

    Args:
        width: channels c of a token.
        depth: Transformer layers.
        heads: attention heads.
        window: side of the attention windows, in tokens.
        global_layers: layers with global attention, counted from 0.
        image_size: side in pixels that the position tables and channel filters are made for.
        change_width: channels of SAM's neck, the tier that change detection reads.
        bcsf: whether the bi-temporal change semantic filters (eqs. 2, 3) are there.
        bcsf_after: the layers they follow: the four global ones (paper) or every window layer.
        adapt: what of SAM trains: LoRA on every layer's qkv, or all weights (no pretrained encoder).
        lora: the adapters, read when adapt is lora.
        weights: SAM's weights: sam-vit-base, sam-vit-large or sam-vit-huge once converted (semantic-cc weights),
            or a .safetensors file; null for a random start; position tables of another size are resampled.
    """

    width: int = 1024
    depth: int = 24
    heads: int = 16
    window: int = 14
    global_layers: tuple[int, ...] = (5, 11, 17, 23)
    image_size: int = 256
    change_width: int = 256
    bcsf: bool = True
    bcsf_after: Literal["global", "window"] = "global"
    adapt: Literal["lora", "full"] = "lora"
    lora: LoraConfig = field(default_factory=LoraConfig)
    weights: str | None = None


@dataclass(frozen=True)
class NeckConfig:
    """Multi-task semantic aggregation neck (paper III-C).

    Args:
        units: number N of aggregation units.
        attention: inter-task attention: bilinear similarity (eq. 5) or multi-head cross-attention (Neck_cs).
        similarity: the bilinear W: a matrix with one score a position, or the released code's tensor with
            one score a channel (only with directions cd_to_cc).
        directions: both tasks learn from each other, or captioning from change detection alone.
        caption_heads: attention heads of the captioning stream.
        change_heads: attention heads of the change-detection stream.
    """

    units: int = 3
    attention: Literal["bilinear", "cross"] = "bilinear"
    similarity: Literal["matrix", "tensor"] = "matrix"
    directions: Literal["both", "cd_to_cc"] = "both"
    caption_heads: int = 16
    change_heads: int = 8


@dataclass(frozen=True)
class ChangeDecoderConfig:
    """Change detection decoder (paper III-D, eq. 6).

    Args:
        width: channels of each pyramid level.
        classes: 1 = building change (binary, eq. 9); 3 = none, road, building (LEVIR-MCI).
    """

    width: int = 512
    classes: Literal[1, 3] = 1


@dataclass(frozen=True)
class QFormerConfig:
    """Q-Former (paper III-E), BLIP-2's geometry by default.

    Args:
        queries: number q of learned queries, also the number of visual tokens the LLM sees.
        width: hidden width d.
        layers: Transformer layers; every second one has cross-attention.
        heads: attention heads.
        encoder_width: width of the visual tokens it reads, after `Linear c -> encoder_width`.
        positions: whether those tokens get 2-D sine positions, and the queries start on a grid of the picture:
            what a Q-Former without pretraining needs to learn places from few pairs.
        text: whether it also reads the instruction (InstructBLIP's form; eq. 7 can be read so).
        frozen: whether Q-Former and queries keep their weights (pretrained) or train.
        weights: BLIP-2's weights for Q-Former, queries and ln_vision: blip2 once converted (semantic-cc weights),
            or a .safetensors file; null for a random start.
    """

    queries: int = 32
    width: int = 768
    layers: int = 12
    heads: int = 12
    encoder_width: int = 1408
    positions: bool = False
    text: bool = False
    frozen: bool = True
    weights: str | None = None


@dataclass(frozen=True)
class EnhancerConfig:
    """Change semantic feature enhancer (eq. 8) and the variants of Table III.

    Args:
        position: after the Q-Former (paper), before it (at encoder width), or off (dates only joined).
        activation: the gates of the first two formulas; off = gates 1.
        subtraction: the third block, the difference of the dates.
        weights: MiniGPT-4's projection to start from: minigpt4-7b once converted (semantic-cc weights), or a
            .safetensors file; null starts from the dates' difference.
    """

    position: Literal["after", "before", "off"] = "after"
    activation: bool = True
    subtraction: bool = True
    weights: str | None = None


@dataclass(frozen=True)
class LLMConfig:
    """The language model that writes the sentence.

    Args:
        name: vicuna-7b, smollm2-135m-instruct or another name in the cache (semantic-cc weights), random (a seeded
            LLaMA of a few layers, for tests), a local directory in the Hugging Face layout, a GGUF file, or a hub id.
        template: prompt template and end mark: minigpt4 (Vicuna) or chatml (SmolLM2).
        lora: the adapters.
        lora_targets: names of the linear layers that get adapters.
        dtype: type of the frozen base weights.
        max_new_tokens: longest answer, in tokens.
        random_width: hidden width of the random LLaMA.
        random_layers: layers of the random LLaMA.
        random_seed: seed of the random LLaMA's weights.
    """

    name: str = "vicuna-7b"
    template: Literal["minigpt4", "chatml"] = "minigpt4"
    lora: LoraConfig = field(default_factory=LoraConfig)
    lora_targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    max_new_tokens: int = 48
    random_width: int = 32
    random_layers: int = 2
    random_seed: int = 0


@dataclass(frozen=True)
class ModelConfig:
    """The whole model (paper Fig. 1).

    Args:
        encoder: bi-temporal SAM encoder.
        change_task: whether the change-detection branch and the neck are there; off = captioning alone.
        neck: multi-task neck, read when change_task is on.
        change_decoder: mask decoder, read when change_task is on.
        qformer: Q-Former.
        enhancer: difference enhancer.
        llm: language model.
        flag_head: the optional change-flag head on the mean of the visual tokens.
        decoding: consensus over the four instructions (the multi-output ensemble), or greedy under one.
    """

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    change_task: bool = True
    neck: NeckConfig = field(default_factory=NeckConfig)
    change_decoder: ChangeDecoderConfig = field(default_factory=ChangeDecoderConfig)
    qformer: QFormerConfig = field(default_factory=QFormerConfig)
    enhancer: EnhancerConfig = field(default_factory=EnhancerConfig)
    llm: LLMConfig = field(default_factory=LLMConfig)
    flag_head: bool = False
    decoding: Literal["consensus", "greedy"] = "consensus"


@dataclass(frozen=True)
class OptimConfig:
    """AdamW and its one schedule over all steps (paper IV-C): linear warm-up, then cosine to zero.

    Args:
        lr: peak learning rate.
        weight_decay: decoupled weight decay.
        warmup: share of all steps spent warming up, in [0, 1).
        max_grad_norm: gradients are clipped to this norm; null = not clipped (the paper does not say).
    """

    lr: float = 1e-4
    weight_decay: float = 0.05
    warmup: float = 0.03
    max_grad_norm: float | None = None


@dataclass(frozen=True)
class TrainConfig:
    """The staged training loop (paper III-F, Table IV).

    Args:
        init: folder of a trained model to go on from, under a new schedule; null = start anew.
        strategy: three stages (paper), two (i, ii), or one (everything together).
        epochs: each epoch runs every stage once.
        change_batch: batch size of stage i.
        caption_batch: batch size of stage ii.
        joint_batch: batch size of stage iii and of the one-stage strategy.
        change_items: items stage i draws per epoch; null = all, 0 = the stage is left out.
        caption_items: items stage ii draws per epoch; null = all, 0 = the stage is left out.
        joint_items: items stage iii (or the single stage) draws per epoch; null = all, 0 = left out.
        sentences: sentences of a pair that stages with captions draw at each visit, at most all it has.
        change_weight: the factor lambda of eq. 9.
        flag_weight: weight of the change-flag head's loss beside the caption loss.
        augment: random flips, turns, exchange of the dates, shifts, light, blur and JPEG, with the sentence
            rewritten where it is read, and crops where none is (docs/augmentation.md).
        precision: float32, or bfloat16 autocast.
        seed: seed of initial weights, sampling and augmentation.
        checkpoint_every: optimiser steps between checkpoints of the training state.
        val_items: pairs of the val split scored after each epoch, drawn with seed 0; 0 = no validation.
        val_metric: by which the best model is kept: CIDEr of all validated pairs, F1 of building change, or
            accuracy of the change flag.
        patience: epochs without a better model after which the run stops; null = it never stops early.
    """

    init: str | None = None
    strategy: Literal["three_stage", "two_stage", "one_stage"] = "three_stage"
    epochs: int = 300
    change_batch: int = 1
    caption_batch: int = 1
    joint_batch: int = 1
    change_items: int | None = None
    caption_items: int | None = None
    joint_items: int | None = None
    sentences: int = 1
    change_weight: float = 0.5
    flag_weight: float = 1.0
    augment: bool = False
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    seed: int = 0
    checkpoint_every: int = 500
    val_items: int = 0
    val_metric: Literal["cider", "building_f1", "flag"] = "cider"
    patience: int | None = None


@dataclass(frozen=True)
class Config:
    """Everything a training run needs.

    Args:
        preset: the preset this configuration starts from, for example small or paper+table2-bcsf.
        data: the dataset (docs/data.md names the layouts), or a list of several to be joined.
        out: folder for the log, the checkpoints and the trained model.
        model: the model.
        optim: optimiser and schedule.
        train: the training loop.
    """

    preset: str = "paper"
    data: str | tuple[str, ...] = "data"
    out: str = "runs/out"
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
