"""Checks that cross single fields."""

from __future__ import annotations

import re
from dataclasses import astuple

from semantic_cc.config.model import CAPTIONING_METHODS, CHANGE_METHODS, ModelConfig
from semantic_cc.config.phases import STAGES, PhaseConfig
from semantic_cc.config.run import Config
from semantic_cc.errors import ConfigError


def _splits(width: int, heads: int) -> bool:
    return heads > 0 and width > 0 and width % heads == 0


def check(config: Config | ModelConfig) -> None:
    """Refuses fields that do not fit together.

    Raises:
        ConfigError: naming the fields that do not fit together.
    """
    model = config.model if isinstance(config, Config) else config
    encoder, neck, layers = model.encoder, model.neck, model.llm.layers
    problems = [
        (not _splits(encoder.width, encoder.heads), "encoder.width must be a multiple of encoder.heads"),
        (
            not _splits(encoder.image_size, encoder.patch),
            "encoder.image_size must be a multiple of encoder.patch",
        ),
        (
            any(not 0 <= layer < encoder.depth for layer in encoder.global_layers),
            "encoder.global_layers must be numbers from 0 to encoder.depth - 1",
        ),
        (
            not _splits(encoder.width, neck.caption_heads),
            "encoder.width must be a multiple of neck.caption_heads",
        ),
        (
            not _splits(encoder.change_width, neck.change_heads),
            "encoder.change_width must be a multiple of neck.change_heads",
        ),
        (
            neck.similarity == "tensor" and (neck.directions, neck.attention) != ("cd_to_cc", "bilinear"),
            "neck.similarity tensor needs neck.directions cd_to_cc and neck.attention bilinear",
        ),
        (model.change_decoder.width < 1, "change_decoder.width must be at least 1"),
        (model.qformer.queries < 1, "qformer.queries must be at least 1"),
        (model.llm.beams < 1, "llm.beams must be at least 1"),
        (model.llm.max_new_tokens < 1, "llm.max_new_tokens must be at least 1"),
        (model.llm.min_count < 0, "llm.min_count must not be negative"),
        (
            any(layer < 0 for layer in layers) or sorted(set(layers)) != list(layers),
            "llm.layers must be numbers from 0 in ascending order",
        ),
        (min(astuple(model.ensemble)) < 0, "ensemble's weights must not be negative"),
        (model.ensemble.mask > 0 and not model.change_task, "ensemble.mask needs change_task"),
        (model.change_decoder.detail < 0, "change_decoder.detail must not be negative"),
        (
            model.change_decoder.laterals and not encoder.hybrid,
            "change_decoder.laterals needs encoder.hybrid",
        ),
        (
            model.change_decoder.caption_features
            and not (model.change_task and model.method == "semantic-cc"),
            "change_decoder.caption_features needs method semantic-cc and change_task",
        ),
        (
            not _splits(model.qformer.width, model.qformer.heads),
            "qformer.width must be a multiple of qformer.heads",
        ),
        (
            model.qformer.positions
            and (model.qformer.width != model.qformer.encoder_width or model.qformer.width % 4 != 0),
            "qformer.positions needs qformer.encoder_width equal to qformer.width, a multiple of 4",
        ),
        (
            model.qformer.weights is not None and model.qformer.positions,
            "qformer.weights needs qformer.positions false",
        ),
    ]
    problems += _of_method(model)
    for lora in (encoder.lora, model.llm.lora):
        problems += [
            (lora.rank < 1, "lora.rank must be at least 1"),
            (not 0 <= lora.dropout < 1, "lora.dropout must lie in [0, 1)"),
        ]
    if isinstance(config, Config):
        problems += _of_run(config)
        for name, phase in config.phases.items():
            plain = re.fullmatch(r"[\w-]+", name) is not None  # a folder of the run has this name
            problems.append((not plain, f"phases.{name}: a name has only letters, digits, - and _"))
            problems += _of_phase(name, phase, config)
    for wrong, message in problems:
        if wrong:
            raise ConfigError(f"configuration: {message}")


def _of_run(config: Config) -> list[tuple[bool, str]]:
    train, optim = config.train, config.optim
    return [
        (train.val_items < 0, "train.val_items must not be negative"),
        (
            train.val_items > 0 and not any(phase.val_metric for phase in config.phases.values()),
            "train.val_items needs a phase with a val_metric (phases.NAME.val_metric)",
        ),
        (train.accumulate < 1, "train.accumulate must be at least 1"),
        (train.keep_every is not None and train.keep_every < 1, "train.keep_every must be at least 1"),
        (train.val_pictures < 0, "train.val_pictures must not be negative"),
        (
            min(config.hardware.devices, config.hardware.nodes) < 1,
            "hardware.devices and hardware.nodes must be at least 1",
        ),
        (train.seed < 0, "train.seed must not be negative"),
        (train.checkpoint_every < 1, "train.checkpoint_every must be at least 1"),
        (not 0 < optim.lr < float("inf"), "optim.lr must be positive"),
        (not optim.trunk_lr_scale > 0, "optim.trunk_lr_scale must be positive"),
        (not optim.weight_decay >= 0, "optim.weight_decay must not be negative"),
        (
            optim.max_grad_norm is not None and not optim.max_grad_norm > 0,
            "optim.max_grad_norm must be positive, or null",
        ),
        (
            not min(train.change_weight, train.flag_weight) >= 0,
            "train.change_weight and train.flag_weight must not be negative",
        ),
        (not 0 <= optim.warmup < 1, "optim.warmup must lie in [0, 1)"),
    ]


