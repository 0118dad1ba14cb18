"""The schedule's values, and what weight decay touches."""

import pytest
import torch
from torch import nn

from semantic_cc.config import OptimConfig
from semantic_cc.training.optim import Updater, learning_rate, optimizer_of


def test_linear_warm_up_then_cosine_to_zero():
    config = OptimConfig(lr=2.0, warmup=0.2)
    rates = [learning_rate(step, 20, config) for step in range(20)]
    assert rates[:5] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])
    assert rates[12] == pytest.approx(1.0)  # half way down
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.03
    assert learning_rate(20, 20, config) == pytest.approx(0)


def test_no_warm_up_starts_at_the_peak():
    assert learning_rate(0, 10, OptimConfig(lr=3.0, warmup=0.0)) == 3.0


def test_decay_is_for_matrices_and_kernels():
    shapes = {
        "a.weight": (3, 3),
        "conv.weight": (3, 3, 1, 1),
        "a.bias": (3,),
        "norm.weight": (3,),
        "vision.pos_embed": (1, 2, 2, 3),
        "attn.rel_pos_h": (5, 3),
        "queries": (1, 4, 3),
        "lora_A.weight": (2, 3),
    }
    named = {name: nn.Parameter(torch.ones(shape)) for name, shape in shapes.items()}
    decayed, plain = optimizer_of(named, OptimConfig(weight_decay=0.1)).param_groups
    held = {id(parameter): name for name, parameter in named.items()}
    assert {held[id(p)] for p in decayed["params"]} == {"a.weight", "conv.weight", "lora_A.weight"}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(plain["params"]) == len(shapes)


def test_the_trunk_has_its_own_rate():
    parameters = {
        name: nn.Parameter(torch.ones(2, 2)) for name in ("encoder.x.trunk.stem.weight", "neck.weight")
    }
    config = OptimConfig(lr=0.1, trunk_lr_scale=0.25, warmup=0.0, weight_decay=0.0)
    updater = Updater(parameters, config, total=2)
    sum(p.sum() for p in parameters.values()).backward()
    updater.update(0)
    trunk, neck = (1 - p.detach()[0, 0].item() for p in parameters.values())
    assert neck == pytest.approx(0.1, rel=1e-3)  # Adam's first step is the rate
    assert trunk == pytest.approx(0.025, rel=1e-3)
