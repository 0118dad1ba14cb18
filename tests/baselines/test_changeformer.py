"""ChangeFormer as its paper describes it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from semantic_cc.baselines.changeformer import ChangeFormer, hierarchical_encoder

Dates = Callable[..., tuple[Tensor, Tensor]]
TINY = {"widths": (4, 8, 20, 32), "depths": (1, 1, 2, 1)}


def test_the_papers_levels(outputs: Callable[..., list]) -> None:
    with torch.device("meta"):
        network = ChangeFormer((64, 128, 320, 512), 256, 2, hierarchical_encoder())
        pair = torch.empty(2, 1, 3, 256, 256)
    levels = [(64, 64, 64), (128, 32, 32), (320, 16, 16), (512, 8, 8)]
    assert outputs(network.encoder.stages, lambda: network(*pair)) == levels
    assert outputs(network.differences, lambda: network(*pair)) == levels
    assert outputs(network.project, lambda: network(*pair)) == [(256, *level[1:]) for level in levels]
    assert network.fuse[0].in_channels == 4 * 256
    assert network(*pair).shape == (1, 2, 256, 256)
    stages = network.encoder.stages
    assert [len(stage.blocks) for stage in stages] == [3, 3, 4, 3]
    assert [stage.blocks[0].attention.sequence_reduction_ratio for stage in stages] == [8, 4, 2, 1]
    assert [stage.patch_embeddings.proj.kernel_size[0] for stage in stages] == [7, 3, 3, 3]


def test_gradients_reach_every_parameter(dates: Dates, unreached: Callable) -> None:
    network = ChangeFormer(TINY["widths"], 8, 1, hierarchical_encoder(**TINY, dropout=0.0))
    assert unreached(network, network(*dates(64, 96))) == []


def test_difference_module_and_decoder(dates: Dates) -> None:
    network = ChangeFormer(TINY["widths"], 8, 1, hierarchical_encoder(**TINY)).eval()
    before, after = dates(32, 64)
    first, second = ((image - network.mean) / network.std for image in (before, after))
    levels = []
    for i, stage in enumerate(network.encoder.stages):
        first, second = stage(first), stage(second)  # the same encoder, each date by itself
        conv, _, norm = network.differences[i]
        mixed = F.conv2d(torch.cat([first, second], 1), conv.weight, conv.bias, padding=1)
        difference = F.group_norm(F.relu(mixed), norm.num_groups, norm.weight, norm.bias)
        linear = torch.einsum("bchw,ec->behw", difference, network.project[i].weight[:, :, 0, 0])
        levels.append(linear + network.project[i].bias[:, None, None])
    resized = [F.interpolate(x, (8, 16), mode="bilinear", align_corners=False) for x in levels]
    expected = network.classify(network.up(network.fuse(torch.cat(resized, 1))))
    assert_close(network(before, after), expected)


def test_no_row_or_column_of_the_mask_is_empty() -> None:
    """What one transposed convolution of kernel 3 and stride 4 would leave."""
    network = ChangeFormer(TINY["widths"], 8, 1, hierarchical_encoder(**TINY))
    full = network.up(torch.rand(1, 8, 4, 4)) - network.up(torch.zeros(1, 8, 4, 4))
    assert full.shape[-2:] == (16, 16)
    assert (full.abs().amax(dim=(0, 1)) > 0).all()
