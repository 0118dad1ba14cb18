"""Turned pairs: tokens and sentences move together, and only where both can."""

import numpy as np
import pytest
import torch

from semantic_cc.data.augment.symmetry import SYMMETRIES
from semantic_cc.training.pretraining.symmetric_views import SymmetricPairs, turn_tokens
from semantic_cc.training.sampling import SampleRef

CORNERS = {
    (0, 0): "a house is built in the top left corner",
    (0, -1): "a house is built in the top right corner",
    (-1, 0): "a house is built in the bottom left corner",
    (-1, -1): "a house is built in the bottom right corner",
}


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_tokens_move_as_pictures_do(symmetry) -> None:
    tokens = torch.arange(2 * 3 * 5 * 4.0).reshape(2, 3, 5, 4)
    for date, moved in zip(tokens, turn_tokens(tokens, symmetry), strict=True):
        np.testing.assert_array_equal(moved.numpy(), symmetry.of_array(date.numpy()))


def test_the_sentence_tells_where_the_token_went() -> None:
    tokens = torch.zeros(1, 2, 4, 4, 1)
    tokens[0, :, 0, 0] = 1  # top left
    pairs = SymmetricPairs(tokens, [(CORNERS[0, 0],)], seed=0)
    seen = set()
    for epoch in range(100):
        moved, row, number = pairs[SampleRef(0, epoch, 0)]
        (corner,) = [at for at in CORNERS if moved[1][at] == 1]
        assert pairs.sentences[row][number] == (CORNERS[corner],)
        seen.add(number)
    assert seen == set(range(8))


def test_a_sentence_that_cannot_be_rewritten_keeps_its_pair_as_it_is() -> None:
    said = ("a house is built to the left of the road in the north", "a house is built")
    pairs = SymmetricPairs(torch.rand(1, 2, 4, 4, 1), [said], seed=0)
    refs = [SampleRef(0, epoch, 0) for epoch in range(20)]
    assert {pairs[ref][2] for ref in refs} == {0}
    assert torch.equal(pairs[refs[0]][0], pairs.tokens[0])


def test_a_grid_that_is_no_square_keeps_its_shape() -> None:
    pairs = SymmetricPairs(torch.rand(1, 2, 3, 5, 1), [("a road is built",)], seed=0)
    refs = [SampleRef(0, epoch, 0) for epoch in range(50)]
    assert {tuple(pairs[ref][0].shape) for ref in refs} == {(2, 3, 5, 1)}
    assert {pairs[ref][2] for ref in refs} == {0, 1, 2, 3}
