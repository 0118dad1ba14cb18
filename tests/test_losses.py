"""Equation 9's losses against the formulas."""

import pytest
import torch
from torch.testing import assert_close

from semantic_cc.losses import caption_loss, change_loss, dice_loss, flag_loss


def test_binary_change_loss_counts_buildings_alone() -> None:
    logits, label = torch.randn(2, 1, 3, 4), torch.randint(0, 3, (2, 3, 4))
    p, y = torch.sigmoid(logits[:, 0]), (label == 2).float()
    assert_close(change_loss(logits, label), -(y * p.log() + (1 - y) * (1 - p).log()).mean())


def test_change_loss_of_three_classes() -> None:
    logits, label = torch.randn(2, 3, 3, 4), torch.randint(0, 3, (2, 3, 4))
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    assert_close(change_loss(logits, label), -p.gather(1, label[:, None]).log().mean())


def test_a_label_without_roads_teaches_building_alone() -> None:
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    label = torch.full((1, 2, 2), 3)
    building = logits.softmax(1)[:, 2]
    loss = change_loss(logits, label)
    assert_close(loss, -(1 - building).log().mean())
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient[:, 2] > 0).all()
    p = logits.detach().softmax(1)
    assert_close(gradient[:, 0] / gradient[:, 1], p[:, 0] / p[:, 1])  # none against road stays as it was
    binary = torch.randn(1, 1, 2, 2)
    assert_close(change_loss(binary, label), change_loss(binary, torch.zeros_like(label)))


@pytest.mark.parametrize("classes", [1, 3])
def test_nothing_is_learned_where_nothing_is_known(classes: int) -> None:
    logits = torch.randn(2, classes, 4, 4, requires_grad=True)
    label = torch.randint(0, 4, (2, 4, 4))
    whole = change_loss(logits, label)
    label[:, 2:] = 4
    half = change_loss(logits, label)
    (gradient,) = torch.autograd.grad(half, logits)
    assert not gradient[:, :, 2:].any() and gradient[:, :, :2].all()
    assert_close(half, change_loss(logits[:, :, :2], label[:, :2]) / 2)  # the mean is over all pixels
    assert half < whole
    assert change_loss(logits, torch.full_like(label, 4)).item() == 0


def test_caption_loss_is_a_mean_over_tokens() -> None:
    logits, targets = torch.randn(5, 7), torch.randint(0, 7, (5,))
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    assert_close(caption_loss(logits, targets), -p[range(5), targets].log().mean())


def test_flag_loss() -> None:
    logits, changed = torch.randn(4), torch.tensor([0, 1, 1, 0])
    p = torch.sigmoid(logits)
    assert_close(flag_loss(logits, changed), -torch.where(changed == 1, p, 1 - p).log().mean())


@pytest.mark.parametrize("classes", [1, 3])
def test_losses_are_computed_in_float32(classes: int) -> None:
    label = torch.randint(0, 3, (1, 4, 4))
    loss = change_loss(torch.randn(1, classes, 4, 4).bfloat16(), label)
    assert loss.dtype == torch.float32
    assert caption_loss(torch.randn(2, 5).bfloat16(), torch.tensor([0, 1])).dtype == torch.float32
    assert flag_loss(torch.randn(2).bfloat16(), torch.tensor([0, 1])).dtype == torch.float32


@pytest.mark.parametrize("classes", [1, 3])
def test_dice_loss_is_one_minus_the_overlap(classes: int) -> None:
    label = torch.tensor(
        [[[2, 2, 0, 0], [2, 4, 3, 1]]]
    )  # three building pixels, one of which nothing is known
    sure = torch.zeros(1, classes, 2, 4)
    sure[:, -1] = 40.0 * torch.tensor(
        [[[1, 1, 1, -1], [-1, 1, -1, -1]]]
    )  # two found, one false, the unknown one
    expected = 1 - (2 * 2 + 1) / (3 + 3 + 1)
    assert dice_loss(sure, label).item() == pytest.approx(expected, abs=1e-6)


def test_dice_loss_of_nothing_and_nothing_is_zero() -> None:
    assert dice_loss(torch.full((1, 1, 2, 2), -50.0), torch.zeros(1, 2, 2, dtype=torch.long)).item() < 1e-6
