"""Caption scores equal pycocoevalcap called directly, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor as DirectMeteor
from pycocoevalcap.rouge.rouge import Rouge

from semantic_cc.metrics import score_captions
from semantic_cc.metrics.coco_scorer import Scorer
from semantic_cc.metrics.meteor import Meteor, find_java

WORDS = "a the road house houses is are built constructed no difference t-shaped häuser 房子 ελιά 🏠 ||| 3"
SENTENCES = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=9).map(" ".join)
SETS = st.lists(
    st.tuples(SENTENCES | st.just(""), st.lists(SENTENCES, min_size=1, max_size=5)), min_size=1, max_size=6
)


def direct(truth: dict, answers: dict) -> dict[str, float | None]:
    bleu, _ = Bleu(4).compute_score(truth, answers, verbose=0)
    return {
        **{f"BLEU-{order}": 100 * value for order, value in enumerate(bleu, start=1)},
        "METEOR": None,
        "ROUGE-L": 100 * Rouge().compute_score(truth, answers)[0],
        "CIDEr": 100 * Cider().compute_score(truth, answers)[0],
    }


@settings(max_examples=1000, deadline=None)
@given(SETS)
def test_every_score_but_meteor(pairs):
    truth = {str(number): references for number, (_, references) in enumerate(pairs)}
    answers = {str(number): [sentence] for number, (sentence, _) in enumerate(pairs)}
    assert score_captions({name: said[0] for name, said in answers.items()}, truth) == direct(truth, answers)


def test_cider_is_cider_d_by_its_definition():
    """Vedantam et al., CVPR 2015, section 5, written out anew."""
    truth = {"x": ["a road is built", "a new road"], "y": ["no difference", "a a a road"], "z": ["a house"]}
    answers = {"x": "a road road is here", "y": "a a road", "z": "a house"}
    grams = lambda text, n: [tuple(text.split()[i : i + n]) for i in range(len(text.split()) - n + 1)]  # noqa: E731
    documents = [
        {g for said in sentences for n in range(1, 5) for g in grams(said, n)} for sentences in truth.values()
    ]

    def weights(text: str, n: int) -> dict:
        idf = {g: np.log(3 / max(1, sum(g in known for known in documents))) for g in grams(text, n)}
        return {g: grams(text, n).count(g) * idf[g] for g in idf}

    def similarity(said: str, reference: str, n: int) -> float:
        one, two = weights(said, n), weights(reference, n)
        clipped = sum(min(one[g], two.get(g, 0)) * two.get(g, 0) for g in one)
        norms = np.sqrt(sum(v**2 for v in one.values()) * sum(v**2 for v in two.values()))
        penalty = np.exp(-((len(said.split()) - len(reference.split())) ** 2) / (2 * 6**2))
        return 10 * penalty * clipped / norms if norms else 0.0

    expected = np.mean(
        [
            np.mean([similarity(answers[name], said, n) for said in sentences for n in range(1, 5)])
            for name, sentences in truth.items()
        ]
    )
    assert score_captions(answers, truth)["CIDEr"] == pytest.approx(100 * expected)


@pytest.mark.skipif(find_java() is None, reason="METEOR needs Java 8+")
def test_meteor():
    rng = np.random.default_rng(0)
    words = [word for word in WORDS.split() if word != "|||"]  # pycocoevalcap breaks on it in references
    say = lambda low: " ".join(rng.choice(words, rng.integers(low, 9)))  # noqa: E731
    reference = DirectMeteor()
    with Meteor(find_java()) as process:
        for number in range(20):
            names = [str(name) for name in range(rng.integers(1, 9))]
            truth = {name: [say(1) for _ in range(rng.integers(1, 6))] for name in names}
            answers = {name: [say(0)] for name in names}
            answers["0"] = [["", "road", truth["0"][0], "a ||| road", "房子"][number % 5]]
            expected, by_image = reference.compute_score(truth, answers)
            counts = process.counts(truth, answers)
            assert process.of_counts(counts) == by_image
            assert process.of_counts([np.sum(counts, axis=0)]) == [expected]
            assert process.counts(truth, answers) == counts  # from memory
            assert Scorer(process).score(answers, truth)[0]["METEOR"] == 100 * expected
