"""Models of a configuration's sizes that read no weights."""

import pytest
import torch

from semantic_cc.checkpoint.meta_model import outline, random_model
from semantic_cc.config import load_config


@pytest.mark.parametrize("preset", ["paper", "small"])
def test_a_model_of_random_weights_is_made_on_the_device(preset: str) -> None:
    config = load_config(preset).model
    made = random_model(config, torch.device("meta"))
    assert {value.device.type for value in (*made.parameters(), *made.buffers())} == {"meta"}
    sizes = {name: value.shape for name, value in outline(config).named_parameters() if "lora_" not in name}
    assert sorted(map(tuple, sizes.values())) == sorted(tuple(value.shape) for value in made.parameters())
    assert made.llm is not None and str(made.llm.dtype) == f"torch.{config.llm.dtype}" and not made.training
