"""Typed configuration: the same dataclasses are the YAML files, the command-line flags and the help.

`fields` has the values and their meaning, `reading` turns presets and files into them, `checks` refuses what
does not fit together. Importing this room stays light (no torch).
"""

from semantic_cc.config.fields import (
    ChangeDecoderConfig,
    Config,
    EncoderConfig,
    EnhancerConfig,
    LLMConfig,
    LoraConfig,
    ModelConfig,
    NeckConfig,
    OptimConfig,
    QFormerConfig,
    TrainConfig,
)
from semantic_cc.config.reading import load_config, merge, parse, preset_names, preset_values, to_dict

__all__ = [
    "ChangeDecoderConfig",
    "Config",
    "EncoderConfig",
    "EnhancerConfig",
    "LLMConfig",
    "LoraConfig",
    "ModelConfig",
    "NeckConfig",
    "OptimConfig",
    "QFormerConfig",
    "TrainConfig",
    "load_config",
    "merge",
    "parse",
    "preset_names",
    "preset_values",
    "to_dict",
]
