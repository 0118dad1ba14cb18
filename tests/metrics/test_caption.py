"""Caption scores on a small hand-made set: parity with pycocoevalcap, silence, protocol, errors."""

import json

import pytest
from pycocoevalcap.cider.cider import Cider

from semantic_cc.errors import DataError
from semantic_cc.metrics import best_constant_sentence, cider_interval, report, score_captions

SAME = ["there is no difference", "the scene is the same as before", "no change has occurred"]
REFERENCES = {
    "a": SAME,
    "b": [
        "many houses are built along the road",
        "some houses appear",
        "houses and a road are built on bareland",
    ],
    "c": ["a road is built", "some trees are removed and a road appears", "a new road appears in the forest"],
    "d": SAME,
}
PREDICTIONS = {
    "a": "the scene is the same as before",
    "b": "some houses are built along the road",
    "c": "trees are removed",
    "d": "a house is built",
}


def test_perfect_sentences_score_full_marks():
    scores = score_captions({name: given[0] for name, given in REFERENCES.items()}, REFERENCES)
    assert list(scores) == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"]
    for name in ("BLEU-1", "BLEU-4", "ROUGE-L"):
        assert scores[name] == pytest.approx(100, abs=1e-6)
    one_each = {name: [str(name) + " " + given[0]] for name, given in REFERENCES.items()}
    exact = score_captions({name: given[0] for name, given in one_each.items()}, one_each)
    assert exact["CIDEr"] == pytest.approx(1000)


def test_hand_counted_bleu_and_rouge():
    scores = score_captions({"x": "a road is wide"}, {"x": ["a road is built here"]})
    # BLEU-1: 3 of 4 words, brevity exp(1 - 5/4); ROUGE-L: P 3/4, R 3/5, beta 1.2
    assert scores["BLEU-1"] == pytest.approx(75 * 2.718281828 ** (-1 / 4), rel=1e-6)
    assert scores["ROUGE-L"] == pytest.approx(100 * 2.44 * 0.75 * 0.6 / (0.6 + 1.44 * 0.75))
    assert scores["CIDEr"] == 0  # one image: every word is in every document


def test_word_protocol_ignores_case_blanks_and_the_full_stop():
    dirty = {name: f"  {sentence.upper()}  . " for name, sentence in PREDICTIONS.items()}
    stopped = {name: [f" {sentence} ." for sentence in given] for name, given in REFERENCES.items()}
    assert score_captions(dirty, stopped) == score_captions(PREDICTIONS, REFERENCES)


def test_order_of_the_images_does_not_matter_and_nothing_is_printed(capfd):
    turned = dict(reversed(PREDICTIONS.items()))
    assert score_captions(turned, REFERENCES) == score_captions(PREDICTIONS, REFERENCES)
    report(PREDICTIONS, REFERENCES)
    assert capfd.readouterr() == ("", "")


def test_an_empty_sentence_scores_zero():
    scores = score_captions(dict.fromkeys(REFERENCES, ""), REFERENCES)
    assert max(scores.values()) == pytest.approx(0, abs=1e-6)


def test_best_constant_is_what_pycocoevalcap_finds():
    truth = {name: list(given) for name, given in REFERENCES.items()}
    sentences = {sentence for given in truth.values() for sentence in given}
    by_library = {
        sentence: 100 * Cider().compute_score(truth, {name: [sentence] for name in truth})[0]
        for sentence in sentences
    }
    sentence, cider = best_constant_sentence(REFERENCES)
    assert cider == pytest.approx(max(by_library.values()), rel=1e-9)
    assert by_library[sentence] == pytest.approx(cider, rel=1e-9)
    for candidate in sorted(sentences):  # a constant alone on the list
        alone = {**truth, "e": [candidate] * 9}
        expected = 100 * Cider().compute_score(alone, {name: [candidate] for name in alone})[0]
        assert best_constant_sentence(alone, candidates=1) == (candidate, pytest.approx(expected, rel=1e-9))


def test_interval_holds_the_mean_repeats_and_widens():
    mean = score_captions(PREDICTIONS, REFERENCES)["CIDEr"]
    low, high = cider_interval(PREDICTIONS, REFERENCES, samples=200)
    assert low < mean < high
    assert (low, high) == cider_interval(PREDICTIONS, REFERENCES, samples=200)
    narrow_low, narrow_high = cider_interval(PREDICTIONS, REFERENCES, samples=200, level=0.5)
    assert low < narrow_low < narrow_high < high


def test_report():
    result = json.loads(json.dumps(report(PREDICTIONS, REFERENCES)))
    assert result["protocol"] == "word"
    assert result["flag_accuracy"] == 75  # "d" says change where there is none
    assert result["all"]["count"] == 4
    assert result["changed"]["count"] == 2
    names = ("b", "c")
    alone = score_captions({n: PREDICTIONS[n] for n in names}, {n: REFERENCES[n] for n in names})
    assert {key: result["changed"][key] for key in alone} == alone
    assert set(result["baselines"]) == {"always_same", "true_flag", "best_constant", "best_true_flag"}
    always = score_captions(dict.fromkeys(REFERENCES, "the scene is the same as before"), REFERENCES)
    assert result["baselines"]["always_same"]["all"] == always
    flagged = result["baselines"]["true_flag"]
    assert flagged["sentences"]["changed"] == "many houses are built along the road"
    assert flagged["all"]["BLEU-4"] > always["BLEU-4"]
    best = result["baselines"]["best_constant"]["all"]["CIDEr"]
    assert best == pytest.approx(best_constant_sentence(REFERENCES)[1])


def test_report_takes_given_flags():
    truth = dict.fromkeys(REFERENCES, False)
    result = report(PREDICTIONS, REFERENCES, changed=truth, flags=truth)
    assert result["flag_accuracy"] == 100
    assert result["changed"] == {"count": 0}
    assert result["baselines"]["true_flag"]["changed"] == {}
    with pytest.raises(DataError, match="changed: does not name the images"):
        report(PREDICTIONS, REFERENCES, changed={"a": True})


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ({}, {}, "no references"),
        ({"a": "x"}, {"a": []}, "a: references must be a list of at least one"),
        ({"a": "x"}, {"a": "one string"}, "a: references must be a list"),
        ({"a": "x"}, {"a": [" . "]}, "a: has an empty reference"),
        ({"a": "x"}, {"a": ["x"], "b": ["y"]}, r"b: has no prediction \(1 images differ\)"),
        ({"a": "x", "z": "x"}, {"a": ["x"]}, "z: has no reference"),
    ],
)
def test_bad_input(predictions, references, message):
    with pytest.raises(DataError, match=message):
        score_captions(predictions, references)


def test_bad_options():
    with pytest.raises(DataError, match="samples is 0"):
        cider_interval(PREDICTIONS, REFERENCES, samples=0)
    with pytest.raises(DataError, match="level 1"):
        cider_interval(PREDICTIONS, REFERENCES, level=1)
    with pytest.raises(DataError, match="candidates is 0"):
        best_constant_sentence(REFERENCES, candidates=0)
