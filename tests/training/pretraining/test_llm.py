"""In what order pairs are read."""

import random
from collections import Counter

import pytest

from semantic_cc.training.pretraining.llm import _visits

ROWS, PLACED = list(range(10)), [2, 5, 7]


def test_places_come_first_and_are_half_of_the_rest() -> None:
    visits = _visits(ROWS, PLACED, 2, 3, random.Random(0))
    first, every, also = visits[:6], visits[6::2], visits[7::2]
    assert Counter(first) == dict.fromkeys(PLACED, 2)
    assert len(every) == len(also) == 30
    assert Counter(every) == dict.fromkeys(ROWS, 3)
    assert Counter(also) == dict.fromkeys(PLACED, 10)
    assert every[:10] != every[10:20]  # another order each time


@pytest.mark.parametrize(("placed", "places"), [(PLACED, 0), ([], 2)])
def test_without_places_all_pairs_are_read_alike(placed: list[int], places: int) -> None:
    assert Counter(_visits(ROWS, placed, places, 3, random.Random(0))) == dict.fromkeys(ROWS, 3)
