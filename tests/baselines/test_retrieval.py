"""The retrieval floor: flags from a logistic regression, sentences from the nearest changed training pairs."""

import torch

from semantic_cc.baselines.retrieval import NEIGHBOURS, Retrieval, difference_features
from semantic_cc.sentences import UNCHANGED


def test_features_are_pooled_differences() -> None:
    tokens = torch.rand(4, 4, 4, 3)
    features = difference_features(tokens)
    difference = (tokens[2:] - tokens[:2]).permute(0, 3, 1, 2)
    cells = difference.unflatten(2, (2, 2)).unflatten(4, (2, 2))  # (2, 3, cell, row, cell, column)
    expected = [
        cells.abs().mean((3, 5)), cells.abs().amax((3, 5)), cells.mean((3, 5)),
    ]  # fmt: skip
    torch.testing.assert_close(features, torch.cat([part.flatten(1) for part in expected], dim=1))


def known(kind: int, count: int) -> torch.Tensor:
    """Pairs of a kind lie around one direction."""
    torch.manual_seed(kind)
    centre = torch.zeros(8)
    centre[kind] = 5.0
    return centre + 0.1 * torch.randn(count, 8)


def test_a_changed_pair_gets_the_consensus_of_its_neighbours() -> None:
    houses = [["houses are built", f"house {place}"] for place in range(NEIGHBOURS)]
    roads = [["a road is built", f"road {place}"] for place in range(NEIGHBOURS)]
    same = [["nothing"]] * 20
    features = torch.cat([known(0, NEIGHBOURS), known(1, NEIGHBOURS), known(2, 20)])
    method = Retrieval(features, [True] * 2 * NEIGHBOURS + [False] * 20, [*houses, *roads, *same])
    changed, sentences = method.answer(torch.cat([known(0, 2), known(1, 1), known(2, 3)]))
    assert changed == [True] * 3 + [False] * 3
    assert sentences == ["houses are built"] * 2 + ["a road is built"] + [UNCHANGED] * 3
