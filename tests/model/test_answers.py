"""The choice among candidate sentences."""

import numpy as np
import pytest

from semantic_cc.config import EnsembleConfig, ModelConfig, load_config
from semantic_cc.errors import ConfigError
from semantic_cc.metrics.consistency import SeenObjects
from semantic_cc.model.answers import Candidate, answer_pairs, choose
from semantic_cc.sentences import UNCHANGED

LEFT = np.zeros((64, 64), np.uint8)
LEFT[10:30, 5:25] = 255  # one building at the top left
SEEN = SeenObjects(LEFT)


def of(*pairs):
    return [Candidate(*pair) for pair in pairs]


BEAMS = of(
    ("a house is built on the right", -1.0),
    ("two houses are built", -1.5),
    ("a house is built on the left", -2.0),
)


def test_without_weights_the_likeliest_wins():
    assert choose(BEAMS, EnsembleConfig(), SEEN) == "a house is built on the right"


def test_the_mask_decides_among_likely_sentences():
    assert choose(BEAMS, EnsembleConfig(mask=3), SEEN) == "a house is built on the left"
    assert choose(BEAMS, EnsembleConfig(mask=0.6), SEEN) == "a house is built on the right"  # too light
    assert (
        choose(BEAMS, EnsembleConfig(mask=3), SeenObjects(LEFT[:, ::-1])) == "a house is built on the right"
    )
    assert choose(BEAMS, EnsembleConfig(mask=3)) == "a house is built on the right"  # no mask


def test_unchanged_is_contradicted_by_the_flag():
    beams = of(("the scene is the same as before", -0.1), ("trees are removed", -2.0))
    assert choose(beams, EnsembleConfig(mask=3), SeenObjects(LEFT * 0)) == "trees are removed"


def test_consensus_prefers_what_others_say():
    beams = of(("a b c d", -1.0), ("x y z", -1.1), ("x y z w", -1.2), ("x y w z", -1.3))
    assert choose(beams, EnsembleConfig(consensus=2)).startswith("x")
    assert choose(beams, EnsembleConfig(consensus=0.01)) == "a b c d"
    assert choose(of(("a", -5.0)), EnsembleConfig(consensus=2)) == "a"


def test_one_sentence_twice_is_one_candidate():
    beams = of(("a b", -3.0), ("c d", -2.0), ("a b", -1.0))
    assert choose(beams, EnsembleConfig(mask=1), SEEN) == "a b"


@pytest.mark.parametrize(("weights", "chosen"), [({}, "right"), ({"mask": 3.0}, "left")])
def test_pairs_are_answered_with_their_own_masks(weights, chosen):
    config = ModelConfig(ensemble=EnsembleConfig(**weights))
    asked = []

    def masks(pair):
        asked.append(pair)
        return np.stack([1.0 - LEFT / 255, LEFT / 255])

    def write(pairs, texts, seen):
        assert [objects.building_count() for objects in seen or []] == ([(1, 1)] if weights else [])
        return [BEAMS for _ in pairs]

    answers = answer_pairs(config, [0.9, 0.1], 2, ["What?"], write, masks)
    assert answers.changed == [True, False]
    assert answers.sentence == [f"a house is built on the {chosen}", UNCHANGED]
    assert answers.sentences == [{"What?": "a house is built on the right"}, {}]
    assert asked == ([0] if weights else [])


def test_refusals():
    with pytest.raises(ConfigError, match="ensemble's weights must not be negative"):
        load_config("tiny", {"model": {"ensemble": {"mask": -1.0}}})
    with pytest.raises(ConfigError, match=r"ensemble\.mask needs change_task"):
        load_config("tiny", {"model": {"ensemble": {"mask": 1.0}, "change_task": False}})