def _of_phase(name: str, phase: PhaseConfig, config: Config) -> list[tuple[bool, str]]:
    """What a phase cannot have; messages begin with its name."""
    data = config.data if phase.data is None else phase.data
    datasets = 1 if isinstance(data, str) else len(data)
    weights = phase.source_weights
    items = [phase.items, *(stage.items for stage in phase.stages.values())]
    unknown = [stage for stage in phase.stages if stage not in STAGES]
    problems = [
        (
            bool(phase.unread()),
            f"{', '.join(phase.unread())}: kind {phase.kind} does not read it; leave it out",
        ),
        (bool(unknown), f"stages.{(unknown or [''])[0]}: no such stage; choose from {', '.join(STAGES)}"),
        (phase.kind == "stages" and not phase.stages, "stages must name at least one stage"),
        (phase.epochs < 1, "epochs must be at least 1"),
        (
            any(count is not None and count < 1 for count in items),
            "items must be at least 1, or null for all",
        ),
        (
            min([phase.batch, *(stage.batch for stage in phase.stages.values())]) < 1,
            "batch must be at least 1",
        ),
        (phase.kind == "encoder" and phase.batch % 2 != 0, "batch must be even for kind encoder"),
        (phase.lr is not None and not 0 < phase.lr < float("inf"), "lr must be positive"),
        (
            phase.trunk_lr_scale is not None and not phase.trunk_lr_scale > 0,
            "trunk_lr_scale must be positive",
        ),
        (
            phase.weight_decay is not None and not phase.weight_decay >= 0,
            "weight_decay must not be negative, or null",
        ),
        (phase.dice_weight < 0, "dice_weight must not be negative"),
        (
            len(weights) > 0 and (len(weights) != datasets or not all(weight > 0 for weight in weights)),
            "source_weights needs one positive number for each dataset of data",
        ),
        (phase.sentences < 1, "sentences must be at least 1"),
        (min(phase.min_counts, default=1) < 1, "min_counts must be at least 1"),
        (phase.ema is not None and not 0 < phase.ema < 1, "ema must lie in (0, 1)"),
        (phase.augment and phase.cache_features, "cache_features needs augment false"),
        (
            phase.cache_features and not config.model.has_sam,
            f"cache_features keeps SAM's features, which model.method {config.model.method} does not read",
        ),
        (
            phase.patience is not None
            and (phase.patience < 1 or phase.val_metric is None or config.train.val_items == 0),
            "patience must be at least 1, and needs val_metric and train.val_items",
        ),
    ]
    return [(wrong, f"phases.{name}.{message}") for wrong, message in problems]


def _of_method(model: ModelConfig) -> list[tuple[bool, str]]:
    """What a compared method cannot have, and the sizes it reads."""
    method, sizes = model.method, model.baseline
    return [
        (
            method in CAPTIONING_METHODS and model.change_task,
            f"model.method {method} gives no mask: model.change_task must be off",
        ),
        (
            method in CHANGE_METHODS and not model.change_task,
            f"model.method {method} gives only a mask: model.change_task must be on",
        ),
        (
            len(model.keywords) > 0 and method != "semantic-cc",
            f"model.method {method} has no keyword head: model.keywords must be empty",
        ),
        (
            model.change_decoder.detail > 0 and method != "semantic-cc",
            f"model.method {method} does not correct its mask: model.change_decoder.detail must be 0",
        ),
        (
            model.flag_head and method != "semantic-cc",
            f"model.method {method} has no change-flag head: model.flag_head must be off",
        ),
        (
            model.encoder.bcsf and method != "semantic-cc",
            f"model.method {method} reads the encoder without BCSF: model.encoder.bcsf must be off",
        ),
        (
            model.decoding != "greedy" and method != "semantic-cc",
            f"model.method {method} reads no instruction: model.decoding must be greedy",
        ),
        (
            not model.has_sam and (model.encoder.adapt, model.encoder.weights) != ("full", None),
            f"model.method {method} has an encoder of its own and reads no SAM: model.encoder.adapt must be full "
            "and model.encoder.weights null",
        ),
        (not sizes.scale >= 1 / 16, "baseline.scale must be at least 1/16"),
        (method == "psnet" and sizes.layers < 2, "baseline.layers must be at least 2 for psnet"),
        (sizes.width % 2 != 0, "baseline.width must be even"),
        (not _splits(sizes.width, sizes.heads), "baseline.width must be a multiple of baseline.heads"),
        (min(sizes.layers, sizes.decoder_layers) < 1, "baseline.*layers must be at least 1"),
        (not 0 <= sizes.dropout < 1, "baseline.dropout must lie in [0, 1)"),
        (
            min(sizes.beam, sizes.max_words, sizes.min_count) < 1,
            "baseline.beam, max_words and min_count must be at least 1",
        ),
    ]
