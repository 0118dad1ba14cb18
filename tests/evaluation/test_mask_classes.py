"""True masks as class indices."""

import numpy as np

from semantic_cc.evaluation.mask_classes import true_classes
from semantic_cc.metrics.change import LEFT_OUT
from semantic_cc.types import Pair


def test_true_classes_tell_what_is_left_out_and_whether_roads_are_told():
    image = np.zeros((2, 2, 3), np.uint8)
    truth, roads = true_classes(Pair("a", image, image, np.array([[0, 128], [255, 32]], np.uint8)))
    assert (truth.tolist(), roads) == ([[0, 1], [2, LEFT_OUT]], True)
    truth, roads = true_classes(Pair("b", image, image, np.array([[64, 64], [255, 32]], np.uint8)))
    assert (truth.tolist(), roads) == ([[0, 0], [2, LEFT_OUT]], False)
