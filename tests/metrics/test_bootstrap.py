"""Bootstrap intervals: the vectorised sums are what each draw would score, and the draws repeat."""

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu

from semantic_cc.errors import DataError
from semantic_cc.metrics.bootstrap import intervals
from semantic_cc.metrics.coco_scorer import Scorer

WORDS = ["a", "the", "road", "house", "tree", "is", "are", "built", "near", "same"]


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(3)
    say = lambda: " ".join(rng.choice(WORDS, rng.integers(1, 9)))  # noqa: E731
    truth = {name: [say() for _ in range(3)] for name in "abcdefghij"}
    return {name: [say()] for name in truth}, truth


def test_each_draw_is_scored_as_a_set_of_its_own(texts):
    given, truth = texts
    _, images = Scorer().score(given, truth)
    right = np.arange(10) < 7
    found = intervals(images, right, samples=50, seed=4, level=0.5)
    rng, names = np.random.default_rng(4), list(truth)
    draws = [rng.integers(10, size=10) for _ in range(50)]
    bleu, means = [], {"flag_accuracy": 100.0 * right, "ROUGE-L": images.rouge, "CIDEr": images.cider}
    for draw in draws:
        chosen = dict(enumerate(names[place] for place in draw))
        references = {number: truth[name] for number, name in chosen.items()}
        sentences = {number: given[name] for number, name in chosen.items()}
        bleu.append(Bleu(4).compute_score(references, sentences, verbose=0)[0])
    for order in range(4):
        expected = np.quantile([100 * scores[order] for scores in bleu], [0.25, 0.75])
        assert found[f"BLEU-{order + 1}"] == pytest.approx(expected, rel=1e-9)
    for name, values in means.items():
        assert found[name] == pytest.approx(np.quantile([values[d].mean() for d in draws], [0.25, 0.75]))
    assert "METEOR" not in found


def test_intervals_hold_the_score_repeat_and_widen(texts):
    scores, images = Scorer().score(*texts)
    right = np.ones(10, dtype=bool)
    found = intervals(images, right, samples=200)
    assert found == intervals(images, right, samples=200)
    narrow = intervals(images, right, samples=200, level=0.5)
    for name in ("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr"):
        assert found[name][0] < narrow[name][0] < narrow[name][1] < found[name][1]
        assert found[name][0] < scores[name] < found[name][1]
    assert found["flag_accuracy"] == (100, 100)


def test_sentences_without_words(texts):
    given, truth = texts
    _, images = Scorer().score({name: [""] for name in given}, truth)
    found = intervals(images, np.zeros(10, dtype=bool), samples=20)
    assert np.ravel(list(found.values())) == pytest.approx(0, abs=1e-6)


def test_bad_options(texts):
    _, images = Scorer().score(*texts)
    right = np.ones(10, dtype=bool)
    with pytest.raises(DataError, match="samples is 0"):
        intervals(images, right, samples=0)
    with pytest.raises(DataError, match="level 1"):
        intervals(images, right, level=1)
