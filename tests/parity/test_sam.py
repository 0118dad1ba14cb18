"""Our encoder against transformers' SamVisionModel with the same weights."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from transformers import SamVisionConfig, SamVisionModel

from semantic_cc.checkpoint.build import build_encoder
from semantic_cc.config import load_config
from semantic_cc.model.encoder import BitemporalEncoder

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
"""SAM's pixel mean and deviation for values in 0..255."""


def encoder_of(**options: Any) -> BitemporalEncoder:
    """4 x 4 tokens in windows of 3: the windows are padded. Layers 1 and 3 are global."""
    sizes = {"bcsf": False, "window": 3, "global_layers": [1, 3], **options}
    return build_encoder(load_config("tiny", {"model": {"encoder": sizes}}).model.encoder).eval()


def reference_of(encoder: BitemporalEncoder, attention: str = "sdpa") -> SamVisionModel:
    config = SamVisionConfig(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_dim=128,
        window_size=3,
        global_attn_indexes=[1, 3],
        image_size=64,
        patch_size=16,
        output_channels=16,
        attn_implementation=attention,
    )
    model = SamVisionModel(config).eval()
    state = encoder.vision.state_dict()
    base = {key.replace(".base_layer", ""): value for key, value in state.items() if "lora_" not in key}
    model.vision_encoder.load_state_dict(base)
    return model


def pixels_of(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (torch.cat([before, after]) * 255 - mean) / std


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    before, after = torch.rand(2, 2, 3, 64, 64)
    return before, after


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_both_tiers(
    attention: str, shake: Callable[[nn.Module], None], images: tuple[torch.Tensor, torch.Tensor]
) -> None:
    encoder = encoder_of()
    shake(encoder)
    reference = reference_of(encoder, attention)
    tokens: list[torch.Tensor] = []
    reference.vision_encoder.layers[-1].register_forward_hook(lambda layer, given, out: tokens.append(out))
    expected = reference(pixels_of(*images)).last_hidden_state  # (2b, e, h, w)
    got = encoder(*images)
    assert_close(got.change, expected.permute(0, 2, 3, 1))
    assert_close(got.caption, tokens[0])
    assert encoder(*images, change=False).change is None


def test_adapters_and_filters_start_as_nothing(images: tuple[torch.Tensor, torch.Tensor]) -> None:
    """At step 0 the encoder with LoRA and BCSF is SAM."""
    encoder = encoder_of(adapt="lora", bcsf=True)
    assert encoder.filters and any("lora_" in name for name, _ in encoder.named_parameters())
    expected = reference_of(encoder)(pixels_of(*images)).last_hidden_state
    assert_close(encoder(*images).change, expected.permute(0, 2, 3, 1))


@pytest.mark.parametrize("after", ["global", "window"])
def test_at_step_0_the_filters_change_nothing(
    after: str, images: tuple[torch.Tensor, torch.Tensor], shake: Callable[[nn.Module], None]
) -> None:
    filtered = encoder_of(bcsf=True, bcsf_after=after)
    plain = encoder_of()
    plain.vision.load_state_dict(filtered.vision.state_dict())
    assert torch.equal(filtered(*images).change, plain(*images).change)
    assert torch.equal(filtered(*images).caption, plain(*images).caption)
    shake(filtered.filters)
    assert not torch.allclose(filtered(*images).caption, plain(*images).caption)


def test_without_filters_the_dates_do_not_meet(images: tuple[torch.Tensor, torch.Tensor]) -> None:
    encoder = encoder_of()
    before, after = images
    swapped = encoder(after, before).caption
    assert_close(torch.cat(swapped.chunk(2)[::-1]), encoder(before, after).caption)
