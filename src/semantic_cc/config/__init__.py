"""Typed configuration: the same dataclasses are the YAML files, the command-line flags and the help.

`model`, `phases` and `run` define and document the fields, `loading` reads presets and files, `field_checks` rejects
values that do not fit together. Importing this package does not import torch.
"""

from semantic_cc.config.loading import (
    ConfigValues,
    load_config,
    merge,
    own_values,
    parse,
    preset_names,
    preset_values,
    to_dict,
    to_yaml,
)
from semantic_cc.config.model import (
    BaselineConfig,
    ChangeDecoderConfig,
    EncoderConfig,
    EnhancerConfig,
    EnsembleConfig,
    LLMConfig,
    LoraConfig,
    ModelConfig,
    NeckConfig,
    QFormerConfig,
)
from semantic_cc.config.phases import PhaseConfig, StageConfig
from semantic_cc.config.run import Config, HardwareConfig, OptimConfig, TrainConfig

__all__ = [
    "BaselineConfig",
    "ChangeDecoderConfig",
    "Config",
    "ConfigValues",
    "EncoderConfig",
    "EnhancerConfig",
    "EnsembleConfig",
    "HardwareConfig",
    "LLMConfig",
    "LoraConfig",
    "ModelConfig",
    "NeckConfig",
    "OptimConfig",
    "PhaseConfig",
    "QFormerConfig",
    "StageConfig",
    "TrainConfig",
    "load_config",
    "merge",
    "own_values",
    "parse",
    "preset_names",
    "preset_values",
    "to_dict",
    "to_yaml",
]
