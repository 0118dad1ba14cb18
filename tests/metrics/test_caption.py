"""Caption scores on a small hand-made set: parity with pycocoevalcap, silence, protocol, errors."""

import json

import pytest
from pycocoevalcap.cider.cider import Cider

from semantic_cc.errors import DataError
from semantic_cc.metrics import best_constant_sentence, caption_report, score_captions
from semantic_cc.metrics.coco_scorer import METRICS


def report(*args, **options) -> dict:
    """The scores as `--out` writes them."""
    return caption_report(*args, **options).to_json()


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
    assert set(scores) == set(METRICS)
    assert scores["METEOR"] is None
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
    report(PREDICTIONS, REFERENCES, meteor=False)
    assert capfd.readouterr() == ("", "")


def test_an_empty_sentence_scores_zero():
    scores = score_captions(dict.fromkeys(REFERENCES, ""), REFERENCES)
    assert max(value for value in scores.values() if value is not None) == pytest.approx(0, abs=1e-6)


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


def test_report():
    result = json.loads(json.dumps(report(PREDICTIONS, REFERENCES, meteor=False)))
    assert (result["protocol"], result["meteor"]) == ("word", "not run: left out")
    assert result["flag_accuracy"] == 75  # "d" says change where there is none
    assert "every other sentence says change" in result["flag_rule"]
    assert [result[part]["count"] for part in ("all", "changed", "unchanged")] == [4, 2, 2]
    assert [result[part]["flag_accuracy"] for part in ("all", "changed", "unchanged")] == [75, 100, 50]
    for part, names in (("all", "abcd"), ("changed", "bc"), ("unchanged", "ad")):
        alone = score_captions({n: PREDICTIONS[n] for n in names}, {n: REFERENCES[n] for n in names})
        assert {key: result[part][key] for key in alone} == alone
        assert result[part]["CIDEr-D"] == alone["CIDEr"]
        for name, (low, high) in result[part]["intervals"].items():
            assert low - 1e-9 <= result[part][name] <= high + 1e-9
    both = [result[part]["CIDEr_frequencies_of_all"] for part in ("changed", "unchanged")]
    assert sum(both) / 2 == pytest.approx(result["all"]["CIDEr"])


def test_report_has_the_answers_that_need_no_image():
    train = ["a road is built", "no change has occurred.", "A road is  built"]
    lines = report(PREDICTIONS, REFERENCES, train=train, meteor=False)["baselines"]
    assert lines.keys() == {"always_same", "true_flag", "best_constant", "best_true_flag", "train_frequent"}
    changed = {"a": False, "b": True, "c": True, "d": False}
    for line in lines.values():
        answers = {
            name: line["sentences"]["changed" if flag else "unchanged"] for name, flag in changed.items()
        }
        for part, names in (("all", "abcd"), ("changed", "bc"), ("unchanged", "ad")):
            alone = score_captions({n: answers[n] for n in names}, {n: REFERENCES[n] for n in names})
            assert line[part]["METEOR"] is alone.pop("METEOR") is None
            assert {key: line[part][key] for key in alone} == pytest.approx(alone, rel=1e-12, abs=1e-12)
    assert lines["always_same"]["sentences"]["changed"] == "the scene is the same as before"
    assert lines["always_same"]["all"]["flag_accuracy"] == 50
    assert lines["true_flag"]["sentences"]["changed"] == "many houses are built along the road"
    assert lines["train_frequent"]["sentences"]["changed"] == "a road is built"
    best = best_constant_sentence(REFERENCES)
    assert lines["best_constant"]["sentences"]["changed"] == best[0]
    assert lines["best_constant"]["all"]["CIDEr"] == pytest.approx(best[1])
    assert report(PREDICTIONS, REFERENCES, meteor=False)["baselines"]["train_frequent"] is None


def test_report_counts_words():
    facts = report({**PREDICTIONS, "a": "", "d": "a cottage is built"}, REFERENCES, meteor=False)[
        "statistics"
    ]
    assert facts["predictions"] == {
        "sentences": 4,
        "distinct_sentences": 4,
        "empty": 1,
        "words_per_sentence": (0 + 7 + 3 + 4) / 4,
        "shortest": 0,
        "longest": 7,
        "distinct_words": 12,
        "unknown_words": 1,
    }
    assert facts["references"]["sentences"] == 12
    assert facts["references"]["distinct_sentences"] == 9


def test_report_takes_given_flags():
    truth = dict.fromkeys(REFERENCES, False)
    result = report(PREDICTIONS, REFERENCES, changed=truth, flags=truth, meteor=False)
    assert result["flag_accuracy"] == 100
    assert (result["flag_rule"], result["flag_truth"]) == ("the model's own flag", "the dataset's flag")
    assert result["changed"] == {"count": 0}
    assert result["baselines"]["true_flag"]["changed"] == {"count": 0}
    assert result["baselines"]["best_true_flag"] is None
    with pytest.raises(DataError, match="changed: does not name the images"):
        report(PREDICTIONS, REFERENCES, changed={"a": True}, meteor=False)
    with pytest.raises(DataError, match="names must be the same"):
        report(PREDICTIONS, REFERENCES, flags={"a": True}, meteor=False)


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ({}, {}, "no references"),
        ({"a": "x"}, {"a": []}, "a: references must be a list of at least one"),
        ({"a": "x"}, {"a": "one string"}, "a: references must be a list"),
        ({"a": "x"}, {"a": [" . "]}, "a: has an empty reference"),
        ({"a": "x"}, {"a": ["x"], "b": ["y"]}, r"b: has no prediction \(1 of 2 images have none\)"),
        (
            {"a": "x", "z": "x"},
            {"a": ["x"]},
            r"z: has no reference \(1 predictions have none\); .* names like a: check names and split",
        ),
    ],
)
def test_bad_input(predictions, references, message):
    with pytest.raises(DataError, match=message):
        score_captions(predictions, references)


def test_bad_options():
    with pytest.raises(DataError, match="candidates is 0"):
        best_constant_sentence(REFERENCES, candidates=0)
    with pytest.raises(DataError, match=r"unknown protocol 'words'; give one of word, vocab-id, gpt2-id"):
        report(PREDICTIONS, REFERENCES, protocol="words", meteor=False)
