"""The model's settings: dataclasses whose defaults are the paper's values and whose docstrings are the help."""

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
        patch: side of a token in pixels: SAM's 16, or 8 for small houses, without SAM's weights.
        hybrid: whether EfficientNet-Lite0's features, strides 4 to 16, join SAM's patch embedding (adapt: full).
        image_size: side in pixels that the position tables and channel filters are made for.
        change_width: channels of SAM's neck, whose output change detection reads.
        bcsf: whether the encoder has the bi-temporal change semantic filters (eqs. 2, 3).
        bcsf_after: the layers that the filters follow: the four global ones (paper) or every window layer.
        adapt: what trains in SAM: LoRA on every layer's qkv, all weights (no pretrained encoder), or nothing.
        lora: the adapters, read when adapt is lora.
        weights: SAM's weights: sam-vit-base, sam-vit-large or sam-vit-huge once converted (semantic-cc weights),
            or a .safetensors file; null for a random start; position tables of another size are resampled.
    """

    width: int = 1024
    depth: int = 24
    heads: int = 16
    window: int = 14
    global_layers: tuple[int, ...] = (5, 11, 17, 23)
    patch: Literal[8, 16] = 16
    hybrid: bool = False
    image_size: int = 256
    change_width: int = 256
    bcsf: bool = True
    bcsf_after: Literal["global", "window"] = "global"
    adapt: Literal["lora", "full", "frozen"] = "lora"
    lora: LoraConfig = field(default_factory=LoraConfig)
    weights: str | None = None


@dataclass(frozen=True)
class NeckConfig:
    """Multi-task semantic aggregation neck (paper III-C).

    Args:
        units: number N of aggregation units.
        attention: inter-task attention: bilinear similarity (eq. 5) or multi-head cross-attention (Neck_cs).
        similarity: the bilinear W: a matrix with one score per position, or the released code's tensor with one score
            per channel (only with directions cd_to_cc).
        directions: both = each task reads the other; cd_to_cc = only captioning reads change detection.
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
        detail: channels of the layers that correct its logits along edges of the images; 0 = none (the paper).
        laterals: whether the pyramid also reads the convolutional features of a hybrid encoder, at strides 2 to 16,
            and two 3x3 convolutions fuse its levels; off in the paper, whose encoder is not hybrid.
        caption_features: whether the caption decoder also reads this decoder's features and class probabilities, pooled
            to the tokens; off in the paper, where only the neck connects the tasks.
        norm: layer = LayerNorm over the channels of each pixel, as in SimpleFPN; group = GroupNorm over the image.
    """

    width: int = 512
    classes: Literal[1, 3] = 1
    detail: int = 0
    laterals: bool = False
    caption_features: bool = False
    norm: Literal["layer", "group"] = "layer"

    @property
    def channels(self) -> int:
        """Channels of the features that the mask is computed from."""
        return self.width if self.laterals else 4 * self.width


@dataclass(frozen=True)
class QFormerConfig:
    """Q-Former (paper III-E), BLIP-2's geometry by default.

    Args:
        queries: number q of learned queries, also the number of visual tokens that the LLM reads.
        width: hidden width d.
        layers: Transformer layers; every second one has cross-attention.
        heads: attention heads.
        encoder_width: width of the encoder's tokens that it reads, after `Linear c -> encoder_width`.
        positions: whether those tokens get 2-D sine positions, and the queries start on a grid of the image.
        frozen: whether Q-Former and queries keep their pretrained weights; false = they train.
        weights: BLIP-2's Q-Former, queries and ln_vision: blip2 once converted, or a .safetensors file; null = random.
    """

    queries: int = 32
    width: int = 768
    layers: int = 12
    heads: int = 12
    encoder_width: int = 1408
    positions: bool = False
    frozen: bool = True
    weights: str | None = None


@dataclass(frozen=True)
class EnhancerConfig:
    """Change semantic feature enhancer (eq. 8) and the variants of Table III.

    Args:
        position: after the Q-Former (paper), before it (at encoder width), or off (dates only concatenated).
        activation: whether it has the gates of the first two formulas; off = all gates are 1.
        subtraction: whether it has the third block, the difference of the dates.
        weights: MiniGPT-4's projection: minigpt4-7b once converted, or a .safetensors file; null = dates' difference.
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
        layers: numbers of the layers that are kept, ascending; empty = all.
        lora: the adapters.
        lora_targets: names of the linear layers that get adapters.
        dtype: type of the frozen base weights.
        max_new_tokens: longest answer, in tokens.
        beams: width of the beam search, read when model.decoding is beam.
        min_count: how often a word must occur in the training captions to be in the vocabulary; 0 = no vocabulary.
        vocabulary: the words that may be written; empty = those of the training captions or, with min_count 0, all.
        random_width: hidden width of the random LLaMA.
        random_layers: layers of the random LLaMA.
        random_seed: seed of the random LLaMA's weights.
    """

    name: str = "vicuna-7b"
    template: Literal["minigpt4", "chatml"] = "minigpt4"
    layers: tuple[int, ...] = ()
    lora: LoraConfig = field(default_factory=LoraConfig)
    lora_targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    max_new_tokens: int = 48
    beams: int = 4
    min_count: int = 0
    vocabulary: tuple[str, ...] = ()
    random_width: int = 32
    random_layers: int = 2
    random_seed: int = 0


CAPTIONING_METHODS = ("rsiccformer", "psnet", "chg2cap", "promptcc")
"""Compared methods that write a sentence and give no mask."""

CHANGE_METHODS = ("fc-siam-diff", "changeformer", "ttp", "idet", "wnet", "cstsunet")
"""Compared methods that give a mask and write no sentence."""

OWN_ENCODER = ("fc-siam-diff", "changeformer", "idet", "wnet", "cstsunet")
"""Compared methods whose image encoder is a part of them, so that they read no SAM unless they are asked to."""


@dataclass(frozen=True)
class BaselineConfig:
    """Sizes of the compared methods (semantic_cc.baselines), read when method is one of them.

    Args:
        width: channels d inside a captioning method.
        encoder: of the change detectors with an encoder of their own: own = that encoder, with random weights; shared =
            the encoder that all other methods start from, as for TTP.
        scale: widths of a change detector, as a share of those in its paper.
        heads: attention heads.
        layers: layers of the part that encodes the features of both dates.
        decoder_layers: layers of the Transformer that writes the sentence word by word.
        dropout: dropout probability of methods that have dropout, in [0, 1).
        beam: width of the beam search; 1 = greedy decoding.
        max_words: longest sentence, in words.
        min_count: how often a word must occur in the training captions to be in the vocabulary.
        vocabulary: the words, in order; empty = taken from the training captions when training starts.
    """

    width: int = 512
    encoder: Literal["own", "shared"] = "own"
    scale: float = 1.0
    heads: int = 8
    layers: int = 3
    decoder_layers: int = 1
    dropout: float = 0.1
    beam: int = 1
    max_words: int = 40
    min_count: int = 5
    vocabulary: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnsembleConfig:
    """Choice among a pair's candidate sentences: its beams, and its answers to several instructions.

    The candidate with the highest sum of log-probability and these terms is the answer. With `consensus` and `mask` 0,
    it is the likeliest beam, or the consensus among instructions (the paper's multi-output ensemble).

    Args:
        consensus: weight of a candidate's mean similarity, in [0, 1], to the other candidates.
        mask: penalty for each statement about buildings, and in the search each noun, that the mask contradicts.
        keywords: factor of the keyword head's log-odds during the search.
    """

    consensus: float = 0.0
    mask: float = 0.0
    keywords: float = 1.0

    @property
    def active(self) -> bool:
        """Whether a choice is made among beams."""
        return self.consensus > 0 or self.mask > 0


@dataclass(frozen=True)
class ModelConfig:
    """The whole model (paper Fig. 1).

    Args:
        method: Semantic-CC, or one of the methods it is compared with (semantic_cc.baselines), which read encoder,
            baseline and those of the fields below that they share with Semantic-CC.
        encoder: bi-temporal SAM encoder.
        change_task: whether the model has the change-detection branch and the neck; off = captioning only.
        neck: multi-task neck, read when change_task is on.
        change_decoder: mask decoder, read when change_task is on.
        qformer: Q-Former.
        enhancer: difference enhancer.
        llm: language model.
        baseline: the compared methods' sizes.
        flag_head: the optional change-flag head on the mean of the visual tokens.
        keywords: keywords of the keyword head; generation adds its log-odds times `ensemble.keywords`. Its phase can
            add frequent words and phrases (`min_counts`). Empty = no keyword head (paper).
        decoding: consensus = over four instructions (the multi-output ensemble); greedy = greedy search with one
            instruction; beam = beam search with one instruction, of width `llm.beams`.
        ensemble: choice among the beams and the answers to several instructions.
    """

    method: Literal[
        "semantic-cc",
        "rsiccformer", "psnet", "chg2cap", "promptcc",
        "fc-siam-diff", "changeformer", "ttp", "idet", "wnet", "cstsunet",
    ] = "semantic-cc"  # fmt: skip
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    change_task: bool = True
    neck: NeckConfig = field(default_factory=NeckConfig)
    change_decoder: ChangeDecoderConfig = field(default_factory=ChangeDecoderConfig)
    qformer: QFormerConfig = field(default_factory=QFormerConfig)
    enhancer: EnhancerConfig = field(default_factory=EnhancerConfig)
    llm: LLMConfig = field(default_factory=LLMConfig)
    baseline: BaselineConfig = field(default_factory=BaselineConfig)
    flag_head: bool = False
    keywords: tuple[str, ...] = ()
    decoding: Literal["consensus", "greedy", "beam"] = "consensus"
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)

    @property
    def mask_classes(self) -> int:
        """Classes of change that the masks have, "none" left out; 0 = no masks are drawn."""
        return max(1, self.change_decoder.classes - 1) if self.change_task else 0

    @property
    def writes(self) -> bool:
        """Whether the method writes a sentence."""
        return self.method not in CHANGE_METHODS

    @property
    def has_sam(self) -> bool:
        """Whether the image encoder is SAM's."""
        return self.method not in OWN_ENCODER or self.baseline.encoder == "shared"

    @property
    def has_llm(self) -> bool:
        """Whether a language model writes it."""
        return self.method in ("semantic-cc", "promptcc")

    @property
    def learns_flag(self) -> bool:
        """Whether the change flag is learned: by the flag head, or by PromptCC's classifier."""
        return self.flag_head or self.method == "promptcc"
