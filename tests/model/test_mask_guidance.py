import numpy as np
import pytest

from semantic_cc.metrics.consistency import SeenObjects
from semantic_cc.model.mask_guidance import BUILDING_NOUNS, building_log_odds
from semantic_cc.types import BUILDING


def mask_of(buildings: int, bridge: bool = False) -> np.ndarray:
    mask = np.zeros((64, 64), np.uint8)
    for left in range(4, 4 + 20 * buildings, 20):
        mask[8:20, left : left + 12] = BUILDING
    if bridge:
        mask[13, 4 : 20 * buildings] = BUILDING
    return mask


@pytest.mark.parametrize(
    ("mask", "contradicted"),
    [
        (mask_of(0), {"house", "houses", "residential area"}),
        (mask_of(1), {"houses"}),
        (mask_of(2), {"house"}),
        (mask_of(2, bridge=True), set()),  # one or two
    ],
)
def test_nouns_that_the_mask_contradicts_get_less_likely(mask, contradicted):
    odds = dict(zip(BUILDING_NOUNS, building_log_odds([SeenObjects(mask)], 3.0)[0].tolist(), strict=True))
    for noun in ("house", "houses", "residential area"):
        assert odds[noun] == (-3 if noun in contradicted else 0)


def test_one_row_per_mask():
    odds = building_log_odds([SeenObjects(mask_of(0)), SeenObjects(mask_of(1))], 1.0)
    assert odds.shape == (2, len(BUILDING_NOUNS))
    assert odds.dtype == np.float32
    assert (odds[0] == -1).all()
